#include "circuit.hpp"

#include <algorithm>
#include <cmath>

#include "json.hpp"

namespace openmpq {

namespace {

constexpr std::int32_t max_qubits = 10'000; // of the language `gates`
constexpr std::size_t max_ops = 1'000'000;

std::string quoted(std::string_view text) {
  return "'" + std::string(text) + "'";
}

void append_list(std::string &text, const std::int32_t *numbers, std::size_t n) {
  text += '[';
  for (std::size_t i = 0; i < n; ++i) {
    if (i)
      text += ',';
    append_json(text, std::int64_t(numbers[i]));
  }
  text += ']';
}

bool is_name(std::string_view name) {
  auto letter = [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; };
  auto digit = [](char c) { return c >= '0' && c <= '9'; };
  return !name.empty() && name.size() <= 64 && letter(name[0]) &&
         std::all_of(name.begin(), name.end(), [&](char c) { return letter(c) || digit(c); });
}

void check_name(std::string_view what, std::string_view name) {
  if (!is_name(name))
    throw Mistake{std::string(what) + " " + quoted(name) +
                  " is not a name. Use letters, digits and _, at most 64, beginning with a letter."};
}

} // namespace

Circuit::Circuit(std::int32_t n_qubits) : declared_(std::max(n_qubits, 0)), n_qubits_(declared_) {
  if (n_qubits > max_qubits)
    throw Mistake{"a circuit has at most 10,000 qubits, not " + std::to_string(n_qubits) + "."};
}

void Circuit::clear() {
  n_qubits_ = declared_;
  measures_ = false;
  ops_.clear();
  qubits_.clear();
  angles_.clear();
  registers_.clear();
  parameters_.clear();
}

void Circuit::gate(std::string_view name, const std::int32_t *qubits, std::size_t n_qubits, const Angle *angles,
                   std::size_t n_angles) {
  const Gate *gate = find_gate(name);
  if (!gate) {
    std::string known;
    for (const Gate &each : all_gates())
      known += (known.empty() ? "" : ", ") + std::string(each.name);
    throw Mistake{"there is no gate " + quoted(name) + ". Gates: " + known + "."};
  }
  if (n_qubits != std::size_t(gate->n_qubits) || n_angles != std::size_t(gate->n_angles))
    throw Mistake{"gate " + quoted(name) + " takes " + std::to_string(gate->n_qubits) + " qubit(s) and " +
                  std::to_string(gate->n_angles) + " angle(s), not " + std::to_string(n_qubits) + " and " +
                  std::to_string(n_angles) + "."};
  for (std::size_t i = 0; i < n_angles; ++i) {
    if (!std::isfinite(angles[i].offset) || !std::isfinite(angles[i].scale))
      throw Mistake{"an angle of gate " + quoted(name) + " is not finite. Angles are finite numbers, in radians."};
    if (angles[i].parameter >= std::int32_t(parameters_.size()))
      throw Mistake{"an angle of gate " + quoted(name) + " belongs to a parameter that this circuit does not have. " +
                    "Take parameters from parameter() of the same circuit, after clear()."};
  }
  append(Kind::gate, qubits, n_qubits);
  ops_.back().gate = gate;
  ops_.back().first_angle = std::uint32_t(angles_.size());
  ops_.back().n_angles = std::uint32_t(n_angles);
  angles_.insert(angles_.end(), angles, angles + n_angles);
}

void Circuit::barrier(const std::int32_t *qubits, std::size_t n) {
  append(Kind::barrier, qubits, n);
}

void Circuit::reset(const std::int32_t *qubits, std::size_t n) {
  append(Kind::reset, qubits, n);
}

void Circuit::measure(const std::int32_t *qubits, std::size_t n, std::string_view register_name) {
  check_name("register", register_name);
  append(Kind::measure, qubits, n);
  Op &op = ops_.back();
  op.register_ = find_register(register_name);
  op.first_bit = registers_[op.register_].size;
  registers_[op.register_].size += std::int32_t(op.n_qubits);
  measures_ = true;
}

void Circuit::measure_bit(std::int32_t qubit, std::string_view register_name, std::int32_t bit) {
  check_name("register", register_name);
  if (bit < 0 || bit >= max_qubits)
    throw Mistake{"bit " + std::to_string(bit) + " of register " + quoted(register_name) + " is not from 0 to 9999."};
  append(Kind::measure, &qubit, 1);
  Op &op = ops_.back();
  op.register_ = find_register(register_name);
  op.first_bit = bit;
  registers_[op.register_].size = std::max(registers_[op.register_].size, bit + 1);
  measures_ = true;
}

std::int32_t Circuit::parameter(std::string_view name) {
  auto found = std::find(parameters_.begin(), parameters_.end(), name);
  if (found != parameters_.end())
    return std::int32_t(found - parameters_.begin());
  check_name("parameter", name);
  parameters_.emplace_back(name);
  return std::int32_t(parameters_.size() - 1);
}

std::int32_t Circuit::n_bits() const noexcept {
  return bit_offset(std::int32_t(registers_.size()));
}

std::int32_t Circuit::bit_offset(std::int32_t register_) const noexcept {
  std::int32_t offset = 0;
  for (std::int32_t i = 0; i < register_; ++i)
    offset += registers_[i].size;
  return offset;
}

void Circuit::append(Kind kind, const std::int32_t *qubits, std::size_t n) {
  if (ops_.size() == max_ops)
    throw Mistake{"a circuit has at most 1,000,000 operations."};
  std::size_t first = qubits_.size();
  if (!qubits) {
    for (std::int32_t q = 0; q < n_qubits_; ++q)
      qubits_.push_back(q);
  } else {
    std::int32_t limit = declared_ ? declared_ : max_qubits;
    for (std::size_t i = 0; i < n; ++i) {
      bool twice = std::find(qubits, qubits + i, qubits[i]) != qubits + i;
      if (qubits[i] < 0 || qubits[i] >= limit || twice) {
        qubits_.resize(first);
        throw Mistake{"operation " + std::to_string(ops_.size()) + ": qubit " + std::to_string(qubits[i]) +
                      (twice ? " is named twice." : " is not from 0 to " + std::to_string(limit - 1) + ".")};
      }
      qubits_.push_back(qubits[i]);
    }
    for (std::size_t i = 0; i < n; ++i)
      n_qubits_ = std::max(n_qubits_, qubits[i] + 1);
  }
  ops_.push_back({kind, nullptr, std::uint32_t(first), std::uint32_t(qubits_.size() - first),
                  std::uint32_t(angles_.size()), 0, 0, 0});
}

std::int32_t Circuit::find_register(std::string_view name) {
  for (std::size_t i = 0; i < registers_.size(); ++i)
    if (registers_[i].name == name)
      return std::int32_t(i);
  registers_.push_back({std::string(name), 0});
  return std::int32_t(registers_.size() - 1);
}

std::string Circuit::program() const {
  std::int32_t n_lifted = 0;
  std::string ops;
  ops.reserve(ops_.size() * 24);
  std::int32_t total = std::int32_t(
      std::count_if(angles_.begin(), angles_.end(), [](const Angle &angle) { return angle.parameter < 0; }));
  for (const Op &op : ops_) {
    static constexpr std::string_view names[] = {"", "barrier", "reset", "measure"};
    ops += ops.empty() ? "[" : ",[";
    append_json(ops, op.kind == Kind::gate ? op.gate->name : names[int(op.kind)]);
    ops += ',';
    append_list(ops, qubits_.data() + op.first_qubit, op.n_qubits);
    if (op.n_angles) {
      ops += ",[";
      for (std::uint32_t i = 0; i < op.n_angles; ++i) {
        const Angle &angle = angles_[op.first_angle + i];
        bool lifted = angle.parameter < 0;
        ops += i ? ",[" : "[";
        append_json(ops, lifted ? 0.0 : angle.offset);
        ops += ',';
        append_json(ops, std::int64_t(lifted ? n_lifted++ : total + angle.parameter));
        ops += ',';
        append_json(ops, lifted ? 1.0 : angle.scale);
        ops += ']';
      }
      ops += ']';
    } else if (op.kind == Kind::measure) {
      std::vector<std::int32_t> bits(op.n_qubits);
      for (std::uint32_t i = 0; i < op.n_qubits; ++i)
        bits[i] = bit_offset(op.register_) + op.first_bit + std::int32_t(i);
      ops += ',';
      append_list(ops, bits.data(), bits.size());
    }
    ops += ']';
  }
  std::string text = "{\"gates\":1,\"qubits\":";
  append_json(text, std::int64_t(std::max(n_qubits_, 1)));
  text += ",\"registers\":[";
  for (std::size_t i = 0; i < registers_.size(); ++i) {
    text += i ? ",[" : "[";
    append_json(text, registers_[i].name);
    text += ',';
    append_json(text, std::int64_t(registers_[i].size));
    text += ']';
  }
  text += "],\"parameters\":[";
  for (std::int32_t i = 0; i < total + std::int32_t(parameters_.size()); ++i) {
    if (i)
      text += ',';
    // A lifted number's name begins with a digit, which no name of a user's does.
    append_json(text, i < total ? std::to_string(i) : parameters_[i - total]);
  }
  text += "],\"ops\":[" + ops + "]}";
  return text;
}

std::vector<double> Circuit::lifted() const {
  std::vector<double> values;
  for (const Angle &angle : angles_)
    if (angle.parameter < 0)
      values.push_back(angle.offset);
  return values;
}

} // namespace openmpq
