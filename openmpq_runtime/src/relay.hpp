// The relay of a node: one connection to the bridge for all programs there (docs/mpi.md). A process of its own, in
// Python, which the first program of the node that needs it starts; openmpq_runtime/node.py does the same.
#pragma once

#include <optional>
#include <string>

#include "settings.hpp"

namespace openmpq {

/// Where this node's relay to the pool listens, or would; none: programs connect to the pool directly.
std::optional<std::string> relay_address(const Settings &settings);

/// Starts the relay that is to listen there, unless another program of the node just has. False if there is none now.
bool start_relay(const Settings &settings, const std::string &address);

} // namespace openmpq
