#include "regions.hpp"

#include <algorithm>
#include <atomic>
#include <cstring>
#include <dlfcn.h>
#include <unwind.h>

#include "client.hpp"
#include "settings.hpp"

namespace openmpq {

namespace {

struct Here {
  std::int32_t qpu = nowhere;
  const void *frame = nullptr;  // of the function that holds the region; nullptr: the region ends by itself
  const void *caller = nullptr; // an address in that function's code
};

thread_local Here here;
thread_local int runtime_depth = 0;
std::atomic<bool> images{false};
std::atomic<bool> region_seen{false}; // of any thread
std::atomic<void *(*)(const char *)> lookup_behind{nullptr};

/// libomptarget wakes up when somebody registers code for a device; until then it crashes when it is asked anything.
bool is_asleep(const char *name, void *function) noexcept {
  if (std::strncmp(name, "__tgt_register", 14) == 0) // what wakes it
    return false;
  Dl_info from{};
  bool theirs = dladdr(function, &from) && from.dli_fname && std::strstr(from.dli_fname, "libomptarget");
  return theirs && !images_registered();
}

int ask(const char *name, int otherwise) noexcept {
  auto *function = reinterpret_cast<int (*)()>(real(name));
  return function ? function() : otherwise;
}

/// In a team or an MPI program each thread of each rank has a QPU of its own (modulo their number), as in the paper's
/// listings. Alone, whichever is free is better.
std::int32_t pick() noexcept {
  int threads = ask("omp_get_num_threads", 1);
  std::int32_t n = usable_qpus();
  std::int64_t rank = settings().rank;
  if (n == 0 || (threads == 1 && rank < 0))
    return pool_picks;
  return std::int32_t((std::max<std::int64_t>(rank, 0) * threads + ask("omp_get_thread_num", 0)) % n);
}

std::int32_t appended(std::int64_t device) noexcept {
  int offset = real_num_devices();
  if (device == -1 || device == -4) // no device clause; gcc 13 under MANDATORY without real devices
    device = ask("omp_get_default_device", settings().default_device);
  // Without a real device GCC's runtime caps or refuses what OMP_DEFAULT_DEVICE says.
  if (device < 0)
    device = settings().default_device;
  bool ours = device >= offset && device < offset + appended_qpus();
  return ours ? std::int32_t(device - offset) : nowhere;
}

} // namespace

std::int32_t usable_qpus() noexcept {
  try {
    return settings().offload == Offload::disabled ? 0 : std::int32_t(pool_qpus().size());
  } catch (...) { // no memory
    return 0;
  }
}

std::int32_t region_target(std::int64_t device, std::int64_t thread_limit) noexcept {
  if (runtime_depth)
    return nowhere;
  if (device == quantum && is_quantum(thread_limit))
    device = thread_limit;
  if (device == quantum)
    return pick();
  if (is_quantum(device))
    return std::int32_t(device - quantum - 1);
  return settings().append_devices && device != -2 ? appended(device) : nowhere;
}

std::int32_t current_qpu(const void *frame) noexcept {
  // Where the end of a region is not told, it is over at the latest when the function that holds it has returned: then
  // what it called before lay deeper in the stack than what is called now.
  bool over = here.frame && frame > here.frame;
  return over ? nowhere : here.qpu;
}

void enter_for_good(std::int32_t qpu, const void *frame, const void *caller) noexcept {
  region_seen.store(true, std::memory_order_relaxed);
  here = {qpu, frame, caller};
}

bool any_region_seen() noexcept {
  return region_seen.load(std::memory_order_relaxed);
}

bool is_appended_host(std::int64_t device) noexcept {
  int n = appended_qpus();
  return n && device == real_num_devices() + n;
}

void leave_for_good(const void *frame, const void *caller) noexcept {
  // Frames alone do not tell: a function's stack grows with each of its regions (clang 16).
  auto function = [](const void *code) { return _Unwind_FindEnclosingFunction(const_cast<void *>(code)); };
  if (here.frame && (frame >= here.frame || function(caller) == function(here.caller)))
    here = {};
}

InRegion::InRegion(std::int32_t qpu) noexcept
    : qpu_before_(here.qpu), frame_before_(here.frame), caller_before_(here.caller) {
  region_seen.store(true, std::memory_order_relaxed);
  here = {qpu};
}
InRegion::~InRegion() {
  here = {qpu_before_, frame_before_, caller_before_};
}

InRuntime::InRuntime() noexcept {
  ++runtime_depth;
}
InRuntime::~InRuntime() {
  --runtime_depth;
}

int real_num_devices() noexcept {
  return ask("omp_get_num_devices", 0);
}
int appended_qpus() noexcept {
  return settings().append_devices && !runtime_depth ? usable_qpus() : 0;
}

void register_images() noexcept {
  images.store(true, std::memory_order_relaxed);
}
bool images_registered() noexcept {
  return images.load(std::memory_order_relaxed);
}

void *real(const char *name) noexcept {
  auto *lookup = lookup_behind.load(std::memory_order_acquire);
  if (void *found = lookup ? lookup(name) : dlsym(RTLD_DEFAULT, name))
    return lookup && is_asleep(name, found) ? nullptr : found;
  // Debian's gcc drops a libgomp of which only the redirected names are used.
  static void *const libgomp = dlopen("libgomp.so.1", RTLD_LAZY | RTLD_LOCAL);
  return libgomp ? dlsym(libgomp, name) : nullptr;
}

void set_lookup(void *(*lookup)(const char *)) noexcept {
  lookup_behind.store(lookup, std::memory_order_release);
}

} // namespace openmpq
