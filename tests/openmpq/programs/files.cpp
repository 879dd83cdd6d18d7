// A quantum region here, and classical ones in files_classical.cpp, which knows nothing of OpenMP-Q.

#include <openmpq/openmpq.hpp>

#include "checks.hpp"

bool in_region_there(int device);
long sum_there(long n);

int main() {
  check(sum_there(1000) == 499500, "a loop in the file without the header");
  check(!in_region_there(OPENMPQ_QPU(1)), "a QPU's number means nothing in it");
  QuantumWrapper *c = new QuantumWrapper(1);
#pragma omp target device(Quantum(2)) firstprivate(c)
  {
    c->x(0).measure();
    c->execute();
  }
  check(c->ok() && c->result().device() == openmpq_qpu_name(2), "the file with the header", c->error());
  delete c;
}
