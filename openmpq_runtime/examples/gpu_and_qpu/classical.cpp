// The classical half: plain OpenMP offloading, compiled with the flags of your GPU. It knows nothing of OpenMP-Q.

#include "halves.hpp"

#include <omp.h>

double sum_on_gpu(const double *values, const double *weights, int n, bool &on_host) {
  double sum = 0.0;
  int host = 1;
#pragma omp target teams distribute parallel for map(to : values[0 : n], weights[0 : n]) map(tofrom : sum)             \
    reduction(+ : sum)
  for (int i = 0; i < n; ++i)
    sum += values[i] * weights[i];
#pragma omp target map(from : host)
  host = omp_is_initial_device();
  on_host = host != 0;
  return sum;
}
