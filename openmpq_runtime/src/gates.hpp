// The gates of the language `gates` (qpu_executors/translation/gates.py has the same table; a test compares them).
#pragma once

#include <complex>
#include <string_view>
#include <vector>

namespace openmpq {

using Complex = std::complex<double>;

struct Gate {
  std::string_view name;
  int n_qubits, n_angles;
  /// Writes the unitary, row after row, 2^n x 2^n; the gate's first qubit is the least significant bit of an index
  /// (Qiskit's convention). angles: radians.
  void (*matrix)(const double *angles, Complex *out);
};

/// The gate of this name, or nullptr. It lives as long as the process.
const Gate *find_gate(std::string_view name) noexcept;

/// All of them, in the order of the table.
const std::vector<Gate> &all_gates();

} // namespace openmpq
