// Data of quantum regions: what goes in, what comes back.

#include <vector>

#include <omp.h>
#include <openmpq/openmpq.hpp>

#include "checks.hpp"

namespace {

struct Point {
  double x, y;
  int tags[3];
};

double global = 1.0;

#pragma omp declare target
int table[3] = {1, 2, 3};
int twice(int x) {
  return 2 * x;
}
#pragma omp end declare target

void clauses() {
  double to[4] = {1, 2, 3, 4}, from[4] = {0}, both[4] = {1, 1, 1, 1}, scratch[4];
  int n = 4, kept = 5;
#pragma omp target device(Quantum) map(to : to, n) map(from : from) map(tofrom : both) map(alloc : scratch)            \
    firstprivate(kept)
  {
    for (int i = 0; i < n; ++i) {
      scratch[i] = 2 * to[i];
      from[i] = scratch[i];
      both[i] += to[i];
    }
    kept = 99;
  }
  check(from[3] == 8 && from[0] == 2, "map(to) and map(from)");
  check(both[0] == 2 && both[3] == 5, "map(tofrom)");
  check(kept == 5, "firstprivate keeps the host's value");
}

void shapes() {
  double matrix[3][4] = {{0}}, *heap = new double[10]();
#pragma omp target device(Quantum) map(tofrom : matrix[1 : 2][0 : 4], heap[2 : 5])
  {
    matrix[2][3] = 7;
    for (int i = 2; i < 7; ++i)
      heap[i] = i;
  }
  check(matrix[2][3] == 7 && heap[6] == 6 && heap[7] == 0, "sections of arrays");
  delete[] heap;

  std::vector<double> vector(5, 1.0);
  double *data = vector.data();
#pragma omp target device(Quantum) map(tofrom : data[0 : 5])
  for (int i = 0; i < 5; ++i)
    data[i] += i;
  check(vector[4] == 5.0, "data of a vector");
#pragma omp target device(Quantum) map(tofrom : vector)
  vector[4] = 6.0;
  check(vector[4] == 6.0, "a whole vector");

  Point point = {1, 2, {3, 4, 5}};
#pragma omp target device(Quantum) map(tofrom : point)
  {
    point.y *= 10;
    point.tags[2] = 6;
  }
  check(point.x == 1 && point.y == 20 && point.tags[2] == 6, "struct");
#pragma omp target device(Quantum) map(tofrom : point.x)
  point.x = 9;
  check(point.x == 9, "member of a struct");
#pragma omp target device(Quantum) map(tofrom : global)
  global = 2.0;
  check(global == 2.0, "global variable");
  int n = 0;
#pragma omp target device(Quantum) defaultmap(tofrom : scalar)
  n = twice(table[2]);
  check(n == 6, "declare target and defaultmap");
}

void data_constructs() {
  double values[3] = {1, 2, 3};
#pragma omp target data device(Quantum(1)) map(tofrom : values)
  {
#pragma omp target device(Quantum(1))
    values[0] = 10;
#pragma omp target update device(Quantum(1)) from(values)
    check(values[0] == 10, "target update");
  }
#pragma omp target enter data device(Quantum(1)) map(to : values)
#pragma omp target device(Quantum(1)) map(always, tofrom : values)
  values[1] = 20;
#pragma omp target exit data device(Quantum(1)) map(from : values)
  check(values[0] == 10 && values[1] == 20, "target data, enter data, exit data");
}

void device_addresses() {
  double values[3] = {1, 2, 3}, *p = values;
#pragma omp target data device(Quantum(1)) map(tofrom : p[0 : 3]) use_device_ptr(p)
#pragma omp target device(Quantum(1)) is_device_ptr(p)
  p[2] = 7;
  check(values[2] == 7, "use_device_ptr");
#pragma omp target data device(Quantum(1)) map(tofrom : values) use_device_addr(values)
  {
    double *first = &values[0];
#pragma omp target device(Quantum(1)) is_device_ptr(first)
    first[1] = 9;
  }
  check(values[1] == 9, "use_device_addr");
}

void deferred_data() {
  double values[2] = {1, 2};
  [[maybe_unused]] int order;
#pragma omp parallel num_threads(2)
#pragma omp single
  {
#pragma omp target enter data device(Quantum(1)) map(to : values) nowait depend(out : order)
#pragma omp target device(Quantum(1)) map(tofrom : values) nowait depend(inout : order)
    values[0] = 11;
#pragma omp target update device(Quantum(1)) from(values) nowait depend(inout : order)
#pragma omp target exit data device(Quantum(1)) map(from : values) nowait depend(inout : order)
#pragma omp taskwait
  }
  check(values[0] == 11, "data constructs with nowait and depend");
}

void device_memory() {
  int k = OPENMPQ_QPU(1);
  double source[2] = {4, 5}, target[2] = {0};
  double *memory = static_cast<double *>(omp_target_alloc(sizeof source, k));
  check(memory != nullptr, "omp_target_alloc");
  omp_target_memcpy(memory, source, sizeof source, 0, 0, k, omp_get_initial_device());
#pragma omp target device(Quantum(1)) is_device_ptr(memory)
  memory[1] *= 2;
  omp_target_memcpy(target, memory, sizeof target, 0, 0, omp_get_initial_device(), k);
  omp_target_free(memory, k);
  check(target[0] == 4 && target[1] == 10, "is_device_ptr and omp_target_memcpy");
}

void angles_of_a_loop() {
  double angles[2] = {0.0, 0.0};
  std::uint64_t frequencies[4] = {0};
  for (int i = 0; i < 2; ++i) {
    QuantumWrapper *c = new QuantumWrapper(2);
#pragma omp target device(Quantum) firstprivate(c) map(to : angles) map(from : frequencies)
    {
      c->rx(angles[0], 0).rx(angles[1], 1).measure();
      openmpq::Frequencies all = c->execute();
      for (int s = 0; s < 4; ++s)
        frequencies[s] = all[s];
    }
    check(frequencies[i ? 2 : 0] == 1024, "frequencies of iteration " + std::to_string(i), c->error());
    angles[1] = 3.14159265358979323846;
    delete c;
  }
}

} // namespace

int main() {
  clauses();
  shapes();
  data_constructs();
  device_addresses();
  deferred_data();
  device_memory();
  angles_of_a_loop();
}
