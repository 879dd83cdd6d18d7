! OpenMP-Q from Fortran: a rotation on whichever QPU is free.
program bell
  use openmpq
  implicit none
  type(c_ptr) :: circuit
  integer(c_int64_t) :: frequencies(4)
  integer :: status

  circuit = openmpq_circuit_create(2)
  !$omp target device(openmpq_quantum) map(to: circuit) map(from: status)
  call openmpq_gate(circuit, "ry", [0], [1.5707963267948966d0])
  call openmpq_gate(circuit, "cx", [0, 1])
  call openmpq_measure(circuit)
  status = openmpq_execute(circuit)
  !$omp end target
  if (status /= openmpq_ok) then
    print '(a)', openmpq_message(circuit)
    stop 1
  end if
  call openmpq_frequencies(circuit, frequencies)
  print '(a, i0, a, i0)', "00 ", frequencies(1), ", 11 ", frequencies(4)
  call openmpq_circuit_destroy(circuit)
end program
