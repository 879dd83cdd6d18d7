#include <doctest/doctest.h>

#include "export.hpp"

using namespace openmpq;

// What Qiskit makes of these texts is tested in tests/openmpq/test_physics.py.

namespace {

bool contains(const std::string &text, const std::string &part) {
  return text.find(part) != std::string::npos;
}

void gate(Circuit &circuit, const char *name, std::vector<std::int32_t> qubits, std::vector<Angle> angles = {}) {
  circuit.gate(name, qubits.data(), qubits.size(), angles.data(), angles.size());
}

} // namespace

TEST_CASE("a Bell pair is what a person would write") {
  Circuit circuit(2);
  gate(circuit, "h", {0});
  gate(circuit, "cx", {0, 1});
  circuit.measure(nullptr, 0, "c");
  CHECK(to_qasm3(circuit) == "OPENQASM 3.0;\n"
                             "include \"stdgates.inc\";\n"
                             "qubit[2] q;\n"
                             "bit[2] c;\n"
                             "h q[0];\n"
                             "cx q[0], q[1];\n"
                             "c[0] = measure q[0];\n"
                             "c[1] = measure q[1];\n");
  CHECK(to_qiskit(circuit, 100) == "import json\n"
                                   "\n"
                                   "from qiskit import ClassicalRegister, QuantumCircuit, QuantumRegister, transpile\n"
                                   "from qiskit_aer import AerSimulator\n"
                                   "\n"
                                   "circuit = QuantumCircuit(QuantumRegister(2, \"q\"), ClassicalRegister(2, \"c\"))\n"
                                   "circuit.h(0)\n"
                                   "circuit.cx(0, 1)\n"
                                   "circuit.measure([0, 1], [0, 1])\n"
                                   "\n"
                                   "simulator = AerSimulator()\n"
                                   "counts = simulator.run(transpile(circuit, simulator), "
                                   "shots=100).result().get_counts()\n"
                                   "print(json.dumps(counts))\n");
}

TEST_CASE("gates that the standard lacks are defined, once and only where they are used") {
  Circuit circuit(2);
  gate(circuit, "ecr", {0, 1});
  gate(circuit, "ecr", {1, 0});
  std::string text = to_qasm3(circuit);
  std::size_t rzx = text.find("gate rzx("), ecr = text.find("gate ecr "); // ecr is made of rzx
  REQUIRE(rzx != std::string::npos);
  REQUIRE(ecr != std::string::npos);
  CHECK(rzx < ecr);
  CHECK(text.find("gate ecr ", ecr + 1) == std::string::npos);
  CHECK_FALSE(contains(text, "gate rxx"));
}

TEST_CASE("parameters keep their names, with factor and offset") {
  Circuit circuit(1);
  std::int32_t theta = circuit.parameter("theta");
  for (Angle angle : {Angle{0.0, 1.0, theta}, {0.5, -1.0, theta}, {-0.1, 2.0, theta}})
    gate(circuit, "rz", {0}, {angle});
  std::string text = to_qasm3(circuit);
  CHECK(contains(text, "input float[64] theta;\n"));
  CHECK(contains(text, "rz(theta) q[0];\nrz(-1 * theta + 0.5) q[0];\nrz(2 * theta - 0.1) q[0];\n"));
  CHECK(contains(to_qiskit(circuit, 1), "circuit.rz(2 * parameters[0] - 0.1, 0)\n"));
}

TEST_CASE("a name that is a word of OpenQASM or taken gets a line behind it") {
  Circuit circuit(1);
  circuit.parameter("pi");
  circuit.parameter("q");
  std::int32_t q = 0;
  circuit.measure(&q, 1, "measure");
  std::string text = to_qasm3(circuit);
  CHECK(contains(text, "input float[64] pi_;\ninput float[64] q;\nqubit[1] q_;\nbit[1] measure_;\n"));
  CHECK(contains(text, "measure_[0] = measure q_[0];\n"));
}

TEST_CASE("what is empty is left out") {
  Circuit circuit(0);
  circuit.barrier(nullptr, 0);
  circuit.measure(nullptr, 0, "nothing");
  CHECK(to_qasm3(circuit) == "OPENQASM 3.0;\ninclude \"stdgates.inc\";\nqubit[1] q;\n");
  CHECK_FALSE(contains(to_qiskit(circuit, 1), "nothing"));
}
