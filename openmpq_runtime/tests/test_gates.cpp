#include <doctest/doctest.h>

#include "gates.hpp"

using namespace openmpq;

TEST_CASE("every gate's matrix is unitary") {
  const double angles[] = {0.3, 1.1, -0.7, 2.2};
  for (const Gate &gate : all_gates()) {
    CAPTURE(std::string(gate.name));
    Complex m[64];
    gate.matrix(angles, m);
    int size = 1 << gate.n_qubits;
    for (int i = 0; i < size; ++i)
      for (int j = 0; j < size; ++j) {
        Complex product = 0.0;
        for (int k = 0; k < size; ++k)
          product += m[i * size + k] * std::conj(m[j * size + k]);
        CHECK(std::abs(product - (i == j ? 1.0 : 0.0)) < 1e-12);
      }
  }
}

TEST_CASE("gates are found by name, and nothing else is") {
  for (const Gate &gate : all_gates())
    CHECK(find_gate(gate.name) == &gate);
  CHECK(find_gate("") == nullptr);
  CHECK(find_gate("CX") == nullptr);
}

TEST_CASE("the control is the first qubit") {
  Complex m[64];
  find_gate("cx")->matrix(nullptr, m);
  CHECK(m[1 * 4 + 3] == 1.0); // |01> -> |11>: qubit 0 is set, qubit 1 is flipped
  CHECK(m[2 * 4 + 2] == 1.0);
}
