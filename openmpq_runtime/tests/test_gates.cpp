#include <doctest/doctest.h>

#include <string>

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

TEST_CASE("a control of a control is the first two qubits") {
  Complex m[64];
  find_gate("ccx")->matrix(nullptr, m);
  CHECK(m[3 * 8 + 7] == 1.0); // |011> -> |111>
  CHECK(m[7 * 8 + 3] == 1.0);
  for (int k : {0, 1, 2, 4, 5, 6})
    CHECK(m[k * 8 + k] == 1.0);
}

TEST_CASE("names of one matrix give one matrix") {
  const double angles[] = {0.3, 1.1, -0.7, 0.0};
  for (auto [one, other] : {std::pair("p", "u1"), {"u", "u3"}, {"cp", "cu1"}, {"cu", "cu3"}}) {
    const Gate *gate = find_gate(one);
    CAPTURE(std::string(gate->name));
    Complex a[64], b[64];
    gate->matrix(angles, a);
    find_gate(other)->matrix(angles, b);
    for (int k = 0; k < 1 << 2 * gate->n_qubits; ++k)
      CHECK(std::abs(a[k] - b[k]) < 1e-15);
  }
}

TEST_CASE("inverse gates undo each other") {
  for (auto [one, other] : {std::pair("s", "sdg"), {"t", "tdg"}, {"sx", "sxdg"}, {"cs", "csdg"}}) {
    const Gate *gate = find_gate(one);
    CAPTURE(std::string(gate->name));
    Complex a[64], b[64];
    gate->matrix(nullptr, a);
    find_gate(other)->matrix(nullptr, b);
    int size = 1 << gate->n_qubits;
    for (int i = 0; i < size; ++i)
      for (int j = 0; j < size; ++j)
        CHECK(std::abs(a[i * size + j] - std::conj(b[j * size + i])) < 1e-15);
  }
}
