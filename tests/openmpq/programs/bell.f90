! A circuit from Fortran, in a region on QPU 3.
program bell
  use openmpq
  implicit none
  type(c_ptr) :: circuit
  integer(c_int64_t) :: frequencies(4)
  integer :: status

  circuit = openmpq_circuit_create(2)
  !$omp target device(openmpq_quantum + 1 + 3) map(to: circuit) map(from: status)
  call openmpq_gate(circuit, "ry", [0], [3.14159265358979d0])
  call openmpq_gate(circuit, "cx", [0, 1])
  call openmpq_measure(circuit)
  status = openmpq_execute(circuit)
  !$omp end target
  call openmpq_frequencies(circuit, frequencies)
  if (status == openmpq_ok .and. frequencies(4) == 1024) then
    print '(a)', "ok Fortran"
  else
    print '(2a)', "FAILED Fortran: ", openmpq_message(circuit)
  end if
  call openmpq_circuit_destroy(circuit)
end program
