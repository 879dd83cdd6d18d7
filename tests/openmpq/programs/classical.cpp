// A program that knows nothing of OpenMP-Q: what it prints must not depend on the library.

#include <cstdio>

#include <omp.h>

int main() {
  double values[100], sum = 0;
  for (int i = 0; i < 100; ++i)
    values[i] = i;
#pragma omp target data map(tofrom : values)
  {
#pragma omp target teams distribute parallel for
    for (int i = 0; i < 100; ++i)
      values[i] *= 2;
#pragma omp target update from(values)
#pragma omp target map(tofrom : sum)
    for (int i = 0; i < 100; ++i)
      sum += values[i];
  }
  int host = omp_get_initial_device();
  double *memory = static_cast<double *>(omp_target_alloc(sizeof values, host));
  omp_target_memcpy(memory, values, sizeof values, 0, 0, host, host);
  std::printf("%g %g %d %d %d\n", sum, memory[99], omp_get_num_devices(), host, omp_is_initial_device());
  omp_target_free(memory, host);
}
