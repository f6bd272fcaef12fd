"""A run over the machines of a Ray cluster: lays the input out, spreads its parts, keeps the manifest."""

from __future__ import annotations

import json
import logging
import os
import socket
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pybert_crf.cluster.job import Done, Job, Part
from pybert_crf.cluster.layout import Layout
from pybert_crf.cluster.manifest import Manifest
from pybert_crf.cluster.places import EXTRA
from pybert_crf.cluster.shards import check_columns
from pybert_crf.cluster.worker import Worker
from pybert_crf.reading import shortened

if TYPE_CHECKING:
    from pybert_crf.annotation.annotator import Annotator

LOCAL = "local"
"""In place of an address: a cluster of this machine alone, which ends with the run."""


_PATIENCE = 10.0  # seconds to wait for the head of a cluster


@dataclass(frozen=True)
class Actors:
    """The workers.

    Attributes:
        count: how many; None: as many as the cluster has room for when the run begins.
        cpus, gpus: of the cluster's that each takes.
    """

    count: int | None
    cpus: float
    gpus: float


@dataclass(frozen=True)
class Run:
    """A job that is laid out, and its manifest."""

    job: Job
    layout: Layout
    manifest: Manifest

    @property
    def pending(self) -> list[Part]:
        """The parts that are not done."""
        return [part for part in self.layout.parts if part.number not in self.manifest.done]

    def parts(
        self, address: str, actors: Actors, where: Callable[[], Path], opened: Callable[[], Annotator]
    ) -> Iterator[Done]:
        """Do what is pending on the cluster; gives each part when the manifest has it, in any order.

        Args:
            address: of the cluster's head (``host:6379``), ``"auto"``, or ``"local"``.
            actors: the workers.
            where: tells, on any machine, where the tagger's files are.
            opened: loads the tagger, once in each worker.

        Raises:
            ImportError: Ray is not installed.
            ConnectionError: no cluster answers at the address.
            ValueError: the input, the model or the output has a fault, which a worker met.
            RuntimeError: Ray gave up.
        """
        pending = self.pending
        if not pending:
            self.manifest.finish()
            return
        ray = connected(address)
        try:
            count = _count(ray, actors, len(pending), address)
            for done in _spread(ray, pending, actors, count, (self.job, where, opened)):
                self.manifest.add(done)
                yield done
            if missing := [part.number for part in self.pending]:
                raise RuntimeError(f"Ray ended without the parts {missing[:20]}; the same command does them")
        except BaseException:
            self.manifest.save()
            raise
        finally:
            ray.shutdown()
        self.manifest.finish()


def prepared(job: Job, layout: Layout, settings: Mapping[str, Any], *, overwrite: bool) -> Run:
    """A run whose output folder is checked and whose manifest is begun, or taken over from an earlier run.

    Raises:
        ValueError, OSError: see `Manifest.begin` and `check_columns`.
    """
    check_columns(layout, job)
    manifest = Manifest(job, layout, settings)
    manifest.begin(overwrite=overwrite)
    return Run(job, layout, manifest)


def connected(address: str) -> Any:
    """The package Ray, connected to a cluster.

    Raises:
        ImportError: Ray is not installed.
        ConnectionError: no cluster answers.
        ValueError: an address of the Ray client, which Ray Data does not run over.
    """
    if address.startswith("ray://"):
        raise ValueError(f"{address} is of the Ray client: run on a machine of the cluster, with --ray auto")
    # Set before the import: a cluster of our own sends nothing about itself anywhere.
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")  # else it warns of what Ray Data does on purpose
    try:
        ray: Any = import_module("ray")
        import_module("ray.data")
    except ImportError as error:
        raise ImportError(f"--ray needs the package ray ({error}): {EXTRA}") from error
    _check_reachable(address)
    quiet = {"log_to_driver": False, "logging_level": logging.ERROR}
    try:
        if address == LOCAL:
            ray.init(address="local", include_dashboard=False, **quiet)
        else:
            ray.init(address=address, **quiet)
    except (ConnectionError, RuntimeError, ValueError, OSError) as error:
        reason = shortened(" ".join(str(error).split()))
        raise ConnectionError(f"--ray {address}: no Ray cluster can be reached there: {reason}") from error
    logging.getLogger("ray.data").setLevel(logging.CRITICAL)
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    return ray


def _check_reachable(address: str) -> None:
    """Raise ``ConnectionError`` at once if nobody listens: Ray itself tries for minutes."""
    host, colon, port = address.rpartition(":")
    if not colon or not port.isdecimal():
        return  # local, auto: Ray answers at once
    try:
        socket.create_connection((host.strip("[]"), int(port)), _PATIENCE).close()
    except (OSError, OverflowError) as error:
        raise ConnectionError(f"--ray {address}: no Ray cluster can be reached there: {error}") from error


def _count(ray: Any, actors: Actors, parts: int, address: str) -> int:
    """How many workers there are to be.

    Raises:
        ValueError: a worker cannot have what it is to take of this machine.
    """
    there = ray.cluster_resources()
    fitting = [
        int(there.get(name, 0) / each)
        for name, each in (("CPU", actors.cpus), ("GPU", actors.gpus))
        if each > 0
    ]
    room = min(fitting, default=parts)
    if room < 1 and address == LOCAL:
        told = f"{there.get('CPU', 0):g} CPUs and {there.get('GPU', 0):g} GPUs"
        raise ValueError(f"this machine has {told}: too few for a worker: see --actor-cpus, --actor-gpus")
    return max(1, min(actors.count or room, parts))


def _spread(ray: Any, parts: Sequence[Part], actors: Actors, count: int, arguments: Any) -> Iterator[Done]:
    """Each part when it is done.

    Raises:
        ValueError: a worker met a fault.
        RuntimeError: Ray gave up.
    """
    rows = [{"part": json.dumps(part)} for part in parts]
    answers = ray.data.from_items(rows, override_num_blocks=len(rows)).map(
        Worker,
        fn_constructor_args=arguments,
        concurrency=count,
        num_cpus=actors.cpus,
        num_gpus=actors.gpus,
    )
    try:
        for batch in answers.iter_batches(batch_size=None, prefetch_batches=0, batch_format="numpy"):
            for done, fault in zip(batch["done"], batch["fault"], strict=True):
                if fault:
                    raise ValueError(fault)
                yield Done(**json.loads(done))
    except ray.exceptions.RayError as error:
        reason = shortened(" ".join(str(error).split()))
        raise RuntimeError(f"Ray gave up: {reason}; the same command goes on with the rest") from error
