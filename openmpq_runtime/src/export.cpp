#include "export.hpp"

#include <map>
#include <set>

#include "json.hpp"

namespace openmpq {

namespace {

// Gates that OpenQASM 3's stdgates.inc lacks, in its terms, up to a global phase.
const std::map<std::string_view, std::pair<const char *, std::set<std::string_view>>> &definitions() {
  static const std::map<std::string_view, std::pair<const char *, std::set<std::string_view>>> table = {
      {"sxdg", {"gate sxdg a { h a; sdg a; h a; }", {}}},
      {"r", {"gate r(theta, phi) a { u3(theta, phi - pi/2, pi/2 - phi) a; }", {}}},
      {"cs", {"gate cs a, b { cp(pi/2) a, b; }", {}}},
      {"csdg", {"gate csdg a, b { cp(-pi/2) a, b; }", {}}},
      {"csx", {"gate csx a, b { h b; cp(pi/2) a, b; h b; }", {}}},
      {"iswap", {"gate iswap a, b { s a; s b; h a; cx a, b; cx b, a; h b; }", {}}},
      {"dcx", {"gate dcx a, b { cx a, b; cx b, a; }", {}}},
      {"rzz", {"gate rzz(theta) a, b { cx a, b; rz(theta) b; cx a, b; }", {}}},
      {"rxx", {"gate rxx(theta) a, b { h a; h b; cx a, b; rz(theta) b; cx a, b; h b; h a; }", {}}},
      {"ryy",
       {"gate ryy(theta) a, b { rx(pi/2) a; rx(pi/2) b; cx a, b; rz(theta) b; cx a, b; rx(-pi/2) a; rx(-pi/2) b; }",
        {}}},
      {"rzx", {"gate rzx(theta) a, b { h b; cx a, b; rz(theta) b; cx a, b; h b; }", {}}},
      {"ecr", {"gate ecr a, b { rzx(pi/4) a, b; x a; rzx(-pi/4) a, b; }", {"rzx"}}},
      {"xx_plus_yy",
       {"gate xx_plus_yy(theta, beta) a, b { rz(beta) a; rz(-pi/2) b; sx b; rz(pi/2) b; s a; cx b, a; ry(-theta/2) b; "
        "ry(-theta/2) a; cx b, a; sdg a; rz(-pi/2) b; rz(-pi) b; sx b; rz(-pi) b; rz(pi/2) b; rz(-beta) a; }",
        {}}},
      {"xx_minus_yy",
       {"gate xx_minus_yy(theta, beta) a, b { rz(-beta) b; rz(-pi/2) a; sx a; rz(pi/2) a; s b; cx a, b; ry(theta/2) a; "
        "ry(-theta/2) b; cx a, b; sdg b; rz(-pi/2) a; rz(-pi) a; sx a; rz(-pi) a; rz(pi/2) a; rz(beta) b; }",
        {}}},
      {"cu1", {"gate cu1(lambda) a, b { cp(lambda) a, b; }", {}}},
      {"cu3",
       {"gate cu3(theta, phi, lambda) a, b { p((lambda + phi)/2) a; p((lambda - phi)/2) b; cx a, b; "
        "u3(-theta/2, 0, -(phi + lambda)/2) b; cx a, b; u3(theta/2, phi, 0) b; }",
        {}}},
      {"ccz", {"gate ccz a, b, c { h c; ccx a, b, c; h c; }", {}}},
      {"rccx", {"gate rccx a, b, c { h c; t c; cx b, c; tdg c; cx a, c; t c; cx b, c; tdg c; h c; }", {}}},
  };
  return table;
}

std::string number(double value) {
  std::string text;
  append_json(text, value);
  return text;
}

/// An angle as an expression in the parameters' names.
std::string expression(const Angle &angle, const std::vector<std::string> &names) {
  if (angle.parameter < 0)
    return number(angle.offset);
  std::string text = names[std::size_t(angle.parameter)];
  if (angle.scale != 1.0)
    text = number(angle.scale) + "*" + text;
  return angle.offset == 0.0 ? text : text + " + " + number(angle.offset);
}

std::string angles(const Circuit &circuit, const Circuit::Op &op, const std::vector<std::string> &names) {
  std::string text;
  for (std::uint32_t k = 0; k < op.n_angles; ++k)
    text += (k ? ", " : "") + expression(circuit.angles()[op.first_angle + k], names);
  return text;
}

std::string qubits(const Circuit &circuit, const Circuit::Op &op, const std::string &before, const std::string &after) {
  std::string text;
  for (std::uint32_t k = 0; k < op.n_qubits; ++k)
    text += (k ? ", " : "") + before + std::to_string(circuit.qubits()[op.first_qubit + k]) + after;
  return text;
}

/// Names of registers and parameters must not be words of the language.
std::string safe(const std::string &name) {
  return name + "_";
}

std::vector<std::string> safe_names(const Circuit &circuit) {
  std::vector<std::string> names;
  for (const std::string &name : circuit.parameters())
    names.push_back(safe(name));
  return names;
}

void define(std::string &text, std::string_view name, std::set<std::string_view> &defined) {
  auto found = definitions().find(name);
  if (found == definitions().end() || !defined.insert(name).second)
    return;
  for (std::string_view needed : found->second.second)
    define(text, needed, defined);
  text += std::string(found->second.first) + "\n";
}

} // namespace

std::string to_qasm3(const Circuit &circuit) {
  std::string text = "OPENQASM 3.0;\ninclude \"stdgates.inc\";\n";
  std::set<std::string_view> defined;
  for (const Circuit::Op &op : circuit.ops())
    if (op.kind == Circuit::Kind::gate)
      define(text, op.gate->name, defined);
  std::vector<std::string> names = safe_names(circuit);
  for (const std::string &name : names)
    text += "input float[64] " + name + ";\n";
  text += "qubit[" + std::to_string(std::max(circuit.n_qubits(), 1)) + "] q;\n";
  for (const Circuit::Register &each : circuit.registers())
    text += "bit[" + std::to_string(each.size) + "] " + safe(each.name) + ";\n";
  for (const Circuit::Op &op : circuit.ops()) {
    std::string all = qubits(circuit, op, "q[", "]");
    if (op.kind == Circuit::Kind::gate)
      text += std::string(op.gate->name == "u" ? "u3" : op.gate->name) +
              (op.n_angles ? "(" + angles(circuit, op, names) + ")" : "") + " " + all + ";\n";
    else if (op.kind == Circuit::Kind::barrier)
      text += "barrier " + all + ";\n";
    for (std::uint32_t k = 0; k < op.n_qubits && op.kind != Circuit::Kind::gate; ++k) {
      std::string qubit = "q[" + std::to_string(circuit.qubits()[op.first_qubit + k]) + "]";
      if (op.kind == Circuit::Kind::reset)
        text += "reset " + qubit + ";\n";
      else if (op.kind == Circuit::Kind::measure)
        text += safe(circuit.registers()[std::size_t(op.register_)].name) + "[" +
                std::to_string(op.first_bit + std::int32_t(k)) + "] = measure " + qubit + ";\n";
    }
  }
  return text;
}

std::string to_qiskit(const Circuit &circuit, std::int64_t shots) {
  static const std::map<std::string_view, std::string> library = {
      // methods of QuantumCircuit that are gone, or never were
      {"u1", "circuit.p("},
      {"u2", "circuit.u(math.pi / 2, "},
      {"u3", "circuit.u("},
      {"cu1", "circuit.cp("}};
  std::string text =
      "import json\nimport math\n\nfrom qiskit import ClassicalRegister, QuantumCircuit, QuantumRegister\n"
      "from qiskit.circuit.library import CU3Gate, XXMinusYYGate, XXPlusYYGate\n"
      "from qiskit_aer import AerSimulator\n\n";
  std::vector<std::string> names = safe_names(circuit);
  for (std::size_t k = 0; k < names.size(); ++k)
    text += names[k] + " = 0.0  # radians\n";
  text += "circuit = QuantumCircuit(QuantumRegister(" + std::to_string(std::max(circuit.n_qubits(), 1)) + ", \"q\")";
  for (const Circuit::Register &each : circuit.registers())
    text += ", ClassicalRegister(" + std::to_string(each.size) + ", \"" + each.name + "\")";
  text += ")\n";
  for (const Circuit::Op &op : circuit.ops()) {
    std::string all = qubits(circuit, op, "", ""), given = op.n_angles ? angles(circuit, op, names) + ", " : "";
    static const std::map<std::string_view, std::string> classes = {
        {"xx_plus_yy", "XXPlusYYGate"}, {"xx_minus_yy", "XXMinusYYGate"}, {"cu3", "CU3Gate"}};
    if (op.kind == Circuit::Kind::gate && classes.count(op.gate->name)) {
      text += "circuit.append(" + classes.at(op.gate->name) + "(" + angles(circuit, op, names) + "), [" + all + "])\n";
    } else if (op.kind == Circuit::Kind::gate) {
      auto other = library.find(op.gate->name);
      text += (other == library.end() ? "circuit." + std::string(op.gate->name) + "(" : other->second) + given + all +
              ")\n";
    } else if (op.kind == Circuit::Kind::measure) {
      std::int32_t offset = circuit.bit_offset(op.register_) + op.first_bit;
      for (std::uint32_t k = 0; k < op.n_qubits; ++k)
        text += "circuit.measure(" + std::to_string(circuit.qubits()[op.first_qubit + k]) + ", " +
                std::to_string(offset + std::int32_t(k)) + ")\n";
    } else {
      text += (op.kind == Circuit::Kind::barrier ? "circuit.barrier(" : "circuit.reset([") + all +
              (op.kind == Circuit::Kind::barrier ? ")\n" : "])\n");
    }
  }
  text += "counts = AerSimulator().run(circuit, shots=" + std::to_string(shots) +
          ").result().get_counts()\nprint(json.dumps(counts))\n";
  return text;
}

} // namespace openmpq
