// What the environment says; read once, when the library is first used.
#pragma once

#include <cstdint>
#include <string>

namespace openmpq {

enum class Offload { default_, mandatory, disabled }; // OMP_TARGET_OFFLOAD

struct Settings {
  std::string pool;            // OPENMPQ_POOL: unix:/path or tcp:HOST:PORT; empty: none
  std::string token;           // OPENMPQ_TOKEN_FILE, or OPENMPQ_TOKEN
  std::string relay;           // OPENMPQ_RELAY: the command that starts this node's relay to a pool on TCP; empty: none
  Offload offload;             // OMP_TARGET_OFFLOAD
  bool host_fallback;          // OPENMPQ_FALLBACK=host|none
  bool append_devices;         // OPENMPQ_APPEND_DEVICES=1
  double connect_timeout_s;    // OPENMPQ_CONNECT_TIMEOUT, 10
  double timeout_s;            // OPENMPQ_TIMEOUT, 0: wait for ever
  std::int64_t shots;          // OPENMPQ_SHOTS, 1024
  std::int32_t rank;           // of the MPI program, from the launcher's variables; -1: it is none
  std::int32_t default_device; // OMP_DEFAULT_DEVICE, or 0
};

const Settings &settings();

/// A line on standard error, with the library's name before it.
void warn(const std::string &text);

} // namespace openmpq
