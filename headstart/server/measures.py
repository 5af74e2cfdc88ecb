"""What a server counts, as Prometheus reads it."""

from __future__ import annotations

from typing import Final, final

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    PlatformCollector,
    ProcessCollector,
    generate_latest,
)
from prometheus_client.exposition import CONTENT_TYPE_LATEST

KIND: Final = CONTENT_TYPE_LATEST
_SECONDS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
_ITEMS: Final = (1, 2, 4, 8, 16, 32, 64, 128)


@final
class Measures:
    """Counters and histograms of one server."""

    def __init__(self) -> None:
        own = CollectorRegistry()
        ProcessCollector(registry=own)
        PlatformCollector(registry=own)
        self._registry = own
        self.requests = Counter(
            "headstart_requests", "Requests.", ("route", "model", "status"), registry=own
        )
        self.seconds = Histogram(
            "headstart_request_seconds",
            "Seconds from a request to its answer.",
            ("route", "model"),
            buckets=_SECONDS,
            registry=own,
        )
        self.items = Counter(
            "headstart_items", "Items, answered or not.", ("model", "outcome"), registry=own
        )
        self.batches = Histogram(
            "headstart_batch_items",
            "Items in one run of the network.",
            ("model",),
            buckets=_ITEMS,
            registry=own,
        )
        self.waiting = Gauge(
            "headstart_waiting_items", "Items that wait for an answer.", registry=own
        )
        self.swaps = Counter(
            "headstart_swaps", "New versions, taken or not.", ("model", "outcome"), registry=own
        )
        self.alarms = Counter(
            "headstart_drift_alarms", "Alarms of drift.", ("model",), registry=own
        )
        self.alarmed = Gauge(
            "headstart_drift_alarm",
            "Whether inputs are not as they were: 1 or 0.",
            ("model",),
            registry=own,
        )

    def text(self) -> bytes:
        """All of them, in Prometheus' own format."""
        return generate_latest(self._registry)
