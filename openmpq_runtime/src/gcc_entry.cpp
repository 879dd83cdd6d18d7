// What gcc calls for target constructs (libgomp's entry points, symbol version GOMP_4.5, the same from gcc 6 to 16).
// The redirect in openmpq/redirect.h or libopenmpq_preload.so leads the calls here.

#include <cstdint>
#include <cstring>
#include <vector>

#include "entry.hpp"
#include "regions.hpp"
#include "registry.hpp"

namespace {

using namespace openmpq;

constexpr int host_fallback = -2;         // GOMP_DEVICE_HOST_FALLBACK; allowed even under MANDATORY
constexpr unsigned short by_value = 0x0d; // GOMP_MAP_FIRSTPRIVATE_INT: the value is in the pointer
constexpr std::size_t extra = 2;          // the entries that begin_region() takes from the front

/// The thread_limit clause among the arguments of the construct; -1 if there is none.
std::int64_t thread_limit(void **args) {
  constexpr std::intptr_t id_mask = 0xff00, thread_limit_id = 0x200, value_follows = 0x80;
  for (; args && *args; ++args) {
    auto entry = reinterpret_cast<std::intptr_t>(*args);
    std::intptr_t value = entry & value_follows ? reinterpret_cast<std::intptr_t>(*++args) : entry >> 16;
    if ((entry & id_mask) == thread_limit_id)
      return value;
  }
  return -1;
}

/// Runs the region in the thread that libgomp gives it (another one with nowait), and knows where it begins and ends.
void begin_region(void *data) {
  auto *entries = static_cast<void **>(data);
  auto *region = reinterpret_cast<void (*)(void *)>(entries[0]);
  InRegion in(std::int32_t(reinterpret_cast<std::intptr_t>(entries[1])));
  region(entries + extra);
}

int known_to_libgomp(int device) {
  return region_target(device, -1) == nowhere && !is_appended_host(device) ? device : host_fallback;
}

template <class T> std::vector<T> with_front(std::size_t n, const T *values, T first, T second) {
  std::vector<T> all{first, second};
  all.insert(all.end(), values, values + n);
  return all;
}

} // namespace

extern "C" {

OPENMPQ_ENTRY void openmpq_GOMP_target_ext(int device, void (*region)(void *), std::size_t n, void **addresses,
                                           std::size_t *sizes, unsigned short *kinds, unsigned flags, void **depend,
                                           void **args) {
  static auto *forward = real_function(&openmpq_GOMP_target_ext, "GOMP_target_ext");
  std::int32_t qpu = region_target(device, thread_limit(args));
  if (!forward) // no libgomp at all: the region still runs
    return region(addresses);
  if (qpu == nowhere)
    return forward(is_appended_host(device) ? host_fallback : device, region, n, addresses, sizes, kinds, flags, depend,
                   args);
  for (std::size_t i = 0; i < n; ++i)
    bind_argument(addresses[i], (kinds[i] & 0xff) == by_value ? 0 : sizes[i], qpu);
  auto all_addresses =
      with_front<void *>(n, addresses, reinterpret_cast<void *>(region), reinterpret_cast<void *>(std::intptr_t(qpu)));
  auto all_sizes = with_front<std::size_t>(n, sizes, 0, 0);
  auto all_kinds = with_front<unsigned short>(n, kinds, by_value, by_value);
  forward(host_fallback, begin_region, n + extra, all_addresses.data(), all_sizes.data(), all_kinds.data(), flags,
          depend, args);
}

// A QPU has no memory of its own that the host cannot see: data constructs for one are the host's.
OPENMPQ_ENTRY void openmpq_GOMP_target_data_ext(int device, std::size_t n, void **addresses, std::size_t *sizes,
                                                unsigned short *kinds) {
  static auto *forward = real_function(&openmpq_GOMP_target_data_ext, "GOMP_target_data_ext");
  if (forward)
    forward(known_to_libgomp(device), n, addresses, sizes, kinds);
}

OPENMPQ_ENTRY void openmpq_GOMP_target_update_ext(int device, std::size_t n, void **addresses, std::size_t *sizes,
                                                  unsigned short *kinds, unsigned flags, void **depend) {
  static auto *forward = real_function(&openmpq_GOMP_target_update_ext, "GOMP_target_update_ext");
  if (forward)
    forward(known_to_libgomp(device), n, addresses, sizes, kinds, flags, depend);
}

OPENMPQ_ENTRY void openmpq_GOMP_target_enter_exit_data(int device, std::size_t n, void **addresses, std::size_t *sizes,
                                                       unsigned short *kinds, unsigned flags, void **depend) {
  static auto *forward = real_function(&openmpq_GOMP_target_enter_exit_data, "GOMP_target_enter_exit_data");
  if (forward)
    forward(known_to_libgomp(device), n, addresses, sizes, kinds, flags, depend);
}

} // extern "C"
