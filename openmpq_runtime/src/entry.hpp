// What the files with the compilers' entry points share.
#pragma once

#include "regions.hpp"

#define OPENMPQ_ENTRY __attribute__((visibility("default")))

namespace openmpq {

/// The runtime's own function with the type of ours.
template <class Function> Function *real_function(Function *, const char *name) noexcept {
  return reinterpret_cast<Function *>(real(name));
}

} // namespace openmpq
