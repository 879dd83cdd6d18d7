// A Python script instead of a gate sequence (the paper's other clause): it runs next to the QPU, with the mapped data.
//
//   openmpq-run --scripts openmpq_runtime/examples/scripts ./script
//
// OpenMP's map clause tells a runtime where data is and how large, but not what it is; so the wrapper names it.

#include <cstdio>

#include <openmpq/openmpq.hpp>

int main() {
  double angles[2] = {0.5, 1.0}, energy = 0.0, gradient[2] = {0.0, 0.0};
  QuantumWrapper *c = new QuantumWrapper;
#pragma omp target device(Quantum) firstprivate(c) map(to : angles) map(from : energy, gradient)
  {
    c->script("energy.py").to("angles", angles, 2).from("energy", &energy, 1).from("gradient", gradient, 2);
    c->shots(4000).seed(1);
    c->execute();
  }
  if (!c->ok()) {
    std::fprintf(stderr, "%s: %s\n", openmpq_status_name(c->status()), c->error().c_str());
    return 1;
  }
  std::printf("energy %.3f, gradient %.3f %.3f, on %s\n", energy, gradient[0], gradient[1],
              c->result().device().c_str());
  delete c;
}
