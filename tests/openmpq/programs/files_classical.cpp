// Classical target regions, in a file that does not include OpenMP-Q's header. See files.cpp.

extern "C" int openmpq_in_region(void) noexcept;

bool in_region_there(int device);
long sum_there(long n);

bool in_region_there(int device) {
  int inside = -1;
#pragma omp target device(device) map(from : inside)
  inside = openmpq_in_region();
  return inside != 0;
}

long sum_there(long n) {
  long sum = 0;
#pragma omp target teams distribute parallel for reduction(+ : sum) map(tofrom : sum)
  for (long i = 0; i < n; ++i)
    sum += i;
  return sum;
}
