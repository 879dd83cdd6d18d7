// Many threads, each with regions of its own: blocking, with rows, and with futures. Arguments: threads, rounds.

#include <atomic>
#include <cstdlib>
#include <thread>

#include <openmpq/openmpq.hpp>

#include "checks.hpp"

namespace {

constexpr double pi = 3.14159265358979323846;

/// A circuit whose only outcome is the number `state` of three bits.
void write(QuantumWrapper &c, int state) {
  c.clear().shots(10);
  for (int q = 0; q < 3; ++q)
    c.rx(state >> q & 1 ? pi : 0.0, q);
  c.measure();
}

bool blocking(QuantumWrapper *c, int k, int state) {
#pragma omp target device(Quantum + k) firstprivate(c)
  {
    write(*c, state);
    c->execute();
  }
  return c->ok() && c->frequencies()[state] == 10 && c->result().device() == openmpq_qpu_name(k);
}

bool rows(QuantumWrapper *c, int k) {
  const openmpq::Rows both = {{0.0}, {pi}}; // inside the region gcc 12 would crash over the braces
#pragma omp target device(Quantum + k) firstprivate(c) map(to : both)
  {
    c->clear().rx(c->parameter("a"), 0).measure().shots(10);
    c->execute(both);
  }
  return c->ok() && c->frequencies(0)[0] == 10 && c->frequencies(1)[1] == 10;
}

bool futures(QuantumWrapper *c, int k, int state) {
  std::vector<std::future<openmpq::Result>> all;
#pragma omp target device(Quantum + k) firstprivate(c) map(to : all)
  for (int i = 0; i < 3; ++i) {
    write(*c, state ^ i);
    all.push_back(c->execute_async());
  }
  bool right = true;
  for (int i = 0; i < 3; ++i) {
    openmpq::Result result = all[i].get();
    right = right && result.ok() && result.frequencies()[state ^ i] == 10 && result.device() == openmpq_qpu_name(k);
  }
  return right;
}

} // namespace

int main(int argc, char **argv) {
  int n_threads = argc > 1 ? std::atoi(argv[1]) : 64, n_rounds = argc > 2 ? std::atoi(argv[2]) : 10;
  std::atomic<int> wrong{0}, offloads{0};
  int n = openmpq::num_qpus();
  auto work = [&](int t) {
    QuantumWrapper c(3);
    for (int i = 0; i < n_rounds; ++i) {
      int k = (t + i) % n, state = (3 * t + i) % 8;
      wrong += !blocking(&c, k, state) + !rows(&c, k) + !futures(&c, k, state) + !blocking(&c, (k + 1) % n, 7 - state);
      offloads += 6;
    }
  };
#pragma omp parallel for num_threads(n_threads / 2) schedule(static, 1)
  for (int t = 0; t < n_threads / 2; ++t)
    work(t);
  std::vector<std::thread> threads; // OpenMP knows nothing of these
  for (int t = 0; t < n_threads / 2; ++t)
    threads.emplace_back(work, t);
  for (std::thread &each : threads)
    each.join();
  check(wrong == 0, std::to_string(offloads) + " offloads", std::to_string(wrong) + " wrong");
}
