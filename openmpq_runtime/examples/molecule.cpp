// The ground state of H2 (STO-3G, 0.735 Angstrom, two qubits): the expectation of a sum of Pauli strings that cannot
// all be measured together, for several values of a named parameter in one call.

#include <cmath>
#include <cstdio>

#include <openmpq/openmpq.hpp>

namespace {

// Hartree, electrons only; parity mapping, two qubits tapered off; qubit 0 is the rightmost letter.
const openmpq::PauliSum hamiltonian = {{-1.052373245772859, "II"},
                                       {0.39793742484318045, "IZ"},
                                       {-0.39793742484318045, "ZI"},
                                       {-0.01128010425623538, "ZZ"},
                                       {0.18093119978423156, "XX"}};

/// cos(theta/2) |01> + sin(theta/2) |10>: both electrons in the one orbital or in the other.
void ansatz(QuantumWrapper *c) {
  openmpq::Angle theta = c->parameter("theta");
  c->x(0).ry(theta, 1).cx(1, 0);
}

/// The ground state of the two states' 2 x 2 matrix, for comparison.
double exact() {
  const double a = -1.052373245772859 - 2 * 0.39793742484318045 + 0.01128010425623538;
  const double b = -1.052373245772859 + 2 * 0.39793742484318045 + 0.01128010425623538;
  return (a + b) / 2 - std::hypot((a - b) / 2, 0.18093119978423156);
}

} // namespace

int main() {
  QuantumWrapper *c = new QuantumWrapper(2);
  c->shots(20'000).seed(1);
  // The energy is a sinusoid in theta: three points fix it (Rotosolve), a fourth measures its minimum.
  // (Made here because gcc 12 crashes on nested braces inside a target region.)
  const openmpq::Rows three = {{0.0}, {2 * M_PI / 3}, {4 * M_PI / 3}};
  double theta = 0.0, energy = 0.0, error = 0.0;
#pragma omp target device(Quantum) firstprivate(c) map(tofrom : theta, energy, error)
  {
    ansatz(c);
    std::vector<double> e = c->expectation(hamiltonian, three), errors;
    if (c->ok()) {
      theta = M_PI + std::atan2((e[1] - e[2]) * std::sqrt(3.0) / 2, e[0] - (e[1] + e[2]) / 2);
      energy = c->expectation(hamiltonian, openmpq::Rows(1, {theta}), &errors)[0];
      error = errors[0];
    }
  }
  if (!c->ok()) {
    std::fprintf(stderr, "%s: %s\n", openmpq_status_name(c->status()), c->error().c_str());
    return 1;
  }
  std::printf("theta %.3f: energy %.4f +- %.4f hartree, exact %.4f\n", theta, energy, error, exact());
  delete c;
}
