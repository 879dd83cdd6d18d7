// A GPU and a QPU in one program, each with its own file and flags. Without a GPU the classical half runs on the host,
// and nothing else changes.

#include <cstdio>

#include "halves.hpp"

int main() {
  const Sample sample = sample_on_qpu();
  if (sample.cuts.empty())
    return 1;
  bool on_host = true;
  double mean = sum_on_gpu(sample.cuts.data(), sample.shares.data(), int(sample.cuts.size()), on_host);
  std::printf("mean cut %.3f, circuits on %s, classical half on %s\n", mean, sample.qpu.c_str(),
              on_host ? "the host" : "a device");
}
