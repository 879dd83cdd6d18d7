// OpenMP's device functions, for programs that use a QPU's number where a device's is expected.

#include <cstdlib>
#include <cstring>

#include "entry.hpp"

using namespace openmpq;

namespace {

/// A QPU, or the host by the number that it has behind appended QPUs, which the real runtime does not know.
bool has_host_memory(int device) {
  return region_target(device, -1) != nowhere || is_appended_host(device);
}

} // namespace

extern "C" {

OPENMPQ_ENTRY int openmpq_omp_get_num_devices(void) {
  return real_num_devices() + appended_qpus();
}

// The host: OpenMP numbers it after all devices.
OPENMPQ_ENTRY int openmpq_omp_get_initial_device(void) {
  static auto *forward = real_function(&openmpq_omp_get_initial_device, "omp_get_initial_device");
  int n = appended_qpus();
  return n || !forward ? real_num_devices() + n : forward();
}

// A QPU's program sees the host's memory, so its memory is the host's; without a runtime that knows devices all are.
OPENMPQ_ENTRY void *openmpq_omp_target_alloc(std::size_t size, int device) {
  static auto *forward = real_function(&openmpq_omp_target_alloc, "omp_target_alloc");
  bool host = has_host_memory(device) || !forward;
  InRuntime in_runtime;
  return host ? std::malloc(size) : forward(size, device);
}

OPENMPQ_ENTRY void openmpq_omp_target_free(void *memory, int device) {
  static auto *forward = real_function(&openmpq_omp_target_free, "omp_target_free");
  bool host = has_host_memory(device) || !forward;
  InRuntime in_runtime;
  host ? std::free(memory) : forward(memory, device);
}

OPENMPQ_ENTRY int openmpq_omp_target_is_present(const void *memory, int device) {
  static auto *forward = real_function(&openmpq_omp_target_is_present, "omp_target_is_present");
  bool host = has_host_memory(device) || !forward;
  InRuntime in_runtime;
  return host ? memory != nullptr : forward(memory, device);
}

OPENMPQ_ENTRY int openmpq_omp_target_memcpy(void *to, const void *from, std::size_t size, std::size_t to_offset,
                                            std::size_t from_offset, int to_device, int from_device) {
  static auto *forward = real_function(&openmpq_omp_target_memcpy, "omp_target_memcpy");
  auto as_host = [](int device) { return has_host_memory(device) ? real_num_devices() : device; };
  if (forward) {
    int to_real = as_host(to_device), from_real = as_host(from_device);
    InRuntime in_runtime;
    return forward(to, from, size, to_offset, from_offset, to_real, from_real);
  }
  std::memmove(static_cast<char *>(to) + to_offset, static_cast<const char *>(from) + from_offset, size);
  return 0;
}

} // extern "C"
