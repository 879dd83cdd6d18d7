// The messages that the Python tests read too.
#pragma once

#include <fstream>
#include <sstream>
#include <stdexcept>
#include <string>

#include "json.hpp"

inline std::string golden_text(const std::string &name) {
  std::ifstream file(std::string(GOLDEN) + "/" + name + ".json");
  if (!file)
    throw std::runtime_error("no golden file " + name);
  std::stringstream text;
  text << file.rdbuf();
  std::string all = text.str();
  return all.substr(0, all.find_last_not_of('\n') + 1);
}

inline openmpq::Json golden_file(const std::string &name) {
  return openmpq::Json::parse(golden_text(name));
}
