#include <doctest/doctest.h>

#include <cmath>
#include <map>

#include "statevector.hpp"

using namespace openmpq;

namespace {

struct Builder {
  explicit Builder(int n) : circuit(n) {}
  Builder &gate(const char *name, std::vector<std::int32_t> qubits, std::vector<double> angles = {}) {
    std::vector<Angle> all;
    for (double angle : angles)
      all.push_back({angle, 0.0, -1});
    circuit.gate(name, qubits.data(), qubits.size(), all.data(), all.size());
    return *this;
  }
  Builder &measure(std::vector<std::int32_t> qubits, const char *name = "meas") {
    circuit.measure(qubits.data(), qubits.size(), name);
    return *this;
  }
  Builder &reset(std::int32_t q) {
    circuit.reset(&q, 1);
    return *this;
  }
  std::map<std::string, std::uint64_t> run(std::int64_t shots = 1000, std::int64_t seed = 1) {
    Counts counts = simulate(circuit, nullptr, 1, 0, shots, seed).counts.at(0);
    return {counts.begin(), counts.end()};
  }
  Circuit circuit;
};

using States = std::map<std::string, std::uint64_t>;

} // namespace

TEST_CASE("a Bell pair gives equal bits, each as often") {
  States counts = Builder(2).gate("h", {0}).gate("cx", {0, 1}).measure({0, 1}).run(10'000);
  CHECK(counts.size() == 2);
  CHECK(std::abs(double(counts["00"]) - 5000) < 5 * 50); // five standard errors
}

TEST_CASE("bit 0 is rightmost, registers are separated, the first one rightmost") {
  CHECK(Builder(3).gate("x", {0}).measure({0, 1}, "a").measure({2}, "b").run() == States{{"0 01", 1000}});
  CHECK(Builder(2).gate("x", {1}).measure({1, 0}, "a").run() == States{{"01", 1000}});
}

TEST_CASE("what is measured twice, reset or used again is simulated shot by shot") {
  CHECK(Builder(1).gate("x", {0}).measure({0}).reset(0).measure({0}).run() == States{{"01", 1000}});
  States counts = Builder(2).gate("h", {0}).measure({0}).gate("cx", {0, 1}).measure({1}).run();
  CHECK(counts.size() == 2);
  CHECK(counts.count("00") + counts.count("11") == 2);
}

TEST_CASE("a seed repeats counts, and without one they differ") {
  auto circuit = [] {
    return Builder(5).gate("h", {0}).gate("h", {1}).gate("h", {2}).gate("h", {3}).measure({0, 1, 2, 3});
  };
  CHECK(circuit().run(1000, 7) == circuit().run(1000, 7));
  CHECK(circuit().run(1000, -1) != circuit().run(1000, -1));
}

TEST_CASE("each row binds the named parameters") {
  Circuit circuit(1);
  std::int32_t q = 0;
  Angle angle{0.0, 2.0, circuit.parameter("half")};
  circuit.gate("rx", &q, 1, &angle, 1);
  circuit.measure(nullptr, 0, "meas");
  const double rows[] = {0.0, M_PI / 2};
  Result result = simulate(circuit, rows, 2, 1, 100, 1);
  CHECK(result.counts.at(0) == Counts{{"0", 100}});
  CHECK(result.counts.at(1) == Counts{{"1", 100}});
}

TEST_CASE("a qubit that goes on after its measurement has collapsed, and a last one is not disturbed") {
  // h, measure, h: the second measurement knows nothing of the first; without a collapse it would always give 0
  States counts = Builder(1).gate("h", {0}).measure({0}).gate("h", {0}).measure({0}).run(10'000);
  REQUIRE(counts.size() == 4);
  for (auto &[bits, n] : counts)
    CHECK(std::abs(double(n) - 2500) < 5 * 43);
  CHECK(Builder(1).gate("h", {0}).measure({0}).measure({0}).run().count("01") == 0);
}

TEST_CASE("a qubit teleports with corrections that are read before and after it is used again") {
  Builder circuit(3);
  circuit.gate("ry", {0}, {0.6}).gate("h", {1}).gate("cx", {1, 2}).gate("cx", {0, 1}).gate("h", {0});
  circuit.gate("cx", {1, 2}).gate("cz", {0, 2}).measure({0, 1}, "sent").reset(0).reset(1).gate("ry", {2}, {-0.6});
  for (auto &[bits, n] : circuit.measure({2, 0, 1}, "got").run())
    CHECK(bits.substr(0, 3) == "000");
}

TEST_CASE("the last measurement into a bit is the one that counts") {
  Builder circuit(2);
  circuit.gate("x", {0});
  circuit.circuit.measure_bit(0, "c", 0);
  circuit.circuit.measure_bit(1, "c", 0);
  CHECK(circuit.run() == States{{"0", 1000}});
  circuit.gate("x", {1}); // now the measurement of qubit 1 is one in the middle
  CHECK(circuit.run() == States{{"0", 1000}});
}

TEST_CASE("a reset gives 0 of a superposition and leaves its partner mixed") {
  States counts = Builder(2).gate("h", {0}).gate("cx", {0, 1}).reset(0).measure({0, 1}).run(10'000);
  CHECK(counts.size() == 2);
  CHECK(std::abs(double(counts["00"]) - 5000) < 5 * 50);
  CHECK(std::abs(double(counts["10"]) - 5000) < 5 * 50);
}

TEST_CASE("states of probability 0 are never drawn, and no shot is lost") {
  Builder circuit(3); // h h = 1 up to rounding
  for (int k = 0; k < 100; ++k)
    circuit.gate("h", {0}).gate("ry", {1}, {0.1}).gate("ry", {1}, {-0.1}).gate("h", {0});
  CHECK(circuit.measure({0, 1, 2}).run(1'000'000) == States{{"000", 1'000'000}});
}

TEST_CASE("shots are independent: the number of one outcome scatters as it should") {
  double squares = 0.0;
  const int repeats = 400, shots = 1000;
  for (int seed = 0; seed < repeats; ++seed) {
    auto counts = Builder(3).gate("ry", {0}, {1.0}).gate("h", {1}).gate("h", {2}).measure({0}).run(shots, seed);
    double p = std::sin(0.5) * std::sin(0.5);
    squares += std::pow(double(counts["1"]) - shots * p, 2) / (shots * p * (1 - p));
  }
  CHECK(squares / repeats == doctest::Approx(1.0).epsilon(5 * std::sqrt(2.0 / repeats)));
}

TEST_CASE("two shots are as independent as two coins") {
  Builder circuit(1);
  circuit.gate("h", {0}).measure({0});
  int ones[3] = {0, 0, 0};
  for (const Counts &counts : simulate(circuit.circuit, nullptr, 10'000, 0, 2, 1).counts) {
    std::uint64_t seen = 0;
    for (auto &[bits, n] : counts)
      seen += bits == "1" ? n : 0;
    ++ones[seen];
  }
  CHECK(std::abs(ones[0] - 2500) < 5 * 43);
  CHECK(std::abs(ones[1] - 5000) < 5 * 50);
  CHECK(std::abs(ones[2] - 2500) < 5 * 43);
}

TEST_CASE("a register that nothing is written to still has its place") {
  Builder circuit(1);
  circuit.circuit.measure_bit(0, "wide", 2);
  circuit.gate("x", {0}).measure({0}, "late");
  CHECK(circuit.run() == States{{"1 000", 1000}});
}

TEST_CASE("a result says where and for how long it ran") {
  Result result = simulate(Builder(2).gate("h", {0}).measure({0, 1}).circuit, nullptr, 1, 0, 10, 1);
  CHECK(result.device == "host");
  CHECK(result.shots == 10);
  CHECK(result.n_bits == 2);
  CHECK(result.run_s > 0.0);
}

TEST_CASE("too many qubits are refused, not tried") {
  CHECK_THROWS_AS(Builder(23).measure({0}).run(), Mistake);
}
