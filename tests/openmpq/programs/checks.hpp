// Checks that go on: each prints a line that the Python test reads.
#pragma once

#include <cstdio>
#include <string>

inline void check(bool right, const std::string &name, const std::string &detail = "") {
  std::printf("%s %s%s%s\n", right ? "ok" : "FAILED", name.c_str(), detail.empty() ? "" : ": ", detail.c_str());
  std::fflush(stdout);
}
