#include "statevector.hpp"

#include <chrono>
#include <unordered_map>

#include "amplitudes.hpp"

namespace openmpq {

namespace {

using Kind = Circuit::Kind;

/// What of a circuit has to be simulated. Measurements that no gate follows become reads: they leave the state alone
/// and are sampled together at the end.
struct Plan {
  struct Step {
    const Circuit::Op *gate; // or nullptr: the qubit is measured into the bit, or it is reset
    std::int32_t qubit, bit;
  };
  struct Read {
    std::int32_t qubit, bit;
  };
  static constexpr std::int32_t no_bit = -1;

  explicit Plan(const Circuit &circuit)
      : used_(std::size_t(circuit.n_qubits())), changed_(used_.size()), written_(std::size_t(circuit.n_bits())) {
    for (auto op = circuit.ops().rbegin(); op != circuit.ops().rend(); ++op)
      add(circuit, *op);
    std::reverse(steps.begin(), steps.end());
  }

  std::vector<Step> steps;
  std::vector<Read> reads;

private:
  // From the last operation to the first: what comes later decides.
  void add(const Circuit &circuit, const Circuit::Op &op) {
    if (op.kind == Kind::gate)
      steps.push_back({&op, 0, no_bit});
    std::int32_t bit = op.kind == Kind::measure ? circuit.bit_offset(op.register_) + op.first_bit : no_bit;
    for (std::uint32_t k = op.n_qubits; k-- > 0;) {
      std::int32_t qubit = circuit.qubits()[op.first_qubit + k];
      if (op.kind == Kind::gate)
        used_[std::size_t(qubit)] = changed_[std::size_t(qubit)] = true;
      else if (op.kind == Kind::reset)
        reset(qubit);
      else if (op.kind == Kind::measure)
        measure(qubit, bit + std::int32_t(k));
    }
  }

  void reset(std::int32_t qubit) {
    if (!used_[std::size_t(qubit)])
      return;
    steps.push_back({nullptr, qubit, no_bit});
    changed_[std::size_t(qubit)] = true;
  }

  void measure(std::int32_t qubit, std::int32_t bit) {
    if (changed_[std::size_t(qubit)])
      steps.push_back({nullptr, qubit, bit});
    else if (!written_[std::size_t(bit)])
      reads.push_back({qubit, bit});
    used_[std::size_t(qubit)] = written_[std::size_t(bit)] = true;
  }

  std::vector<bool> used_, changed_; // qubits: whether anything comes later, and whether that changes their state
  std::vector<bool> written_;        // bits
};

/// The bit string: bit 0 rightmost, registers separated by a space, the first one rightmost.
struct Key {
  explicit Key(const Circuit &circuit) {
    for (const Circuit::Register &each : circuit.registers()) {
      if (&each != &circuit.registers().front())
        zeros += ' ';
      for (std::int32_t k = 0; k < each.size; ++k, zeros += '0')
        places.push_back(zeros.size());
    }
    std::reverse(zeros.begin(), zeros.end());
    for (std::size_t &place : places)
      place = zeros.size() - 1 - place;
  }

  std::string zeros;
  std::vector<std::size_t> places; // of each bit
};

/// One row of values for a circuit. Shots stay together until a measurement in the middle parts them.
class Run {
public:
  Run(const Circuit &circuit, const Plan &plan, const Key &key, const double *row, Random &random)
      : circuit_(circuit), plan_(plan), key_(key), row_(row), random_(random) {}

  Counts counts(std::int64_t shots) {
    follow(Amplitudes(circuit_.n_qubits()), 0, key_.zeros, shots);
    return {counts_.begin(), counts_.end()};
  }

private:
  void follow(Amplitudes state, std::size_t step, std::string bits, std::int64_t shots) {
    for (; step < plan_.steps.size(); ++step)
      if (const Circuit::Op *gate = plan_.steps[step].gate)
        apply(*gate, state);
      else
        shots = part(state, step, bits, shots);
    state.sample(shots, random_, [&](std::size_t index, std::int64_t n) {
      for (const Plan::Read &read : plan_.reads)
        write(bits, read.bit, index >> read.qubit & 1);
      counts_[bits] += std::uint64_t(n);
    });
  }

  void apply(const Circuit::Op &op, Amplitudes &state) {
    double angles[4];
    for (std::uint32_t k = 0; k < op.n_angles; ++k)
      angles[k] = value(circuit_.angles()[op.first_angle + k], row_);
    state.apply(*op.gate, circuit_.qubits().data() + op.first_qubit, angles);
  }

  /// Measures: follows the rarer outcome to the end, if there is one, and leaves the other; so no more than log2(shots)
  /// states are kept at a time. Returns how many shots saw the other.
  std::int64_t part(Amplitudes &state, std::size_t step, std::string &bits, std::int64_t shots) {
    double one = state.probability(plan_.steps[step].qubit);
    std::int64_t ones = 0;
    for (std::int64_t shot = 0; shot < shots; ++shot)
      ones += uniform(random_) < one;
    bool often = 2 * ones > shots;
    std::int64_t rare = std::min(ones, shots - ones);
    if (rare) {
      Amplitudes other = state;
      std::string other_bits = bits;
      collapse(other, plan_.steps[step], other_bits, !often, one);
      follow(std::move(other), step + 1, std::move(other_bits), rare);
    }
    collapse(state, plan_.steps[step], bits, often, one);
    return shots - rare;
  }

  void collapse(Amplitudes &state, const Plan::Step &step, std::string &bits, bool outcome, double one) {
    state.collapse(step.qubit, outcome, outcome ? one : 1.0 - one);
    if (step.bit != Plan::no_bit)
      write(bits, step.bit, outcome);
    else if (outcome)
      state.apply(*find_gate("x"), &step.qubit, nullptr);
  }

  void write(std::string &bits, std::int32_t bit, bool value) const {
    bits[key_.places[std::size_t(bit)]] = value ? '1' : '0';
  }

  const Circuit &circuit_;
  const Plan &plan_;
  const Key &key_;
  const double *row_;
  Random &random_;
  std::unordered_map<std::string, std::uint64_t> counts_;
};

Random random_from(std::int64_t seed) {
  if (seed >= 0)
    return Random(std::uint64_t(seed));
  std::random_device device;
  return Random(std::uint64_t(device()) << 32 | device());
}

} // namespace

Result simulate(const Circuit &circuit, const double *rows, std::size_t n_rows, std::size_t n_columns,
                std::int64_t shots, std::int64_t seed) {
  if (circuit.n_qubits() > max_host_qubits)
    throw Mistake{"the circuit has " + std::to_string(circuit.n_qubits()) + " qubits, the host's state vector takes " +
                  std::to_string(max_host_qubits) +
                  ". Start the program with openmpq-run on a site with a larger QPU."};
  auto started = std::chrono::steady_clock::now();
  Random random = random_from(seed);
  const Plan plan(circuit);
  const Key key(circuit);
  Result result;
  for (std::size_t row = 0; row < n_rows; ++row)
    result.counts.push_back(Run(circuit, plan, key, rows + row * n_columns, random).counts(shots));
  result.n_bits = circuit.n_bits();
  result.shots = shots;
  result.device = "host";
  result.run_s = std::chrono::duration<double>(std::chrono::steady_clock::now() - started).count();
  return result;
}

} // namespace openmpq
