// libopenmpq_preload.so: the second way to lead target constructs to OpenMP-Q, for all of a program at once. For
// LD_PRELOAD, for gcc -flto, and for code that does not include the header. Linked, it comes before the OpenMP runtime.
//
// Each function has the name the compilers call and hands on to libopenmpq.so, which finds the one behind this with
// RTLD_NEXT.

#include <cstddef>
#include <cstdint>
#include <dlfcn.h>

extern "C" {

void openmpq_set_lookup(void *(*lookup)(const char *)) noexcept;

#define OPENMPQ_PUBLIC __attribute__((visibility("default")))

#define OPENMPQ_FORWARD(result, name, ours, parameters, arguments)                                                     \
  result ours parameters;                                                                                              \
  OPENMPQ_PUBLIC result name parameters {                                                                              \
    return ours arguments;                                                                                             \
  }

// gcc
OPENMPQ_FORWARD(void, GOMP_target_ext, openmpq_GOMP_target_ext,
                (int device, void (*region)(void *), std::size_t n, void **addresses, std::size_t *sizes,
                 unsigned short *kinds, unsigned flags, void **depend, void **args),
                (device, region, n, addresses, sizes, kinds, flags, depend, args))
OPENMPQ_FORWARD(void, GOMP_target_data_ext, openmpq_GOMP_target_data_ext,
                (int device, std::size_t n, void **addresses, std::size_t *sizes, unsigned short *kinds),
                (device, n, addresses, sizes, kinds))
OPENMPQ_FORWARD(void, GOMP_target_update_ext, openmpq_GOMP_target_update_ext,
                (int device, std::size_t n, void **addresses, std::size_t *sizes, unsigned short *kinds, unsigned flags,
                 void **depend),
                (device, n, addresses, sizes, kinds, flags, depend))
OPENMPQ_FORWARD(void, GOMP_target_enter_exit_data, openmpq_GOMP_target_enter_exit_data,
                (int device, std::size_t n, void **addresses, std::size_t *sizes, unsigned short *kinds, unsigned flags,
                 void **depend),
                (device, n, addresses, sizes, kinds, flags, depend))

// clang
OPENMPQ_FORWARD(int, __tgt_target_kernel, openmpq___tgt_target_kernel,
                (void *location, std::int64_t device, std::int32_t teams, std::int32_t limit, void *region,
                 void *arguments),
                (location, device, teams, limit, region, arguments))
OPENMPQ_FORWARD(int, __tgt_target_kernel_nowait, openmpq___tgt_target_kernel_nowait,
                (void *location, std::int64_t device, std::int32_t teams, std::int32_t limit, void *region,
                 void *arguments, std::int32_t n_in, void *in, std::int32_t n_out, void *out),
                (location, device, teams, limit, region, arguments, n_in, in, n_out, out))

#define OPENMPQ_FORWARD_DATA(name, ours)                                                                               \
  OPENMPQ_FORWARD(void, name, ours,                                                                                    \
                  (void *location, std::int64_t device, std::int32_t n, void **bases, void **addresses,                \
                   std::int64_t *sizes, std::int64_t *types, void **names, void **mappers),                            \
                  (location, device, n, bases, addresses, sizes, types, names, mappers))
#define OPENMPQ_FORWARD_DATA_NOWAIT(name, ours)                                                                        \
  OPENMPQ_FORWARD(void, name, ours,                                                                                    \
                  (void *location, std::int64_t device, std::int32_t n, void **bases, void **addresses,                \
                   std::int64_t *sizes, std::int64_t *types, void **names, void **mappers, std::int32_t n_in,          \
                   void *in, std::int32_t n_out, void *out),                                                           \
                  (location, device, n, bases, addresses, sizes, types, names, mappers, n_in, in, n_out, out))
OPENMPQ_FORWARD_DATA(__tgt_target_data_begin_mapper, openmpq___tgt_target_data_begin_mapper)
OPENMPQ_FORWARD_DATA(__tgt_target_data_end_mapper, openmpq___tgt_target_data_end_mapper)
OPENMPQ_FORWARD_DATA(__tgt_target_data_update_mapper, openmpq___tgt_target_data_update_mapper)
OPENMPQ_FORWARD_DATA_NOWAIT(__tgt_target_data_begin_nowait_mapper, openmpq___tgt_target_data_begin_mapper_nowait)
OPENMPQ_FORWARD_DATA_NOWAIT(__tgt_target_data_end_nowait_mapper, openmpq___tgt_target_data_end_mapper_nowait)
OPENMPQ_FORWARD_DATA_NOWAIT(__tgt_target_data_update_nowait_mapper, openmpq___tgt_target_data_update_mapper_nowait)
OPENMPQ_FORWARD(void, __tgt_register_requires, openmpq___tgt_register_requires, (std::int64_t flags), (flags))
OPENMPQ_FORWARD(void, __tgt_register_lib, openmpq___tgt_register_lib, (void *description), (description))

// both
OPENMPQ_FORWARD(int, omp_get_num_devices, openmpq_omp_get_num_devices, (void), ())
OPENMPQ_FORWARD(int, omp_get_initial_device, openmpq_omp_get_initial_device, (void), ())
OPENMPQ_FORWARD(void *, omp_target_alloc, openmpq_omp_target_alloc, (std::size_t size, int device), (size, device))
OPENMPQ_FORWARD(void, omp_target_free, openmpq_omp_target_free, (void *memory, int device), (memory, device))
OPENMPQ_FORWARD(int, omp_target_is_present, openmpq_omp_target_is_present, (const void *memory, int device),
                (memory, device))
OPENMPQ_FORWARD(int, omp_target_memcpy, openmpq_omp_target_memcpy,
                (void *to, const void *from, std::size_t size, std::size_t to_offset, std::size_t from_offset,
                 int to_device, int from_device),
                (to, from, size, to_offset, from_offset, to_device, from_device))

} // extern "C"

namespace {

/// RTLD_NEXT means: behind the library that calls dlsym. So it must be called from here, and not by a jump.
void *behind_us(const char *name) {
  void *found = dlsym(RTLD_NEXT, name);
  __asm__ volatile("" ::: "memory");
  return found;
}

[[gnu::constructor(101)]] void stand_in_front() {
  openmpq_set_lookup(behind_us);
}

} // namespace
