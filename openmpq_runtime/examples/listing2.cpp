// The paper's Listing 2: one region that stays on the QPU, with classical work in between (reverse offload).
//
// What differs from the print, and why:
//  * `requires reverse-offload` is spelled reverse_offload in OpenMP; gcc 13 and later implement it, gcc 12 and clang
//  do
//    not. OPENMPQ_ANCESTOR is the directive where the compiler has it, and nothing elsewhere: since a quantum region
//    runs on the host and only its circuits go away, host code can simply be called there.
//  * `angles[] = solve(frequencies)` assigns to an array; here the solver writes into it.
//  * The loop is inside the region, as the text says ("the quantum kernel remains active"); in the print it is outside.
//  * With -DWITH_MPI the ranks agree on the best angles in each iteration (the paper's MPI_Broadcast). The call is in a
//    function of another file, since neither compiler takes Open MPI's handles in or near a target region.

#include <cstdio>

#include <openmpq/openmpq.hpp>

#include <openmpq/reverse.h>

#include "maxcut.hpp"
#ifdef WITH_MPI
#include "agree.hpp"
#endif

OPENMPQ_REQUIRES_REVERSE_OFFLOAD

namespace {

void solve(double *angles, int iteration, double *measured) {
  // Three iterations measure one angle's sinusoid, see maxcut.hpp; the third sets it.
  static maxcut::Angles start;
  int k = iteration / 3 % maxcut::n_angles, point = iteration % 3;
  static double energies[3];
  if (point == 0)
    std::copy_n(angles, maxcut::n_angles, start.begin());
  energies[point] = *measured;
  std::copy(start.begin(), start.end(), angles);
  if (point < 2) {
    angles[k] += 2 * M_PI / 3 * (point + 1);
    return;
  }
  int at = 0;
  maxcut::rotosolve_step(start, k, [&](const maxcut::Angles &) { return energies[at++]; });
  std::copy(start.begin(), start.end(), angles);
}

} // namespace

int main(int argc, char **argv) {
#ifdef WITH_MPI
  int rank = agree::begin(&argc, &argv);
#else
  (void)argc, (void)argv;
  int rank = 0;
#endif
  maxcut::Angles initial = maxcut::random_angles(unsigned(rank) + 1);
  double angles[maxcut::n_angles], energy = 0.0;
  std::copy(initial.begin(), initial.end(), angles);
  const int iterations = 2 * 3 * maxcut::n_angles;
  bool ok = true;

  QuantumWrapper *c = new QuantumWrapper; // QuantumWrapper class object
#pragma omp target device(Quantum) firstprivate(c) map(tofrom : angles, energy, ok)
  {
    for (int i = 0; i <= iterations && ok; ++i) { // the last one measures what was found
      c->clear();
      maxcut::ansatz(c, angles); // quantum gate sequence
      openmpq::Frequencies frequencies = c->execute();
      ok = c->ok();
      energy = maxcut::energy(frequencies);
      if (i < iterations) {
        OPENMPQ_ANCESTOR(map(always, tofrom : angles, energy))
        solve(angles, i, &energy);
      }
    }
#ifdef WITH_MPI
    openmpq::on_host([&] { energy = agree::best(energy, angles, maxcut::n_angles); });
#endif
  }
  if (!ok) {
    std::fprintf(stderr, "%s: %s\n", openmpq_status_name(c->status()), c->error().c_str());
    return 1;
  }
  if (rank == 0)
    std::printf("mean cut %.2f of %d after %d circuits\n", -energy, maxcut::best_cut, iterations + 1);
  delete c;
#ifdef WITH_MPI
  agree::end();
#endif
  return 0;
}
