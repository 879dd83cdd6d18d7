#include "statevector.hpp"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <random>
#include <unordered_map>

namespace openmpq {

namespace {

using Random = std::mt19937_64;

double uniform(Random &random) {
  return std::uniform_real_distribution<double>()(random);
}

/// The state of all qubits; qubit q is bit q of an index.
class State {
public:
  explicit State(int n_qubits) : amplitudes_(std::size_t(1) << n_qubits) { amplitudes_[0] = 1.0; }

  void apply(const Gate &gate, const std::int32_t *qubits, const double *angles) {
    Complex matrix[64];
    gate.matrix(angles, matrix);
    if (gate.n_qubits == 1)
      apply_one(matrix, std::size_t(1) << qubits[0]);
    else
      apply_many(matrix, gate.n_qubits, qubits);
  }

  /// Measures a qubit: the outcome, after which the state has collapsed.
  bool measure(std::int32_t qubit, Random &random) {
    std::size_t bit = std::size_t(1) << qubit;
    double one = 0.0;
    for (std::size_t k = 0; k < amplitudes_.size(); ++k)
      one += k & bit ? std::norm(amplitudes_[k]) : 0.0;
    bool outcome = uniform(random) < one;
    double scale = 1.0 / std::sqrt(outcome ? one : 1.0 - one);
    for (std::size_t k = 0; k < amplitudes_.size(); ++k)
      amplitudes_[k] *= bool(k & bit) == outcome ? scale : 0.0;
    return outcome;
  }

  void flip(std::int32_t qubit) { apply(*find_gate("x"), &qubit, nullptr); }

  /// The probabilities, summed up from the first state on.
  std::vector<double> cumulative() const {
    std::vector<double> sums(amplitudes_.size());
    double sum = 0.0;
    for (std::size_t k = 0; k < sums.size(); ++k)
      sums[k] = sum += std::norm(amplitudes_[k]);
    return sums;
  }

private:
  void apply_one(const Complex *m, std::size_t bit) {
    for (std::size_t high = 0; high < amplitudes_.size(); high += 2 * bit)
      for (std::size_t k = high; k < high + bit; ++k) {
        Complex a = amplitudes_[k], b = amplitudes_[k + bit];
        amplitudes_[k] = m[0] * a + m[1] * b;
        amplitudes_[k + bit] = m[2] * a + m[3] * b;
      }
  }

  void apply_many(const Complex *m, int n, const std::int32_t *qubits) {
    const int size = 1 << n;
    std::size_t offsets[8], mask = 0;
    for (int k = 0; k < size; ++k) {
      offsets[k] = 0;
      for (int q = 0; q < n; ++q)
        offsets[k] |= k >> q & 1 ? std::size_t(1) << qubits[q] : 0;
      mask |= offsets[k];
    }
    Complex in[8];
    for (std::size_t base = 0; base < amplitudes_.size(); ++base) {
      if (base & mask)
        continue;
      for (int k = 0; k < size; ++k)
        in[k] = amplitudes_[base | offsets[k]];
      for (int row = 0; row < size; ++row) {
        Complex sum = 0.0;
        for (int column = 0; column < size; ++column)
          sum += m[row * size + column] * in[column];
        amplitudes_[base | offsets[row]] = sum;
      }
    }
  }

  std::vector<Complex> amplitudes_;
};

/// One row of values for a circuit, run as often as asked.
class Run {
public:
  Run(const Circuit &circuit, const double *row, Random &random)
      : circuit_(circuit), row_(row), random_(random), bits_(std::size_t(circuit.n_bits())) {}

  Counts counts(std::int64_t shots) {
    std::size_t first = first_not_gate();
    State state(circuit_.n_qubits());
    apply_until(state, first);
    return is_final(first) ? sample(state, shots) : repeat(state, first, shots);
  }

private:
  std::size_t first_not_gate() const {
    const auto &ops = circuit_.ops();
    auto stop = [](const Circuit::Op &op) {
      return op.kind == Circuit::Kind::measure || op.kind == Circuit::Kind::reset;
    };
    return std::size_t(std::find_if(ops.begin(), ops.end(), stop) - ops.begin());
  }

  /// Whether from this operation on there are only measurements, and each bit is written at most once.
  bool is_final(std::size_t first) const {
    std::vector<bool> written(bits_.size());
    for (std::size_t k = first; k < circuit_.ops().size(); ++k) {
      const Circuit::Op &op = circuit_.ops()[k];
      if (op.kind == Circuit::Kind::barrier)
        continue;
      if (op.kind != Circuit::Kind::measure)
        return false;
      for (std::size_t bit = first_bit(op); bit < first_bit(op) + op.n_qubits; ++bit) {
        if (written[bit])
          return false;
        written[bit] = true;
      }
    }
    return true;
  }

