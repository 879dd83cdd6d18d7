// The state of all qubits, as a vector of amplitudes; qubit q is bit q of an index.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <random>
#include <vector>

#include "gates.hpp"

namespace openmpq {

using Random = std::mt19937_64;

/// At least 0, below 1. (The standard library's own differs between libraries, and a seed would not repeat counts.)
inline double uniform(Random &random) {
  return double(random() >> 11) * 0x1p-53;
}

class Amplitudes {
public:
  explicit Amplitudes(std::int32_t n_qubits) : values_(std::size_t(1) << n_qubits) { values_[0] = 1.0; }

  void apply(const Gate &gate, const std::int32_t *qubits, const double *angles) {
    Complex matrix[64];
    gate.matrix(angles, matrix);
    if (gate.n_qubits == 1)
      apply<1>(matrix, qubits);
    else if (gate.n_qubits == 2)
      apply<2>(matrix, qubits);
    else
      apply<3>(matrix, qubits);
  }

  /// The probability that a measurement of this qubit gives 1.
  double probability(std::int32_t qubit) const {
    std::size_t bit = std::size_t(1) << qubit;
    double sum = 0.0;
    for (std::size_t k = 0; k < values_.size(); ++k)
      sum += k & bit ? std::norm(values_[k]) : 0.0;
    return std::min(sum, 1.0);
  }

  /// Leaves what agrees with the outcome of a measurement, which had this probability.
  void collapse(std::int32_t qubit, bool outcome, double probability) {
    std::size_t bit = std::size_t(1) << qubit;
    double scale = 1.0 / std::sqrt(probability);
    for (std::size_t k = 0; k < values_.size(); ++k)
      values_[k] *= bool(k & bit) == outcome ? scale : 0.0;
  }

  /// Draws so many shots and calls seen(index, how often) for each basis state that was drawn.
  ///
  /// The shots come in ascending order, so that one walk over the states places them all: with n still to come, the
  /// smallest of their -log(1 - u) lies by an exponential deviate of mean 1/n above the one before.
  template <class Seen> void sample(std::int64_t shots, Random &random, Seen seen) const {
    auto gap = [&] { return -std::log(1.0 - uniform(random)) / double(shots); };
    double shot = gap(), above = 1.0; // above: probability of the states that are still to come
    std::size_t last = 0;
    for (std::size_t k = 0; k < values_.size() && shots; ++k) {
      double probability = std::norm(values_[k]);
      if (probability == 0.0)
        continue;
      last = k;
      above -= probability;
      double end = -std::log(std::max(above, 0.0));
      std::int64_t before = shots;
      while (shots && shot < end) {
        --shots;
        shot += gap(); // no shot left: infinity
      }
      if (shots != before)
        seen(k, before - shots);
    }
    if (shots) // the probabilities add up to less than 1, rounded
      seen(last, shots);
  }

private:
  template <int n> void apply(const Complex *matrix, const std::int32_t *qubits) {
    constexpr int size = 1 << n;
    std::size_t offsets[size], low[n]; // of the gate's basis states; the bits below each of its qubits
    for (int k = 0; k < size; ++k) {
      offsets[k] = 0;
      for (int q = 0; q < n; ++q)
        offsets[k] |= k >> q & 1 ? std::size_t(1) << qubits[q] : 0;
    }
    for (int q = 0; q < n; ++q)
      low[q] = (std::size_t(1) << qubits[q]) - 1;
    std::sort(low, low + n);
    for (std::size_t rest = 0; rest < values_.size() >> n; ++rest) {
      std::size_t base = rest;
      for (std::size_t mask : low) // makes room for a 0 at each qubit of the gate
        base = (base & ~mask) << 1 | (base & mask);
      multiply<size>(matrix, values_.data() + base, offsets);
    }
  }

  // Real numbers, because the product of two std::complex asks for infinities first.
  template <int size> static void multiply(const Complex *matrix, Complex *values, const std::size_t *offsets) {
    double real[size] = {}, imaginary[size] = {};
    for (int column = 0; column < size; ++column) {
      double x = values[offsets[column]].real(), y = values[offsets[column]].imag();
      for (int row = 0; row < size; ++row) {
        const Complex &m = matrix[row * size + column];
        real[row] += m.real() * x - m.imag() * y;
        imaginary[row] += m.real() * y + m.imag() * x;
      }
    }
    for (int row = 0; row < size; ++row)
      values[offsets[row]] = {real[row], imaginary[row]};
  }

  std::vector<Complex> values_;
};

} // namespace openmpq
