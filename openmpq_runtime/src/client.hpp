// Jobs to the pool and results back: on the calling thread's own connection, or without waiting on one of the process.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "connection.hpp"
#include "result.hpp"

namespace openmpq {

/// Sends a job and waits. Never throws; what went wrong is in the result.
SharedResult call(const Job &job);

/// Sends a job; done is called once, from a thread of the runtime or before this returns.
void call_async(Job job, std::function<void(SharedResult)> done);

/// The pool's QPUs, empty if none can be reached; connects the calling thread if nobody has connected yet. The list
/// lives as long as the process.
const std::vector<QPU> &pool_qpus();

} // namespace openmpq
