"""What OpenAPI allows, and what it forbids, is answered as it says: schemathesis asks."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from serving import in_thread, small_tagger

KEY = "0123456789abcdef"


@pytest.mark.slow
@pytest.mark.parametrize("key", [None, KEY])
def test_answers_are_as_described(key: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No answer is a failure of the server or of another shape, and what is invalid is not taken."""
    pytest.importorskip("schemathesis", reason="needs the extra serve-test: no schemathesis")
    if key:
        monkeypatch.setenv("PYBERT_CRF_API_KEY", key)
    taggers = {"characters": small_tagger(), "words": small_tagger("word")}
    with in_thread(taggers) as client:
        command = [sys.executable, "-m", "schemathesis.cli", "run", f"{client.url}openapi.json"]
        command += ["--max-examples", "30", "--seed", "1", "--no-color"]
        if key:
            command += ["--header", f"Authorization: Bearer {key}"]
        environment = {**os.environ, "PYTHONWARNINGS": "ignore"}
        done = subprocess.run(
            command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
        )
    assert done.returncode == 0, done.stdout
    assert "9/9" in done.stdout
