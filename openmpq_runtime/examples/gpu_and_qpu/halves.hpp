#pragma once

#include <string>
#include <vector>

struct Sample {
  std::string qpu;
  std::vector<double> cuts, shares; // of each state: its cut, and its share of the shots; empty on error
};

/// quantum.cpp: runs the ansatz. An error is said on standard error.
Sample sample_on_qpu();

/// classical.cpp: the sum of n values, each times its weight, on the default device (a GPU, if there is one).
double sum_on_gpu(const double *values, const double *weights, int n, bool &on_host);
