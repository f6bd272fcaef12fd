"""What Prometheus is told: requests, batches and what waits; the same for one process or several."""

from __future__ import annotations

import os
import re
from pathlib import Path

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    generate_latest,
)
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead

from pybert_crf.serve.batching import Computed

FOLDER = "PROMETHEUS_MULTIPROC_DIR"
"""The environment variable with the folder in which several workers keep their figures."""

CONTENT_TYPE = CONTENT_TYPE_LATEST

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
_TEXTS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512)


class Metrics:
    """The figures of a server.

    With several workers each process writes its own into files of one folder, which the environment variable
    `FOLDER` names before this module is imported, and `text` adds them up.
    """

    def __init__(self) -> None:
        self._registry = registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        kinds, of_model = ("route", "status"), ("model",)
        self.requests = Counter("pybert_crf_requests", "Requests answered.", kinds, registry=registry)
        self.seconds = Histogram(
            "pybert_crf_request_seconds",
            "From a request's first byte to its answer.",
            ("route",),
            buckets=_SECONDS,
            registry=registry,
        )
        self.texts = Counter("pybert_crf_texts", "Texts computed.", of_model, registry=registry)
        self.characters = Counter(
            "pybert_crf_characters", "Characters computed.", of_model, registry=registry
        )
        self.batch_texts = Histogram(
            "pybert_crf_batch_texts",
            "Texts computed together.",
            of_model,
            buckets=_TEXTS,
            registry=registry,
        )
        self.batch_seconds = Histogram(
            "pybert_crf_batch_seconds",
            "Time to compute them.",
            of_model,
            buckets=_SECONDS,
            registry=registry,
        )
        self.waiting = Gauge(
            "pybert_crf_waiting_texts",
            "Texts that wait.",
            of_model,
            registry=registry,
            multiprocess_mode="livesum",
        )

    def answered(self, route: str, status: int, seconds: float) -> None:
        """Count one request; `route` is the path of a route, not of the request."""
        self.requests.labels(route, str(status)).inc()
        self.seconds.labels(route).observe(seconds)

    def computed(self, model: str, done: Computed) -> None:
        """Count what was computed together."""
        self.texts.labels(model).inc(done.texts)
        self.characters.labels(model).inc(done.characters)
        self.batch_texts.labels(model).observe(done.texts)
        self.batch_seconds.labels(model).observe(done.seconds)

    def text(self) -> bytes:
        """All figures in the text format of Prometheus."""
        folder = os.environ.get(FOLDER)
        if not folder:
            return generate_latest(self._registry)
        for path in Path(folder).glob("gauge_live*.db"):
            found = re.search(r"_(\d+)\.db$", path.name)
            if found and not _lives(int(found[1])):  # a worker that was killed
                mark_process_dead(found[1], folder)  # type: ignore[no-untyped-call]
        registry = CollectorRegistry()
        MultiProcessCollector(registry, folder)  # type: ignore[no-untyped-call]
        return generate_latest(registry)


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
