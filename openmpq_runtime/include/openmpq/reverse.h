/* Reverse offload, where the compiler has it.
 *
 *   OPENMPQ_REQUIRES_REVERSE_OFFLOAD              once, at the top of the file
 *   OPENMPQ_ANCESTOR(map(always, tofrom : x)) f(x);   inside a quantum region
 *
 * gcc 13 and later: the directives `requires reverse_offload` and `target device(ancestor: 1)`. gcc 12 does not
 * implement them and clang does not take them there, so for those the macros are empty: a quantum region runs on the
 * host anyway, only its circuits go to the QPU, and the classical code is simply called. What it does is the same.
 */
#ifndef OPENMPQ_REVERSE_H
#define OPENMPQ_REVERSE_H

#if defined(__GNUC__) && !defined(__clang__) && __GNUC__ >= 13
#define OPENMPQ_PRAGMA(...) _Pragma(#__VA_ARGS__)
#define OPENMPQ_REQUIRES_REVERSE_OFFLOAD OPENMPQ_PRAGMA(omp requires reverse_offload)
#define OPENMPQ_ANCESTOR(...) OPENMPQ_PRAGMA(omp target device(ancestor : 1) __VA_ARGS__)
#else
#define OPENMPQ_REQUIRES_REVERSE_OFFLOAD
#define OPENMPQ_ANCESTOR(...)
#endif

#endif
