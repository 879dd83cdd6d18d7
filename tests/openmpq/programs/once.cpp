// One region; says what happened and ends with 0 if it went well. Arguments: QPU or -1, seconds to wait before a second
// execution.

#include <cstdio>
#include <cstdlib>
#include <thread>

#include <openmpq/openmpq.hpp>

int main(int argc, char **argv) {
  int k = argc > 1 ? std::atoi(argv[1]) : -1;
  double wait = argc > 2 ? std::atof(argv[2]) : 0.0;
  int device = k < 0 ? OPENMPQ_QUANTUM : OPENMPQ_QPU(k);
  std::printf("qpus %d\n", openmpq::num_qpus());
  std::fflush(stdout);
  QuantumWrapper *c = new QuantumWrapper(2);
  for (int i = 0; i < (wait > 0 ? 2 : 1); ++i) {
#pragma omp target device(device) firstprivate(c)
    {
      c->clear().h(0).cx(0, 1).measure();
      c->execute();
    }
    std::printf("%s %s %s\n", openmpq_status_name(c->status()), c->result().device().c_str(), c->error().c_str());
    std::fflush(stdout);
    if (i == 0)
      std::this_thread::sleep_for(std::chrono::duration<double>(wait));
  }
  return c->ok() ? 0 : 1;
}
