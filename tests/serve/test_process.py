"""The server as a process: it stops gracefully, its workers are replaced, and what it cannot do it says."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from serving import TEXTS, Client, as_process, small_tagger

from pybert_crf.options import ServeOptions
from pybert_crf.serve.running import serve

needs_posix = pytest.mark.skipif(os.name != "posix", reason="needs POSIX signals")


@needs_posix
def test_sigterm_finishes_what_runs(saved: Path) -> None:
    text = "北京张三在李四工作" * 2000
    with as_process(saved, "--drain", 1, "--max-text", 100_000) as running, ThreadPoolExecutor(4) as pool:
        client = running.client
        client.post("/v1/entities", text="北京")
        asked = [pool.submit(client.post, "/v1/entities", text=text) for _ in range(3)]
        while not re.search(r"waiting_texts\S* [12]", client.get("/metrics").body.decode()):
            assert not all(each.done() for each in asked)
        running.process.send_signal(signal.SIGTERM)
        while (ready := client.get("/ready")).status == 200:
            pass
        assert (ready.status, ready.json) == (503, {"status": "stopping"})
        assert client.post("/v1/entities", text="张三").status == 200  # still taken
        assert [each.result().status for each in asked] == [200] * 3
        assert running.process.wait(60) == 0
    assert running.lines[-1] == "stopped\n"
    assert running.lines[0].startswith("entities: Tagger(")
    assert len(running.lines) == 3, running.lines
    with pytest.raises(ConnectionRefusedError):
        client.get("/health")


def workers_of(process: subprocess.Popen[str]) -> set[int]:
    """The worker processes, which have loaded the tagger."""
    listed = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    return {
        int(pid) for pid in listed if b"resource_tracker" not in Path(f"/proc/{pid}/cmdline").read_bytes()
    }


@pytest.mark.long
@pytest.mark.skipif(sys.platform != "linux", reason="finds the workers in /proc")
def test_a_killed_worker_loses_only_its_own_requests(saved: Path) -> None:
    with as_process(saved, "--workers", 2) as running:
        client, process = running.client, running.process
        before = workers_of(process)
        assert len(before) == 2
        answers: list[int] = []
        killed = min(before)
        for turn in range(400):
            if turn == 50:
                os.kill(killed, signal.SIGKILL)
            with contextlib.suppress(OSError):
                answers.append(client.post("/v1/entities", text="北京张三").status)
        assert set(answers) == {200}
        assert (
            len(answers) >= 398
        )  # one at a time: at most the one that the killed worker had, or had accepted
        while len(workers_of(process)) < 2 or workers_of(process) == before:
            time.sleep(0.1)
        assert killed not in workers_of(process)
        told = wait_for_workers(client)
        assert 'pybert_crf_waiting_texts{model="entities"' in told
        assert running.stop() == 0
    assert not [line for line in running.lines if "Traceback" in line], running.lines
    assert running.lines[-1] == "stopped\n"


def wait_for_workers(client: Client) -> str:
    """The metrics, which are those of all workers: as many as were answered."""
    told = client.get("/metrics").body.decode()
    found = re.search(r'pybert_crf_requests_total\{route="/v1/entities",status="200"\} (\S+)', told)
    assert found
    assert 398 <= float(found[1]) <= 400
    return told


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"models": "nowhere"}, "nowhere"),
        ({"models": "entities", "api_key_file": "none"}, "none"),
        ({"models": ["entities", "./entities"]}, "two models are called 'entities'"),
        ({"models": "=entities"}, "needs a name: NAME=MODEL"),
        (
            {"models": "entities", "host": "192.0.2.1"},
            "cannot listen at 192.0.2.1 port 8000 (--host, ",
        ),
        ({"models": "entities", "max_texts": 2000}, "max_texts must be at most queue (1024)"),
        ({"models": "entities", "types": "ORG"}, "entities: the tagger has no type ORG; it has LOC"),
        ({"models": "entities", "rules": "missing.json"}, "missing.json"),
        ({"models": "entities", "device": "nothing"}, "device 'nothing' cannot be used here"),
    ],
)
def test_what_cannot_be_served_is_told(
    saved: Path, monkeypatch: pytest.MonkeyPatch, options: dict[str, Any], told: str
) -> None:
    monkeypatch.chdir(saved.parent)
    with pytest.raises((ValueError, OSError), match=re.escape(told)):
        serve(ServeOptions(**options), print)


def test_a_port_that_is_taken_is_told(saved: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(OSError, match=rf"port {port} \(--host, --port\): .*in use"):
            serve(ServeOptions(str(saved), port=port), print)


def test_names_of_models() -> None:
    from pybert_crf.serve.models import named

    places = ["runs/people/", "owner/places", "out/model.onnx", "all.onnx", "x=runs/people"]
    assert list(named(places)) == ["people", "places", "out", "all", "x"]
    assert named(["x=a=b"]) == {"x": "a=b"}


def test_rules_and_types_of_the_command_line_act(saved: Path, tmp_path: Path) -> None:
    text = max(TEXTS, key=lambda text: len({entity.label for entity in small_tagger()(text)}))
    free = small_tagger()(text)
    assert {entity.label for entity in free} == {"LOC", "PER"}
    surface = text[:3]
    assert (0, 3) not in {(entity.start, entity.end) for entity in free}
    rules = tmp_path / "rules.json"
    rules.write_text(json.dumps({"must": {"PER": [surface]}}), "utf-8")
    with as_process(saved, "--types", "PER", "--rules", rules) as running:
        found = running.client.post("/v1/entities", text=text).json["entities"]
        assert found[0]["text"] == surface
        assert {entity["label"] for entity in found} == {"PER"}
        (reading,) = running.client.post("/v1/k-best", text=text, k=1).json["readings"]
        assert [entity["label"] for entity in reading["entities"]] == ["PER"] * len(found)
        (model,) = running.client.get("/v1/models").json["models"]
        assert model["types"] == ["PER"]
