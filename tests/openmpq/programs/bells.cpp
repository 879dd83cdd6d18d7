// As many Bell pairs as it is told, one after the other; says how many came back.

#include <cstdio>
#include <cstdlib>

#include <openmpq/openmpq.hpp>

int main(int argc, char **argv) {
  int wanted = argc > 1 ? std::atoi(argv[1]) : 1, good = 0;
  for (int i = 0; i < wanted; ++i) {
    QuantumWrapper *c = new QuantumWrapper(2);
#pragma omp target device(Quantum) firstprivate(c)
    {
      c->h(0).cx(0, 1).measure().shots(100);
      c->execute();
    }
    good += c->ok();
    if (!c->ok())
      std::fprintf(stderr, "%s\n", c->error().c_str());
    delete c;
  }
  std::printf("%d of %d\n", good, wanted);
  return good == wanted ? 0 : 1;
}
