// The C interface over the C++ inside: no exception leaves, every mistake is kept for openmpq_circuit_error().

#include <openmpq/openmpq.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <new>

#include "client.hpp"
#include "execute.hpp"
#include "export.hpp"
#include "regions.hpp"
#include "registry.hpp"

using namespace openmpq;

namespace {

#define OPENMPQ_HERE current_qpu(__builtin_frame_address(0))

openmpq_status wrong(openmpq_circuit *state, const std::string &text) {
  if (state->mistake.empty())
    state->mistake = text;
  state->last = failure(OPENMPQ_INVALID, state->mistake);
  return OPENMPQ_INVALID;
}

/// Does something to a circuit; what it throws becomes the circuit's mistake.
template <class Action> openmpq_status change(openmpq_circuit *state, Action action) noexcept {
  if (!state)
    return OPENMPQ_INVALID;
  try {
    if (!state->mistake.empty())
      return OPENMPQ_INVALID;
    action();
    return OPENMPQ_OK;
  } catch (const Mistake &mistake) {
    return wrong(state, mistake.text);
  } catch (...) {
    return OPENMPQ_INTERNAL; // no memory
  }
}

std::string_view text(const char *value, const char *otherwise = "") {
  return value ? value : otherwise;
}

Angle angle(const openmpq_angle &from) {
  return {from.offset, from.scale, from.parameter};
}

/// Makes a text of the circuit and keeps it, so that the caller need not.
template <class Make> const char *show(openmpq_circuit *state, Make make) noexcept {
  if (!state || !state->mistake.empty())
    return "";
  try {
    state->text = make();
    return state->text.c_str();
  } catch (const Mistake &mistake) {
    wrong(state, mistake.text);
  } catch (...) {
  }
  return "";
}

const Counts *counts_of(const openmpq_result *result, std::size_t row) {
  return result && row < result->result->counts.size() ? &result->result->counts[row] : nullptr;
}

std::uint64_t index_of(const std::string &bits) {
  std::uint64_t index = 0;
  for (char bit : bits)
    if (bit != ' ')
      index = index << 1 | std::uint64_t(bit == '1');
  return index;
}

const QPU *qpu_at(std::int32_t k) noexcept {
  try {
    bool there = k >= 0 && k < openmpq_num_qpus();
    return there ? &pool_qpus()[std::size_t(k)] : nullptr;
  } catch (...) {
    return nullptr;
  }
}

} // namespace

