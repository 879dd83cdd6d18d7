// QAOA with named parameters: the circuit is recorded once, a whole grid of angles is one execution, and the energy of
// the best point is measured as the expectation of a Hamiltonian.

#include <cstdio>

#include <openmpq/openmpq.hpp>

#include "maxcut.hpp"

namespace {

void circuit(QuantumWrapper &c) {
  auto gamma = c.parameter("gamma"), beta = c.parameter("beta");
  for (int v = 0; v < maxcut::n_vertices; ++v)
    c.h(v);
  for (auto [u, v] : maxcut::edges)
    c.rzz(-1.0 * gamma, u, v);
  for (int v = 0; v < maxcut::n_vertices; ++v)
    c.rx(2.0 * beta, v);
}

/// The cut as a sum of Pauli strings: (1 - Z_u Z_v) / 2 for each edge.
openmpq::PauliSum hamiltonian() {
  openmpq::PauliSum sum;
  for (auto [u, v] : maxcut::edges) {
    std::string zz(maxcut::n_vertices, 'I');
    zz[std::size_t(maxcut::n_vertices - 1 - u)] = zz[std::size_t(maxcut::n_vertices - 1 - v)] = 'Z';
    sum.push_back({-0.5, zz});
  }
  sum.push_back({0.5 * std::size(maxcut::edges), std::string(maxcut::n_vertices, 'I')});
  return sum;
}

} // namespace

int main() {
  QuantumWrapper c(maxcut::n_vertices);
  openmpq::Rows grid;
  for (int i = 0; i < 12; ++i)
    for (int j = 0; j < 12; ++j)
      grid.push_back({M_PI * i / 12, M_PI / 2 * j / 12});

  openmpq::Rows best(1);
  double highest = 0.0, error = 0.0, value = 0.0;
#pragma omp target device(Quantum) map(tofrom : c, highest, value, error)
  {
    circuit(c);
    c.measure();
    openmpq::Result result = c.execute(grid); // 144 circuits, one round trip
    for (std::size_t row = 0; row < result.num_rows(); ++row)
      if (double mean = -maxcut::energy(result.frequencies(row)); mean > highest) {
        highest = mean;
        best[0] = grid[row];
      }
    if (result.ok()) {
      std::vector<double> errors;
      c.clear().shots(10'000);
      circuit(c); // without measurements, which the expectation adds
      value = c.expectation(hamiltonian(), best, &errors).front();
      error = errors.front();
    }
  }
  if (!c.ok()) {
    std::fprintf(stderr, "%s: %s\n", openmpq_status_name(c.status()), c.error().c_str());
    return 1;
  }
  std::printf("best of %zu points: gamma %.3f, beta %.3f, mean cut %.3f\n", grid.size(), best[0][0], best[0][1],
              highest);
  std::printf("measured again: %.3f +- %.3f\n", value, error);
}
