"""<Z0 Z1> of two rotations and a CNOT, and its gradient by the parameter-shift rule: five circuits, one visit."""

import math

CIRCUIT = """
OPENQASM 3.0;
include "stdgates.inc";
input float a;
input float b;
qubit[2] q;
bit[2] c;
ry(a) q[0];
ry(b) q[1];
cx q[0], q[1];
c = measure q;
"""


def main(qpu, angles, energy, gradient):
    """Called with the data that the program named, as lists; returns what goes back, by name."""
    a, b = angles
    half = math.pi / 2
    rows = [[a, b], [a + half, b], [a - half, b], [a, b + half], [a, b - half]]
    values = [zz(counts) for counts in qpu.run(CIRCUIT, parameter_values=rows).counts]
    return {"energy": [values[0]], "gradient": [(values[1] - values[2]) / 2, (values[3] - values[4]) / 2]}


def zz(counts):
    shots = sum(counts.values())
    return sum(n if bits.count("1") % 2 == 0 else -n for bits, n in counts.items()) / shots
