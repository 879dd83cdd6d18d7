// The circuit as a program that people read and run elsewhere.
#pragma once

#include <string>

#include "circuit.hpp"

namespace openmpq {

/// OpenQASM 3; named parameters are `input float`.
std::string to_qasm3(const Circuit &circuit);

/// A Python script with Qiskit and Aer that prints the counts as JSON: the paper's Listing 6, in today's Qiskit.
std::string to_qiskit(const Circuit &circuit, std::int64_t shots);

} // namespace openmpq
