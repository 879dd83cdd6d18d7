/* OpenMP-Q, the C interface: quantum circuits that run in `#pragma omp target` regions on a QPU of a pool.
 *
 * C99 and C++17. No function throws, none calls abort. Functions that return an openmpq_status also leave a text that
 * says what is wrong, which choices there are and what to do next: openmpq_circuit_error(), openmpq_result_error().
 *
 * Threads: functions without a circuit may be called from any thread. One circuit belongs to one thread at a time;
 * different circuits never disturb each other. A result is immutable and may be read from any thread.
 *
 * Strings are UTF-8 and end with 0. A string that is returned belongs to the object and lives until the object changes
 * or is destroyed. Angles are radians. Qubits and bits are numbered from 0. Bit strings are in Qiskit's order: bit 0 is
 * the rightmost character, registers are separated by a space, the first register is the rightmost.
 *
 * Not promised: the layout of anything behind an opaque pointer, and the order in which states of a result are listed.
 */
#ifndef OPENMPQ_OPENMPQ_H
#define OPENMPQ_OPENMPQ_H

#include <stddef.h>
#include <stdint.h>

#define OPENMPQ_VERSION_MAJOR 0
#define OPENMPQ_VERSION_MINOR 1
/* Raised when a program compiled against an older header must be compiled again. */
#define OPENMPQ_ABI_VERSION 1

