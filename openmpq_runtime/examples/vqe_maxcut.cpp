// The paper's multi-start VQE: several starts of the Max-Cut of a graph, serially or one QPU per OpenMP thread (Figure
// 7).
//
//   openmpq-run --site workstation ./vqe_maxcut --starts 6
//   openmpq-run --site workstation ./vqe_maxcut --starts 6 --serial --json serial.json

#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <string>
#include <string_view>

#include <omp.h>
#include <openmpq/openmpq.hpp>

#include "maxcut.hpp"

namespace {

struct Options {
  int starts = 6, sweeps = 2;
  std::int64_t shots = 100;
  unsigned seed = 1;
  bool serial = false;
  std::string json; // a file for what the starts did
};

struct Start {
  std::string qpu, error;       // error: empty if all went well
  std::vector<double> energies; // of each circuit; the last one measures the final state
  std::vector<double> ended_s;  // when each circuit was done, in seconds since the program began its starts
  double mass_on_best = 0.0;
  std::uint64_t partition = 0; // the most frequent one in the final state
};

Options read(int argc, char **argv) {
  Options options;
  bool wrong = false;
  for (int i = 1; i < argc; ++i) {
    std::string_view name = argv[i];
    auto number = [&] { return i + 1 < argc ? std::atoi(argv[++i]) : -1; };
    if (name == "--starts")
      options.starts = number();
    else if (name == "--sweeps")
      options.sweeps = number();
    else if (name == "--shots")
      options.shots = number();
    else if (name == "--seed")
      options.seed = unsigned(number());
    else if (name == "--serial")
      options.serial = true;
    else if (name == "--json" && i + 1 < argc)
      options.json = argv[++i];
    else
      wrong = true;
  }
  if (wrong || options.starts < 1 || options.sweeps < 1 || options.shots < 1) {
    std::fprintf(stderr, "usage: vqe_maxcut [--starts N] [--sweeps N] [--shots N] [--seed N] [--serial] [--json FILE]\n"
                         "N is a whole number, at least 1.\n");
    std::exit(2);
  }
  return options;
}

/// One start: the solver in C++ asks, a circuit on this thread's QPU answers.
Start optimise(const Options &options, unsigned seed, double began) {
  Start start;
  maxcut::Rotosolve solver(maxcut::random_angles(seed));
  QuantumWrapper *c = new QuantumWrapper(maxcut::n_vertices);
  c->shots(options.shots);
  for (int i = 0; i <= 3 * maxcut::n_angles * options.sweeps; ++i) {
    maxcut::Angles angles = solver.ask();
    double *values = angles.data();
    c->clear().seed(1000 * seed + i);
#pragma omp target device(Quantum) firstprivate(c) map(to : values[0 : maxcut::n_angles])
    {
      maxcut::VQE(c, values);
      c->execute();
    }
    if (!c->ok()) {
      start.error = std::string(openmpq_status_name(c->status())) + ": " + c->error();
      break;
    }
    start.energies.push_back(maxcut::energy(c->frequencies()));
    start.ended_s.push_back(omp_get_wtime() - began);
    solver.tell(start.energies.back());
  }
  start.qpu = c->result().device();
  start.mass_on_best = maxcut::mass_on_best(c->frequencies());
  start.partition = maxcut::most_frequent(c->frequencies());
  delete c;
  return start;
}

std::string list(const std::vector<double> &values) {
  std::string text;
  for (double value : values)
    text += (text.empty() ? "" : ", ") + std::to_string(value);
  return "[" + text + "]";
}

bool write_json(const Options &options, int threads, double seconds, const std::vector<Start> &starts) {
  std::ofstream file(options.json);
  file << "{\"max_cut\": " << maxcut::best_cut << ", \"shots\": " << options.shots << ", \"sweeps\": " << options.sweeps
       << ", \"threads\": " << threads << ", \"qpus\": " << openmpq::num_qpus() << ", \"seconds\": " << seconds
       << ",\n \"starts\": [";
  for (const Start &start : starts)
    file << (&start == &starts.front() ? "\n" : ",\n") << "  {\"qpu\": \"" << start.qpu
         << "\", \"cut\": " << maxcut::cut(start.partition) << ", \"mass_on_best\": " << start.mass_on_best
         << ", \"energies\": " << list(start.energies) << ", \"ended_s\": " << list(start.ended_s) << "}";
  file << "\n]}\n";
  return bool(file.flush());
}

} // namespace

int main(int argc, char **argv) {
  const Options options = read(argc, argv);
  const int threads = options.serial ? 1 : std::min(options.starts, std::max(1, openmpq::num_qpus()));
  std::vector<Start> starts(std::size_t(options.starts));
  const double began = omp_get_wtime();
#pragma omp parallel for num_threads(threads) schedule(dynamic, 1)
  for (int i = 0; i < options.starts; ++i)
    starts[std::size_t(i)] = optimise(options, options.seed + unsigned(i), began);
  const double seconds = omp_get_wtime() - began;

  const Start *best = &starts[0];
  for (std::size_t i = 0; i < starts.size(); ++i) {
    const Start &start = starts[i];
    if (!start.error.empty()) {
      std::fprintf(stderr, "start %zu: %s\n", i, start.error.c_str());
      return 1;
    }
    std::printf("start %zu on %s: %zu circuits, mean cut %.3f, partition %d edges\n", i, start.qpu.c_str(),
                start.energies.size(), -start.energies.back(), maxcut::cut(start.partition));
    if (start.energies.back() < best->energies.back())
      best = &start;
  }
  std::printf("best: mean cut %.3f, partition %d of %d edges, %.0f %% of the shots on maximum cuts\n",
              -best->energies.back(), maxcut::cut(best->partition), maxcut::best_cut, 100 * best->mass_on_best);
  std::printf("seconds %.4f\n", seconds);
  if (!options.json.empty() && !write_json(options, threads, seconds, starts)) {
    std::fprintf(stderr, "cannot write %s\n", options.json.c_str());
    return 1;
  }
}
