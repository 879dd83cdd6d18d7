/* The paper's spelling of the device: `device(Quantum) device_num(q)`.
 *
 * OpenMP has no device_num clause on target constructs. This header, included after openmpq.hpp, turns it into
 * thread_limit, which means nothing for a region on a QPU, and the runtime turns it back into QPU q. Everything else
 * named device_num that is followed by a parenthesis changes too, so include it in files with such listings only.
 * clang 16 needs -fopenmp-version=51 for thread_limit on a target construct.
 */
#ifndef OPENMPQ_LISTINGS_H
#define OPENMPQ_LISTINGS_H

#include "openmpq.h"

#define device_num(q) thread_limit(OPENMPQ_QPU(q))

#endif
