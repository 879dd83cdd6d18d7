// The paper's Listing 3: one QPU per OpenMP thread, by its own clause `device(Quantum) device_num(q)`.
//
// What differs from the print, and why:
//  * `device_num` is no clause of the target construct; openmpq/listings.h makes one of it. Portable code writes
//    device(Quantum + qdev), or device(Quantum) alone as listing4.cpp does.
//  * `double qpu_angles[num_qubits] = angles[qdev]` initialises an array from an array; here the values are copied.
//  * The region's braces are closed, and the circuit is deleted.

#include <cstdio>

#include <omp.h>
#include <openmpq/openmpq.hpp>

#include <openmpq/listings.h>

#include "maxcut.hpp"

int main() {
  const int num_qpus = std::max(1, openmpq::num_qpus()), n_iterations = 3;
  std::vector<maxcut::Angles> angles; // angles per QPU and qubit: 2-D array
  for (int q = 0; q < num_qpus; ++q)
    angles.push_back(maxcut::random_angles(unsigned(q)));
  bool ok = true;

#pragma omp parallel num_threads(num_qpus) reduction(&& : ok)
  for (int i = 0; i < n_iterations; i++) {
    int qdev = omp_get_thread_num();     // one QPU per thread
    double qpu_angles[maxcut::n_angles]; // angles per QPU
    std::copy(angles[std::size_t(qdev)].begin(), angles[std::size_t(qdev)].end(), qpu_angles);
    QuantumWrapper *c = new QuantumWrapper;
    c->seed(i);
#pragma omp target device(Quantum) device_num(qdev) firstprivate(c) map(to : qpu_angles)
    {
      maxcut::VQE(c, qpu_angles);
      c->execute();
    }
    ok = maxcut::ran(c) && ok;
    if (c->ok())
#pragma omp critical
      std::printf("thread %d, iteration %d, %s: mean cut %.3f\n", qdev, i, c->result().device().c_str(),
                  -maxcut::energy(c->frequencies()));
    delete c;
  }
  return ok ? 0 : 1;
}
