// What an execution gives: immutable once made, shared between the circuit and everybody who asked for it.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <openmpq/openmpq.h>

namespace openmpq {

using Counts = std::vector<std::pair<std::string, std::uint64_t>>; // bit string, how often; in no particular order

struct Result {
  openmpq_status status = OPENMPQ_NOT_RUN;
  std::string error;          // empty if status is OPENMPQ_OK
  std::vector<Counts> counts; // one per row
  std::int32_t n_bits = 0;
  std::int64_t shots = 0;
  std::string device;
  double queue_s = 0.0, run_s = 0.0;
  std::vector<std::pair<std::string, std::vector<double>>> arrays; // of a script
};

using SharedResult = std::shared_ptr<const Result>;

inline SharedResult failure(openmpq_status status, std::string error) {
  auto result = std::make_shared<Result>();
  result->status = status;
  result->error = std::move(error);
  return result;
}

} // namespace openmpq
