// MPI + OpenMP-Q: each rank has several threads, each thread a QPU; after each sweep all go on from the best angles.
//
//   openmpq-run -n 2 ./vqe_mpi 3        two ranks of three threads on six QPUs

#include <cstdio>
#include <cstdlib>

#include <omp.h>
#include <openmpq/openmpq.hpp>

#include "agree.hpp"
#include "maxcut.hpp"

namespace {

double run(QuantumWrapper *c, maxcut::Angles angles, bool &ok) {
  double *values = angles.data();
#pragma omp target device(Quantum) firstprivate(c) map(to : values[0 : maxcut::n_angles])
  {
    c->clear();
    maxcut::ansatz(c, values);
    c->execute();
  }
  if (!c->ok())
    std::fprintf(stderr, "%s: %s\n", openmpq_status_name(c->status()), c->error().c_str());
  ok = ok && c->ok();
  return maxcut::energy(c->frequencies());
}

} // namespace

int main(int argc, char **argv) {
  int rank = agree::begin(&argc, &argv);
  int threads = argc > 1 ? std::atoi(argv[1]) : std::max(1, openmpq::num_qpus() / agree::size());
  maxcut::Angles best{};
  double lowest = 0.0;
  bool ok = true;
  for (int sweep = 0; sweep < 2; ++sweep) {
    double rank_lowest = 1.0;
    maxcut::Angles rank_best{};
#pragma omp parallel num_threads(threads) reduction(&& : ok)
    {
      int worker = rank * threads + omp_get_thread_num();
      // All begin somewhere else; then one goes on from the best and the others from near it.
      maxcut::Angles angles = sweep ? best : maxcut::random_angles(unsigned(worker) + 1);
      for (int k = 0; sweep && worker && k < maxcut::n_angles; ++k)
        angles[std::size_t(k)] += 0.2 * maxcut::random_angles(unsigned(worker))[std::size_t(k)];
      QuantumWrapper *c = new QuantumWrapper(maxcut::n_vertices);
      for (int k = 0; k < maxcut::n_angles && ok; ++k)
        maxcut::rotosolve_step(angles, k, [&](const maxcut::Angles &at) { return run(c, at, ok); });
      double energy = run(c, angles, ok);
      delete c;
#pragma omp critical
      if (energy < rank_lowest) {
        rank_lowest = energy;
        rank_best = angles;
      }
    }
    if (!ok)
      agree::abort(1);
    lowest = agree::best(rank_lowest, rank_best.data(), maxcut::n_angles);
    best = rank_best;
  }
  double check = 0.0; // the same on all ranks
  for (double angle : best)
    check += angle;
  std::printf("rank %d: mean cut %.3f of %d, angles sum to %.12f\n", rank, -lowest, maxcut::best_cut, check);
  agree::end();
}
