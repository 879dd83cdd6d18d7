#include "agree.hpp"

#ifdef WITH_MPI
#include <mpi.h>

namespace agree {

int begin(int *argc, char ***argv) {
  int provided = 0, rank = 0;
  // Threads compute, the main thread communicates.
  MPI_Init_thread(argc, argv, MPI_THREAD_FUNNELED, &provided);
  MPI_Comm_rank(MPI_COMM_WORLD, &rank);
  return rank;
}

int size() {
  int n = 1;
  MPI_Comm_size(MPI_COMM_WORLD, &n);
  return n;
}

double best(double energy, double *angles, int n) {
  struct {
    double energy;
    int rank;
  } mine{energy, 0}, winner{};
  MPI_Comm_rank(MPI_COMM_WORLD, &mine.rank);
  MPI_Allreduce(&mine, &winner, 1, MPI_DOUBLE_INT, MPI_MINLOC, MPI_COMM_WORLD);
  MPI_Bcast(angles, n, MPI_DOUBLE, winner.rank, MPI_COMM_WORLD);
  return winner.energy;
}

void end() {
  MPI_Finalize();
}

void abort(int code) {
  MPI_Abort(MPI_COMM_WORLD, code);
}

} // namespace agree

#else
#include <cstdlib>

namespace agree {

int begin(int *, char ***) {
  return 0;
}
int size() {
  return 1;
}
double best(double energy, double *, int) {
  return energy;
}
void end() {}
void abort(int code) {
  std::exit(code);
}

} // namespace agree

#endif
