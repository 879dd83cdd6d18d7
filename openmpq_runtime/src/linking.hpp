// Connecting: at once where nobody listens, not again and again where a host does not answer; and what answers mean.
#pragma once

#include <memory>
#include <string>

#include "connection.hpp"
#include "result.hpp"

namespace openmpq {

/// Connects as this client and remembers the pool's QPUs. Throws Unreachable or Refused.
std::unique_ptr<Connection> connect(const std::string &client);

/// The same after a connection was lost: a few attempts; nullptr if none succeeds.
std::unique_ptr<Connection> connect_again(const std::string &client);

/// Who we are to the bridge: 32 random hex digits.
std::string new_client();

/// Reads the bridge's answer to a job, and writes what a script returned into the job's arrays.
SharedResult read_answer(const Json &message, const Job &job);

SharedResult lost_in_the_middle(const std::string &why);
SharedResult timed_out();

/// The QPUs of the last welcome; nullptr if there was none.
const std::vector<QPU> *known_qpus() noexcept;

} // namespace openmpq
