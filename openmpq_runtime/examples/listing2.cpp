// The paper's Listing 2: one region that stays on the QPU, with classical work in between (reverse offload).
//
// What differs from the print, and why:
//  * The loop is inside the region, as the paper's text says ("the quantum kernel remains active"); in the print it is
//    outside.
//  * `requires reverse-offload` is spelled reverse_offload in OpenMP. gcc 13 and later have it; for gcc 12 and clang
//    the macros of openmpq/reverse.h are empty, and the classical code is simply called: it does the same.
//  * The MPI calls are in agree.cpp, and the region only calls them. Built with -DWITH_MPI, the ranks agree on the best
//    angles each time an angle was set; each rank begins with another angle, so they search in different directions.
//  * `angles = solve(frequencies)` needs to remember what it has seen: it is an object (maxcut.hpp). The circuit is
//    cleared before its gates are recorded again.

#include <cstdio>

#include <openmpq/openmpq.hpp>
#include <openmpq/reverse.h>

#include "agree.hpp"
#include "maxcut.hpp"

OPENMPQ_REQUIRES_REVERSE_OFFLOAD

namespace {

void VQE(QuantumWrapper *c, int num_qubits, const double angles[]) {
  c->h(0); // Hadamard gate
  for (int i = 0; i < num_qubits; i++)
    c->ry(angles[i], i); // Y rotation
  for (int i = 0; i < num_qubits - 1; i++)
    c->cx(i, i + 1); // CNOT gate
  for (int i = 0; i < num_qubits; i++)
    c->ry(angles[num_qubits + i], i); // Y rotation
  c->measure();
}

/// The classical part of an iteration: the solver, and the ranks.
void solve(maxcut::Rotosolve &solver, double energy) {
  solver.tell(energy);
  if (!solver.turn_is_over())
    return;
  maxcut::Angles best = solver.ask();
  agree::best(solver.lowest(), best.data(), maxcut::n_angles);
  solver.go_on_from(best);
}

} // namespace

int main(int argc, char **argv) {
  const int rank = agree::begin(&argc, &argv), ranks = agree::size();
  const int num_qubits = maxcut::n_vertices, iterations = 2 * 3 * maxcut::n_angles; // each angle twice
  maxcut::Rotosolve solver(maxcut::random_angles(1), rank * maxcut::n_angles / ranks);
  openmpq::Frequencies frequencies;

  QuantumWrapper *c = new QuantumWrapper; // QuantumWrapper class object
#pragma omp target device(Quantum) firstprivate(c) map(tofrom : solver, frequencies)
  for (int i = 0; i <= iterations; i++) { // the last one measures what was found
    maxcut::Angles angles = solver.ask();
    c->clear().seed(i * ranks + rank);
    VQE(c, num_qubits, angles.data()); // quantum gate sequence
    frequencies = c->execute();
    if (!c->ok())
      break;
    if (i < iterations) {
      double energy = maxcut::energy(frequencies);
      OPENMPQ_ANCESTOR(map(always, tofrom : solver) map(to : energy))
      solve(solver, energy);
    }
  }

  if (!maxcut::ran(c))
    agree::abort(1);
  double energy = maxcut::energy(frequencies);
  std::printf("rank %d: mean cut %.2f of %d after %d circuits\n", rank, -energy, maxcut::best_cut, iterations + 1);
  delete c;
  agree::end();
}
