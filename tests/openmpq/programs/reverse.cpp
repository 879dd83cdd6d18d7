// Classical code inside a quantum region, by on_host(). With -DORPHANED: by the directive, in a function that the
// region calls (clang with -fopenmp-version=99; its own spelling of an unfinished feature). With -DANCESTOR: by the
// macros.

#include <omp.h>
#include <openmpq/openmpq.hpp>

#include <openmpq/reverse.h>

#include "checks.hpp"

#if defined(ORPHANED)
#pragma omp requires reverse_offload
#elif defined(ANCESTOR)
OPENMPQ_REQUIRES_REVERSE_OFFLOAD
#endif

namespace {

int order = 0;

void on_the_host(std::uint64_t *frequencies, double *angle, int *when) {
#ifdef ORPHANED
#pragma omp target device(ancestor : 1) map(always, tofrom : frequencies[0 : 2], angle[0 : 1], when[0 : 1], order)
#endif
  {
    if (frequencies[1] < 1024)
      *angle = 3.14159265358979323846;
    *when = ++order;
  }
}

} // namespace

int main() {
  QuantumWrapper *c = new QuantumWrapper(1);
  double angle = 0.0;
  std::uint64_t frequencies[2];
  int when = 0, after = 0;
#pragma omp target device(Quantum) firstprivate(c) map(tofrom : angle, when, after, order) map(from : frequencies)
  {
    for (int i = 0; i < 2; ++i) {
      c->clear().rx(angle, 0).measure();
      c->execute();
      for (int s = 0; s < 2; ++s)
        frequencies[s] = c->frequencies()[s];
#if defined(ORPHANED)
      on_the_host(frequencies, &angle, &when);
#elif defined(ANCESTOR)
      OPENMPQ_ANCESTOR(map(always, tofrom : frequencies, angle, when, order))
      on_the_host(frequencies, &angle, &when);
#else
      openmpq::on_host([&] { on_the_host(frequencies, &angle, &when); });
#endif
      after = ++order;
    }
  }
  check(c->ok() && frequencies[1] == 1024, "what the host decided steers the region", c->error());
  check(when == 3 && after == 4, "in order", std::to_string(when) + " " + std::to_string(after));
}
