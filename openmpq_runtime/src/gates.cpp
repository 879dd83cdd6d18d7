#include "gates.hpp"

#include <algorithm>
#include <cmath>
#include <unordered_map>

namespace openmpq {

namespace {

using Angles = const double *;

const Complex i(0.0, 1.0);
const double half = std::sqrt(0.5);

Complex phase(double angle) {
  return std::polar(1.0, angle);
}

void fill(Complex *out, std::initializer_list<Complex> values) {
  std::copy(values.begin(), values.end(), out);
}

// -- one qubit; the fixed ones are OpenQASM 3's stdgates.inc ----------------------------------------------------------

void id(Angles, Complex *out) {
  fill(out, {1, 0, 0, 1});
}
void x(Angles, Complex *out) {
  fill(out, {0, 1, 1, 0});
}
void y(Angles, Complex *out) {
  fill(out, {0, -i, i, 0});
}
void z(Angles, Complex *out) {
  fill(out, {1, 0, 0, -1});
}
void h(Angles, Complex *out) {
  fill(out, {half, half, half, -half});
}
void s(Angles, Complex *out) {
  fill(out, {1, 0, 0, i});
}
void sdg(Angles, Complex *out) {
  fill(out, {1, 0, 0, -i});
}
void t(Angles, Complex *out) {
  fill(out, {1, 0, 0, phase(M_PI / 4)});
}
void tdg(Angles, Complex *out) {
  fill(out, {1, 0, 0, phase(-M_PI / 4)});
}
void sx(Angles, Complex *out) {
  fill(out, {0.5 * (1.0 + i), 0.5 * (1.0 - i), 0.5 * (1.0 - i), 0.5 * (1.0 + i)});
}
void sxdg(Angles, Complex *out) {
  fill(out, {0.5 * (1.0 - i), 0.5 * (1.0 + i), 0.5 * (1.0 + i), 0.5 * (1.0 - i)});
}
void p(Angles a, Complex *out) {
  fill(out, {1, 0, 0, phase(a[0])});
}
void rz(Angles a, Complex *out) {
  fill(out, {phase(-a[0] / 2), 0, 0, phase(a[0] / 2)});
}

void rx(Angles a, Complex *out) {
  double c = std::cos(a[0] / 2), s = std::sin(a[0] / 2);
  fill(out, {c, -i * s, -i * s, c});
}

void ry(Angles a, Complex *out) {
  double c = std::cos(a[0] / 2), s = std::sin(a[0] / 2);
  fill(out, {c, -s, s, c});
}

void r(Angles a, Complex *out) {
  double c = std::cos(a[0] / 2), s = std::sin(a[0] / 2);
  fill(out, {c, -i * s * phase(-a[1]), -i * s * phase(a[1]), c});
}

void u(Angles a, Complex *out) {
  double c = std::cos(a[0] / 2), s = std::sin(a[0] / 2);
  fill(out, {c, -s * phase(a[2]), s * phase(a[1]), c * phase(a[1] + a[2])});
}

void u2(Angles a, Complex *out) {
  const double three[] = {M_PI / 2, a[0], a[1]};
  u(three, out);
}

// -- more qubits ------------------------------------------------------------------------------------------------------

/// The control is qubit 0, so the inner matrix stands in the odd rows and columns.
template <int size, void (*inner)(Angles, Complex *)> void controlled(Angles a, Complex *out) {
  Complex matrix[size * size];
  inner(a, matrix);
  std::fill(out, out + 4 * size * size, Complex(0.0));
  for (int row = 0; row < size; ++row) {
    out[2 * row * 2 * size + 2 * row] = 1.0;
    for (int column = 0; column < size; ++column)
      out[(2 * row + 1) * 2 * size + 2 * column + 1] = matrix[row * size + column];
  }
}

void swap(Angles, Complex *out) {
  fill(out, {1, 0, 0, 0, 0, 0, 1, 0, 0, 1, 0, 0, 0, 0, 0, 1});
}
void iswap(Angles, Complex *out) {
  fill(out, {1, 0, 0, 0, 0, 0, i, 0, 0, i, 0, 0, 0, 0, 0, 1});
}
void dcx(Angles, Complex *out) {
  fill(out, {1, 0, 0, 0, 0, 0, 0, 1, 0, 1, 0, 0, 0, 0, 1, 0});
}

void ecr(Angles, Complex *out) {
  Complex a = half, b = half * i;
  fill(out, {0, a, 0, b, a, 0, -b, 0, 0, b, 0, a, -b, 0, a, 0});
}

/// exp(-i angle/2 P) for a Pauli string P, row after row.
void rotation(double angle, const Complex (&pauli)[16], Complex *out) {
  double c = std::cos(angle / 2), s = std::sin(angle / 2);
  for (int k = 0; k < 16; ++k)
    out[k] = (k % 5 == 0 ? c : 0.0) - i * s * pauli[k];
}

void rxx(Angles a, Complex *out) {
  rotation(a[0], {0, 0, 0, 1, 0, 0, 1, 0, 0, 1, 0, 0, 1, 0, 0, 0}, out);
}
void ryy(Angles a, Complex *out) {
  rotation(a[0], {0, 0, 0, -1, 0, 0, 1, 0, 0, 1, 0, 0, -1, 0, 0, 0}, out);
}
void rzz(Angles a, Complex *out) {
  rotation(a[0], {1, 0, 0, 0, 0, -1, 0, 0, 0, 0, -1, 0, 0, 0, 0, 1}, out);
}
void rzx(Angles a, Complex *out) {
  rotation(a[0], {0, 0, 1, 0, 0, 0, 0, -1, 1, 0, 0, 0, 0, -1, 0, 0}, out);
}

/// XX+YY mixes |01> and |10>, XX-YY mixes |00> and |11> (Qiskit's XXPlusYYGate and XXMinusYYGate).
void mixing(Angles a, int low, int high, Complex *out) {
  double c = std::cos(a[0] / 2), s = std::sin(a[0] / 2);
  fill(out, {1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1});
  out[low * 5] = out[high * 5] = c;
  out[low * 4 + high] = -i * s * phase(-a[1]);
  out[high * 4 + low] = -i * s * phase(a[1]);
}

void xx_plus_yy(Angles a, Complex *out) {
  mixing(a, 1, 2, out);
}
void xx_minus_yy(Angles a, Complex *out) {
  mixing(a, 0, 3, out);
}

void u_with_phase(Angles a, Complex *out) {
  u(a, out);
  std::transform(out, out + 4, out, [&](Complex value) { return value * phase(a[3]); });
}

void rccx(Angles, Complex *out) {
  std::fill(out, out + 64, Complex(0.0));
  for (int k : {0, 1, 2, 4, 6})
    out[k * 9] = 1.0;
  out[3 * 8 + 7] = -i;
  out[7 * 8 + 3] = i;
  out[5 * 9] = -1.0;
}

const std::vector<Gate> &table() {
  static const std::vector<Gate> gates = {
      {"id", 1, 0, id},
      {"x", 1, 0, x},
      {"y", 1, 0, y},
      {"z", 1, 0, z},
      {"h", 1, 0, h},
      {"s", 1, 0, s},
      {"sdg", 1, 0, sdg},
      {"t", 1, 0, t},
      {"tdg", 1, 0, tdg},
      {"sx", 1, 0, sx},
      {"sxdg", 1, 0, sxdg},
      {"p", 1, 1, p},
      {"rx", 1, 1, rx},
      {"ry", 1, 1, ry},
      {"rz", 1, 1, rz},
      {"u1", 1, 1, p},
      {"u2", 1, 2, u2},
      {"r", 1, 2, r},
      {"u", 1, 3, u},
      {"u3", 1, 3, u},
      {"cx", 2, 0, controlled<2, x>},
      {"cy", 2, 0, controlled<2, y>},
      {"cz", 2, 0, controlled<2, z>},
      {"ch", 2, 0, controlled<2, h>},
      {"cs", 2, 0, controlled<2, s>},
      {"csdg", 2, 0, controlled<2, sdg>},
      {"csx", 2, 0, controlled<2, sx>},
      {"swap", 2, 0, swap},
      {"iswap", 2, 0, iswap},
      {"dcx", 2, 0, dcx},
      {"ecr", 2, 0, ecr},
      {"cp", 2, 1, controlled<2, p>},
      {"cu1", 2, 1, controlled<2, p>},
      {"crx", 2, 1, controlled<2, rx>},
      {"cry", 2, 1, controlled<2, ry>},
      {"crz", 2, 1, controlled<2, rz>},
      {"rxx", 2, 1, rxx},
      {"ryy", 2, 1, ryy},
      {"rzz", 2, 1, rzz},
      {"rzx", 2, 1, rzx},
      {"xx_plus_yy", 2, 2, xx_plus_yy},
      {"xx_minus_yy", 2, 2, xx_minus_yy},
      {"cu3", 2, 3, controlled<2, u>},
      {"cu", 2, 4, controlled<2, u_with_phase>},
      {"ccx", 3, 0, controlled<4, controlled<2, x>>},
      {"ccz", 3, 0, controlled<4, controlled<2, z>>},
      {"cswap", 3, 0, controlled<4, swap>},
      {"rccx", 3, 0, rccx},
  };
  return gates;
}

} // namespace

const std::vector<Gate> &all_gates() {
  return table();
}

const Gate *find_gate(std::string_view name) noexcept {
  static const auto by_name = [] {
    std::unordered_map<std::string_view, const Gate *> gates;
    for (const Gate &gate : table())
      gates.emplace(gate.name, &gate);
    return gates;
  }();
  auto found = by_name.find(name);
  return found == by_name.end() ? nullptr : found->second;
}

} // namespace openmpq
