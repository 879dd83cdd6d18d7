// Which circuits live, so that a region's data leads to them: OpenMP tells the runtime addresses and sizes, no types.
#pragma once

#include <cstddef>
#include <cstdint>

struct openmpq_circuit;

namespace openmpq {

/// This address, or a word of memory with this value, means this circuit.
void remember(const void *address, openmpq_circuit *circuit);
void forget(const void *address) noexcept;

/// Binds to QPU `qpu` each circuit that a region's argument leads to: the pointer itself, or a word in the `size` bytes
/// it points to (at most 512 are looked at). Returns how many.
int bind_argument(const void *value, std::size_t size, std::int32_t qpu) noexcept;

// Around fork(): a thread of the parent must not be inside the registry.
void lock_registry() noexcept;
void unlock_registry() noexcept;

} // namespace openmpq
