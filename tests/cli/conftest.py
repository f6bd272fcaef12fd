"""A saved tagger, and the command line run in this process."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from pybert_crf import Tagger
from pybert_crf.encoders import Encoder
from pybert_crf.model import BertCRF
from pybert_crf.text.tokenizer import UnitTokenizer

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A saved tagger with random weights."""
    directory = tmp_path_factory.mktemp("tagger")
    tokenizer = UnitTokenizer.build([list("张三在北京工作。")], "char", min_count=1)
    torch.manual_seed(3)
    encoder = Encoder.from_size("tiny", vocab_size=tokenizer.vocab_size)
    model = BertCRF(encoder, ["O", "B-PER", "I-PER", "B-LOC"], "BIO")
    torch.nn.init.normal_(model.linear.weight, std=1.0)
    Tagger(model, tokenizer, "char").save_pretrained(directory)
    return directory


@pytest.fixture
def run(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run the command line in this process; gives exit status, output and errors.

    ``given`` are the bytes of its standard input, which come through a pipe.
    """
    from pybert_crf import cli

    def call(*arguments: object, given: bytes = b"") -> subprocess.CompletedProcess[str]:
        words = [str(argument) for argument in arguments]
        monkeypatch.setattr(sys, "argv", ["pybert-crf", *words])
        monkeypatch.setenv("COLUMNS", "200")
        ours, theirs = os.pipe()
        os.write(theirs, given)  # less than what a pipe holds
        os.close(theirs)
        status = 0
        with os.fdopen(ours, encoding="utf-8") as standard_input:
            monkeypatch.setattr(sys, "stdin", standard_input)
            try:
                cli.main()
            except SystemExit as exit_:
                status = exit_.code if isinstance(exit_.code, int) else int(exit_.code is not None)
        out, err = capfd.readouterr()
        return subprocess.CompletedProcess(words, status, out, err)

    return call
