"""Memory of ``pybert-crf predict``: flat on a stream without end, and bounded for one very long line."""

from __future__ import annotations

import json
import random
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

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
MEBIBYTE = 1 << 20
ALPHABET = "张三在北京工作"


def predict(model: Path, given: Iterator[bytes], *options: str) -> tuple[int, int, str]:
    """Feed a process; the most memory it held, in bytes, and how many lines it answered, and the last one."""
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


def stream(lines: int) -> Iterator[bytes]:
    draw = random.Random(1)
    for _ in range(lines):
        yield ("".join(draw.choices(ALPHABET, k=draw.randint(1, 40))) + "\n").encode()


def table(lines: int) -> Iterator[bytes]:
    yield b"text\n"
    yield from stream(lines)


@pytest.mark.slow
@pytest.mark.parametrize("form", ["lines", "table", "uncertain"])
def test_memory_is_flat_on_a_stream(model: Path, form: str) -> None:
    options = {"table": ["--text-column", "text", "--format", "csv"], "uncertain": ["--uncertain", "5"]}
    give = table if form == "table" else stream
    short, few, _ = predict(model, give(2_000), *options.get(form, []))
    long, many, _ = predict(model, give(40_000), *options.get(form, []))
    extra = form == "table"
    assert (few, many) == ((5, 5) if form == "uncertain" else (2_000 + extra, 40_000 + extra))
    assert long - short < 32 * MEBIBYTE


@pytest.mark.slow
@pytest.mark.parametrize("options", [(), ("--split-sentences",)])
def test_a_line_of_a_million_characters_takes_less_than_a_gigabyte(
    model: Path, options: tuple[str, ...]
) -> None:
    draw = random.Random(2)
    text = "".join(draw.choices(ALPHABET + "。", k=1_000_000))
    most, lines, last = predict(model, iter([text.encode()]), *options)
    assert lines == 1
    record = json.loads(last)
    assert record["text"] == text
    assert len(record["entities"]) > 1000
    assert all(text[e["start"] : e["end"]] == e["text"] for e in record["entities"])
    assert most < 1_000_000_000
