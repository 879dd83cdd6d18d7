// What clang calls for target constructs (libomptarget's entry points, from LLVM 15 on). The redirect in
// openmpq/redirect.h or libopenmpq_preload.so leads the calls here.
//
// Clang gives no function to call: the entry point says whether the region ran on a device, and if not, the compiled
// code runs its host version next. So a quantum region "fails", and runs on the host with its QPU noted.

#include <cstdint>

#include "entry.hpp"
#include "registry.hpp"

namespace {

using namespace openmpq;

constexpr int run_on_host = ~0;

// The fields that all versions have (LLVM's offload/include/Shared/APITypes.h); later ones are not read.
struct KernelArguments {
  std::uint32_t version, n;
  void **bases, **addresses;
  std::int64_t *sizes, *types;
};

constexpr std::int64_t literal = 0x100; // the value itself, not an address

void bind(const KernelArguments &arguments, std::int32_t qpu) {
  for (std::uint32_t i = 0; i < arguments.n; ++i) {
    bind_argument(arguments.bases[i], 0, qpu);
    if (!(arguments.types[i] & literal))
      bind_argument(arguments.addresses[i], std::size_t(arguments.sizes[i]), qpu);
  }
}

bool is_ours(std::int64_t device) {
  return region_target(device, -1) != nowhere || is_appended_host(device);
}

/// Whether the real runtime should see a call: it is there, and has something to run.
template <class Function> bool there(Function *forward) {
  return forward && images_registered();
}

} // namespace

extern "C" {

OPENMPQ_ENTRY int openmpq___tgt_target_kernel(void *location, std::int64_t device, std::int32_t teams,
                                              std::int32_t thread_limit, void *region, void *arguments) {
  static auto *forward = real_function(&openmpq___tgt_target_kernel, "__tgt_target_kernel");
  std::int32_t qpu = region_target(device, thread_limit);
  if (qpu != nowhere) {
    if (arguments)
      bind(*static_cast<KernelArguments *>(arguments), qpu);
    enter_for_good(qpu, __builtin_frame_address(0), __builtin_return_address(0));
    return run_on_host;
  }
  leave_for_good(__builtin_frame_address(0), __builtin_return_address(0));
  bool classical = there(forward) && !is_appended_host(device);
  InRuntime in_runtime;
  return classical ? forward(location, device, teams, thread_limit, region, arguments) : run_on_host;
}

OPENMPQ_ENTRY int openmpq___tgt_target_kernel_nowait(void *location, std::int64_t device, std::int32_t teams,
                                                     std::int32_t thread_limit, void *region, void *arguments,
                                                     std::int32_t, void *, std::int32_t, void *) {
  return openmpq___tgt_target_kernel(location, device, teams, thread_limit, region, arguments);
}

// A QPU has no memory of its own that the host cannot see: data constructs for one have nothing to do.
#define OPENMPQ_DATA(name)                                                                                             \
  OPENMPQ_ENTRY void openmpq_##name(void *location, std::int64_t device, std::int32_t n, void **bases,                 \
                                    void **addresses, std::int64_t *sizes, std::int64_t *types, void **names,          \
                                    void **mappers) {                                                                  \
    static auto *forward = real_function(&openmpq_##name, #name);                                                      \
    if (is_ours(device) || !there(forward))                                                                            \
      return;                                                                                                          \
    InRuntime in_runtime;                                                                                              \
    forward(location, device, n, bases, addresses, sizes, types, names, mappers);                                      \
  }                                                                                                                    \
  OPENMPQ_ENTRY void openmpq_##name##_nowait(void *location, std::int64_t device, std::int32_t n, void **bases,        \
                                             void **addresses, std::int64_t *sizes, std::int64_t *types, void **names, \
                                             void **mappers, std::int32_t, void *, std::int32_t, void *) {             \
    openmpq_##name(location, device, n, bases, addresses, sizes, types, names, mappers);                               \
  }

// The nowait versions are called …_nowait_mapper by LLVM; redirect.h and preload.cpp pair the names.
OPENMPQ_DATA(__tgt_target_data_begin_mapper)
OPENMPQ_DATA(__tgt_target_data_end_mapper)
OPENMPQ_DATA(__tgt_target_data_update_mapper)

// LLVM 16 and older call it before main.
OPENMPQ_ENTRY void openmpq___tgt_register_requires(std::int64_t flags) {
  static auto *forward = real_function(&openmpq___tgt_register_requires, "__tgt_register_requires");
  if (forward)
    forward(flags);
}

// Only libopenmpq_preload.so leads it here: the start of code for real devices.
OPENMPQ_ENTRY void openmpq___tgt_register_lib(void *description) {
  register_images(); // before the real function is looked for
  static auto *forward = real_function(&openmpq___tgt_register_lib, "__tgt_register_lib");
  if (forward)
    forward(description);
}

} // extern "C"
