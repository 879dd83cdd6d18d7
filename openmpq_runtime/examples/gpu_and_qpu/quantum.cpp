// The quantum half: its regions go to a QPU. Compiled with OpenMP-Q's flags and without those of a GPU.

#include <openmpq/openmpq.hpp>

#include "../maxcut.hpp"
#include "halves.hpp"

Sample sample_on_qpu() {
  maxcut::Angles angles = maxcut::random_angles(1);
  double *values = angles.data();
  QuantumWrapper *c = new QuantumWrapper(maxcut::n_vertices);
  c->seed(1);
#pragma omp target device(Quantum) firstprivate(c) map(to : values[0 : maxcut::n_angles])
  {
    maxcut::VQE(c, values);
    c->execute();
  }
  Sample sample{c->result().device(), {}, {}};
  if (maxcut::ran(c))
    for (std::uint64_t n : c->frequencies()) {
      sample.cuts.push_back(maxcut::cut(sample.cuts.size()));
      sample.shares.push_back(double(n) / double(c->result().shots()));
    }
  delete c;
  return sample;
}
