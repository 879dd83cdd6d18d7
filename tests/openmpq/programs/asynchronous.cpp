// So many futures at once; the circuit is gone before they are ready. Says the status of each, in order; "leave"
// instead ends the program while they are in flight.

#include <cstdio>
#include <cstdlib>
#include <cstring>

#include <openmpq/openmpq.hpp>

int main(int argc, char **argv) {
  int n = argc > 1 ? std::atoi(argv[1]) : 1;
  std::vector<std::future<openmpq::Result>> all;
  for (int i = 0; i < n; ++i) {
    QuantumWrapper *c = new QuantumWrapper(1);
#pragma omp target device(Quantum(0)) firstprivate(c) map(to : all)
    {
      c->x(0).measure();
      all.push_back(c->execute_async());
    }
    delete c;
  }
  std::puts("submitted");
  std::fflush(stdout);
  if (argc > 2 && std::strcmp(argv[2], "leave") == 0)
    return 0;
  for (auto &each : all) {
    openmpq::Result result = each.get();
    std::printf("%s %s\n", openmpq_status_name(result.status()), result.error().c_str());
  }
}
