// The C++ side of the benchmarks: offloads the circuit of the paper's Listing 2, and prints how long each took.
//
// A line "N THREADS" on standard input asks for N offloads on each of so many threads; the answer is one line of JSON.
// Python asks for a round here and a round of something else in turn, so that both see the same machine.

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <fstream>
#include <string>
#include <vector>

#include <omp.h>
#include <openmpq/openmpq.hpp>
#include <unistd.h>

namespace {

constexpr int n_qubits = 7;

void ansatz(QuantumWrapper *c, const double *angles) {
  c->h(0);
  for (int q = 0; q < n_qubits; ++q)
    c->ry(angles[q], q);
  for (int q = 0; q < n_qubits - 1; ++q)
    c->cx(q, q + 1);
  for (int q = 0; q < n_qubits; ++q)
    c->ry(angles[n_qubits + q], q);
  c->measure();
}

/// Microseconds of one offload, with everything a user's loop does: record, send, run, read; negative on error.
double offload(QuantumWrapper *c, int iteration) {
  double angles[2 * n_qubits];
  for (int i = 0; i < 2 * n_qubits; ++i)
    angles[i] = 0.1 + 0.2 * i + 1e-3 * iteration;
  auto started = std::chrono::steady_clock::now();
#pragma omp target device(Quantum) firstprivate(c) map(to : angles)
  {
    c->clear();
    ansatz(c, angles);
    c->execute();
  }
  std::uint64_t shots = 0;
  for (std::uint64_t n : c->frequencies())
    shots += n;
  double us = std::chrono::duration<double, std::micro>(std::chrono::steady_clock::now() - started).count();
  if (!c->ok())
    std::fprintf(stderr, "%s: %s\n", openmpq_status_name(c->status()), c->error().c_str());
  return c->ok() && shots == 1024 ? us : -1.0;
}

long resident_kb() {
  long total = 0, resident = 0;
  std::ifstream("/proc/self/statm") >> total >> resident;
  return resident * sysconf(_SC_PAGESIZE) / 1024;
}

void round(int n, int threads, bool list) {
  std::vector<double> us(std::size_t(n) * threads);
  double started = omp_get_wtime();
#pragma omp parallel num_threads(threads)
  {
    QuantumWrapper *c = new QuantumWrapper(n_qubits);
    for (int i = 0; i < n; ++i)
      us[std::size_t(omp_get_thread_num()) * n + i] = offload(c, i);
    delete c;
  }
  double seconds = omp_get_wtime() - started;
  long errors = 0;
  for (double each : us)
    errors += each < 0;
  std::printf("{\"seconds\":%.6f,\"errors\":%ld,\"resident_kb\":%ld,\"us\":[", seconds, errors, resident_kb());
  for (std::size_t i = 0; list && i < us.size(); ++i)
    std::printf("%s%.2f", i ? "," : "", us[i]);
  std::printf("]}\n");
  std::fflush(stdout);
}

} // namespace

int main() {
  int n = 0, threads = 0, list = 1;
  while (std::scanf("%d %d %d", &n, &threads, &list) == 3)
    round(n, threads, list != 0);
}
