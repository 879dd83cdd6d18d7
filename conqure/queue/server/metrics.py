"""`Metrics`: what Prometheus may collect, in a registry of this service alone."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from qpu_executors.errors import ConqureError

from ..store import Store

_BUCKETS = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 60.0)


class Metrics:
    """Counters of this process; the works in the queue are counted in the store when somebody asks."""

    def __init__(self, store: Store) -> None:
        self._registry = CollectorRegistry()
        self._registry.register(_Works(store))
        self._requests = Counter("conqure_requests", "Answers", ["method", "route", "code"], registry=self._registry)
        self._latency = Histogram(
            "conqure_request_seconds",
            "Time to an answer",
            ["method", "route"],
            buckets=_BUCKETS,
            registry=self._registry,
        )
        self.created = Counter("conqure_works_created", "Works that were accepted", ["format"], registry=self._registry)
        self.claimed = Counter("conqure_works_claimed", "Works that devices took", ["device"], registry=self._registry)
        self.ended = Counter(
            "conqure_works_ended", "Works that devices handed in", ["device", "status"], registry=self._registry
        )
        self.redelivered = Counter(
            "conqure_works_redelivered", "Works of silent devices that were given out again", registry=self._registry
        )

    def answered(self, method: str, route: str, code: int, seconds: float) -> None:
        self._requests.labels(method, route, str(code)).inc()
        self._latency.labels(method, route).observe(seconds)

    def text(self) -> bytes:
        return generate_latest(self._registry)


class _Works(Collector):
    def __init__(self, store: Store) -> None:
        self._store = store

    def collect(self) -> Iterator[Metric]:
        works = GaugeMetricFamily("conqure_works", "Works that are not final", labels=["device", "status"])
        up = GaugeMetricFamily("conqure_store_up", "Whether the store answers")
        try:
            for device, by_status in self._store.counts().items():
                for status, n in by_status.items():
                    works.add_metric([device, str(status)], n)
            up.add_metric([], 1)
        except ConqureError:
            up.add_metric([], 0)
        yield works
        yield up

    def describe(self) -> list[Metric]:
        return []
