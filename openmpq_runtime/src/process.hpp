// fork(): what belongs to the parent's connections must not be used by the child.
#pragma once

namespace openmpq {

/// Which process this is, counted in forks; state of another generation belongs to the parent.
unsigned generation() noexcept;

} // namespace openmpq
