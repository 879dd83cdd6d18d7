"""The program of the paper's Listing 1, in QisDAX's complete form. Only the first three imports are ours."""

from qiskit import QuantumCircuit

import conqure
from conqure.interop.dax import DAX, execute

# GHZ circuit definition in Qiskit
num_qubits = 4
ghz_circuit = QuantumCircuit(num_qubits)
ghz_circuit.h(0)
for i in range(num_qubits - 1):
    ghz_circuit.cx(i, i + 1)
ghz_circuit.measure_all()

# QisDAX translation layer
backend_name = "dax_code_simulator"
backend = DAX.get_backend(backend_name)
backend.load_config("resources.toml")
job = execute(ghz_circuit, backend, shots=30, optimization_level=0)
workload = job.get_dax()

# CONQURE UserClient
client = conqure.UserClient()
work_id = client.create_work(workload=workload, device_id=backend_name, priority="LOW")
client.wait_until_done(work_id)
results = client.get_results(work_id)

# Back to a result of Qiskit
print(job.get_result_obj(raw_data=results).get_counts())
