// The class itself: results, rows, parameters, registers, expectations, futures, mistakes. Needs a pool of 6 QPUs.

#include <chrono>
#include <cmath>
#include <thread>

#include <omp.h>
#include <openmpq/openmpq.hpp>

#include "checks.hpp"

namespace {

using openmpq::Counts;

QuantumWrapper bell() {
  QuantumWrapper c(2);
  c.h(0).cx(0, 1).measure();
  return c;
}

void results() {
  QuantumWrapper c = bell();
  c.device("sv0").shots(1000).seed(3);
  openmpq::Result result = c.execute();
  check(result.ok() && result.shots() == 1000 && result.num_bits() == 2 && result.device() == "sv0", "a result",
        c.error());
  openmpq::Frequencies frequencies = c.frequencies();
  check(frequencies.size() == 4 && frequencies[0] + frequencies[3] == 1000 && frequencies[1] == 0, "frequencies");
  Counts first = c.counts();
  c.execute();
  check(first == c.counts(), "a seed repeats counts");
  c.seed(-1).execute();
  Counts other = c.counts();
  c.execute();
  check(other != c.counts() || first != other, "without a seed they differ");
  check(c.counts_or_throw().size() == 2, "counts_or_throw");
  check(result.run_s() > 0 && result.queue_s() >= 0, "times");
}

void rows_and_parameters() {
  QuantumWrapper c(2);
  c.device("sv0");
  auto theta = c.parameter("theta"), phi = c.parameter("phi");
  c.rx(theta, 0).rx(2.0 * phi + 0.0, 1).rz(0.7, 0).measure();
  const double pi = std::acos(-1.0);
  openmpq::Result result = c.execute({{0, 0}, {pi, 0}, {0, pi / 2}, {pi, pi / 2}});
  const char *expected[] = {"00", "01", "10", "11"};
  bool right = result.num_rows() == 4;
  for (std::size_t row = 0; right && row < 4; ++row)
    right = result.counts(row) == Counts{{expected[row], 1024}};
  check(right, "each row binds the parameters", c.error());
  check(!c.execute().ok() && c.error().find("2 named parameters: theta, phi") != std::string::npos, "rows are missing");
  check(!c.execute({{1, 2}, {1}}).ok(), "rows of unequal length");
  check(c.execute({{1, 2}}).ok(), "after a wrong execution a right one");
}

void registers() {
  QuantumWrapper c(3);
  c.device("sv0").x(0).x(2).measure({0, 1}, "a").measure(2, "b", 1);
  c.execute();
  check(c.counts() == Counts{{"10 01", 1024}}, "named registers", c.error());
}

void expectations() {
  QuantumWrapper c(2);
  c.device("sv0").h(0).cx(0, 1).shots(2000);
  double error = -1;
  double value = c.expectation({{1.0, "ZZ"}, {0.5, "XX"}, {-0.25, "YY"}, {2.0, "II"}}, &error);
  check(value == 3.75 && error == 0.0, "an exact expectation", std::to_string(value) + " " + c.error());
  value = c.expectation({{1.0, "ZI"}}, &error);
  check(std::abs(value) < 5 * error && error > 0.01 && error < 0.03, "a standard error");
  QuantumWrapper p(1);
  auto angle = p.device("sv0").parameter("a");
  p.ry(angle, 0).shots(4000);
  std::vector<double> errors, values = p.expectation({{1.0, "Z"}}, {{0.0}, {std::acos(-1.0)}, {1.0}}, &errors);
  check(values[0] == 1 && values[1] == -1 && std::abs(values[2] - std::cos(1.0)) < 5 * errors[2],
        "an expectation per row");
  c.measure();
  check(std::isnan(c.expectation({{1.0, "ZZ"}})) && !c.ok(), "an expectation of a measured circuit is refused");
}

void futures() {
  std::vector<std::future<openmpq::Result>> all;
  QuantumWrapper c = bell();
  for (int i = 0; i < 1000; ++i) {
    c.device("sv" + std::to_string(i % 6));
    all.push_back(c.execute_async());
  }
  int good = 0;
  for (int i = 0; i < 1000; ++i) {
    openmpq::Result result = all[i].get();
    good += result.ok() && result.device() == "sv" + std::to_string(i % 6) && result.counts().size() == 2;
  }
  check(good == 1000, "a thousand futures", std::to_string(good));
  c.device("nobody");
  check(c.execute_async().get().status() == OPENMPQ_NO_DEVICE, "a future that fails");
}

void mistakes() {
  QuantumWrapper c(2);
  c.h(5).x(0).measure();
  check(!c.execute().ok() && c.status() == OPENMPQ_INVALID && c.error().find("qubit 5") != std::string::npos,
        "the first mistake is kept");
  check(c.counts().empty() && c.frequencies().empty(), "a mistake has no counts");
  bool thrown = false;
  try {
    c.counts_or_throw();
  } catch (const std::runtime_error &error) {
    thrown = std::string(error.what()).find("qubit 5") != std::string::npos;
  }
  check(thrown, "counts_or_throw throws");
  c.clear().h(0).measure();
  check(c.execute().ok(), "clear forgets it", c.error());
  check(QuantumWrapper(1).h(0).execute().error().find("measures nothing") != std::string::npos, "nothing measured");
  c.device("nobody");
  check(!c.execute().ok() && c.status() == OPENMPQ_NO_DEVICE && c.error().find("Known: 'sv0'") != std::string::npos,
        "no such device", c.error());
  QuantumWrapper large(15);
  large.device("sv0").h(14).measure();
  check(!large.execute().ok() && large.error().find("15 qubits") != std::string::npos, "too many qubits",
        large.error());
  QuantumWrapper *far = new QuantumWrapper(1);
#pragma omp target device(Quantum(99)) firstprivate(far)
  {
    far->h(0).measure();
    far->execute();
  }
  check(far->status() == OPENMPQ_NO_DEVICE && far->error().find("no QPU 99: the pool has 6") != std::string::npos,
        "no such QPU", far->error());
  check(QuantumWrapper(1).shots(0).measure().execute().error().find("shots") != std::string::npos, "no shots");
  bool caught = false;
#pragma omp target device(Quantum(1)) map(tofrom : caught)
  try {
    QuantumWrapper local(1);
    local.h(3).execute();
    local.counts_or_throw();
  } catch (const std::exception &) {
    caught = true;
  }
  check(caught, "an exception caught inside a region");
}

void many_threads() {
  long good = 0;
#pragma omp parallel num_threads(32) reduction(+ : good)
  for (int i = 0; i < 60; ++i) {
    QuantumWrapper *c = new QuantumWrapper(3);
    int expected = (omp_get_thread_num() + i) % 8;
#pragma omp target device(Quantum) firstprivate(c)
    {
      for (int q = 0; q < 3; ++q)
        c->rx(expected >> q & 1 ? 3.14159265358979323846 : 0.0, q);
      c->measure().shots(10);
      c->execute();
    }
    good += c->ok() && c->frequencies()[expected] == 10;
    delete c;
  }
  check(good == 32 * 60, "32 threads", std::to_string(good));
}

} // namespace

int main() {
  results();
  rows_and_parameters();
  registers();
  expectations();
  futures();
  mistakes();
  many_threads();
}