#ifdef __cplusplus
#define OPENMPQ_NOEXCEPT noexcept
extern "C" {
#else
#define OPENMPQ_NOEXCEPT
#endif

/* The ABI version of the library that is loaded; compare it with OPENMPQ_ABI_VERSION. */
uint32_t openmpq_abi_version(void) OPENMPQ_NOEXCEPT;

/* ------------------------------------------------------------------------------------------------ status --------- */

typedef enum openmpq_status {
  OPENMPQ_OK = 0,
  OPENMPQ_NOT_RUN = 1,      /* nothing has been executed yet */
  OPENMPQ_INVALID = 2,      /* the circuit or an argument is wrong, or the device lacks a gate or qubits */
  OPENMPQ_NO_DEVICE = 3,    /* the pool has no such QPU */
  OPENMPQ_UNREACHABLE = 4,  /* no pool answers at OPENMPQ_POOL */
  OPENMPQ_DISCONNECTED = 5, /* the connection was lost in the middle; the circuit ran once or not at all */
  OPENMPQ_DEVICE_ERROR = 6, /* the device or its engine failed */
  OPENMPQ_CANCELLED = 7,
  OPENMPQ_TIMEOUT = 8,  /* OPENMPQ_TIMEOUT seconds went by without an answer */
  OPENMPQ_REFUSED = 9,  /* wrong token, other version of the wire, scripts not allowed */
  OPENMPQ_INTERNAL = 10 /* out of memory, or an error in this library */
} openmpq_status;

/* The name of a status as a word: "ok", "no_device", ...; never NULL. */
const char *openmpq_status_name(openmpq_status status) OPENMPQ_NOEXCEPT;

/* ------------------------------------------------------------------------------------------------ QPUs ----------- */

/* Device numbers for the device clause. OPENMPQ_QUANTUM lets the runtime pick a QPU: in a parallel region, or in an MPI
 * program, each thread of each rank its own (modulo their number); in serial code whichever is free. */
#define OPENMPQ_QUANTUM 0x51000000
#define OPENMPQ_QPU(k) (OPENMPQ_QUANTUM + 1 + (k))

/* QPUs of the pool; 0 where there is none (OMP_TARGET_OFFLOAD=DISABLED, or no pool answers). The first call connects.
 */
int32_t openmpq_num_qpus(void) OPENMPQ_NOEXCEPT;
/* Name and size of QPU k, 0 <= k < openmpq_num_qpus(); NULL or 0 for any other k. The name lives as long as the
 * process. */
const char *openmpq_qpu_name(int32_t k) OPENMPQ_NOEXCEPT;
int32_t openmpq_qpu_qubits(int32_t k) OPENMPQ_NOEXCEPT;
/* 1 inside a quantum region of the calling thread, else 0. gcc: exact. clang has no end of a region, so it stays 1
 * until the function that holds the region returns or the thread enters another target region. */
int32_t openmpq_in_region(void) OPENMPQ_NOEXCEPT;
/* The QPU of the region around the call, or -1 if there is none or the pool picks. */
int32_t openmpq_region_qpu(void) OPENMPQ_NOEXCEPT;

/* ------------------------------------------------------------------------------------------------ circuits ------- */

typedef struct openmpq_circuit openmpq_circuit;
typedef struct openmpq_result openmpq_result;

/* offset + scale * (value of a parameter), in radians; parameter -1 is a plain number, `offset`. */
typedef struct openmpq_angle {
  double offset;
  double scale;
  int32_t parameter;
  int32_t reserved; /* 0 */
} openmpq_angle;

/* A circuit of n_qubits; 0: as many as its gates use. NULL only when memory is out. */
openmpq_circuit *openmpq_circuit_create(int32_t n_qubits) OPENMPQ_NOEXCEPT;
void openmpq_circuit_destroy(openmpq_circuit *circuit) OPENMPQ_NOEXCEPT;
/* Forgets gates, parameters, arrays, results and errors; keeps shots, seed, priority, device and the region's QPU. */
void openmpq_circuit_clear(openmpq_circuit *circuit) OPENMPQ_NOEXCEPT;

/* A second address under which a region's data may lead to this circuit: the C++ object around it. */
void openmpq_circuit_set_address(openmpq_circuit *circuit, const void *address) OPENMPQ_NOEXCEPT;
void openmpq_circuit_forget_address(const void *address) OPENMPQ_NOEXCEPT;

/* Defaults: 1024 shots (or OPENMPQ_SHOTS), no seed, MEDIUM. A seed repeats counts on simulators; < 0 draws afresh. */
openmpq_status openmpq_circuit_set_shots(openmpq_circuit *circuit, int64_t shots) OPENMPQ_NOEXCEPT;
openmpq_status openmpq_circuit_set_seed(openmpq_circuit *circuit, int64_t seed) OPENMPQ_NOEXCEPT;
/* "HIGH", "MEDIUM" or "LOW". */
openmpq_status openmpq_circuit_set_priority(openmpq_circuit *circuit, const char *priority) OPENMPQ_NOEXCEPT;
/* A name or selector ("ion0", "tag:ion", "qubits>=7") that counts instead of the region's QPU; NULL takes it back. */
openmpq_status openmpq_circuit_set_device(openmpq_circuit *circuit, const char *device_id) OPENMPQ_NOEXCEPT;

/* Appends a gate: a name of the language `gates` (docs/openmpq.md lists them), its qubits and angles. A mistake is
 * remembered: this call and all later ones, execute included, return OPENMPQ_INVALID with the first mistake's text. */
openmpq_status openmpq_circuit_gate(openmpq_circuit *circuit, const char *name, const int32_t *qubits, size_t n_qubits,
                                    const openmpq_angle *angles, size_t n_angles) OPENMPQ_NOEXCEPT;
/* qubits == NULL: all qubits. */
openmpq_status openmpq_circuit_barrier(openmpq_circuit *circuit, const int32_t *qubits,
                                       size_t n_qubits) OPENMPQ_NOEXCEPT;
openmpq_status openmpq_circuit_reset(openmpq_circuit *circuit, const int32_t *qubits, size_t n_qubits) OPENMPQ_NOEXCEPT;
/* Measures into the next bits of a classical register, which is made where it does not exist. qubits == NULL: all
 * qubits. name == NULL: "meas". */
openmpq_status openmpq_circuit_measure(openmpq_circuit *circuit, const int32_t *qubits, size_t n_qubits,
                                       const char *name) OPENMPQ_NOEXCEPT;
/* Measures one qubit into a certain bit of a register, which grows as needed. */
openmpq_status openmpq_circuit_measure_bit(openmpq_circuit *circuit, int32_t qubit, const char *name,
                                           int32_t bit) OPENMPQ_NOEXCEPT;
/* The number of a named parameter, made where it does not exist; -1 on error. */
int32_t openmpq_circuit_parameter(openmpq_circuit *circuit, const char *name) OPENMPQ_NOEXCEPT;
int32_t openmpq_circuit_num_qubits(const openmpq_circuit *circuit) OPENMPQ_NOEXCEPT;
int32_t openmpq_circuit_num_parameters(const openmpq_circuit *circuit) OPENMPQ_NOEXCEPT;

/* ------------------------------------------------------------------------------------------------ execution ------ */

/* Runs the circuit once for each row of values of its named parameters and waits. rows: n_rows x n_columns, row after
 * row, n_columns = openmpq_circuit_num_parameters(). A circuit without parameters: NULL, 1, 0. */
openmpq_status openmpq_circuit_execute(openmpq_circuit *circuit, const double *rows, size_t n_rows,
                                       size_t n_columns) OPENMPQ_NOEXCEPT;
/* The same without waiting. done(user, result) is called exactly once, from a thread of the runtime or before this
 * returns; it owns the result. The circuit may be changed or destroyed at once. */
typedef void (*openmpq_callback)(void *user, openmpq_result *result);
void openmpq_circuit_execute_async(openmpq_circuit *circuit, const double *rows, size_t n_rows, size_t n_columns,
                                   openmpq_callback done, void *user) OPENMPQ_NOEXCEPT;

/* Of the circuit's last execution, or the mistake in its gates. "" if all is well. */
openmpq_status openmpq_circuit_status(const openmpq_circuit *circuit) OPENMPQ_NOEXCEPT;
const char *openmpq_circuit_error(const openmpq_circuit *circuit) OPENMPQ_NOEXCEPT;
/* A result of one's own of the last execution; never NULL unless memory is out. */
openmpq_result *openmpq_circuit_result(const openmpq_circuit *circuit) OPENMPQ_NOEXCEPT;

/* A Pauli string with its coefficient: "ZZI" acts on qubits 2 and 1 (qubit 0 on the right). */
typedef struct openmpq_term {
  double coefficient;
  const char *paulis;
} openmpq_term;

/* The expectation of a sum of Pauli strings, with its standard error, for each row (as in execute). The circuit must
 * not measure; it runs once for each group of terms that can be measured together, with the set number of shots each.
 * values, standard_errors: n_rows numbers each; standard_errors may be NULL. */
openmpq_status openmpq_circuit_expectation(openmpq_circuit *circuit, const openmpq_term *terms, size_t n_terms,
                                           const double *rows, size_t n_rows, size_t n_columns, double *values,
                                           double *standard_errors) OPENMPQ_NOEXCEPT;

/* ------------------------------------------------------------------------------------------------ results -------- */

openmpq_status openmpq_result_status(const openmpq_result *result) OPENMPQ_NOEXCEPT;
const char *openmpq_result_error(const openmpq_result *result) OPENMPQ_NOEXCEPT;
size_t openmpq_result_num_rows(const openmpq_result *result) OPENMPQ_NOEXCEPT;
int32_t openmpq_result_num_bits(const openmpq_result *result) OPENMPQ_NOEXCEPT;
int64_t openmpq_result_shots(const openmpq_result *result) OPENMPQ_NOEXCEPT;
/* The QPU that ran it; "host" for the state vector of this library. */
const char *openmpq_result_device(const openmpq_result *result) OPENMPQ_NOEXCEPT;
/* Seconds between submission and start, and on the QPU. */
double openmpq_result_queue_s(const openmpq_result *result) OPENMPQ_NOEXCEPT;
double openmpq_result_run_s(const openmpq_result *result) OPENMPQ_NOEXCEPT;
/* The states that were seen in a row, and the i-th of them: its bit string and how often. */
size_t openmpq_result_num_states(const openmpq_result *result, size_t row) OPENMPQ_NOEXCEPT;
const char *openmpq_result_state(const openmpq_result *result, size_t row, size_t i, uint64_t *count) OPENMPQ_NOEXCEPT;
/* How often each of the 2^bits states was seen, unobserved states 0; state s has bit k of s in classical bit k.
 * OPENMPQ_INVALID unless n == 2^bits. */
openmpq_status openmpq_result_frequencies(const openmpq_result *result, size_t row, uint64_t *out,
                                          size_t n) OPENMPQ_NOEXCEPT;
void openmpq_result_destroy(openmpq_result *result) OPENMPQ_NOEXCEPT;

/* ------------------------------------------------------------------------------------------------ scripts -------- */

typedef enum openmpq_direction { OPENMPQ_TO = 1, OPENMPQ_FROM = 2, OPENMPQ_TOFROM = 3 } openmpq_direction;

/* Data that a script gets (TO) and gives back (FROM) by name. The memory stays yours and must live until execute is
 * done. (OpenMP's map clause does not tell the runtime the type of the data, so a script's data is named here.) */
openmpq_status openmpq_circuit_array(openmpq_circuit *circuit, const char *name, double *data, size_t n,
                                     openmpq_direction direction) OPENMPQ_NOEXCEPT;
/* Execute a Python script next to the QPU instead of gates: a file in the folder that the pool's owner allows. */
openmpq_status openmpq_circuit_script(openmpq_circuit *circuit, const char *name) OPENMPQ_NOEXCEPT;

/* ------------------------------------------------------------------------------------------------ text ----------- */

/* The circuit as a program that runs elsewhere, for people who look: OpenQASM 3, and a Python script with Qiskit (the
 * paper's Listing 6). "" if the circuit has a mistake. */
const char *openmpq_circuit_to_qasm3(openmpq_circuit *circuit) OPENMPQ_NOEXCEPT;
const char *openmpq_circuit_to_qiskit(openmpq_circuit *circuit) OPENMPQ_NOEXCEPT;

#ifdef __cplusplus
} /* extern "C" */
#endif

#include "redirect.h"

#endif
