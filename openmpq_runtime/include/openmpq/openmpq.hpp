// OpenMP-Q for C++17: circuits that run in `#pragma omp target device(Quantum)` regions on a QPU of a pool.
//
//   QuantumWrapper *c = new QuantumWrapper(2);
//   #pragma omp target device(Quantum) firstprivate(c)
//   {
//     c->h(0).cx(0, 1).measure();
//     c->execute();
//   }
//   for (auto &[state, n] : c->counts()) …
//
// Compile with openmpq-c++, or with CMake's OpenMPQ::openmpq. Everything here is a thin face of the C interface in
// openmpq.h, which says what is promised. A circuit belongs to one thread at a time.
#ifndef OPENMPQ_OPENMPQ_HPP
#define OPENMPQ_OPENMPQ_HPP

#include <algorithm>
#include <cstdint>
#include <future>
#include <initializer_list>
#include <limits>
#include <map>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "openmpq.h"

namespace openmpq {

/// The device clause: device(Quantum) lets the runtime pick, device(Quantum + k) and device(Quantum(k)) mean QPU k.
enum Device : int { Quantum = OPENMPQ_QUANTUM };
constexpr int operator+(Device, int k) noexcept {
  return OPENMPQ_QPU(k);
}

using Counts = std::map<std::string, std::uint64_t>;          // bit string (bit 0 rightmost) -> how often
using Frequencies = std::vector<std::uint64_t>;               // of all 2^bits states, unobserved states 0
using Rows = std::vector<std::vector<double>>;                // a row of values for the named parameters, radians, each
using PauliSum = std::vector<std::pair<double, std::string>>; // coefficient, "ZZI" (qubit 0 rightmost)

/// QPUs of the pool; 0 without one. As many OpenMP threads keep them all busy.
inline int num_qpus() noexcept {
  return openmpq_num_qpus();
}

/// Names of the pool's QPUs; QPU k is device(Quantum + k).
inline std::vector<std::string> device_names() {
  std::vector<std::string> names;
  for (int k = 0; k < num_qpus(); ++k)
    names.emplace_back(openmpq_qpu_name(k));
  return names;
}

/// Whether this thread is in a quantum region. (omp_is_initial_device() cannot tell: the region runs on the host, and
/// clang computes that function when it compiles.)
inline bool in_region() noexcept {
  return openmpq_in_region() != 0;
}

/// Classical work inside a quantum region: reverse offload, with every compiler. MPI calls are allowed.
template <class Function> decltype(auto) on_host(Function &&function) {
  return std::forward<Function>(function)();
}

/// An angle in radians: a number, or scale * parameter + offset.
class Angle {
public:
  Angle(double radians) noexcept : angle_{radians, 0.0, -1, 0} {} // implicit: c.ry(0.5, q)
  Angle(std::int32_t parameter, double scale, double offset) noexcept : angle_{offset, scale, parameter, 0} {}
  const openmpq_angle &raw() const noexcept { return angle_; }

  friend Angle operator*(double factor, const Angle &a) noexcept {
    return {a.angle_.parameter, a.angle_.scale * factor, a.angle_.offset * factor};
  }
  friend Angle operator*(const Angle &a, double factor) noexcept { return factor * a; }
  friend Angle operator+(const Angle &a, double offset) noexcept {
    return {a.angle_.parameter, a.angle_.scale, a.angle_.offset + offset};
  }
  friend Angle operator+(double offset, const Angle &a) noexcept { return a + offset; }
  friend Angle operator-(const Angle &a) noexcept { return -1.0 * a; }

private:
  openmpq_angle angle_;
};

/// What an execution gave. Immutable; copies are not needed, moving is cheap.
class Result {
public:
  explicit Result(openmpq_result *result) noexcept : result_(result) {}
  Result(Result &&other) noexcept : result_(std::exchange(other.result_, nullptr)) {}
  Result &operator=(Result &&other) noexcept {
    std::swap(result_, other.result_);
    return *this;
  }
  ~Result() { openmpq_result_destroy(result_); }

