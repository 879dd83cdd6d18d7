! OpenMP-Q from Fortran: the C interface (openmpq.h says what each function promises), and calls in Fortran's manner.
!
!   use openmpq
!   type(c_ptr) :: circuit
!   circuit = openmpq_circuit_create(2)
!   !$omp target device(openmpq_quantum) map(to: circuit) map(from: status)
!   call openmpq_gate(circuit, "h", [0])
!   ...
!   status = openmpq_execute(circuit)
!   !$omp end target
!
! This file is compiled with your program, for a compiled module belongs to one compiler:
!   openmpq-fc "$(openmpq-config --fortran)" program.f90
! Fortran cannot redirect regions in a header, so openmpq-fc links libopenmpq_preload, which intercepts them by name.
module openmpq
  use, intrinsic :: iso_c_binding
  implicit none

  integer(c_int), parameter :: openmpq_quantum = int(z'51000000', c_int) ! the runtime picks a QPU; see openmpq_qpu
  integer(c_int), parameter :: openmpq_ok = 0
  integer(c_int), parameter :: openmpq_to = 1, openmpq_from = 2, openmpq_tofrom = 3

  !> offset + scale * (value of a parameter), in radians; parameter -1 is a plain number.
  type, bind(c) :: openmpq_angle
    real(c_double) :: offset = 0, scale = 0
    integer(c_int32_t) :: parameter = -1, reserved = 0
  end type

  !> A Pauli string with its coefficient.
  type, bind(c) :: openmpq_term
    real(c_double) :: coefficient
    type(c_ptr) :: paulis
  end type

  interface
    function openmpq_num_qpus() bind(c) result(n)
      import
      integer(c_int32_t) :: n
    end function

    function openmpq_qpu_name(k) bind(c) result(text)
      import
      integer(c_int32_t), value :: k
      type(c_ptr) :: text
    end function

    function openmpq_qpu_qubits(k) bind(c) result(n)
      import
      integer(c_int32_t), value :: k
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

    function openmpq_circuit_set_seed(circuit, seed) bind(c) result(status)
      import
      type(c_ptr), value :: circuit
      integer(c_int64_t), value :: seed
      integer(c_int) :: status
    end function

    function openmpq_circuit_set_device(circuit, device_id) bind(c) result(status)
      import
      type(c_ptr), value :: circuit
      character(kind=c_char), intent(in) :: device_id(*)
      integer(c_int) :: status
    end function

    function openmpq_circuit_gate(circuit, name, qubits, n_qubits, angles, n_angles) bind(c) result(status)
      import
      type(c_ptr), value :: circuit
      character(kind=c_char), intent(in) :: name(*)
      integer(c_int32_t), intent(in) :: qubits(*)
      integer(c_size_t), value :: n_qubits
      type(openmpq_angle), intent(in) :: angles(*)
      integer(c_size_t), value :: n_angles
      integer(c_int) :: status
    end function

    function openmpq_circuit_measure(circuit, qubits, n, name) bind(c) result(status)
      import
      type(c_ptr), value :: circuit
      type(c_ptr), value :: qubits
      integer(c_size_t), value :: n
      type(c_ptr), value :: name
      integer(c_int) :: status
    end function

    function openmpq_circuit_parameter(circuit, name) bind(c) result(number)
      import
      type(c_ptr), value :: circuit
      character(kind=c_char), intent(in) :: name(*)
      integer(c_int32_t) :: number
    end function

    function openmpq_circuit_execute(circuit, rows, n_rows, n_columns) bind(c) result(status)
      import
      type(c_ptr), value :: circuit
      type(c_ptr), value :: rows
      integer(c_size_t), value :: n_rows
      integer(c_size_t), value :: n_columns
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

    function openmpq_circuit_expectation(circuit, terms, n_terms, rows, n_rows, n_columns, values, &
        standard_errors) bind(c) result(status)
      import
      type(c_ptr), value :: circuit
      type(openmpq_term), intent(in) :: terms(*)
      integer(c_size_t), value :: n_terms
      type(c_ptr), value :: rows
      integer(c_size_t), value :: n_rows
      integer(c_size_t), value :: n_columns
      real(c_double), intent(out) :: values(*)
      real(c_double), intent(out) :: standard_errors(*)
      integer(c_int) :: status
    end function

    function openmpq_circuit_script(circuit, name) bind(c) result(status)
      import
      type(c_ptr), value :: circuit
      character(kind=c_char), intent(in) :: name(*)
      integer(c_int) :: status
    end function

    function openmpq_circuit_array(circuit, name, data, n, direction) bind(c) result(status)
      import
      type(c_ptr), value :: circuit
      character(kind=c_char), intent(in) :: name(*)
      type(c_ptr), value :: data
      integer(c_size_t), value :: n
      integer(c_int), value :: direction
      integer(c_int) :: status
    end function

    function openmpq_circuit_result(circuit) bind(c) result(outcome)
      import
      type(c_ptr), value :: circuit
      type(c_ptr) :: outcome
    end function

    function openmpq_result_device(outcome) bind(c) result(text)
      import
      type(c_ptr), value :: outcome
      type(c_ptr) :: text
    end function

    function openmpq_result_frequencies(outcome, row, out, n) bind(c) result(status)
      import
      type(c_ptr), value :: outcome
      integer(c_size_t), value :: row
      integer(c_int64_t), intent(out) :: out(*)
      integer(c_size_t), value :: n
      integer(c_int) :: status
    end function

    subroutine openmpq_result_destroy(outcome) bind(c)
      import
      type(c_ptr), value :: outcome
    end subroutine

    function c_strlen(text) bind(c, name="strlen") result(n)
      import
      type(c_ptr), value :: text
      integer(c_size_t) :: n
    end function
  end interface
  private :: c_strlen

  !> Appends a gate. Its angles are numbers, or of type openmpq_angle. A mistake is kept for openmpq_message.
  interface openmpq_gate
    module procedure gate_of_numbers, gate_of_angles
  end interface
  private :: gate_of_numbers, gate_of_angles

