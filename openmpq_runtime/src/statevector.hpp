// The host fallback: what runs a circuit when there is no pool and OMP_TARGET_OFFLOAD allows the host.
#pragma once

#include "circuit.hpp"
#include "result.hpp"

namespace openmpq {

constexpr int max_host_qubits = 22; // 64 MiB of amplitudes

/// Runs each row `shots` times, noise-free. Measurements and resets anywhere in the circuit. seed < 0 draws afresh.
/// Throws Mistake for more than max_host_qubits qubits.
Result simulate(const Circuit &circuit, const double *rows, std::size_t n_rows, std::size_t n_columns,
                std::int64_t shots, std::int64_t seed);

} // namespace openmpq
