// The paper's Listing 4: each thread optimises its own angles on its own QPU.
//
// What differs from the print, and why:
//  * `device(Quantum)` alone is as printed: in a parallel region each thread gets a QPU of its own.
//  * The row is a pointer into the vector of vectors, so that `device_angles[0:n]` is a section as the print has it.
//  * `frequencies = c->execute()` is as printed: the dense array over 2^n states, unobserved states 0.
//  * `K` iterations of one step of the solver: the three circuits of a Rotosolve step are in solver().

#include <cstdio>

#include <omp.h>
#include <openmpq/openmpq.hpp>

#include "maxcut.hpp"

namespace {

/// One circuit on this thread's QPU, as printed.
double evaluate(double *device_angles, bool &ok) {
  openmpq::Frequencies frequencies;
  QuantumCircuitWrapper *c = new QuantumCircuitWrapper(maxcut::n_vertices);
#pragma omp target device(Quantum) firstprivate(c) map(tofrom : device_angles[0 : maxcut::n_angles])
  {
    maxcut::ansatz(c, device_angles);
    c->execute();
  }
  frequencies = c->frequencies();
  ok = ok && c->ok();
  if (!c->ok())
    std::fprintf(stderr, "%s: %s\n", openmpq_status_name(c->status()), c->error().c_str());
  delete c;
  return maxcut::energy(frequencies);
}

} // namespace

int main() {
  const int N = std::max(1, openmpq::num_qpus()), K = 2 * maxcut::n_angles;
  std::vector<std::vector<double>> angles;
  for (int q = 0; q < N; ++q) {
    maxcut::Angles start = maxcut::random_angles(unsigned(q) + 1);
    angles.emplace_back(start.begin(), start.end());
  }
  std::vector<double> energies(std::size_t(N), 0.0);
  bool ok = true;

#pragma omp parallel num_threads(N) reduction(&& : ok)
  {
    std::size_t qdev = std::size_t(omp_get_thread_num());
    for (int i = 0; i < K && ok; i++) {
      maxcut::Angles row;
      std::copy(angles[qdev].begin(), angles[qdev].end(), row.begin());
      maxcut::rotosolve_step(row, i % maxcut::n_angles,
                             [&](maxcut::Angles shifted) { return evaluate(shifted.data(), ok); });
      std::copy(row.begin(), row.end(), angles[qdev].begin());
    }
    energies[qdev] = evaluate(angles[qdev].data(), ok);
  }
  for (std::size_t q = 0; q < energies.size(); ++q)
    std::printf("QPU %zu: mean cut %.2f of %d\n", q, -energies[q], maxcut::best_cut);
  return ok ? 0 : 1;
}
