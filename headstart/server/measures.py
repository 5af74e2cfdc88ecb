"""What a server counts, as Prometheus reads it."""

from __future__ import annotations

from functools import partial
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
_MODEL: Final = ("model",)
_ITEMS: Final = (1, 2, 4, 8, 16, 32, 64, 128)


@final
class Measures:
    """Counters and histograms of one server."""

    def __init__(self) -> None:
        own = CollectorRegistry()
        ProcessCollector(registry=own)
        PlatformCollector(registry=own)
        self._registry = own
        counter, gauge = partial(Counter, registry=own), partial(Gauge, registry=own)
        histogram = partial(Histogram, registry=own)
        self.requests = counter("headstart_requests", "Requests.", ("route", "model", "status"))
        self.seconds = histogram(
            "headstart_request_seconds",
            "Seconds from a request to its answer.",
            ("route", "model"),
            buckets=_SECONDS,
        )
        self.items = counter("headstart_items", "Items, answered or not.", ("model", "outcome"))
        self.batches = histogram(
            "headstart_batch_items", "Items in one run of the network.", _MODEL, buckets=_ITEMS
        )
        self.waiting = gauge("headstart_waiting_items", "Items that wait for an answer.")
        self.swaps = counter("headstart_swaps", "Versions, taken or not.", ("model", "outcome"))
        self.alarms = counter("headstart_drift_alarms", "Alarms of drift.", _MODEL)
        self.alarmed = gauge("headstart_drift_alarm", "Whether inputs moved: 1 or 0.", _MODEL)
        self.unseen = gauge(
            "headstart_drift_unseen_items", "Items that came too fast to be watched.", _MODEL
        )

    def text(self) -> bytes:
        """All of them, in Prometheus' own format."""
        return generate_latest(self._registry)
