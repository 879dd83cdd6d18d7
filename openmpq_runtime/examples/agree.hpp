// What the ranks of an MPI program say to each other; a program built without WITH_MPI is one rank that agrees with
// itself. In a file of its own because Open MPI's MPI_COMM_WORLD is the address of a variable whose type compilers do
// not know, and cannot map: it may not appear in a target region, nor (gcc 12) in a function of the same file that a
// region calls.
#pragma once

namespace agree {

int begin(int *argc, char ***argv); // the rank
int size();
/// The lowest energy of all ranks, and its angles on every rank.
double best(double energy, double *angles, int n);
void end();
/// Ends all ranks.
void abort(int code);

} // namespace agree
