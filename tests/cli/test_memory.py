"""Memory of ``pybert-crf predict`` for one very long line."""

from __future__ import annotations

import json
import random
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from pybert_crf import Tagger

resource = pytest.importorskip("resource", reason="not on Windows")

CODE = """
import resource, sys
from pybert_crf.cli import main
sys.argv = ["pybert-crf", *sys.argv[1:]]
try:
    main()
except SystemExit as end:
    assert not end.code, end.code
finally:
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, file=sys.stderr)
"""
UNIT = 1 if sys.platform == "darwin" else 1024  # bytes that the figure counts in
ALPHABET = "张三在北京工作"


def predict(model: Path, given: Iterator[bytes], *options: str) -> tuple[int, int, str]:
    """Feed a process; the most memory it held, in bytes, how many lines it answered, and the last one."""
    command = [sys.executable, "-c", CODE, "predict", str(model), "-", *options]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None

        def feed() -> None:
            assert process.stdin is not None
            for piece in given:
                process.stdin.write(piece)
            process.stdin.close()

        feeder = threading.Thread(target=feed)
        feeder.start()
        lines, last = 0, b""
        for line in process.stdout:
            lines, last = lines + 1, line
        feeder.join()
        told = process.stderr.read().decode().split()
    assert process.returncode == 0, told
    return int(told[-1]) * UNIT, lines, last.decode()


@pytest.fixture(scope="module")
def sparse(model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tagger with random weights, but so sure of O that one in twenty characters begins an entity."""
    tagger = Tagger.from_pretrained(model)
    with torch.no_grad():
        tagger.model.linear.bias[0] = 37.0
    tagger.save_pretrained(directory := tmp_path_factory.mktemp("sparse"))
    return directory


@pytest.mark.long
@pytest.mark.parametrize("options", [(), ("--split-sentences",)])
def test_a_line_of_a_million_characters_takes_less_than_a_gigabyte(
    sparse: Path, options: tuple[str, ...]
) -> None:
    most, count = tag_a_million(sparse, *options)
    assert 20_000 < count < 150_000
    assert most < 1_000_000_000


@pytest.mark.long
def test_a_line_full_of_entities_takes_bounded_memory(model: Path) -> None:
    most, count = tag_a_million(model)
    assert count > 500_000  # of random weights
    assert most < 1_500_000_000


def tag_a_million(model: Path, *options: str) -> tuple[int, int]:
    """Tag a line of a million characters; the most memory held, in bytes, and the number of entities."""
    draw = random.Random(2)
    text = "".join(draw.choices(ALPHABET + "。", k=1_000_000))
    most, lines, last = predict(model, iter([text.encode()]), *options)
    assert lines == 1
    record = json.loads(last)
    assert record["text"] == text
    assert all(text[e["start"] : e["end"]] == e["text"] for e in record["entities"])
    return most, len(record["entities"])
