"""A VQE whose classical node is an MPI program: circuits choose basis states, a distributed solver diagonalises there.

The transverse-field Ising chain, by quantum-selected configuration interaction (arXiv:2302.11320): what the circuit
measures are basis states, the Hamiltonian restricted to them is a sparse matrix with a block of rows on each rank, and
its lowest eigenvalue is the energy that the angles are chosen by. It is an upper bound, and exact once the basis states
that matter have been seen. docs/mpi.md runs it under mpirun, under srun, and as tasks of a Parsl graph.
"""