  std::size_t first_bit(const Circuit::Op &op) const {
    return std::size_t(circuit_.bit_offset(op.register_) + op.first_bit);
  }

  const std::int32_t *qubits(const Circuit::Op &op) const { return circuit_.qubits().data() + op.first_qubit; }

  void apply(State &state, const Circuit::Op &op) {
    double angles[4];
    for (std::uint32_t k = 0; k < op.n_angles; ++k)
      angles[k] = value(circuit_.angles()[op.first_angle + k], row_);
    state.apply(*op.gate, qubits(op), angles);
  }

  void apply_until(State &state, std::size_t end) {
    for (std::size_t k = 0; k < end; ++k)
      if (circuit_.ops()[k].kind == Circuit::Kind::gate)
        apply(state, circuit_.ops()[k]);
  }

  Counts sample(const State &state, std::int64_t shots) {
    std::vector<double> sums = state.cumulative();
    std::unordered_map<std::size_t, std::uint64_t> seen; // states, restricted to what is measured
    std::size_t measured = 0;
    for (const Circuit::Op &op : circuit_.ops())
      for (std::uint32_t k = 0; op.kind == Circuit::Kind::measure && k < op.n_qubits; ++k)
        measured |= std::size_t(1) << qubits(op)[k];
    for (std::int64_t shot = 0; shot < shots; ++shot) {
      auto drawn = std::upper_bound(sums.begin(), sums.end() - 1, uniform(random_) * sums.back());
      ++seen[std::size_t(drawn - sums.begin()) & measured];
    }
    Counts counts;
    for (auto [index, n] : seen) {
      for (const Circuit::Op &op : circuit_.ops())
        for (std::uint32_t k = 0; op.kind == Circuit::Kind::measure && k < op.n_qubits; ++k)
          bits_[first_bit(op) + k] = index >> qubits(op)[k] & 1;
      counts.emplace_back(key(), n);
    }
    return counts;
  }

  Counts repeat(const State &start, std::size_t first, std::int64_t shots) {
    std::unordered_map<std::string, std::uint64_t> seen;
    for (std::int64_t shot = 0; shot < shots; ++shot) {
      State state = start;
      std::fill(bits_.begin(), bits_.end(), false);
      for (std::size_t k = first; k < circuit_.ops().size(); ++k)
        step(state, circuit_.ops()[k]);
      ++seen[key()];
    }
    return {seen.begin(), seen.end()};
  }

  void step(State &state, const Circuit::Op &op) {
    if (op.kind == Circuit::Kind::gate)
      apply(state, op);
    for (std::uint32_t k = 0; op.kind == Circuit::Kind::measure && k < op.n_qubits; ++k)
      bits_[first_bit(op) + k] = state.measure(qubits(op)[k], random_);
    for (std::uint32_t k = 0; op.kind == Circuit::Kind::reset && k < op.n_qubits; ++k)
      if (state.measure(qubits(op)[k], random_))
        state.flip(qubits(op)[k]);
  }

  /// The bit string: bit 0 rightmost, registers separated by a space, the first one rightmost.
  std::string key() const {
    std::string text;
    std::size_t bit = 0;
    for (const Circuit::Register &each : circuit_.registers()) {
      if (bit)
        text += ' ';
      for (std::int32_t k = 0; k < each.size; ++k)
        text += bits_[bit++] ? '1' : '0';
    }
    std::reverse(text.begin(), text.end());
    return text;
  }

  const Circuit &circuit_;
  const double *row_;
  Random &random_;
  std::vector<bool> bits_;
};

} // namespace

Result simulate(const Circuit &circuit, const double *rows, std::size_t n_rows, std::size_t n_columns,
                std::int64_t shots, std::int64_t seed) {
  if (circuit.n_qubits() > max_host_qubits)
    throw Mistake{"the circuit has " + std::to_string(circuit.n_qubits()) + " qubits, the host's state vector takes " +
                  std::to_string(max_host_qubits) +
                  ". Start the program with openmpq-run on a site with a larger QPU."};
  auto started = std::chrono::steady_clock::now();
  Random random(seed < 0 ? std::random_device()() : std::uint64_t(seed));
  Result result;
  for (std::size_t row = 0; row < n_rows; ++row)
    result.counts.push_back(Run(circuit, rows + row * n_columns, random).counts(shots));
  result.n_bits = circuit.n_bits();
  result.shots = shots;
  result.device = "host";
  result.run_s = std::chrono::duration<double>(std::chrono::steady_clock::now() - started).count();
  return result;
}

} // namespace openmpq
