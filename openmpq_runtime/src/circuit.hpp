// A circuit as it is recorded: gates in flat arrays, angles lifted out, so that two iterations of a variational loop
// give the same program text and differ in their row of values only.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "gates.hpp"

namespace openmpq {

/// What a user did wrong while recording; becomes OPENMPQ_INVALID at the C interface.
struct Mistake {
  std::string text;
};

struct Angle {
  double offset = 0.0;
  double scale = 0.0;
  std::int32_t parameter = -1; // named parameter, or -1: a plain number
};

class Circuit {
public:
  enum class Kind : std::uint8_t { gate, barrier, reset, measure };

  struct Op {
    Kind kind;
    const Gate *gate;                    // of Kind::gate only
    std::uint32_t first_qubit, n_qubits; // into qubits()
    std::uint32_t first_angle, n_angles; // into angles()
    std::int32_t register_, first_bit;   // of Kind::measure: bits first_bit … of this register, one per qubit
  };

  struct Register {
    std::string name;
    std::int32_t size;
  };

  explicit Circuit(std::int32_t n_qubits);
  void clear();

  // Recording; each throws Mistake.
  void gate(std::string_view name, const std::int32_t *qubits, std::size_t n_qubits, const Angle *angles,
            std::size_t n_angles);
  void barrier(const std::int32_t *qubits, std::size_t n);
  void reset(const std::int32_t *qubits, std::size_t n);
  void measure(const std::int32_t *qubits, std::size_t n, std::string_view register_name);
  void measure_bit(std::int32_t qubit, std::string_view register_name, std::int32_t bit);
  std::int32_t parameter(std::string_view name);

  std::int32_t n_qubits() const noexcept { return n_qubits_; }
  bool measures() const noexcept { return measures_; }
  const std::vector<Op> &ops() const noexcept { return ops_; }
  const std::vector<std::int32_t> &qubits() const noexcept { return qubits_; }
  const std::vector<Angle> &angles() const noexcept { return angles_; }
  const std::vector<Register> &registers() const noexcept { return registers_; }
  const std::vector<std::string> &parameters() const noexcept { return parameters_; } // the named ones
  std::int32_t n_bits() const noexcept;
  /// The number of a register's bit 0 among all classical bits.
  std::int32_t bit_offset(std::int32_t register_) const noexcept;

  /// The program in the language `gates`: parameters are the lifted numbers a0, a1, … and then the named ones.
  std::string program() const;
  /// The lifted numbers, in the order of program()'s first parameters.
  std::vector<double> lifted() const;

private:
  void append(Kind kind, const std::int32_t *qubits, std::size_t n);
  std::int32_t find_register(std::string_view name);

  std::int32_t declared_, n_qubits_;
  bool measures_ = false;
  std::vector<Op> ops_;
  std::vector<std::int32_t> qubits_;
  std::vector<Angle> angles_;
  std::vector<Register> registers_;
  std::vector<std::string> parameters_;
};

/// The angle's value for one row of the named parameters.
inline double value(const Angle &angle, const double *row) noexcept {
  return angle.parameter < 0 ? angle.offset : angle.offset + angle.scale * row[angle.parameter];
}

} // namespace openmpq
