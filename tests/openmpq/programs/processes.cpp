// fork() with an open connection: parent and child both go on, each on its own.

#include <sys/wait.h>
#include <unistd.h>

#include <openmpq/openmpq.hpp>

#include "checks.hpp"

namespace {

bool works() {
  QuantumWrapper c(1);
  c.device("any").x(0).measure();
  openmpq::Result now = c.execute(), later = c.execute_async().get();
  return now.ok() && later.ok() && now.counts() == openmpq::Counts{{"1", 1024}};
}

} // namespace

int main() {
  check(works(), "before fork");
  pid_t child = fork();
  if (child == 0) {
    bool good = true;
    for (int i = 0; i < 20; ++i)
      good = good && works();
    check(good, "in the child");
    _exit(good ? 0 : 1);
  }
  bool good = true;
  for (int i = 0; i < 20; ++i)
    good = good && works();
  int status = 1;
  waitpid(child, &status, 0);
  check(good, "in the parent");
  check(status == 0, "the child ended well");
}
