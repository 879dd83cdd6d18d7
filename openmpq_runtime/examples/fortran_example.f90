! OpenMP-Q from Fortran: a rotation by three angles in one execution, and an expectation, on whichever QPU is free.
program rotations
  use openmpq
  implicit none
  real(c_double), parameter :: pi = 3.141592653589793d0
  real(c_double) :: theta(1, 3) = reshape([0d0, pi / 2, pi], [1, 3]) ! one column per execution
  real(c_double) :: zz, error
  type(c_ptr) :: circuit
  integer(c_int64_t) :: frequencies(4)
  integer :: i, status

  circuit = openmpq_circuit_create(2)
  status = openmpq_circuit_set_seed(circuit, 1_c_int64_t)
  !$omp target device(openmpq_quantum) map(to: circuit, theta) map(from: status)
  call openmpq_gate(circuit, "ry", [0], [openmpq_parameter(circuit, "theta")])
  call openmpq_gate(circuit, "cx", [0, 1])
  call openmpq_measure(circuit)
  status = openmpq_execute(circuit, theta)
  !$omp end target
  if (status /= openmpq_ok) call fail
  do i = 1, 3
    call openmpq_frequencies(circuit, frequencies, i)
    print '(a, f5.3, 2(a, i0))', "theta ", theta(1, i), ": 00 ", frequencies(1), ", 11 ", frequencies(4)
  end do

  call openmpq_circuit_clear(circuit)
  !$omp target device(openmpq_quantum) map(to: circuit) map(from: status, zz, error)
  call openmpq_gate(circuit, "ry", [0], [pi / 3])
  status = openmpq_expectation(circuit, [1d0, 1d0], ["IZ", "ZI"], zz, error)
  !$omp end target
  if (status /= openmpq_ok) call fail
  print '(a, f6.3, a, f5.3)', "<IZ + ZI> = ", zz, " +- ", error
  call openmpq_circuit_destroy(circuit)

contains

  subroutine fail
    use, intrinsic :: iso_fortran_env, only: error_unit
    write (error_unit, '(a)') openmpq_message(circuit)
    stop 1
  end subroutine
end program
