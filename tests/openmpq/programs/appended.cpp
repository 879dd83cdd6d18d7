// QPUs at the end of the device list, where somebody asks for it. Needs a pool of 6 QPUs and OPENMPQ_APPEND_DEVICES=1.
// Argument: the QPU that OMP_DEFAULT_DEVICE names, if it is set.

#define OPENMPQ_APPEND_DEVICES
#include <cstdlib>

#include <omp.h>
#include <openmpq/openmpq.hpp>

#include "checks.hpp"

namespace {

std::string ran_on(int device) {
  QuantumWrapper *c = new QuantumWrapper(1);
#pragma omp target device(device) firstprivate(c)
  {
    c->h(0).measure();
    c->execute();
  }
  return c->result().device();
}

} // namespace

int main(int argc, char **argv) {
  check(omp_get_num_devices() == 6, "omp_get_num_devices", std::to_string(omp_get_num_devices()));
  check(omp_get_initial_device() == 6, "omp_get_initial_device");
  check(ran_on(0) == openmpq_qpu_name(0) && ran_on(5) == openmpq_qpu_name(5), "device(k)", ran_on(5));
  bool right = false;
  if (argc > 1) { // what OMP_DEFAULT_DEVICE says
    int k = std::atoi(argv[1]);
#pragma omp target map(tofrom : right) firstprivate(k)
    {
      QuantumWrapper c(1);
      c.h(0).measure();
      c.execute();
      right = c.result().device() == openmpq_qpu_name(k);
    }
    check(right, "OMP_DEFAULT_DEVICE");
    right = false;
  }
  omp_set_default_device(2);
#pragma omp target map(tofrom : right)
  {
    QuantumWrapper c(1);
    c.h(0).measure();
    c.execute();
    right = c.result().device() == openmpq_qpu_name(2);
  }
  check(right, "the default device");
  bool inside = true;
#pragma omp target device(omp_get_initial_device()) map(tofrom : inside)
  inside = openmpq::in_region();
  check(!inside, "the initial device is the host");
}
