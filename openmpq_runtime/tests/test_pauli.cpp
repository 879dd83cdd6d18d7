#include <doctest/doctest.h>

#include <cmath>

#include "pauli.hpp"
#include "statevector.hpp"

using namespace openmpq;

TEST_CASE("terms that commute qubit by qubit share a group") {
  std::vector<Group> groups = group({{1, "ZZ"}, {1, "IZ"}, {1, "XX"}, {1, "XI"}, {1, "YZ"}, {1, "II"}}, 2);
  REQUIRE(groups.size() == 3);
  CHECK(groups[0].basis == "ZZ");
  CHECK(groups[0].terms.size() == 3); // ZZ, IZ, II
  CHECK(groups[1].basis == "XX");
  CHECK(groups[2].basis == "YZ");
}

TEST_CASE("what is no Pauli string of the circuit is refused") {
  CHECK_THROWS_AS(group({{1, "Z"}}, 2), Mistake);
  CHECK_THROWS_AS(group({{1, "ZA"}}, 2), Mistake);
  CHECK_THROWS_AS(group({{std::nan(""), "ZZ"}}, 2), Mistake);
}

TEST_CASE("each basis is measured along its axis") {
  for (auto [basis, gates] :
       {std::pair<const char *, std::vector<const char *>>{"Z", {}}, {"X", {"h"}}, {"Y", {"h", "s"}}}) {
    Circuit circuit(1);
    std::int32_t q = 0;
    for (const char *name : gates)
      circuit.gate(name, &q, 1, nullptr, 0);
    Group group = openmpq::group({{2.0, basis}}, 1).at(0);
    measure_in_basis(circuit, group);
    Estimate estimate = openmpq::estimate(group, simulate(circuit, nullptr, 1, 0, 100, 1).counts[0]);
    CHECK(estimate.value == 2.0);
    CHECK(estimate.variance == 0.0);
  }
}

TEST_CASE("the variance knows that terms of a group depend on each other") {
  Group group = openmpq::group({{1.0, "ZI"}, {-1.0, "IZ"}}, 2).at(0);
  Estimate same = estimate(group, {{"00", 50}, {"11", 50}}); // always equal: the difference is exactly 0
  CHECK(same.value == 0.0);
  CHECK(same.variance == 0.0);
  Estimate opposite = estimate(group, {{"01", 50}, {"10", 50}}); // 2 or -2
  CHECK(opposite.variance == doctest::Approx(4.0 / 99));
}

TEST_CASE("an identity adds its coefficient, however large, and no error") {
  Group group = openmpq::group({{1e9, "II"}, {1e-3, "ZI"}, {1e-3, "IZ"}}, 2).at(0);
  Estimate sure = estimate(group, {{"00", 100}});
  CHECK(sure.value == 1e9 + 2e-3);
  CHECK(sure.variance == 0.0);
  Estimate mixed = estimate(group, {{"00", 50}, {"01", 50}}); // ZI is 1, IZ is 1 or -1
  CHECK(mixed.variance == doctest::Approx(1e-6 / 99).epsilon(1e-9));
}

TEST_CASE("only identities take one group, and none where there is another") {
  CHECK(openmpq::group({{1, "II"}, {2, "II"}}, 2).size() == 1);
  CHECK(openmpq::group({{1, "II"}, {2, "ZX"}}, 2).size() == 1);
  CHECK(openmpq::group({}, 2).empty());
}

TEST_CASE("one shot is an estimate whose error is not known, nor infinite") {
  Estimate once = estimate(openmpq::group({{3.0, "Z"}}, 1).at(0), {{"1", 1}});
  CHECK(once.value == -3.0);
  CHECK(once.variance == 0.0);
}
