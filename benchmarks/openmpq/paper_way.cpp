// The paper's way (its Figure 3 and Listings 6 and 7): write a Python script for the circuit, start an interpreter for
// it, read the counts as JSON from a pipe, fill the array of frequencies. A line on standard input asks for one
// offload; the answer is the microseconds it took.

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <string>
#include <vector>

#include <openmpq/openmpq.hpp>

namespace {

constexpr int n_qubits = 7;

std::string output_of(const std::string &command) {
  std::string text;
  char chunk[4096];
  FILE *pipe = popen(command.c_str(), "r");
  while (std::size_t n = std::fread(chunk, 1, sizeof chunk, pipe))
    text.append(chunk, n);
  return pclose(pipe) == 0 ? text : "";
}

/// {"1011": 8, ...} -> frequencies; returns how many shots were counted.
std::uint64_t parse(const std::string &json, std::vector<std::uint64_t> &frequencies) {
  std::uint64_t shots = 0;
  for (std::size_t at = json.find('"'); at != std::string::npos; at = json.find('"', at)) {
    std::size_t end = json.find('"', at + 1);
    std::uint64_t state = std::stoull(json.substr(at + 1, end - at - 1), nullptr, 2);
    std::uint64_t count = std::stoull(json.substr(json.find(':', end) + 1));
    frequencies[state] = count;
    shots += count;
    at = end + 1;
  }
  return shots;
}

} // namespace

int main(int argc, char **argv) { // the Python interpreter, a file to write
  if (argc != 3)
    return 2;
  const std::string command = std::string(argv[1]) + " " + argv[2];
  for (int iteration = 0; std::getchar() != EOF; ++iteration) {
    auto started = std::chrono::steady_clock::now();
    QuantumWrapper c(n_qubits);
    c.h(0);
    for (int q = 0; q < n_qubits; ++q)
      c.ry(0.1 + 0.2 * q + 1e-3 * iteration, q);
    for (int q = 0; q < n_qubits - 1; ++q)
      c.cx(q, q + 1);
    for (int q = 0; q < n_qubits; ++q)
      c.ry(0.1 + 0.2 * (n_qubits + q), q);
    c.measure().shots(1024);
    std::ofstream(argv[2]) << c.to_qiskit();
    std::vector<std::uint64_t> frequencies(std::size_t(1) << n_qubits);
    if (parse(output_of(command), frequencies) != 1024)
      return 1;
    double us = std::chrono::duration<double, std::micro>(std::chrono::steady_clock::now() - started).count();
    std::printf("%.1f\n", us);
    std::fflush(stdout);
  }
}
