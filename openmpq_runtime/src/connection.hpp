// One connection to the bridge: proof of the token, hello, frames, and the programs it has sent (docs/openmpq-wire.md).
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "circuit.hpp"
#include "json.hpp"
#include "settings.hpp"
#include "stream.hpp"

namespace openmpq {

struct QPU {
  std::string device_id;
  std::int32_t n_qubits;
};

struct Refused { // the bridge does not want to talk to us
  std::string text;
};

/// What is to run, apart from the program and the rows that are sent every time.
struct Job {
  std::string program; // in the language `gates`; empty for a script
  std::string device_id = "any";
  std::string priority = "MEDIUM";
  std::int64_t shots = 1024, seed = -1;
  std::vector<double> rows; // n_rows x n_columns
  std::size_t n_rows = 1, n_columns = 0;
  std::string script; // a file's name
  struct Array {
    std::string name;
    double *data;
    std::size_t n;
    int direction; // openmpq_direction
  };
  std::vector<Array> arrays;
  std::int32_t n_bits = 0;
};

class Connection {
public:
  /// Connects and says hello as this client. Throws Unreachable, Refused, Lost, TimedOut.
  Connection(const Settings &settings, const std::string &client);

  /// Sends the job as this request; oldest: the smallest request that is still waited for. Throws Lost.
  void submit(const Job &job, std::int64_t request, std::int64_t oldest, bool waits);
  void cancel(std::int64_t request);
  /// The next message. Throws Lost, TimedOut.
  Json receive(Deadline deadline);

  bool closed() const noexcept { return stream_.closed(); }
  const std::string &server() const noexcept { return server_; }
  const std::vector<QPU> &qpus() const noexcept { return qpus_; }

private:
  void prove_token(const std::string &token, Deadline deadline);
  void hello(const Settings &settings, const std::string &client, Deadline deadline);
  void send(std::string body);
  std::string_view frame(Deadline deadline);
  std::pair<std::size_t, bool> slot_of(const std::string &program);

  Stream stream_;
  std::string server_;
  std::vector<QPU> qpus_;
  std::size_t last_frame_ = 0; // bytes of the frame that was handed out and is still in the buffer
  std::unordered_map<std::string, std::size_t> slots_;
  std::array<const std::string *, 64> programs_{}; // slot -> key in slots_
  std::size_t next_slot_ = 0;
};

} // namespace openmpq
