/* The C interface, from C. */

#include <openmpq/openmpq.h>
#include <stdio.h>

int main(void) {
  openmpq_circuit *c = openmpq_circuit_create(2);
  int32_t qubits[2] = {0, 1};
  openmpq_angle pi = {3.14159265358979323846, 0, -1, 0};
#pragma omp target device(OPENMPQ_QPU(2)) firstprivate(c) map(to : qubits, pi)
  {
    openmpq_circuit_gate(c, "rx", qubits, 1, &pi, 1);
    openmpq_circuit_gate(c, "cx", qubits, 2, NULL, 0);
    openmpq_circuit_measure(c, NULL, 0, NULL);
    openmpq_circuit_execute(c, NULL, 1, 0);
  }
  openmpq_result *result = openmpq_circuit_result(c);
  uint64_t frequencies[4] = {0};
  openmpq_result_frequencies(result, 0, frequencies, 4);
  int right =
      frequencies[3] == 1024 && openmpq_circuit_status(c) == OPENMPQ_OK && openmpq_abi_version() == OPENMPQ_ABI_VERSION;
  printf("%s C on %s%s\n", right ? "ok" : "FAILED", openmpq_result_device(result), openmpq_circuit_error(c));
  openmpq_result_destroy(result);
  openmpq_circuit_destroy(c);
  return !right;
}
