// The problem of the examples: the maximum cut of a graph, by the paper's ansatz and a classical solver in C++.
#pragma once

#include <array>
#include <cmath>
#include <complex>
#include <cstdint>
#include <random>
#include <utility>
#include <vector>

#include <openmpq/openmpq.hpp>

namespace maxcut {

constexpr int n_vertices = 7; // one qubit each
constexpr int n_angles = 2 * n_vertices;
using Angles = std::array<double, n_angles>;

/// A ring of seven with four chords; its maximum cut is 9.
constexpr std::pair<int, int> edges[] = {{0, 1}, {1, 2}, {2, 3}, {3, 4}, {4, 5}, {5, 6},
                                         {6, 0}, {0, 2}, {0, 3}, {1, 5}, {4, 6}};
constexpr int best_cut = 9;

/// Edges between the two sides of a partition; vertex v is on side `bit v of state`.
inline int cut(std::uint64_t state) {
  int n = 0;
  for (auto [u, v] : edges)
    n += (state >> u & 1) != (state >> v & 1);
  return n;
}

/// The paper's Listing 2.
inline void ansatz(QuantumWrapper *c, const double *angles) {
  c->h(0);
  for (int q = 0; q < n_vertices; ++q)
    c->ry(angles[q], q);
  for (int q = 0; q < n_vertices - 1; ++q)
    c->cx(q, q + 1);
  for (int q = 0; q < n_vertices; ++q)
    c->ry(angles[n_vertices + q], q);
  c->measure();
}

/// Minus the mean cut: what is minimised.
inline double energy(const openmpq::Frequencies &frequencies) {
  double sum = 0.0, shots = 0.0;
  for (std::uint64_t state = 0; state < frequencies.size(); ++state) {
    sum += double(frequencies[state]) * cut(state);
    shots += double(frequencies[state]);
  }
  return shots > 0 ? -sum / shots : 0.0;
}

inline std::uint64_t most_frequent(const openmpq::Frequencies &frequencies) {
  return std::uint64_t(std::max_element(frequencies.begin(), frequencies.end()) - frequencies.begin());
}

inline Angles random_angles(unsigned seed) {
  Angles angles;
  std::mt19937_64 random(seed);
  for (double &angle : angles)
    angle = std::uniform_real_distribution<double>(-M_PI, M_PI)(random);
  return angles;
}

/// Rotosolve (arXiv:1905.09692): in one angle of a rotation gate the energy is a sinusoid, fixed by its values at three
/// equally spaced angles; the angle goes to its minimum. energy_at: Angles -> double.
template <class Energy> void rotosolve_step(Angles &angles, int k, Energy energy_at) {
  std::complex<double> harmonic = 0.0;
  for (int i = 0; i < 3; ++i) {
    Angles shifted = angles;
    shifted[k] += 2 * M_PI / 3 * i;
    harmonic += energy_at(shifted) * std::polar(1.0, -2 * M_PI / 3 * i);
  }
  angles[k] = std::remainder(angles[k] + M_PI - std::arg(harmonic), 2 * M_PI);
}

} // namespace maxcut
