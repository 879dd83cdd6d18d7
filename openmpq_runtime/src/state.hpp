// What is behind the opaque pointers of openmpq.h.
#pragma once

#include <atomic>
#include <string>
#include <vector>

#include "circuit.hpp"
#include "connection.hpp"
#include "result.hpp"

struct openmpq_circuit {
  explicit openmpq_circuit(std::int32_t n_qubits) : circuit(n_qubits) {}

  openmpq::Circuit circuit;
  std::int64_t shots = openmpq::settings().shots, seed = -1;
  std::string priority = "MEDIUM";
  std::string device;  // what the user chose; empty: the region's QPU
  std::string mistake; // the first one while recording
  openmpq::SharedResult last = std::make_shared<openmpq::Result>();
  std::vector<openmpq::Job::Array> arrays;
  std::string script;
  std::string text; // what the last to_qasm3 or to_qiskit gave

  // Set by the region that was entered with this circuit among its data; see regions.hpp for the numbers.
  std::atomic<std::int32_t> bound{-2};
};

struct openmpq_result {
  openmpq::SharedResult result;
};