  openmpq_status status() const noexcept { return result_ ? openmpq_result_status(result_) : OPENMPQ_INTERNAL; }
  bool ok() const noexcept { return status() == OPENMPQ_OK; }
  explicit operator bool() const noexcept { return ok(); }
  std::string error() const { return result_ ? openmpq_result_error(result_) : "no memory"; }

  std::size_t num_rows() const noexcept { return result_ ? openmpq_result_num_rows(result_) : 0; }
  int num_bits() const noexcept { return result_ ? openmpq_result_num_bits(result_) : 0; }
  std::int64_t shots() const noexcept { return result_ ? openmpq_result_shots(result_) : 0; }
  std::string device() const { return result_ ? openmpq_result_device(result_) : ""; }
  double queue_s() const noexcept { return result_ ? openmpq_result_queue_s(result_) : 0.0; }
  double run_s() const noexcept { return result_ ? openmpq_result_run_s(result_) : 0.0; }

  /// The states that were seen in a row; empty on error.
  Counts counts(std::size_t row = 0) const {
    Counts counts;
    for (std::size_t i = 0, n = result_ ? openmpq_result_num_states(result_, row) : 0; i < n; ++i) {
      std::uint64_t count = 0;
      const char *state = openmpq_result_state(result_, row, i, &count);
      counts[state] = count;
    }
    return counts;
  }

  /// How often each of the 2^bits states was seen; empty on error, and for more than 30 bits (use counts()).
  Frequencies frequencies(std::size_t row = 0) const {
    if (!ok() || num_bits() > 30 || row >= num_rows())
      return {};
    Frequencies all(std::size_t(1) << num_bits());
    openmpq_result_frequencies(result_, row, all.data(), all.size());
    return all;
  }

  /// The paper's `frequencies = c->execute();`
  operator Frequencies() const { return frequencies(); }

private:
  openmpq_result *result_;
};

namespace detail {
inline void keep_promise(void *user, openmpq_result *result) {
  auto *promise = static_cast<std::promise<Result> *>(user);
  promise->set_value(Result(result));
  delete promise;
}
// gcc compiles for devices too what a region calls, and std::promise is not made for that. It does not look through a
// variable. (A static member would keep the class from being mapped.)
inline openmpq_callback settle = keep_promise;
} // namespace detail

/// A circuit. The name is the paper's; QuantumCircuitWrapper is the same.
class QuantumWrapper {
public:
  /// Of so many qubits; 0: as many as its gates use.
  explicit QuantumWrapper(int n_qubits = 0) noexcept : circuit_(openmpq_circuit_create(n_qubits)) { remember(); }
  ~QuantumWrapper() {
    openmpq_circuit_forget_address(this);
    openmpq_circuit_destroy(circuit_);
  }
  QuantumWrapper(QuantumWrapper &&other) noexcept : circuit_(std::exchange(other.circuit_, nullptr)) {
    openmpq_circuit_forget_address(&other);
    remember();
  }
  QuantumWrapper &operator=(QuantumWrapper &&other) noexcept {
    std::swap(circuit_, other.circuit_);
    remember();
    other.remember();
    return *this;
  }

  // -- settings: chainable, as everything that records ---------------------------------------------------------------

  QuantumWrapper &shots(std::int64_t n) noexcept { return done(openmpq_circuit_set_shots(circuit_, n)); }
  /// The same seed gives the same counts on simulators; < 0 draws afresh.
  QuantumWrapper &seed(std::int64_t seed) noexcept { return done(openmpq_circuit_set_seed(circuit_, seed)); }
  /// "HIGH", "MEDIUM" or "LOW".
  QuantumWrapper &priority(const std::string &p) { return done(openmpq_circuit_set_priority(circuit_, p.c_str())); }
  /// A name or selector ("ion0", "tag:ion", "qubits>=7") that counts instead of the region's QPU.
  QuantumWrapper &device(const std::string &id) { return done(openmpq_circuit_set_device(circuit_, id.c_str())); }
  /// Forgets gates, parameters, results and errors; keeps settings.
  QuantumWrapper &clear() noexcept {
    openmpq_circuit_clear(circuit_);
    return *this;
  }

