! OpenMP-Q from Fortran: the C interface (openmpq.h says what each function promises), and a few calls in Fortran's manner.
!
!   use openmpq
!   type(c_ptr) :: circuit
!   circuit = openmpq_circuit_create(2)
!   !$omp target device(openmpq_quantum) map(to: circuit)
!   call openmpq_gate(circuit, "h", [0])
!   ...
!   !$omp end target
!
! Compile this file with your program: openmpq-fc "$(openmpq-config --fortran)" program.f90. A compiled module belongs to one compiler.
! gfortran has no assembler alias, so openmpq-fc links libopenmpq_preload, which intercepts regions by name.
module openmpq
  use, intrinsic :: iso_c_binding
  implicit none

  integer(c_int), parameter :: openmpq_quantum = int(z'51000000', c_int) ! the runtime picks a QPU
  integer(c_int), parameter :: openmpq_ok = 0

  type, bind(c) :: openmpq_angle
    real(c_double) :: offset = 0, scale = 0
    integer(c_int32_t) :: parameter = -1, reserved = 0
  end type

  interface
    function openmpq_num_qpus() bind(c) result(n)
      import
      integer(c_int32_t) :: n
    end function

    function openmpq_circuit_create(n_qubits) bind(c) result(circuit)
      import
      integer(c_int32_t), value :: n_qubits
      type(c_ptr) :: circuit
    end function

    subroutine openmpq_circuit_destroy(circuit) bind(c)
      import
      type(c_ptr), value :: circuit
    end subroutine

    subroutine openmpq_circuit_clear(circuit) bind(c)
      import
      type(c_ptr), value :: circuit
    end subroutine

    function openmpq_circuit_set_shots(circuit, shots) bind(c) result(status)
      import
      type(c_ptr), value :: circuit
      integer(c_int64_t), value :: shots
      integer(c_int) :: status
    end function

    function openmpq_circuit_gate(circuit, name, qubits, n_qubits, angles, n_angles) bind(c) result(status)
      import
      type(c_ptr), value :: circuit
      character(kind=c_char), intent(in) :: name(*)
      integer(c_int32_t), intent(in) :: qubits(*)
      integer(c_size_t), value :: n_qubits, n_angles
      type(openmpq_angle), intent(in) :: angles(*)
      integer(c_int) :: status
    end function

    function openmpq_circuit_measure(circuit, qubits, n, name) bind(c) result(status)
      import
      type(c_ptr), value :: circuit, qubits, name
      integer(c_size_t), value :: n
      integer(c_int) :: status
    end function

    function openmpq_circuit_execute(circuit, rows, n_rows, n_columns) bind(c) result(status)
      import
      type(c_ptr), value :: circuit, rows
      integer(c_size_t), value :: n_rows, n_columns
      integer(c_int) :: status
    end function

    function openmpq_circuit_status(circuit) bind(c) result(status)
      import
      type(c_ptr), value :: circuit
      integer(c_int) :: status
    end function

    function openmpq_circuit_error(circuit) bind(c) result(text)
      import
      type(c_ptr), value :: circuit
      type(c_ptr) :: text
    end function

    function openmpq_circuit_result(circuit) bind(c) result(outcome)
      import
      type(c_ptr), value :: circuit
      type(c_ptr) :: outcome
    end function

    function openmpq_result_frequencies(outcome, row, out, n) bind(c) result(status)
      import
      type(c_ptr), value :: outcome
      integer(c_size_t), value :: row, n
      integer(c_int64_t), intent(out) :: out(*)
      integer(c_int) :: status
    end function

    subroutine openmpq_result_destroy(outcome) bind(c)
      import
      type(c_ptr), value :: outcome
    end subroutine

    function strlen(text) bind(c) result(n)
      import
      type(c_ptr), value :: text
      integer(c_size_t) :: n
    end function
  end interface

contains

  !> Appends a gate; angles in radians. A mistake is kept for openmpq_circuit_status and openmpq_message.
  subroutine openmpq_gate(circuit, name, qubits, angles)
    type(c_ptr), intent(in) :: circuit
    character(*), intent(in) :: name
    integer, intent(in) :: qubits(:)
    real(c_double), intent(in), optional :: angles(:)
    type(openmpq_angle) :: raw(4)
    integer(c_size_t) :: n
    integer :: k, status
    n = 0
    if (present(angles)) then
      n = min(size(angles), 4)
      do k = 1, int(n)
        raw(k)%offset = angles(k)
      end do
    end if
    status = openmpq_circuit_gate(circuit, name // c_null_char, int(qubits, c_int32_t), size(qubits, kind=c_size_t), raw, n)
  end subroutine

  !> Measures all qubits.
  subroutine openmpq_measure(circuit)
    type(c_ptr), intent(in) :: circuit
    integer :: status
    status = openmpq_circuit_measure(circuit, c_null_ptr, 0_c_size_t, c_null_ptr)
  end subroutine

  !> Runs the circuit; openmpq_ok if all went well.
  integer function openmpq_execute(circuit) result(status)
    type(c_ptr), intent(in) :: circuit
    status = openmpq_circuit_execute(circuit, c_null_ptr, 1_c_size_t, 0_c_size_t)
  end function

  !> How often each of the 2**bits states was seen: frequencies(1) is state 0.
  subroutine openmpq_frequencies(circuit, frequencies)
    type(c_ptr), intent(in) :: circuit
    integer(c_int64_t), intent(out) :: frequencies(:)
    type(c_ptr) :: outcome
    integer :: status
    frequencies = 0
    outcome = openmpq_circuit_result(circuit)
    status = openmpq_result_frequencies(outcome, 0_c_size_t, frequencies, size(frequencies, kind=c_size_t))
    call openmpq_result_destroy(outcome)
  end subroutine

  !> What went wrong, or an empty text.
  function openmpq_message(circuit) result(message)
    type(c_ptr), intent(in) :: circuit
    character(:), allocatable :: message
    character(kind=c_char), pointer :: text(:)
    type(c_ptr) :: raw
    integer :: k
    raw = openmpq_circuit_error(circuit)
    call c_f_pointer(raw, text, [strlen(raw)])
    allocate(character(size(text)) :: message)
    do k = 1, size(text)
      message(k:k) = text(k)
    end do
  end function

end module
