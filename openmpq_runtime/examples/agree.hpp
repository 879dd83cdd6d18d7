// What the ranks of an MPI program say to each other; in a file of its own, see listing2.cpp.
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
