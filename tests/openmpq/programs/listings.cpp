// The paper's clause `device(Quantum) device_num(q)`, through the optional header.

#include <openmpq/openmpq.hpp>

#include <openmpq/listings.h>

#include "checks.hpp"

int main() {
  for (int q = 0; q < 6; ++q) {
    QuantumWrapper *c = new QuantumWrapper(1);
    double angle = 3.14159265358979323846;
#pragma omp target device(Quantum) device_num(q) firstprivate(c) map(tofrom : angle)
    {
      c->rx(angle, 0).measure();
      c->execute();
      angle = q;
    }
    check(c->ok() && c->result().device() == openmpq_qpu_name(q) && c->frequencies()[1] == 1024 && angle == q,
          "device_num " + std::to_string(q), c->error() + c->result().device());
    delete c;
  }
}
