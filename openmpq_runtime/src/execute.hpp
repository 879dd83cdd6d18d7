// Executing a circuit: the job it becomes, where it runs, and what happens when that fails.
#pragma once

#include <functional>

#include "state.hpp"

namespace openmpq {

/// Rows of values for the named parameters, as the C interface gets them.
struct Rows {
  const double *values;
  std::size_t n, columns;
};

/// here: the QPU of the region around the call (regions.hpp). Never throws but for lack of memory.
SharedResult execute(openmpq_circuit &circuit, const Rows &rows, std::int32_t here);
void execute_async(openmpq_circuit &circuit, const Rows &rows, std::int32_t here,
                   std::function<void(SharedResult)> done);

/// Values and variances of the sum's expectation, one per row; sets the circuit's last result.
struct Expectation {
  std::vector<double> values, variances;
};
Expectation expectation(openmpq_circuit &circuit, const std::vector<openmpq_term> &terms, const Rows &rows,
                        std::int32_t here);

} // namespace openmpq
