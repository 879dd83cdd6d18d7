#include "pauli.hpp"

#include <algorithm>
#include <cmath>

namespace openmpq {

namespace {

void check(const Term &term, std::int32_t n_qubits) {
  bool right = term.paulis.size() == std::size_t(n_qubits) &&
               term.paulis.find_first_not_of("IXYZ") == std::string::npos && std::isfinite(term.coefficient);
  if (!right)
    throw Mistake{"'" + term.paulis +
                  "' is not a Pauli string for this circuit. Give one of I, X, Y, Z for each of its " +
                  std::to_string(n_qubits) + " qubits, qubit 0 on the right, and a finite coefficient."};
}

/// Whether the term can be measured in this basis; if so the basis takes in what the term adds.
bool join(std::string &basis, const std::string &paulis) {
  for (std::size_t q = 0; q < basis.size(); ++q)
    if (basis[q] != 'I' && paulis[q] != 'I' && basis[q] != paulis[q])
      return false;
  for (std::size_t q = 0; q < basis.size(); ++q)
    if (paulis[q] != 'I')
      basis[q] = paulis[q];
  return true;
}

bool is_identity(const Term &term) {
  return term.paulis.find_first_not_of('I') == std::string::npos;
}

/// The term's value, 1 or -1, for an outcome in the group's basis: the parity of the bits it looks at.
double sign(const std::string &paulis, const std::string &bits) {
  bool odd = false;
  for (std::size_t q = 0; q < paulis.size(); ++q)
    odd ^= paulis[q] != 'I' && bits[q] == '1';
  return odd ? -1.0 : 1.0;
}

} // namespace

std::vector<Group> group(const std::vector<Term> &terms, std::int32_t n_qubits) {
  std::vector<Group> groups;
  for (const Term &term : terms) {
    check(term, n_qubits);
    auto fits = [&](Group &group) { return join(group.basis, term.paulis); };
    auto found = std::find_if(groups.begin(), groups.end(), fits);
    if (found == groups.end())
      found = groups.insert(groups.end(), {term.paulis, {}});
    found->terms.push_back(term);
  }
  return groups;
}

void measure_in_basis(Circuit &circuit, const Group &group) {
  std::int32_t n = circuit.n_qubits();
  for (std::int32_t q = 0; q < n; ++q) {
    char pauli = group.basis[std::size_t(n - 1 - q)];
    if (pauli == 'Y')
      circuit.gate("sdg", &q, 1, nullptr, 0);
    if (pauli == 'X' || pauli == 'Y')
      circuit.gate("h", &q, 1, nullptr, 0);
  }
  circuit.measure(nullptr, 0, "meas");
}

Estimate estimate(const Group &group, const Counts &counts) {
  double constant = 0.0; // what no outcome changes stays out of the sums, where it could only be rounded
  for (const Term &term : group.terms)
    constant += is_identity(term) ? term.coefficient : 0.0;
  std::vector<double> values; // of the whole group in one shot: its terms are not independent of each other
  double shots = 0.0, mean = 0.0, squares = 0.0;
  for (const auto &[bits, n] : counts) {
    double value = 0.0;
    for (const Term &term : group.terms)
      value += is_identity(term) ? 0.0 : term.coefficient * sign(term.paulis, bits);
    values.push_back(value);
    shots += double(n);
    mean += double(n) * value;
  }
  mean /= std::max(shots, 1.0);
  for (std::size_t k = 0; k < counts.size(); ++k)
    squares += double(counts[k].second) * (values[k] - mean) * (values[k] - mean);
  return {constant + mean, squares / std::max(shots - 1.0, 1.0) / std::max(shots, 1.0)};
}

} // namespace openmpq
