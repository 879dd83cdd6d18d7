// Expectations of sums of Pauli strings: which terms are measured together, in which basis, and what the counts say.
#pragma once

#include <string>
#include <vector>

#include "circuit.hpp"
#include "result.hpp"

namespace openmpq {

struct Term {
  double coefficient;
  std::string paulis; // "ZXI": qubit 0 on the right
};

struct Group {
  std::string basis; // one of I X Y Z per qubit, qubit 0 on the right
  std::vector<Term> terms;
};

struct Estimate {
  double value = 0.0;
  double variance = 0.0; // of the mean
};

/// Groups in which all terms commute qubit by qubit. Throws Mistake for a string that is no Pauli string of n_qubits.
std::vector<Group> group(const std::vector<Term> &terms, std::int32_t n_qubits);

/// Appends the rotations into the group's basis and a measurement of all qubits.
void measure_in_basis(Circuit &circuit, const Group &group);

/// The group's share of the expectation, from the counts of such a circuit.
Estimate estimate(const Group &group, const Counts &counts);

} // namespace openmpq
