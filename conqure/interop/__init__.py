"""The ecosystem's own doors: programs written for another framework run on the pool by changing one line.

One module for each framework, which is imported only there: `qiskit` (a backend and primitives), `pennylane` (a device
plugin), `cirq` (a sampler), `pytket` (a backend), `braket` (a local simulator), `mitiq` (an executor), `qbraid`.
"""