  // -- gates: angles first, then qubits, as in Qiskit ----------------------------------------------------------------

#define OPENMPQ_GATES_1(name)                                                                                          \
  QuantumWrapper &name(int q) noexcept {                                                                               \
    return gate(#name, {}, {q});                                                                                       \
  }
#define OPENMPQ_GATES_1A(name)                                                                                         \
  QuantumWrapper &name(Angle a, int q) noexcept {                                                                      \
    return gate(#name, {a}, {q});                                                                                      \
  }
#define OPENMPQ_GATES_2(name)                                                                                          \
  QuantumWrapper &name(int q0, int q1) noexcept {                                                                      \
    return gate(#name, {}, {q0, q1});                                                                                  \
  }
#define OPENMPQ_GATES_2A(name)                                                                                         \
  QuantumWrapper &name(Angle a, int q0, int q1) noexcept {                                                             \
    return gate(#name, {a}, {q0, q1});                                                                                 \
  }
#define OPENMPQ_GATES_3(name)                                                                                          \
  QuantumWrapper &name(int q0, int q1, int q2) noexcept {                                                              \
    return gate(#name, {}, {q0, q1, q2});                                                                              \
  }

  // clang-format off
  OPENMPQ_GATES_1(id) OPENMPQ_GATES_1(x) OPENMPQ_GATES_1(y) OPENMPQ_GATES_1(z) OPENMPQ_GATES_1(h) OPENMPQ_GATES_1(s)
  OPENMPQ_GATES_1(sdg) OPENMPQ_GATES_1(t) OPENMPQ_GATES_1(tdg) OPENMPQ_GATES_1(sx) OPENMPQ_GATES_1(sxdg)
  OPENMPQ_GATES_1A(p) OPENMPQ_GATES_1A(rx) OPENMPQ_GATES_1A(ry) OPENMPQ_GATES_1A(rz) OPENMPQ_GATES_1A(u1)
  OPENMPQ_GATES_2(cx) OPENMPQ_GATES_2(cy) OPENMPQ_GATES_2(cz) OPENMPQ_GATES_2(ch) OPENMPQ_GATES_2(cs)
  OPENMPQ_GATES_2(csdg) OPENMPQ_GATES_2(csx) OPENMPQ_GATES_2(swap) OPENMPQ_GATES_2(iswap) OPENMPQ_GATES_2(dcx)
  OPENMPQ_GATES_2(ecr)
  OPENMPQ_GATES_2A(cp) OPENMPQ_GATES_2A(cu1) OPENMPQ_GATES_2A(crx) OPENMPQ_GATES_2A(cry) OPENMPQ_GATES_2A(crz)
  OPENMPQ_GATES_2A(rxx) OPENMPQ_GATES_2A(ryy) OPENMPQ_GATES_2A(rzz) OPENMPQ_GATES_2A(rzx)
  OPENMPQ_GATES_3(ccx) OPENMPQ_GATES_3(ccz) OPENMPQ_GATES_3(cswap) OPENMPQ_GATES_3(rccx)
      // clang-format on

      QuantumWrapper &r(Angle theta, Angle phi, int q) noexcept {
    return gate("r", {theta, phi}, {q});
  }
  QuantumWrapper &u2(Angle phi, Angle lambda, int q) noexcept { return gate("u2", {phi, lambda}, {q}); }
  QuantumWrapper &u(Angle theta, Angle phi, Angle lambda, int q) noexcept {
    return gate("u", {theta, phi, lambda}, {q});
  }
  QuantumWrapper &u3(Angle theta, Angle phi, Angle lambda, int q) noexcept {
    return gate("u3", {theta, phi, lambda}, {q});
  }
  QuantumWrapper &xx_plus_yy(Angle theta, Angle beta, int q0, int q1) noexcept {
    return gate("xx_plus_yy", {theta, beta}, {q0, q1});
  }
  QuantumWrapper &xx_minus_yy(Angle theta, Angle beta, int q0, int q1) noexcept {
    return gate("xx_minus_yy", {theta, beta}, {q0, q1});
  }
  QuantumWrapper &cu3(Angle theta, Angle phi, Angle lambda, int q0, int q1) noexcept {
    return gate("cu3", {theta, phi, lambda}, {q0, q1});
  }
  QuantumWrapper &cu(Angle theta, Angle phi, Angle lambda, Angle gamma, int q0, int q1) noexcept {
    return gate("cu", {theta, phi, lambda, gamma}, {q0, q1});
  }

#undef OPENMPQ_GATES_1
#undef OPENMPQ_GATES_1A
#undef OPENMPQ_GATES_2
#undef OPENMPQ_GATES_2A
#undef OPENMPQ_GATES_3

  /// Any gate of the language `gates`, by name.
  QuantumWrapper &gate(const char *name, std::initializer_list<Angle> angles,
                       std::initializer_list<int> qubits) noexcept {
    static_assert(sizeof(Angle) == sizeof(openmpq_angle) && sizeof(int) == sizeof(std::int32_t), "one in memory");
    return done(openmpq_circuit_gate(circuit_, name, qubits.begin(), qubits.size(),
                                     angles.size() ? &angles.begin()->raw() : nullptr, angles.size()));
  }

  QuantumWrapper &barrier() noexcept { return done(openmpq_circuit_barrier(circuit_, nullptr, 0)); }
  QuantumWrapper &barrier(const std::vector<int> &qubits) noexcept {
    return done(openmpq_circuit_barrier(circuit_, qubits.data(), qubits.size()));
  }
  QuantumWrapper &reset(int q) noexcept { return done(openmpq_circuit_reset(circuit_, &q, 1)); }

  /// All qubits into the register "meas".
  QuantumWrapper &measure() noexcept { return done(openmpq_circuit_measure(circuit_, nullptr, 0, nullptr)); }
  QuantumWrapper &measure_all() noexcept { return measure(); }
  /// Some qubits into the next bits of a named register.
  QuantumWrapper &measure(int q) noexcept { return done(openmpq_circuit_measure(circuit_, &q, 1, nullptr)); }
  QuantumWrapper &measure(const std::vector<int> &qubits, const std::string &name = "meas") {
    return done(openmpq_circuit_measure(circuit_, qubits.data(), qubits.size(), name.c_str()));
  }
  /// One qubit into one bit of a named register.
  QuantumWrapper &measure(int q, const std::string &name, int bit) {
    return done(openmpq_circuit_measure_bit(circuit_, q, name.c_str(), bit));
  }

  /// A named parameter, to be used as an angle: `auto theta = c.parameter("theta"); c.ry(2 * theta, 0);`
  Angle parameter(const std::string &name) { return {openmpq_circuit_parameter(circuit_, name.c_str()), 1.0, 0.0}; }

  // -- execution: on the QPU of the region, blocking, never throws ---------------------------------------------------

  Result execute() noexcept {
    openmpq_circuit_execute(circuit_, nullptr, 1, 0);
    return result();
  }
  /// Once for each row of values of the named parameters, in one round trip.
  Result execute(const Rows &rows) {
    std::vector<double> flat = flatten(rows);
    openmpq_circuit_execute(circuit_, flat.data(), rows.size(), columns(rows));
    return result();
  }
  /// Without waiting. The circuit may be changed at once; status(), counts() and error() of the circuit do not follow.
  std::future<Result> execute_async() { return submit(nullptr, 1, 0); }
  std::future<Result> execute_async(const Rows &rows) {
    std::vector<double> flat = flatten(rows);
    return submit(flat.data(), rows.size(), columns(rows));
  }

  /// <sum> in the circuit's state; the circuit must not measure. NaN on error.
  double expectation(const PauliSum &sum, double *standard_error = nullptr) {
    double value = 0.0;
    std::vector<openmpq_term> terms = raw(sum);
    openmpq_circuit_expectation(circuit_, terms.data(), terms.size(), nullptr, 1, 0, &value, standard_error);
    return value;
  }
  /// The same for each row of values of the named parameters.
  std::vector<double> expectation(const PauliSum &sum, const Rows &rows,
                                  std::vector<double> *standard_errors = nullptr) {
    std::vector<double> values(rows.size()), errors(rows.size()), flat = flatten(rows);
    std::vector<openmpq_term> terms = raw(sum);
    openmpq_circuit_expectation(circuit_, terms.data(), terms.size(), flat.data(), rows.size(), columns(rows),
                                values.data(), errors.data());
    if (standard_errors)
      *standard_errors = errors;
    return values;
  }

  // -- of the last execution -----------------------------------------------------------------------------------------

  openmpq_status status() const noexcept { return openmpq_circuit_status(circuit_); }
  bool ok() const noexcept { return status() == OPENMPQ_OK; }
  std::string error() const { return openmpq_circuit_error(circuit_); }
  Result result() const noexcept { return Result(openmpq_circuit_result(circuit_)); }
  Counts counts(std::size_t row = 0) const { return result().counts(row); }
  Frequencies frequencies(std::size_t row = 0) const { return result().frequencies(row); }
  /// For code outside of regions, where an exception can be caught.
  Counts counts_or_throw(std::size_t row = 0) const {
    if (!ok())
      throw std::runtime_error(std::string("openmpq: ") + openmpq_status_name(status()) + ": " + error());
    return counts(row);
  }

  // -- a Python script instead of gates ------------------------------------------------------------------------------

  /// A file in the folder that the pool's owner allows; execute() runs its main() next to the QPU.
  QuantumWrapper &script(const std::string &name) { return done(openmpq_circuit_script(circuit_, name.c_str())); }
  /// Data for the script, by name; n numbers that live until execute() is done.
  QuantumWrapper &to(const std::string &name, const double *data, std::size_t n) {
    return done(openmpq_circuit_array(circuit_, name.c_str(), const_cast<double *>(data), n, OPENMPQ_TO));
  }
  QuantumWrapper &from(const std::string &name, double *data, std::size_t n) {
    return done(openmpq_circuit_array(circuit_, name.c_str(), data, n, OPENMPQ_FROM));
  }
  QuantumWrapper &tofrom(const std::string &name, double *data, std::size_t n) {
    return done(openmpq_circuit_array(circuit_, name.c_str(), data, n, OPENMPQ_TOFROM));
  }

  // -- for people who look -------------------------------------------------------------------------------------------

  int num_qubits() const noexcept { return openmpq_circuit_num_qubits(circuit_); }
  std::string to_qasm3() const { return openmpq_circuit_to_qasm3(circuit_); }
  /// The paper's Listing 6: a Python script that runs the circuit.
  std::string to_qiskit() const { return openmpq_circuit_to_qiskit(circuit_); }

  openmpq_circuit *handle() const noexcept { return circuit_; }

private:
  QuantumWrapper &done(openmpq_status) noexcept { return *this; } // a mistake is kept for status() and error()
  void remember() noexcept { openmpq_circuit_set_address(circuit_, this); }

  static std::size_t columns(const Rows &rows) noexcept { // of the longest row
    std::size_t most = 0;
    for (const std::vector<double> &row : rows)
      most = std::max(most, row.size());
    return most;
  }

  /// Row after row. What a shorter row lacks is not a number, so execute() refuses it.
  static std::vector<double> flatten(const Rows &rows) {
    std::vector<double> flat(rows.size() * columns(rows), std::numeric_limits<double>::quiet_NaN());
    for (std::size_t i = 0; i < rows.size(); ++i)
      std::copy_n(rows[i].begin(), std::min(rows[i].size(), columns(rows)), flat.begin() + i * columns(rows));
    return flat;
  }

  static std::vector<openmpq_term> raw(const PauliSum &sum) {
    std::vector<openmpq_term> terms;
    for (const auto &[coefficient, paulis] : sum)
      terms.push_back({coefficient, paulis.c_str()});
    return terms;
  }

  std::future<Result> submit(const double *rows, std::size_t n, std::size_t columns) {
    auto *promise = new std::promise<Result>;
    std::future<Result> future = promise->get_future();
    openmpq_circuit_execute_async(circuit_, rows, n, columns, detail::settle, promise);
    return future;
  }

  openmpq_circuit *circuit_; // the only member: compilers can map it, and the library can change what is behind it
};

using QuantumCircuitWrapper = QuantumWrapper;

} // namespace openmpq

/// QPU k in a device clause: device(Quantum(k)).
#define Quantum(k) OPENMPQ_QPU(k)

#ifndef OPENMPQ_NO_GLOBAL_NAMES // the names of the paper's listings
using openmpq::Quantum;
using openmpq::QuantumCircuitWrapper;
using openmpq::QuantumWrapper;
#endif

#endif
