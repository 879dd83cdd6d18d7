// The classical half: plain OpenMP offloading, compiled with the flags of your GPU. It knows nothing of OpenMP-Q.

#include "halves.hpp"

#include <omp.h>

double mean_cut_on_device(const double *weights, const double *frequencies, int n, bool &on_host) {
  double sum = 0.0, total = 0.0;
  int host = 1;
#pragma omp target teams distribute parallel for map(to : weights[0 : n], frequencies[0 : n]) map(tofrom : sum, total) \
    reduction(+ : sum, total)
  for (int i = 0; i < n; ++i) {
    sum += weights[i] * frequencies[i];
    total += frequencies[i];
  }
#pragma omp target map(from : host)
  host = omp_is_initial_device();
  on_host = host != 0;
  return sum / total;
}
