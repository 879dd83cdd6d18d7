#include <doctest/doctest.h>

#include "circuit.hpp"

using namespace openmpq;

namespace {

/// Records, and returns the mistake's text.
template <class Action> std::string mistake(Action action) {
  try {
    action();
  } catch (const Mistake &mistake) {
    return mistake.text;
  }
  return "";
}

Circuit ry(double angle) {
  Circuit circuit(1);
  std::int32_t q = 0;
  Angle a{angle, 0.0, -1};
  circuit.gate("ry", &q, 1, &a, 1);
  circuit.measure(nullptr, 0, "meas");
  return circuit;
}

} // namespace

TEST_CASE("two iterations that differ in their angles are the same program") {
  CHECK(ry(0.1).program() == ry(2.5).program());
  CHECK(ry(0.1).lifted() == std::vector<double>{0.1});
}

TEST_CASE("named parameters come after the lifted numbers, with their factor and offset") {
  Circuit circuit(1);
  std::int32_t q = 0;
  Angle named{0.5, 2.0, circuit.parameter("theta")}, plain{0.25, 0.0, -1};
  circuit.gate("rz", &q, 1, &named, 1);
  circuit.gate("rz", &q, 1, &plain, 1);
  circuit.measure(&q, 1, "c");
  CHECK(circuit.program() == "{\"gates\":1,\"qubits\":1,\"registers\":[[\"c\",1]],\"parameters\":[\"0\",\"theta\"],"
                             "\"ops\":[[\"rz\",[0],[[0.5,1,2]]],[\"rz\",[0],[[0,0,1]]],[\"measure\",[0],[0]]]}");
}

TEST_CASE("bits are numbered through the registers in the order of their making") {
  Circuit circuit(3);
  std::int32_t first = 0, others[] = {2, 1};
  circuit.measure_bit(first, "late", 1);
  circuit.measure(others, 2, "a");
  CHECK(circuit.n_bits() == 4);
  CHECK(circuit.program().find("[[\"late\",2],[\"a\",2]]") != std::string::npos);
  CHECK(circuit.program().find("[\"measure\",[0],[1]],[\"measure\",[2,1],[2,3]]") != std::string::npos);
}

TEST_CASE("a circuit without a size has as many qubits as its gates use") {
  Circuit circuit(0);
  std::int32_t qubits[] = {4, 2};
  circuit.gate("cx", qubits, 2, nullptr, 0);
  CHECK(circuit.n_qubits() == 5);
}

TEST_CASE("mistakes say what is wrong and what there is") {
  Circuit circuit(2);
  std::int32_t q[] = {0, 5}, same[] = {1, 1};
  CHECK(mistake([&] { circuit.gate("foo", q, 1, nullptr, 0); }).find("Gates: id, x,") != std::string::npos);
  CHECK(mistake([&] { circuit.gate("cx", q, 2, nullptr, 0); }).find("qubit 5 is not from 0 to 1") != std::string::npos);
  CHECK(mistake([&] { circuit.gate("cx", same, 2, nullptr, 0); }).find("named twice") != std::string::npos);
  CHECK(mistake([&] { circuit.gate("ry", q, 1, nullptr, 0); }).find("1 angle(s)") != std::string::npos);
  Angle infinite{1.0 / 0.0, 0.0, -1}, strange{0.0, 1.0, 3};
  CHECK(mistake([&] { circuit.gate("ry", q, 1, &infinite, 1); }).find("finite") != std::string::npos);
  CHECK(mistake([&] { circuit.gate("ry", q, 1, &strange, 1); }).find("parameter") != std::string::npos);
  CHECK(mistake([&] { circuit.measure(q, 1, "bad name"); }).find("not a name") != std::string::npos);
  CHECK(mistake([] { Circuit(10'001); }).find("10,000") != std::string::npos);
  CHECK(circuit.ops().empty());
}
