// MPI + OpenMP-Q: each rank has several threads, each thread a QPU. After each sweep over the angles all ranks learn
// the best ones, and the worst start of each rank goes on from there.
//
//   openmpq-run -n 2 ./vqe_mpi 3        two ranks of three threads, on six QPUs

#include <cstdio>
#include <cstdlib>

#include <omp.h>
#include <openmpq/openmpq.hpp>

#include "agree.hpp"
#include "maxcut.hpp"

namespace {

/// Runs the ansatz on this thread's QPU.
bool measure(QuantumWrapper *c, maxcut::Angles angles, double &energy) {
  double *values = angles.data();
#pragma omp target device(Quantum) firstprivate(c) map(to : values[0 : maxcut::n_angles])
  {
    c->clear();
    maxcut::VQE(c, values);
    c->execute();
  }
  energy = maxcut::energy(c->frequencies());
  return maxcut::ran(c);
}

/// One sweep: each angle once, and the energy at the end. Says on which QPU.
bool sweep(maxcut::Rotosolve &solver, double &energy, std::string &qpu, int seed) {
  QuantumWrapper *c = new QuantumWrapper(maxcut::n_vertices);
  bool ok = true;
  for (int i = 0; i < 3 * maxcut::n_angles && ok; ++i) {
    c->seed(1000 * seed + i);
    ok = measure(c, solver.ask(), energy);
    solver.tell(energy);
  }
  ok = ok && measure(c, solver.ask(), energy);
  qpu = c->result().device();
  delete c;
  return ok;
}

} // namespace

int main(int argc, char **argv) {
  const int rank = agree::begin(&argc, &argv);
  const int threads = argc > 1 ? std::max(1, std::atoi(argv[1])) : std::max(1, openmpq::num_qpus() / agree::size());
  std::vector<maxcut::Rotosolve> solvers;
  for (int t = 0; t < threads; ++t)
    solvers.emplace_back(maxcut::random_angles(unsigned(rank * threads + t + 1)));
  std::vector<double> energies(std::size_t(threads), 0.0);
  std::vector<std::string> qpus(std::size_t(threads), "");
  maxcut::Angles best{};
  double lowest = 0.0;
  for (int round = 0; round < 3; ++round) {
    bool ok = true;
#pragma omp parallel num_threads(threads) reduction(&& : ok)
    {
      std::size_t t = std::size_t(omp_get_thread_num());
      int seed = (round * agree::size() + rank) * threads + int(t);
      ok = sweep(solvers[t], energies[t], qpus[t], seed);
    }
    if (!ok)
      agree::abort(1);
    auto [first, last] = std::minmax_element(energies.begin(), energies.end());
    best = solvers[std::size_t(first - energies.begin())].ask();
    lowest = agree::best(*first, best.data(), maxcut::n_angles);
    solvers[std::size_t(last - energies.begin())].go_on_from(best);
  }
  double check = 0.0; // the same on all ranks
  for (double angle : best)
    check += angle;
  std::string used;
  for (const std::string &qpu : qpus)
    used += " " + qpu;
  std::printf("rank %d on%s: mean cut %.3f of %d, angles sum to %.12f\n", rank, used.c_str(), -lowest, maxcut::best_cut,
              check);
  agree::end();
}