contains

  !> QPU k, from 0, in a device clause.
  pure integer(c_int) function openmpq_qpu(k)
    integer, intent(in) :: k
    openmpq_qpu = openmpq_quantum + 1 + k
  end function

  !> scale * (a named parameter) + offset.
  type(openmpq_angle) function openmpq_parameter(circuit, name, scale, offset) result(angle)
    type(c_ptr), intent(in) :: circuit
    character(*), intent(in) :: name
    real(c_double), intent(in), optional :: scale, offset
    angle%parameter = openmpq_circuit_parameter(circuit, name // c_null_char)
    angle%scale = 1
    if (present(scale)) angle%scale = scale
    if (present(offset)) angle%offset = offset
  end function

  subroutine gate_of_angles(circuit, name, qubits, angles)
    type(c_ptr), intent(in) :: circuit
    character(*), intent(in) :: name
    integer, intent(in) :: qubits(:)
    type(openmpq_angle), intent(in) :: angles(:)
    integer :: status
    status = openmpq_circuit_gate(circuit, name // c_null_char, int(qubits, c_int32_t), &
                                  size(qubits, kind=c_size_t), angles, size(angles, kind=c_size_t))
  end subroutine

  subroutine gate_of_numbers(circuit, name, qubits, angles)
    type(c_ptr), intent(in) :: circuit
    character(*), intent(in) :: name
    integer, intent(in) :: qubits(:)
    real(c_double), intent(in), optional :: angles(:)
    type(openmpq_angle), allocatable :: raw(:)
    allocate(raw(0))
    if (present(angles)) then
      deallocate(raw)
      allocate(raw(size(angles)))
      raw%offset = angles
    end if
    call gate_of_angles(circuit, name, qubits, raw)
  end subroutine

  !> Measures all qubits.
  subroutine openmpq_measure(circuit)
    type(c_ptr), intent(in) :: circuit
    integer :: status
    status = openmpq_circuit_measure(circuit, c_null_ptr, 0_c_size_t, c_null_ptr)
  end subroutine

  !> Runs the circuit, once for each column of `values`: values(:, i) are those of the named parameters.
  integer function openmpq_execute(circuit, values) result(status)
    type(c_ptr), intent(in) :: circuit
    real(c_double), intent(in), optional, contiguous, target :: values(:, :)
    integer(c_size_t) :: n, columns
    type(c_ptr) :: rows
    rows = c_null_ptr
    n = 1
    columns = 0
    if (present(values)) then
      columns = size(values, 1)
      n = size(values, 2)
      if (size(values) > 0) rows = c_loc(values)
    end if
    status = openmpq_circuit_execute(circuit, rows, n, columns)
  end function

  !> The expectation of sum(coefficients * paulis) and its standard error; paulis: "ZZ", qubit 0 on the right.
  integer function openmpq_expectation(circuit, coefficients, paulis, expectation, standard_error) result(status)
    type(c_ptr), intent(in) :: circuit
    real(c_double), intent(in) :: coefficients(:)
    character(*), intent(in) :: paulis(:)
    real(c_double), intent(out) :: expectation, standard_error
    character(len(paulis) + 1, kind=c_char), target :: texts(size(paulis))
    type(openmpq_term) :: terms(size(paulis))
    real(c_double) :: means(1), errors(1)
    integer :: i
    do i = 1, size(paulis)
      texts(i) = paulis(i) // c_null_char
      terms(i) = openmpq_term(coefficients(i), c_loc(texts(i)))
    end do
    status = openmpq_circuit_expectation(circuit, terms, size(terms, kind=c_size_t), c_null_ptr, 1_c_size_t, &
                                         0_c_size_t, means, errors)
    expectation = means(1)
    standard_error = errors(1)
  end function

  !> How often each of the 2**bits states was seen with column `column` (default 1): frequencies(1) is state 0.
  subroutine openmpq_frequencies(circuit, frequencies, column)
    type(c_ptr), intent(in) :: circuit
    integer(c_int64_t), intent(out) :: frequencies(:)
    integer, intent(in), optional :: column
    type(c_ptr) :: outcome
    integer(c_size_t) :: row
    integer :: status
    row = 0
    if (present(column)) row = column - 1
    frequencies = 0
    outcome = openmpq_circuit_result(circuit)
    status = openmpq_result_frequencies(outcome, row, frequencies, size(frequencies, kind=c_size_t))
    call openmpq_result_destroy(outcome)
  end subroutine

  !> What went wrong, or an empty text.
  function openmpq_message(circuit) result(message)
    type(c_ptr), intent(in) :: circuit
    character(:), allocatable :: message
    message = openmpq_text(openmpq_circuit_error(circuit))
  end function

  !> A text of the C interface.
  function openmpq_text(raw) result(text)
    type(c_ptr), intent(in) :: raw
    character(:), allocatable :: text
    character(kind=c_char), pointer :: letters(:)
    integer :: i
    text = ""
    if (.not. c_associated(raw)) return
    call c_f_pointer(raw, letters, [c_strlen(raw)])
    text = repeat(" ", size(letters))
    do i = 1, size(letters)
      text(i:i) = letters(i)
    end do
  end function

end module
