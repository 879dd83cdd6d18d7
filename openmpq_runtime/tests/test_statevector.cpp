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

TEST_CASE("too many qubits are refused, not tried") {
  CHECK_THROWS_AS(Builder(23).measure({0}).run(), Mistake);
}
