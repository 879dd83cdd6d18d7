// The problem of the examples: the maximum cut of a graph, by the paper's ansatz and a classical solver in C++.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <complex>
#include <cstdint>
#include <cstdio>
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
inline void VQE(QuantumWrapper *c, const double *angles) {
  c->h(0);
  for (int q = 0; q < n_vertices; ++q)
    c->ry(angles[q], q);
  for (int q = 0; q < n_vertices - 1; ++q)
    c->cx(q, q + 1);
  for (int q = 0; q < n_vertices; ++q)
    c->ry(angles[n_vertices + q], q);
  c->measure();
}

/// Whether the circuit was run; if not, says why.
inline bool ran(const QuantumWrapper *c) {
  if (!c->ok())
    std::fprintf(stderr, "%s: %s\n", openmpq_status_name(c->status()), c->error().c_str());
  return c->ok();
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

/// How much of the distribution is on maximum cuts.
inline double mass_on_best(const openmpq::Frequencies &frequencies) {
  double best = 0.0, shots = 0.0;
  for (std::uint64_t state = 0; state < frequencies.size(); ++state) {
    best += cut(state) == best_cut ? double(frequencies[state]) : 0.0;
    shots += double(frequencies[state]);
  }
  return shots > 0 ? best / shots : 0.0;
}

inline Angles random_angles(unsigned seed) {
  Angles angles;
  std::mt19937_64 random(seed);
  for (double &angle : angles)
    angle = std::uniform_real_distribution<double>(-M_PI, M_PI)(random);
  return angles;
}

/// Rotosolve (arXiv:1905.09692): in one angle of a rotation gate the energy is a sinusoid, fixed by its values at three
/// equally spaced angles; the angle goes to its minimum, and the next angle has its turn. It works with few shots.
///
///   while (...)
///     solver.tell(energy of the circuit with solver.ask());
class Rotosolve {
public:
  explicit Rotosolve(const Angles &start, int first = 0) : best_(start), turn_(first) {}

  /// What is to be measured next. After each third energy: the best angles so far.
  Angles ask() const {
    Angles angles = best_;
    angles[std::size_t(turn_)] += shift();
    return angles;
  }

  void tell(double energy) {
    mean_ += energy / 3;
    harmonic_ += energy * std::polar(1.0, -shift());
    if (++point_ < 3)
      return;
    double &angle = best_[std::size_t(turn_)];
    angle = std::remainder(angle + M_PI - std::arg(harmonic_), 2 * M_PI);
    lowest_ = mean_ - 2.0 / 3 * std::abs(harmonic_);
    mean_ = 0.0, harmonic_ = 0.0, point_ = 0;
    turn_ = (turn_ + 1) % n_angles;
  }

  /// The energy at the best angles, by the last sinusoid.
  double lowest() const { return lowest_; }
  bool turn_is_over() const { return point_ == 0; }

  /// Takes over better angles that somebody else has found; between two turns.
  void go_on_from(const Angles &angles) { best_ = angles; }

private:
  double shift() const { return 2 * M_PI / 3 * point_; }

  Angles best_;
  int turn_, point_ = 0; // the angle that is being set, and how many of its three energies are known
  double mean_ = 0.0, lowest_ = 0.0;
  std::complex<double> harmonic_ = 0.0;
};

} // namespace maxcut
