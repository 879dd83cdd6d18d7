// Quantum regions: which QPU a target region is for, and what the thread in it knows.
#pragma once

#include <cstdint>

namespace openmpq {

constexpr std::int64_t quantum = 0x51000000;          // device(Quantum)
constexpr std::int64_t last_qpu = quantum + 0x00ffff; // device(Quantum + k)
constexpr std::int32_t pool_picks = -1, nowhere = -2; // beside 0, 1, … for a QPU

/// Whether a device number, or a thread_limit that stands for one (openmpq/listings.h), names a QPU.
inline bool is_quantum(std::int64_t number) noexcept {
  return number >= quantum && number <= last_qpu;
}

/// How many QPUs regions can go to: the pool's, none with OMP_TARGET_OFFLOAD=DISABLED. The first call connects.
std::int32_t usable_qpus() noexcept;

/// The QPU of a region: its number, `pool_picks`, or `nowhere` if the region is classical.
std::int32_t region_target(std::int64_t device, std::int64_t thread_limit) noexcept;

/// Where the calling thread is; frame: of the function of the C interface that asks.
std::int32_t current_qpu(const void *frame) noexcept;

/// The thread enters a region whose end is not told (clang); frame: of the entry point that the function which holds
/// the region calls; caller: where it returns to.
void enter_for_good(std::int32_t qpu, const void *frame, const void *caller) noexcept;
/// A classical region is entered: the quantum one before it is over, unless this one is in a function that it calls.
void leave_for_good(const void *frame, const void *caller) noexcept;

/// The thread is in a region as long as this lives (gcc).
class InRegion {
public:
  explicit InRegion(std::int32_t qpu) noexcept;
  ~InRegion();
  InRegion(const InRegion &) = delete;
  InRegion &operator=(const InRegion &) = delete;

private:
  std::int32_t qpu_before_;
  const void *frame_before_, *caller_before_;
};

/// Whether a quantum region of any thread has been intercepted yet: then the program is compiled as it should be.
bool any_region_seen() noexcept;

/// Whether a number means the host in a device list to which QPUs were appended; the real runtime does not know it.
bool is_appended_host(std::int64_t device) noexcept;

/// libomptarget calls its own functions through names that may be ours: while this lives, they are answered as the real
/// runtime would.
class InRuntime {
public:
  InRuntime() noexcept;
  ~InRuntime();
  InRuntime(const InRuntime &) = delete;
  InRuntime &operator=(const InRuntime &) = delete;
};

// The device list that users see when QPUs are appended to it (OPENMPQ_APPEND_DEVICES=1).
int real_num_devices() noexcept;
int appended_qpus() noexcept;

/// Somebody in the process has code for real devices; seen only where libopenmpq_preload.so stands in front.
void register_images() noexcept;
bool images_registered() noexcept;

/// A function of the OpenMP runtime that our own does not stand in front of; nullptr if there is none.
void *real(const char *name) noexcept;
/// How to find one that ours stands in front of; set by libopenmpq_preload.so.
void set_lookup(void *(*lookup)(const char *)) noexcept;

} // namespace openmpq