extern "C" {

std::uint32_t openmpq_abi_version(void) noexcept {
  return OPENMPQ_ABI_VERSION;
}

const char *openmpq_status_name(openmpq_status status) noexcept {
  static constexpr const char *names[] = {"ok",          "not_run",      "invalid",      "no_device",
                                          "unreachable", "disconnected", "device_error", "cancelled",
                                          "timeout",     "refused",      "internal"};
  return status >= 0 && status < int(std::size(names)) ? names[status] : "unknown";
}

std::int32_t openmpq_num_qpus(void) noexcept {
  return usable_qpus();
}

const char *openmpq_qpu_name(std::int32_t k) noexcept {
  const QPU *qpu = qpu_at(k);
  return qpu ? qpu->device_id.c_str() : nullptr;
}

std::int32_t openmpq_qpu_qubits(std::int32_t k) noexcept {
  const QPU *qpu = qpu_at(k);
  return qpu ? qpu->n_qubits : 0;
}

std::int32_t openmpq_in_region(void) noexcept {
  return OPENMPQ_HERE != nowhere;
}

std::int32_t openmpq_region_qpu(void) noexcept {
  return std::max(OPENMPQ_HERE, std::int32_t(-1));
}

openmpq_circuit *openmpq_circuit_create(std::int32_t n_qubits) noexcept {
  try {
    auto *state = new openmpq_circuit(0);
    try {
      remember(state, state);
      state->circuit = Circuit(n_qubits);
    } catch (const Mistake &mistake) {
      wrong(state, mistake.text);
    }
    return state;
  } catch (...) {
    return nullptr;
  }
}

void openmpq_circuit_destroy(openmpq_circuit *state) noexcept {
  if (state)
    forget(state);
  delete state;
}

void openmpq_circuit_clear(openmpq_circuit *state) noexcept {
  if (!state)
    return;
  state->circuit.clear();
  state->mistake.clear();
  state->arrays.clear();
  state->script.clear();
  static const SharedResult nothing = std::make_shared<Result>();
  state->last = nothing;
}

void openmpq_circuit_set_address(openmpq_circuit *state, const void *address) noexcept {
  try {
    remember(address, state);
  } catch (...) { // no memory: the circuit is still found by its handle
  }
}

void openmpq_circuit_forget_address(const void *address) noexcept {
  forget(address);
}

openmpq_status openmpq_circuit_set_shots(openmpq_circuit *state, std::int64_t shots) noexcept {
  return change(state, [&] {
    if (shots < 1 || shots > 1'000'000'000)
      throw Mistake{"shots must be from 1 to 1,000,000,000, not " + std::to_string(shots) + "."};
    state->shots = shots;
  });
}

openmpq_status openmpq_circuit_set_seed(openmpq_circuit *state, std::int64_t seed) noexcept {
  return change(state, [&] { state->seed = std::max(seed, std::int64_t(-1)); });
}

openmpq_status openmpq_circuit_set_priority(openmpq_circuit *state, const char *priority) noexcept {
  return change(state, [&] {
    std::string_view wanted = text(priority);
    if (wanted != "HIGH" && wanted != "MEDIUM" && wanted != "LOW")
      throw Mistake{"priority must be HIGH, MEDIUM or LOW, not '" + std::string(wanted) + "'."};
    state->priority = wanted;
  });
}

openmpq_status openmpq_circuit_set_device(openmpq_circuit *state, const char *device_id) noexcept {
  return change(state, [&] { state->device = text(device_id); });
}

openmpq_status openmpq_circuit_gate(openmpq_circuit *state, const char *name, const std::int32_t *qubits,
                                    std::size_t n_qubits, const openmpq_angle *angles, std::size_t n_angles) noexcept {
  return change(state, [&] {
    Angle read[4]; // no gate has more; a longer list is refused before it is looked at
    for (std::size_t i = 0; i < std::min(n_angles, std::size(read)); ++i)
      read[i] = angle(angles[i]);
    state->circuit.gate(text(name), qubits, n_qubits, read, n_angles);
  });
}

openmpq_status openmpq_circuit_barrier(openmpq_circuit *state, const std::int32_t *qubits, std::size_t n) noexcept {
  return change(state, [&] { state->circuit.barrier(qubits, n); });
}

openmpq_status openmpq_circuit_reset(openmpq_circuit *state, const std::int32_t *qubits, std::size_t n) noexcept {
  return change(state, [&] { state->circuit.reset(qubits, n); });
}

openmpq_status openmpq_circuit_measure(openmpq_circuit *state, const std::int32_t *qubits, std::size_t n,
                                       const char *name) noexcept {
  return change(state, [&] { state->circuit.measure(qubits, n, text(name, "meas")); });
}

openmpq_status openmpq_circuit_measure_bit(openmpq_circuit *state, std::int32_t qubit, const char *name,
                                           std::int32_t bit) noexcept {
  return change(state, [&] { state->circuit.measure_bit(qubit, text(name, "meas"), bit); });
}

std::int32_t openmpq_circuit_parameter(openmpq_circuit *state, const char *name) noexcept {
  std::int32_t number = -1;
  change(state, [&] { number = state->circuit.parameter(text(name)); });
  return number;
}

std::int32_t openmpq_circuit_num_qubits(const openmpq_circuit *state) noexcept {
  return state ? state->circuit.n_qubits() : 0;
}

std::int32_t openmpq_circuit_num_parameters(const openmpq_circuit *state) noexcept {
  return state ? std::int32_t(state->circuit.parameters().size()) : 0;
}

openmpq_status openmpq_circuit_execute(openmpq_circuit *state, const double *rows, std::size_t n_rows,
                                       std::size_t n_columns) noexcept {
  std::int32_t here = OPENMPQ_HERE;
  if (!state)
    return OPENMPQ_INVALID;
  try {
    return execute(*state, {rows, n_rows, n_columns}, here)->status;
  } catch (...) {
    return OPENMPQ_INTERNAL;
  }
}

void openmpq_circuit_execute_async(openmpq_circuit *state, const double *rows, std::size_t n_rows,
                                   std::size_t n_columns, openmpq_callback done, void *user) noexcept {
  std::int32_t here = OPENMPQ_HERE;
  auto tell = [done, user](SharedResult result) { done(user, new openmpq_result{std::move(result)}); };
  if (!state)
    return tell(failure(OPENMPQ_INVALID, "there is no circuit."));
  try {
    execute_async(*state, {rows, n_rows, n_columns}, here, tell);
  } catch (...) {
    tell(failure(OPENMPQ_INTERNAL, "no memory."));
  }
}

openmpq_status openmpq_circuit_status(const openmpq_circuit *state) noexcept {
  return state ? state->last->status : OPENMPQ_INVALID;
}

const char *openmpq_circuit_error(const openmpq_circuit *state) noexcept {
  return state ? state->last->error.c_str() : "there is no circuit.";
}

openmpq_result *openmpq_circuit_result(const openmpq_circuit *state) noexcept {
  return state ? new (std::nothrow) openmpq_result{state->last} : nullptr;
}

openmpq_status openmpq_circuit_expectation(openmpq_circuit *state, const openmpq_term *terms, std::size_t n_terms,
                                           const double *rows, std::size_t n_rows, std::size_t n_columns,
                                           double *values, double *standard_errors) noexcept {
  std::int32_t here = OPENMPQ_HERE;
  if (!state)
    return OPENMPQ_INVALID;
  try {
    Expectation sum = expectation(*state, {terms, terms + n_terms}, {rows, n_rows, n_columns}, here);
    bool ok = state->last->status == OPENMPQ_OK;
    for (std::size_t row = 0; row < n_rows; ++row) {
      values[row] = ok ? sum.values[row] : std::nan("");
      if (standard_errors)
        standard_errors[row] = ok ? std::sqrt(sum.variances[row]) : std::nan("");
    }
    return state->last->status;
  } catch (...) {
    return OPENMPQ_INTERNAL;
  }
}

openmpq_status openmpq_result_status(const openmpq_result *result) noexcept {
  return result->result->status;
}
const char *openmpq_result_error(const openmpq_result *result) noexcept {
  return result->result->error.c_str();
}
std::size_t openmpq_result_num_rows(const openmpq_result *result) noexcept {
  return result->result->counts.size();
}
std::int32_t openmpq_result_num_bits(const openmpq_result *result) noexcept {
  return result->result->n_bits;
}
std::int64_t openmpq_result_shots(const openmpq_result *result) noexcept {
  return result->result->shots;
}
const char *openmpq_result_device(const openmpq_result *result) noexcept {
  return result->result->device.c_str();
}
double openmpq_result_queue_s(const openmpq_result *result) noexcept {
  return result->result->queue_s;
}
double openmpq_result_run_s(const openmpq_result *result) noexcept {
  return result->result->run_s;
}

std::size_t openmpq_result_num_states(const openmpq_result *result, std::size_t row) noexcept {
  const Counts *counts = counts_of(result, row);
  return counts ? counts->size() : 0;
}

const char *openmpq_result_state(const openmpq_result *result, std::size_t row, std::size_t i,
                                 std::uint64_t *count) noexcept {
  const Counts *counts = counts_of(result, row);
  if (!counts || i >= counts->size())
    return nullptr;
  if (count)
    *count = (*counts)[i].second;
  return (*counts)[i].first.c_str();
}

openmpq_status openmpq_result_frequencies(const openmpq_result *result, std::size_t row, std::uint64_t *out,
                                          std::size_t n) noexcept {
  const Counts *counts = counts_of(result, row);
  std::int32_t bits = result ? result->result->n_bits : 0;
  if (!counts || bits >= 48 || n != std::size_t(1) << bits)
    return OPENMPQ_INVALID;
  std::fill(out, out + n, 0);
  for (const auto &[state, count] : *counts)
    if (std::uint64_t index = index_of(state); index < n)
      out[index] = count;
  return OPENMPQ_OK;
}

void openmpq_result_destroy(openmpq_result *result) noexcept {
  delete result;
}

openmpq_status openmpq_circuit_array(openmpq_circuit *state, const char *name, double *data, std::size_t n,
                                     openmpq_direction direction) noexcept {
  return change(state, [&] {
    if (direction < OPENMPQ_TO || direction > OPENMPQ_TOFROM)
      throw Mistake{"the direction of an array is OPENMPQ_TO, OPENMPQ_FROM or OPENMPQ_TOFROM."};
    Job::Array array{std::string(text(name)), data, n, direction};
    auto same = [&](const Job::Array &each) { return each.name == array.name; };
    auto found = std::find_if(state->arrays.begin(), state->arrays.end(), same);
    if (found != state->arrays.end())
      *found = array;
    else
      state->arrays.push_back(array);
  });
}

openmpq_status openmpq_circuit_script(openmpq_circuit *state, const char *name) noexcept {
  return change(state, [&] { state->script = text(name); });
}

const char *openmpq_circuit_to_qasm3(openmpq_circuit *state) noexcept {
  return show(state, [&] { return to_qasm3(state->circuit); });
}

const char *openmpq_circuit_to_qiskit(openmpq_circuit *state) noexcept {
  return show(state, [&] { return to_qiskit(state->circuit, state->shots); });
}

// For libopenmpq_preload.so.
void openmpq_set_lookup(void *(*lookup)(const char *)) noexcept {
  set_lookup(lookup);
}

} // extern "C"
