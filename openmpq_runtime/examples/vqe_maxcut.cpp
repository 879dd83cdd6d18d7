// The paper's multi-start VQE: several starts of the Max-Cut of a graph, serially or one QPU per OpenMP thread (Figure
// 7).
//
//   openmpq-run --site workstation ./vqe_maxcut --starts 6

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>

#include <omp.h>
#include <openmpq/openmpq.hpp>

#include "maxcut.hpp"

namespace {

struct Options {
  int starts = 6, sweeps = 2;
  std::int64_t shots = 100;
  unsigned seed = 1;
  bool serial = false;
};

struct Start {
  double energy = 0.0;
  std::uint64_t partition = 0;
  int circuits = 0;
  std::string error; // empty if all went well
};

Options read(int argc, char **argv) {
  Options options;
  for (int i = 1; i < argc; ++i) {
    auto value = [&] { return i + 1 < argc ? std::atoi(argv[++i]) : 0; };
    if (!std::strcmp(argv[i], "--starts"))
      options.starts = value();
    else if (!std::strcmp(argv[i], "--sweeps"))
      options.sweeps = value();
    else if (!std::strcmp(argv[i], "--shots"))
      options.shots = value();
    else if (!std::strcmp(argv[i], "--seed"))
      options.seed = unsigned(value());
    else if (!std::strcmp(argv[i], "--serial"))
      options.serial = true;
    else
      options.starts = 0;
  }
  if (options.starts < 1 || options.sweeps < 1 || options.shots < 1) {
    std::fprintf(stderr, "usage: vqe_maxcut [--starts N] [--sweeps N] [--shots N] [--seed N] [--serial]\n");
    std::exit(2);
  }
  return options;
}

/// Runs the ansatz in a quantum region, on the QPU of this thread.
openmpq::Frequencies run(QuantumWrapper *c, maxcut::Angles &angles, Start &start) {
  double *values = angles.data();
#pragma omp target device(Quantum) firstprivate(c) map(to : values[0 : maxcut::n_angles])
  {
    c->clear();
    maxcut::ansatz(c, values);
    c->execute();
  }
  ++start.circuits;
  if (!c->ok() && start.error.empty())
    start.error = std::string(openmpq_status_name(c->status())) + ": " + c->error();
  return c->frequencies();
}

Start optimise(const Options &options, unsigned seed) {
  Start start;
  QuantumWrapper *c = new QuantumWrapper(maxcut::n_vertices);
  c->shots(options.shots);
  maxcut::Angles angles = maxcut::random_angles(seed);
  for (int step = 0; step < options.sweeps * maxcut::n_angles && start.error.empty(); ++step)
    maxcut::rotosolve_step(angles, step % maxcut::n_angles,
                           [&](maxcut::Angles shifted) { return maxcut::energy(run(c, shifted, start)); });
  openmpq::Frequencies last = run(c, angles, start);
  start.energy = maxcut::energy(last);
  start.partition = maxcut::most_frequent(last);
  delete c;
  return start;
}

} // namespace

int main(int argc, char **argv) {
  Options options = read(argc, argv);
  std::vector<Start> starts(std::size_t(options.starts));
  double began = omp_get_wtime();
#pragma omp parallel for num_threads(options.starts) schedule(static, 1) if (!options.serial)
  for (int i = 0; i < options.starts; ++i)
    starts[std::size_t(i)] = optimise(options, options.seed + unsigned(i));
  double seconds = omp_get_wtime() - began;

  const Start *best = &starts[0];
  for (std::size_t i = 0; i < starts.size(); ++i) {
    const Start &start = starts[i];
    if (!start.error.empty()) {
      std::fprintf(stderr, "start %zu: %s\n", i, start.error.c_str());
      return 1;
    }
    std::printf("start %zu: %d circuits, mean cut %.3f, partition %d edges\n", i, start.circuits, -start.energy,
                maxcut::cut(start.partition));
    if (start.energy < best->energy)
      best = &start;
  }
  std::printf("best: mean cut %.3f, partition %d of %d edges\n", -best->energy, maxcut::cut(best->partition),
              maxcut::best_cut);
  std::printf("seconds %.4f\n", seconds);
}
