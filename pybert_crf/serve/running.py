"""The process around the application: socket, workers, signals."""

from __future__ import annotations

import json
import logging
import math
import multiprocessing
import os
import signal
import socket
import tempfile
import threading
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from multiprocessing.connection import wait
from types import FrameType
from typing import Any

from pybert_crf.options.serve import ServeOptions
from pybert_crf.taggers.opening import given_rules, open_tagger

_OPTIONS = "PYBERT_CRF_SERVE_OPTIONS"  # the environment variable by which workers get them, as JSON
_BACKLOG = 2048  # connections that wait to be taken
_HEALTHY = 60  # seconds in which a worker must answer its supervisor: loading a model may take all processors


def serve(options: ServeOptions, say: Callable[[str], None]) -> None:
    """Open the taggers and answer requests until SIGTERM or Ctrl-C.

    Args:
        options: as the command line has them.
        say: told, line by line, what is served, and where.

    Raises:
        ImportError: a package of the extra ``serve`` is missing.
        OSError: the address cannot be used.
        ValueError, FileNotFoundError, ConfigError, CheckpointError: a model, rules or a file of keys cannot
            be used.
    """
    try:
        import fastapi  # noqa: F401
        import prometheus_client  # noqa: F401
        import uvicorn
    except ImportError as error:
        raise ImportError(
            f"serving needs the packages fastapi, uvicorn and prometheus-client ({error}): "
            "pip install 'pybert-crf[serve]'"
        ) from error
    options = _shared_out(options)
    with ExitStack() as stack:
        listening = stack.enter_context(_listen(options.host, options.port))
        if options.workers > 1:  # before the metrics are imported
            os.environ["PROMETHEUS_MULTIPROC_DIR"] = stack.enter_context(tempfile.TemporaryDirectory())
        say_and_listen = partial(_say_where, listening, options, say)
        if options.workers == 1:
            server = uvicorn.Server(uvicorn.Config(_application(options, say), **_settings(options)))
            say_and_listen()
            _run_until_told(server, listening)
        else:
            _application(options, say)  # each worker opens its own: what none could open is refused at once
            os.environ[_OPTIONS] = json.dumps(options.to_dict())
            config = uvicorn.Config(f"{__name__}:worker_application", factory=True, **_settings(options))
            say_and_listen()
            _supervise(config, listening)
        say("stopped")


def worker_application() -> Any:
    """The application of one of several workers, which inherits the options by the environment."""
    supervisor = multiprocessing.parent_process()
    if supervisor is not None:
        threading.Thread(target=_end_with, args=(supervisor.sentinel,), daemon=True).start()
    return _application(ServeOptions(**json.loads(os.environ[_OPTIONS])), lambda _: None)


def _end_with(sentinel: int) -> None:
    """Stop this worker when its supervisor has ended, which was killed."""
    wait([sentinel])
    os.kill(os.getpid(), signal.SIGTERM)


def _application(options: ServeOptions, say: Callable[[str], None]) -> Any:
    from pybert_crf.serve.app import create_app
    from pybert_crf.serve.models import about, named

    rules = given_rules(options)
    taggers = {}
    for name, place in named(options.files("models")).items():
        taggers[name] = open_tagger(place, options, threads=options.threads or 0)
        try:
            taggers[name].rules = rules
        except ValueError as error:
            raise ValueError(f"{name}: {error} (--types, --rules)") from error
        say(f"{name}: {about(taggers[name])}")
        if taggers[name].context:
            say(f"{name}: reads each text alone, without the neighbouring sentences that it was trained with")
    stopping = threading.Event()
    return create_app(taggers, options, stopping=stopping, started=lambda: _drain(options.drain, stopping))


def _shared_out(options: ServeOptions) -> ServeOptions:
    """With a number of threads, if several workers share the processors."""
    if options.threads is not None or options.workers == 1:
        return options
    return replace(options, threads=max(1, (os.cpu_count() or 1) // options.workers))


def _settings(options: ServeOptions) -> dict[str, Any]:
    """Those of uvicorn."""
    logging.basicConfig(format="%(asctime)s %(process)d %(levelname)s %(name)s: %(message)s")
    return {
        "log_config": None,
        "log_level": "warning",
        "access_log": False,
        "server_header": False,
        "lifespan": "on",
        "ws": "none",
        "workers": options.workers,
        "timeout_worker_healthcheck": _HEALTHY,
        "timeout_graceful_shutdown": math.ceil(2 * options.timeout) + 1,  # a request ends before
    }


def _listen(host: str, port: int) -> socket.socket:
    """A socket bound to the address, on which nothing listens yet."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        with ExitStack() as until_bound:
            listening = until_bound.enter_context(socket.socket(family, kind, protocol))
            if os.name == "posix":  # else a port that was just left is taken for a minute
                listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listening.bind(address)
            until_bound.pop_all()
    except OSError as error:
        reason = error.strerror or error
        raise OSError(f"cannot listen at {host} port {port} (--host, --port): {reason}") from error
    listening.set_inheritable(True)
    return listening


def _say_where(listening: socket.socket, options: ServeOptions, say: Callable[[str], None]) -> None:
    """Say the address, once requests that come there wait for the server."""
    listening.listen(_BACKLOG)
    host, port = listening.getsockname()[:2]
    shown = f"[{host}]" if ":" in host else host
    of_workers = f"{options.workers} workers; " if options.workers > 1 else ""
    say(f"http://{shown}:{port}/ ({of_workers}Ctrl-C stops)")


def _drain(seconds: float, stopping: threading.Event) -> None:
    """At SIGTERM let readiness say so at once, and uvicorn stop after some seconds; a second acts at once."""
    if threading.current_thread() is not threading.main_thread():
        return  # of a test
    for number in (signal.SIGTERM, signal.SIGINT):
        after = seconds if number == signal.SIGTERM else 0.0
        signal.signal(number, _Handler(after, stopping, signal.getsignal(number)))


class _Handler:
    """What is done at a signal, in front of uvicorn's handler."""

    def __init__(self, seconds: float, stopping: threading.Event, usual: Any) -> None:
        self.seconds, self.stopping, self.usual = seconds, stopping, usual

    def __call__(self, number: int, frame: FrameType | None) -> None:
        first = not self.stopping.is_set()
        self.stopping.set()
        if first and self.seconds:
            threading.Timer(self.seconds, self.usual, (number, None)).start()
        else:
            self.usual(number, frame)


def _run_until_told(server: Any, listening: socket.socket) -> None:
    """Run a server until a signal; uvicorn raises the signal again once all requests are answered."""

    def end(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    usual = {number: signal.signal(number, end) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        server.run(sockets=[listening])
    except KeyboardInterrupt:
        if not server.started:
            raise
    finally:
        for number, handler in usual.items():
            signal.signal(number, handler)


def _supervise(config: Any, listening: socket.socket) -> None:
    from uvicorn.config import STARTUP_FAILURE
    from uvicorn.supervisors import Multiprocess

    supervisor = Multiprocess(config, sockets=[listening])
    supervisor.run()
    if any(process.exitcode == STARTUP_FAILURE for process in supervisor.processes):
        raise RuntimeError("a worker could not start: see above")
