"""Qiskit programs on CONQURE's QPUs: a provider with backends, and primitives. Needs the extra ``qiskit``.

>>> from conqure.interop.qiskit import SamplerV2, provider
>>> backend = provider("laptop").get_backend("sv0")
>>> backend.run(circuit, shots=1000).result().get_counts()
{'00': 507, '11': 493}
>>> SamplerV2(backend).run([circuit]).result()[0].data.meas.get_counts()
{'11': 516, '00': 508}
"""

from .backend import QPUBackend
from .estimator import EstimatorV2
from .job import QPUJob, WorkJob
from .provider import QPUProvider, provider
from .sampler import SamplerV2

__all__ = ["EstimatorV2", "QPUBackend", "QPUJob", "QPUProvider", "SamplerV2", "WorkJob", "provider"]
