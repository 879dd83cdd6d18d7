/* OpenMP-Q from C: a Bell pair on QPU 0. */

#include <inttypes.h>
#include <openmpq/openmpq.h>
#include <stdio.h>

int main(void) {
  openmpq_circuit *c = openmpq_circuit_create(2);
  int32_t qubits[2] = {0, 1};
#pragma omp target device(OPENMPQ_QPU(0)) firstprivate(c) map(to : qubits)
  {
    openmpq_circuit_gate(c, "h", qubits, 1, NULL, 0);
    openmpq_circuit_gate(c, "cx", qubits, 2, NULL, 0);
    openmpq_circuit_measure(c, NULL, 0, NULL);
    openmpq_circuit_execute(c, NULL, 1, 0);
  }
  if (openmpq_circuit_status(c) != OPENMPQ_OK) {
    fprintf(stderr, "%s: %s\n", openmpq_status_name(openmpq_circuit_status(c)), openmpq_circuit_error(c));
    return 1;
  }
  openmpq_result *result = openmpq_circuit_result(c);
  for (size_t i = 0; i < openmpq_result_num_states(result, 0); ++i) {
    uint64_t count;
    const char *state = openmpq_result_state(result, 0, i, &count);
    printf("%s %" PRIu64 "\n", state, count);
  }
  openmpq_result_destroy(result);
  openmpq_circuit_destroy(c);
  return 0;
}
