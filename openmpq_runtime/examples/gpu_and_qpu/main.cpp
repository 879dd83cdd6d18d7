// A GPU and a QPU in one program: quantum regions in this file, classical offloading in classical.cpp. Without a GPU
// the classical half runs on the host, and nothing else changes.

#include <cstdio>

#include <openmpq/openmpq.hpp>

#include "../maxcut.hpp"
#include "halves.hpp"

int main() {
  maxcut::Angles angles = maxcut::random_angles(1);
  double *values = angles.data();
  QuantumWrapper *c = new QuantumWrapper(maxcut::n_vertices);
#pragma omp target device(Quantum) firstprivate(c) map(to : values[0 : maxcut::n_angles])
  {
    maxcut::ansatz(c, values);
    c->execute();
  }
  if (!c->ok()) {
    std::fprintf(stderr, "%s: %s\n", openmpq_status_name(c->status()), c->error().c_str());
    return 1;
  }
  std::vector<double> weights, frequencies;
  for (std::uint64_t n : c->frequencies()) {
    weights.push_back(maxcut::cut(weights.size()));
    frequencies.push_back(double(n));
  }
  bool on_host = true;
  double mean = mean_cut_on_device(weights.data(), frequencies.data(), int(weights.size()), on_host);
  std::printf("mean cut %.3f, circuits on %s, classical half on %s\n", mean, c->result().device().c_str(),
              on_host ? "the host" : "a device");
  delete c;
}
