// The paper's Listing 4: each thread optimises its own angles on its own QPU.
//
// What differs from the print, and why:
//  * `device(Quantum)` alone is as printed: in a parallel region each thread gets a QPU of its own. So is
//    `frequencies = c->execute()`: the dense array over 2^n states, unobserved states 0.
//  * `device_angles = angles[qdev]` copies a vector; the section `device_angles[0:n]` needs a pointer to its data.
//  * `solver(frequencies)` needs to remember what it has seen: there is one object per QPU (maxcut.hpp), which sets one
//    angle after three iterations.
//  * `K` is such that each angle is set twice; a last circuit measures what was found.

#include <cstdio>

#include <omp.h>
#include <openmpq/openmpq.hpp>

#include "maxcut.hpp"

int main() {
  const int N = std::max(1, openmpq::num_qpus()), K = 2 * 3 * maxcut::n_angles;
  std::vector<maxcut::Rotosolve> solver;
  std::vector<maxcut::Angles> angles;
  for (int q = 0; q < N; ++q) {
    angles.push_back(maxcut::random_angles(unsigned(q) + 1));
    solver.emplace_back(angles.back());
  }
  std::vector<double> energies(std::size_t(N), 0.0);
  bool ok = true;

#pragma omp parallel num_threads(N) reduction(&& : ok)
  {
    std::size_t qdev = std::size_t(omp_get_thread_num());
    for (int i = 0; i <= K && ok; i++) {
      double *device_angles = angles[qdev].data();
      openmpq::Frequencies frequencies;
      QuantumCircuitWrapper *c = new QuantumCircuitWrapper(maxcut::n_vertices);
      c->seed(i);
#pragma omp target device(Quantum) firstprivate(c) map(tofrom : device_angles[0 : maxcut::n_angles], frequencies)
      {
        maxcut::VQE(c, device_angles);
        frequencies = c->execute();
      }
      ok = maxcut::ran(c);
      delete c;
      energies[qdev] = maxcut::energy(frequencies);
      solver[qdev].tell(energies[qdev]);
      angles[qdev] = solver[qdev].ask();
    }
  }
  if (!ok)
    return 1;
  for (std::size_t q = 0; q < energies.size(); ++q)
    std::printf("QPU %zu: mean cut %.2f of %d\n", q, -energies[q], maxcut::best_cut);
}
