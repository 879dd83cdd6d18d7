// Without waiting: many circuits on many QPUs from one thread, as std::future.

#include <cstdio>

#include <openmpq/openmpq.hpp>

int main() {
  const int n = std::max(1, openmpq::num_qpus());
  std::vector<std::future<openmpq::Result>> results;
  for (int k = 0; k < 4 * n; ++k) {
    QuantumWrapper *c = new QuantumWrapper(2);
#pragma omp target device(Quantum + (k % n)) firstprivate(c)
    {
      c->h(0).cx(0, 1).measure();
    }
    results.push_back(c->execute_async()); // on the QPU of its region
    delete c;                              // what was sent is sent
  }
  for (std::future<openmpq::Result> &each : results) {
    openmpq::Result result = each.get();
    if (!result) {
      std::fprintf(stderr, "%s: %s\n", openmpq_status_name(result.status()), result.error().c_str());
      return 1;
    }
    std::printf("%s: 00 %llu, 11 %llu\n", result.device().c_str(), (unsigned long long)result.frequencies()[0],
                (unsigned long long)result.frequencies()[3]);
  }
}
