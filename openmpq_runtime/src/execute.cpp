#include "execute.hpp"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <future>

#include "client.hpp"
#include "pauli.hpp"
#include "regions.hpp"
#include "statevector.hpp"

namespace openmpq {

namespace {

constexpr int exit_mandatory = 70; // EX_SOFTWARE

void once(std::atomic_flag &said, const std::string &text) {
  if (!said.test_and_set())
    warn(text);
}

/// What the pool should run on: a name, or a need. Throws the result that says why there is none.
std::string device_of(const openmpq_circuit &state, std::int32_t qpu, std::int32_t n_qubits) {
  if (!state.device.empty())
    return state.device;
  if (qpu < 0)
    return n_qubits > 0 ? "qubits>=" + std::to_string(n_qubits) : "any";
  const std::vector<QPU> &qpus = pool_qpus();
  if (qpus.empty()) // not reached: the call will say why
    return "any";
  if (std::size_t(qpu) < qpus.size())
    return qpus[std::size_t(qpu)].device_id;
  std::string known;
  for (const QPU &each : qpus)
    known += (known.empty() ? "" : ", ") + each.device_id;
  throw failure(OPENMPQ_NO_DEVICE, "no QPU " + std::to_string(qpu) + ": the pool has " + std::to_string(qpus.size()) +
                                       ", numbered from 0 (" + known + "). Use device(Quantum) or a smaller number.");
}

/// The QPU of the region around the call, or of the one that the circuit was last part of.
std::int32_t region_of(const openmpq_circuit &state, std::int32_t here) {
  std::int32_t bound = state.bound.load(std::memory_order_relaxed);
  if (bound == nowhere && here == nowhere && state.device.empty() && !any_region_seen()) {
    static std::atomic_flag said = ATOMIC_FLAG_INIT;
    once(said, "a circuit is executed outside of any quantum region, on whichever QPU is free. If it is in one "
               "(#pragma omp target device(Quantum)), the region is not intercepted: compile with openmpq-c++, which "
               "gives gcc -fopenmp and clang -Xclang -fopenmp-targets=<host>; gcc -flto needs libopenmpq_preload.so.");
  }
  return here != nowhere ? here : bound != nowhere ? bound : pool_picks;
}

void check_columns(const openmpq_circuit &state, const Rows &rows) {
  const auto &names = state.circuit.parameters();
  if (!rows.n)
    throw Mistake{"there are no rows to execute. A circuit without parameters has one empty row."};
  if (rows.columns == names.size() && (!rows.columns || rows.values))
    return;
  std::string list;
  for (const std::string &name : names)
    list += (list.empty() ? ": " : ", ") + name;
  throw Mistake{"each row has " + std::to_string(rows.columns) + " values, the circuit has " +
                std::to_string(names.size()) + " named parameters" + list +
                ". Give one value per parameter, in the order in which they were made."};
}

void check_measures(const Circuit &circuit) {
  if (!circuit.measures())
    throw Mistake{"the circuit measures nothing, so it has no counts. Call measure() first."};
}

/// Checks what does not depend on where it runs; the QPU it is for.
std::int32_t checked(const openmpq_circuit &state, const Rows &rows, std::int32_t here) {
  if (!state.mistake.empty())
    throw Mistake{state.mistake};
  check_columns(state, rows);
  return region_of(state, here);
}

Job job_of(const openmpq_circuit &state, const Circuit &circuit, const Rows &rows, std::int32_t qpu) {
  Job job;
  job.device_id = device_of(state, qpu, state.script.empty() ? circuit.n_qubits() : 0);
  job.priority = state.priority;
  job.shots = state.shots;
  job.seed = state.seed;
  if (!state.script.empty()) {
    job.script = state.script;
    job.arrays = state.arrays;
    for (const Job::Array &array : job.arrays)
      if (array.direction & OPENMPQ_TO &&
          !std::all_of(array.data, array.data + array.n, [](double x) { return std::isfinite(x); }))
        throw Mistake{"the array '" + array.name + "' for the script holds a number that is not finite."};
    return job;
  }
  check_measures(circuit);
  job.program = circuit.program();
  job.n_bits = circuit.n_bits();
  std::vector<double> lifted = circuit.lifted();
  job.n_rows = rows.n;
  job.n_columns = lifted.size() + rows.columns;
  job.rows.reserve(job.n_rows * job.n_columns);
  for (std::size_t row = 0; row < rows.n; ++row) {
    job.rows.insert(job.rows.end(), lifted.begin(), lifted.end());
    job.rows.insert(job.rows.end(), rows.values + row * rows.columns, rows.values + (row + 1) * rows.columns);
  }
  for (double value : job.rows)
    if (!std::isfinite(value))
      throw Mistake{"a value of a parameter is not finite. Angles are finite numbers, in radians."};
  return job;
}

SharedResult on_host(const openmpq_circuit &state, const Circuit &circuit, const Rows &rows) {
  if (!state.script.empty())
    return failure(OPENMPQ_UNREACHABLE, "a script needs a pool, and there is none: the host runs circuits only. Start "
                                        "the program with openmpq-run, or set OPENMPQ_POOL.");
  check_measures(circuit);
  auto result = std::make_shared<Result>(simulate(circuit, rows.values, rows.n, rows.columns, state.shots, state.seed));
  result->status = OPENMPQ_OK;
  return result;
}

SharedResult instead_of_pool(const openmpq_circuit &state, const Circuit &circuit, const Rows &rows,
                             const SharedResult &unreachable) {
  static std::atomic_flag said = ATOMIC_FLAG_INIT;
  once(said, unreachable->error + " Until then circuits run on the host's own state vector, without noise and up to " +
                 std::to_string(max_host_qubits) +
                 " qubits (OPENMPQ_FALLBACK=none: they fail instead; "
                 "OMP_TARGET_OFFLOAD=MANDATORY: the program ends).");
  return on_host(state, circuit, rows);
}

bool falls_back(const Result &result) {
  return result.status == OPENMPQ_UNREACHABLE && settings().offload == Offload::default_ && settings().host_fallback;
}

/// OpenMP's rule for MANDATORY: a region that cannot run on its device ends the program.
void end_if_mandatory(const Result &result) {
  if (result.status == OPENMPQ_OK || settings().offload != Offload::mandatory)
    return;
  warn(std::string("OMP_TARGET_OFFLOAD=MANDATORY and a quantum region failed: ") + openmpq_status_name(result.status) +
       ": " + result.error);
  std::fflush(nullptr);
  std::_Exit(exit_mandatory);
}

SharedResult guarded(const std::function<SharedResult()> &run) {
  SharedResult result;
  try {
    result = run();
  } catch (const Mistake &mistake) {
    result = failure(OPENMPQ_INVALID, mistake.text);
  } catch (const SharedResult &failed) {
    result = failed;
  } catch (const std::exception &error) {
    result = failure(OPENMPQ_INTERNAL, error.what());
  }
  if (result) // nullptr: it goes on elsewhere
    end_if_mandatory(*result);
  return result;
}

SharedResult execute_circuit(openmpq_circuit &state, const Circuit &circuit, const Rows &rows, std::int32_t here) {
  return guarded([&] {
    std::int32_t qpu = checked(state, rows, here);
    if (settings().offload == Offload::disabled)
      return on_host(state, circuit, rows);
    SharedResult result = call(job_of(state, circuit, rows, qpu));
    return falls_back(*result) ? instead_of_pool(state, circuit, rows, result) : result;
  });
}

void execute_circuit_async(openmpq_circuit &state, const Circuit &circuit, const Rows &rows, std::int32_t here,
                           std::function<void(SharedResult)> done) {
  Job job;
  SharedResult failed = guarded([&]() -> SharedResult {
    std::int32_t qpu = checked(state, rows, here);
    // Without a pool there is nothing to wait for: the host runs it now, in this thread.
    if (settings().offload == Offload::disabled || (settings().host_fallback && pool_qpus().empty()))
      return execute_circuit(state, circuit, rows, here);
    job = job_of(state, circuit, rows, qpu);
    return nullptr;
  });
  if (failed)
    return done(failed);
  call_async(std::move(job), [done = std::move(done)](SharedResult result) {
    end_if_mandatory(*result);
    done(std::move(result));
  });
}

} // namespace

SharedResult execute(openmpq_circuit &state, const Rows &rows, std::int32_t here) {
  return state.last = execute_circuit(state, state.circuit, rows, here);
}

void execute_async(openmpq_circuit &state, const Rows &rows, std::int32_t here,
                   std::function<void(SharedResult)> done) {
  execute_circuit_async(state, state.circuit, rows, here, std::move(done));
}

Expectation expectation(openmpq_circuit &state, const std::vector<openmpq_term> &terms, const Rows &rows,
                        std::int32_t here) {
  Expectation sum{std::vector<double>(rows.n), std::vector<double>(rows.n)};
  std::vector<Group> groups;
  state.last = guarded([&]() -> SharedResult {
    if (state.circuit.measures() || !state.script.empty())
      throw Mistake{
          "an expectation needs a circuit without measurements: it adds those of each group of terms itself."};
    std::vector<Term> read;
    for (const openmpq_term &term : terms)
      read.push_back({term.coefficient, term.paulis ? term.paulis : ""});
    groups = group(read, state.circuit.n_qubits());
    return failure(OPENMPQ_OK, "");
  });
  std::vector<std::future<SharedResult>> results; // all groups at once: a pool may have several QPUs
  const std::int64_t seed = state.seed;           // the same for all groups would make their errors add up
  for (std::size_t i = 0; i < groups.size(); ++i) {
    Circuit measured = state.circuit;
    measure_in_basis(measured, groups[i]);
    state.seed = seed < 0 ? seed : (seed % 0x7fffffff + std::int64_t(i) * 1'000'003) % 0x7fffffff;
    auto promise = std::make_shared<std::promise<SharedResult>>();
    results.push_back(promise->get_future());
    execute_circuit_async(state, measured, rows, here,
                          [promise](SharedResult result) { promise->set_value(std::move(result)); });
  }
  state.seed = seed;
  for (std::size_t i = 0; i < results.size(); ++i) {
    SharedResult result = results[i].get();
    if (state.last->status == OPENMPQ_OK)
      state.last = result;
    for (std::size_t row = 0; row < rows.n && result->status == OPENMPQ_OK; ++row) {
      Estimate part = estimate(groups[i], result->counts[row]);
      sum.values[row] += part.value;
      sum.variances[row] += part.variance;
    }
  }
  return sum;
}

} // namespace openmpq
