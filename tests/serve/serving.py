"""Small taggers behind a real server, in a thread of this process or as a process of its own."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from typing import Any, NamedTuple

import torch

from pybert_crf.encoders import Encoder, EncoderConfig
from pybert_crf.model import BertCRF
from pybert_crf.options import ServeOptions
from pybert_crf.taggers.tagger import Tagger
from pybert_crf.text.tokenizer import UnitTokenizer

LABELS = ["O", "B-LOC", "B-PER", "I-LOC", "I-PER"]
TEXTS = ["张三在北京工作。", "", "李四 works in Shanghai", "北京" * 40, " ", "7.7年", "张\n三", "😀张三"]


class Answer(NamedTuple):
    """Of a server: status, headers with names in lower case, body."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The body read as JSON."""
        return json.loads(self.body)


class Client:
    """Asks a server."""

    def __init__(self, port: int, stopping: threading.Event | None = None) -> None:
        self.port, self.stopping = port, stopping or threading.Event()

    @property
    def url(self) -> str:
        """Of the page."""
        return f"http://127.0.0.1:{self.port}/"

    def get(self, path: str, **headers: str) -> Answer:
        """Ask with GET."""
        return self.ask("GET", path, None, headers)

    def post(self, path: str, **asked: Any) -> Answer:
        """Ask with POST and a JSON object."""
        return self.ask("POST", path, json.dumps(asked).encode(), {"content-type": "application/json"})

    def ask(self, method: str, path: str, body: bytes | None, headers: dict[str, str]) -> Answer:
        """Ask on a connection of its own."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        with contextlib.closing(connection):
            connection.request(method, path, body, headers)
            answer = connection.getresponse()
            names = {name.lower(): value for name, value in answer.getheaders()}
            return Answer(answer.status, names, answer.read())


def small_tagger(unit: str = "char", labels: list[str] = LABELS, scheme: str | None = "BIO") -> Tagger:
    """A tagger with random weights that finds entities of all kinds."""
    texts = ["张三在北京工作7.7年。" * 3, "李四 works in Shanghai" * 3]
    sequences = [text.split() if unit == "word" else list(text) for text in texts]
    tokenizer = UnitTokenizer.build(sequences, unit, size=300, min_count=1)
    torch.manual_seed(11)
    encoder = Encoder(EncoderConfig(tokenizer.vocab_size, 12, 2, 3, 20, max_positions=64))
    model = BertCRF(encoder, labels, scheme)
    torch.nn.init.normal_(model.linear.weight, std=2.0)
    return Tagger(model, tokenizer, unit)


@contextlib.contextmanager
def in_thread(taggers: dict[str, Any], **options: Any) -> Iterator[Client]:
    """A server in a thread of this process."""
    import uvicorn

    from pybert_crf.serve.app import create_app

    stopping = threading.Event()
    app = create_app(taggers, ServeOptions(tuple(taggers), **options), stopping=stopping)
    server = uvicorn.Server(
        uvicorn.Config(app, log_config=None, access_log=False, lifespan="on", ws="none", http="h11")
    )
    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        try:
            while not server.started:
                assert thread.is_alive()
                time.sleep(0.01)
            yield Client(listening.getsockname()[1], stopping)
        finally:
            server.should_exit = True
            thread.join()


class Running(NamedTuple):
    """`pybert-crf serve` as a process."""

    process: subprocess.Popen[str]
    client: Client
    lines: list[str]

    def stop(self) -> int:
        """Its exit status after SIGTERM."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(60)


@contextlib.contextmanager
def as_process(*arguments: object) -> Iterator[Running]:
    """`pybert-crf serve` with these arguments, ready; killed at the end if it still runs."""
    command = [sys.executable, "-m", "pybert_crf", "serve", *map(str, arguments), "--port", "0"]
    process = subprocess.Popen(
        command, stderr=subprocess.PIPE, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"}
    )
    assert process.stderr is not None
    lines: list[str] = []
    try:
        for line in process.stderr:
            lines.append(line)
            if found := re.match(r"http://[^ ]*:(\d+)/ ", line):
                break
        else:
            raise AssertionError("".join(lines))
        reader = threading.Thread(target=lines.extend, args=(process.stderr,), daemon=True)
        reader.start()
        client = Client(int(found[1]))
        _wait_until_ready(client, process)
        yield Running(process, client, lines)
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        reader.join(5)
        process.stderr.close()


def _wait_until_ready(client: Client, process: subprocess.Popen[str]) -> None:
    for _ in range(1200):
        with contextlib.suppress(OSError):
            if client.get("/ready").status == 200:
                return
        assert process.poll() is None
        time.sleep(0.1)
    raise AssertionError("not ready in two minutes")
