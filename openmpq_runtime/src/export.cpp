#include "export.hpp"

#include <algorithm>
#include <cmath>
#include <set>
#include <string_view>

#include "json.hpp"

namespace openmpq {

namespace {

using Kind = Circuit::Kind;
using Names = std::vector<std::string>;

std::string number(double value) {
  std::string text;
  append_json(text, value);
  return text;
}

/// Says each with a comma between.
template <class Say> std::string list(std::size_t n, Say say) {
  std::string text;
  for (std::size_t k = 0; k < n; ++k)
    text += (k ? ", " : "") + std::string(say(k));
  return text;
}

/// An angle as an expression in the parameters' names.
std::string expression(const Angle &angle, const Names &parameters) {
  if (angle.parameter < 0)
    return number(angle.offset);
  std::string text = parameters[std::size_t(angle.parameter)];
  if (angle.scale != 1.0)
    text = number(angle.scale) + " * " + text;
  if (angle.offset == 0.0)
    return text;
  return text + (angle.offset < 0 ? " - " : " + ") + number(std::abs(angle.offset));
}

std::string angles(const Circuit &circuit, const Circuit::Op &op, const Names &parameters) {
  return list(op.n_angles, [&](std::size_t k) { return expression(circuit.angles()[op.first_angle + k], parameters); });
}

std::int32_t qubit(const Circuit &circuit, const Circuit::Op &op, std::size_t k) {
  return circuit.qubits()[op.first_qubit + k];
}

std::string size(const Circuit &circuit) {
  return std::to_string(std::max(circuit.n_qubits(), 1));
}

/// A name that is not taken, and now is: the wanted one, where it can be.
std::string unused(std::string name, std::set<std::string, std::less<>> &taken) {
  while (!taken.insert(name).second)
    name += '_';
  return name;
}

// -- OpenQASM 3 -------------------------------------------------------------------------------------------------------

struct Definition {
  std::string_view name, text, needs; // needs: a gate defined before
};

/// Gates that stdgates.inc lacks, up to a global phase. The angles are named in the order of the alphabet, because
/// Qiskit's reader sorts them.
const Definition *find_definition(std::string_view name) {
  static constexpr Definition table[] = {
      {"sxdg", "a { h a; sdg a; h a; }", ""},
      {"r", "(alpha, beta) a { u3(alpha, beta - pi/2, pi/2 - beta) a; }", ""},
      {"cs", "a, b { cp(pi/2) a, b; }", ""},
      {"csdg", "a, b { cp(-pi/2) a, b; }", ""},
      {"csx", "a, b { h b; cp(pi/2) a, b; h b; }", ""},
      {"iswap", "a, b { s a; s b; h a; cx a, b; cx b, a; h b; }", ""},
      {"dcx", "a, b { cx a, b; cx b, a; }", ""},
      {"rxx", "(alpha) a, b { h a; h b; cx a, b; rz(alpha) b; cx a, b; h a; h b; }", ""},
      {"ryy", "(alpha) a, b { sx a; sx b; cx a, b; rz(alpha) b; cx a, b; sxdg a; sxdg b; }", "sxdg"},
      {"rzz", "(alpha) a, b { cx a, b; rz(alpha) b; cx a, b; }", ""},
      {"rzx", "(alpha) a, b { h b; cx a, b; rz(alpha) b; cx a, b; h b; }", ""},
      {"ecr", "a, b { rzx(pi/4) a, b; x a; rzx(-pi/4) a, b; }", "rzx"},
      // A controlled rx between two cx, in the basis where beta is 0.
      {"xx_plus_yy", "(alpha, beta) a, b { rz(-beta) b; cx a, b; crx(alpha) b, a; cx a, b; rz(beta) b; }", ""},
      {"xx_minus_yy", "(alpha, beta) a, b { rz(-beta) b; x a; cx a, b; crx(alpha) b, a; cx a, b; x a; rz(beta) b; }",
       ""},
      {"cu1", "(alpha) a, b { cp(alpha) a, b; }", ""},
      {"cu3", "(alpha, beta, gamma) a, b { cu(alpha, beta, gamma, 0) a, b; }", ""},
      {"ccz", "a, b, c { h c; ccx a, b, c; h c; }", ""},
      {"rccx", "a, b, c { h c; t c; cx b, c; tdg c; cx a, c; t c; cx b, c; tdg c; h c; }", ""},
  };
  auto found =
      std::find_if(std::begin(table), std::end(table), [&](const Definition &each) { return each.name == name; });
  return found == std::end(table) ? nullptr : found;
}

void define(std::string &text, std::string_view name, std::set<std::string_view> &defined) {
  const Definition *definition = find_definition(name);
  if (!definition || !defined.insert(name).second)
    return;
  define(text, definition->needs, defined);
  text += "gate " + std::string(name) + (definition->text[0] == '(' ? "" : " ") + std::string(definition->text) + "\n";
}

/// What names of registers and parameters cannot be: words of the language, and gates.
std::set<std::string, std::less<>> reserved() {
  std::set<std::string, std::less<>> words = {
      "OPENQASM", "U",        "CX",       "angle",      "arccos", "arcsin",   "arctan",  "array",   "barrier",
      "bit",      "bool",     "box",      "break",      "cal",    "case",     "ceiling", "complex", "const",
      "continue", "cos",      "cphase",   "creg",       "ctrl",   "def",      "defcal",  "default", "defcalgrammar",
      "delay",    "dim",      "duration", "durationof", "else",   "end",      "euler",   "exp",     "extern",
      "false",    "float",    "floor",    "for",        "gate",   "gphase",   "if",      "im",      "in",
      "include",  "input",    "int",      "inv",        "let",    "log",      "measure", "mod",     "mutable",
      "negctrl",  "nop",      "output",   "phase",      "pi",     "popcount", "pow",     "pragma",  "qreg",
      "qubit",    "readonly", "real",     "reset",      "return", "rotl",     "rotr",    "sin",     "sizeof",
      "sqrt",     "stretch",  "switch",   "tan",        "tau",    "true",     "uint",    "void",    "while"};
  for (const Gate &gate : all_gates())
    words.emplace(gate.name);
  return words;
}

} // namespace

std::string to_qasm3(const Circuit &circuit) {
  std::string text = "OPENQASM 3.0;\ninclude \"stdgates.inc\";\n";
  std::set<std::string_view> defined;
  for (const Circuit::Op &op : circuit.ops())
    if (op.kind == Kind::gate)
      define(text, op.gate->name, defined);
  auto taken = reserved();
  Names parameters, registers;
  for (const std::string &name : circuit.parameters())
    text += "input float[64] " + parameters.emplace_back(unused(name, taken)) + ";\n";
  for (const Circuit::Register &each : circuit.registers())
    registers.push_back(unused(each.name, taken));
  const std::string qubits = unused("q", taken);
  text += "qubit[" + size(circuit) + "] " + qubits + ";\n";
  for (std::size_t k = 0; k < registers.size(); ++k)
    if (circuit.registers()[k].size)
      text += "bit[" + std::to_string(circuit.registers()[k].size) + "] " + registers[k] + ";\n";
  for (const Circuit::Op &op : circuit.ops()) {
    auto at = [&](std::size_t k) { return qubits + "[" + std::to_string(qubit(circuit, op, k)) + "]"; };
    std::string given = op.n_angles ? "(" + angles(circuit, op, parameters) + ")" : "";
    if (op.kind == Kind::gate)
      text += std::string(op.gate->name == "u" ? "U" : op.gate->name) + given + " " + list(op.n_qubits, at) + ";\n";
    else if (op.kind == Kind::barrier && op.n_qubits)
      text += "barrier " + list(op.n_qubits, at) + ";\n";
    for (std::size_t k = 0; k < op.n_qubits && op.kind == Kind::reset; ++k)
      text += "reset " + at(k) + ";\n";
    for (std::size_t k = 0; k < op.n_qubits && op.kind == Kind::measure; ++k)
      text += registers[std::size_t(op.register_)] + "[" + std::to_string(op.first_bit + std::int32_t(k)) +
              "] = measure " + at(k) + ";\n";
  }
  return text;
}

// -- Python with Qiskit -----------------------------------------------------------------------------------------------

namespace {

/// Up to its angles, a call that adds the gate: IBM's old gates have no method any more, a few never had one.
std::string_view qiskit_call(std::string_view gate) {
  static constexpr std::pair<std::string_view, std::string_view> others[] = {
      {"u1", "p("},
      {"u2", "u(1.5707963267948966, "},
      {"u3", "u("},
      {"cu1", "cp("},
      {"cu3", "append(library.CU3Gate("},
      {"xx_plus_yy", "append(library.XXPlusYYGate("},
      {"xx_minus_yy", "append(library.XXMinusYYGate("},
  };
  for (auto [name, call] : others)
    if (name == gate)
      return call;
  return "";
}

std::string qiskit_gate(std::string_view name, const std::string &angles, const std::string &qubits) {
  std::string call(qiskit_call(name));
  if (call.compare(0, 7, "append(") == 0)
    return call + angles + "), [" + qubits + "])";
  return (call.empty() ? std::string(name) + "(" : call) + angles + (angles.empty() ? "" : ", ") + qubits + ")";
}

std::string qiskit_op(const Circuit &circuit, const Circuit::Op &op, const Names &parameters) {
  std::string qubits = list(op.n_qubits, [&](std::size_t k) { return std::to_string(qubit(circuit, op, k)); });
  if (op.kind == Kind::gate)
    return qiskit_gate(op.gate->name, angles(circuit, op, parameters), qubits);
  if (op.kind == Kind::barrier)
    return "barrier(" + qubits + ")";
  if (op.kind == Kind::reset)
    return "reset([" + qubits + "])";
  std::int32_t bit = circuit.bit_offset(op.register_) + op.first_bit;
  auto bits = list(op.n_qubits, [&](std::size_t k) { return std::to_string(bit + std::int32_t(k)); });
  return "measure([" + qubits + "], [" + bits + "])";
}

std::string qiskit_registers(const Circuit &circuit) {
  std::set<std::string, std::less<>> taken;
  std::string registers;
  for (const Circuit::Register &each : circuit.registers()) {
    taken.insert(each.name);
    if (each.size)
      registers += ", ClassicalRegister(" + std::to_string(each.size) + ", \"" + each.name + "\")";
  }
  return "QuantumRegister(" + size(circuit) + ", \"" + unused("q", taken) + "\")" + registers;
}

} // namespace

std::string to_qiskit(const Circuit &circuit, std::int64_t shots) {
  const std::size_t n = circuit.parameters().size();
  Names parameters;
  for (std::size_t k = 0; k < n; ++k)
    parameters.push_back("parameters[" + std::to_string(k) + "]");
  std::string ops;
  for (const Circuit::Op &op : circuit.ops())
    ops += op.n_qubits ? "circuit." + qiskit_op(circuit, op, parameters) + "\n" : "";
  std::string imported = n ? "Parameter" : "";
  if (ops.find("library.") != std::string::npos)
    imported += n ? ", library" : "library";

  std::string text =
      "import json\n\nfrom qiskit import ClassicalRegister, QuantumCircuit, QuantumRegister, transpile\n";
  if (!imported.empty())
    text += "from qiskit.circuit import " + imported + "\n";
  text += "from qiskit_aer import AerSimulator\n\n";
  auto made = [&](std::size_t k) { return "Parameter(\"" + circuit.parameters()[k] + "\")"; };
  if (n)
    text += "values = [" + list(n, [](std::size_t) { return "0.0"; }) + "]  # of the parameters, in radians\n" +
            "parameters = [" + list(n, made) + "]\n\n";
  text += "circuit = QuantumCircuit(" + qiskit_registers(circuit) + ")\n" + ops;
  if (n)
    text += "circuit = circuit.assign_parameters(dict(zip(parameters, values)), strict=False)\n";
  return text + "\nsimulator = AerSimulator()\ncounts = simulator.run(transpile(circuit, simulator), shots=" +
         std::to_string(shots) + ").result().get_counts()\nprint(json.dumps(counts))\n";
}

} // namespace openmpq
