#include "settings.hpp"

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <strings.h>
#include <unistd.h>

namespace openmpq {

namespace {

std::string text(const char *name) {
  const char *value = std::getenv(name);
  return value ? value : "";
}

double number(const char *name, double otherwise, double low) {
  std::string value = text(name);
  if (value.empty())
    return otherwise;
  char *end = nullptr;
  double read = std::strtod(value.c_str(), &end);
  if (*end == '\0' && read >= low && read <= 1e9)
    return read;
  warn(std::string(name) + " is '" + value + "', not a number from " + std::to_string(int(low)) + "; it is ignored.");
  return otherwise;
}

Offload offload() {
  std::string value = text("OMP_TARGET_OFFLOAD");
  if (strcasecmp(value.c_str(), "mandatory") == 0)
    return Offload::mandatory;
  if (strcasecmp(value.c_str(), "disabled") == 0)
    return Offload::disabled;
  if (!value.empty() && strcasecmp(value.c_str(), "default") != 0)
    warn("OMP_TARGET_OFFLOAD is '" + value + "'; it can be MANDATORY, DISABLED or DEFAULT. DEFAULT is assumed.");
  return Offload::default_;
}

std::string token() {
  std::string path = text("OPENMPQ_TOKEN_FILE");
  if (path.empty())
    return text("OPENMPQ_TOKEN");
  std::ifstream file(path);
  std::string line;
  if (!std::getline(file, line))
    warn("cannot read a token from OPENMPQ_TOKEN_FILE='" + path + "': " + std::strerror(errno) + ".");
  return line;
}

bool host_fallback() {
  std::string value = text("OPENMPQ_FALLBACK");
  if (!value.empty() && value != "host" && value != "none")
    warn("OPENMPQ_FALLBACK is '" + value + "'; it can be host or none. host is assumed.");
  return value != "none";
}

std::int32_t rank() { // Open MPI, MPICH and Intel MPI, Slurm
  for (const char *name : {"OMPI_COMM_WORLD_RANK", "PMI_RANK", "PMIX_RANK", "SLURM_PROCID"})
    if (!text(name).empty())
      return std::int32_t(number(name, 0, 0));
  return -1;
}

Settings read() {
  Settings settings;
  settings.pool = text("OPENMPQ_POOL");
  settings.token = token();
  settings.relay = text("OPENMPQ_RELAY");
  settings.offload = offload();
  settings.host_fallback = host_fallback();
  settings.append_devices = text("OPENMPQ_APPEND_DEVICES") == "1";
  settings.connect_timeout_s = number("OPENMPQ_CONNECT_TIMEOUT", 10, 0);
  settings.timeout_s = number("OPENMPQ_TIMEOUT", 0, 0);
  settings.shots = std::int64_t(number("OPENMPQ_SHOTS", 1024, 1));
  settings.rank = rank();
  settings.default_device = std::int32_t(number("OMP_DEFAULT_DEVICE", 0, 0));
  return settings;
}

} // namespace

const Settings &settings() {
  static const Settings once = read();
  return once;
}

void warn(const std::string &text) {
  std::string line = "openmpq: " + text + "\n";
  // One write, so that lines of many threads and ranks stay whole.
  [[maybe_unused]] ssize_t ignored = ::write(STDERR_FILENO, line.data(), line.size());
}

} // namespace openmpq
