"""A sentence of many windows trains in slices, with the gradient of the whole."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from pybert_crf import TrainOptions, model, train
from pybert_crf.annotation.examples import make_example
from pybert_crf.batches import collate
from pybert_crf.training.corpora import read_corpora
from pybert_crf.training.tagging import build_tagger


def test_the_gradient_is_that_of_all_windows_at_once(
    options: Callable[..., TrainOptions], monkeypatch: pytest.MonkeyPatch
) -> None:
    """With dropout: a slice that is computed again draws the same."""
    chosen = options()
    tagger = build_tagger(read_corpora(chosen), chosen)
    encoded = tagger.tokenizer.encode(list("张甲在京。") * 300)
    batch = collate([make_example(encoded, tagger.layout, [2, 3, 0, 1, 0] * 300)], tagger.layout)
    length = batch.input_ids.shape[1]
    assert len(batch.input_ids) >= 3
    tagger.model.train().dropout.p = 0.0
    calls: list[int] = []
    tagger.model.encoder.register_forward_hook(lambda module, given, out: calls.append(len(given[0])))

    def gradients(positions: int, dropout: bool) -> dict[str, torch.Tensor]:
        calls.clear()
        tagger.model.encoder.train(dropout)
        monkeypatch.setattr(model, "_TRAINING_POSITIONS", positions)
        torch.manual_seed(0)
        tagger.model.zero_grad()
        tagger.model(batch).backward()
        return {name: p.grad.clone() for name, p in tagger.model.named_parameters()}

    whole = gradients(1 << 20, False)
    assert calls == [len(batch.input_ids)]
    for name, value in gradients(length, False).items():
        torch.testing.assert_close(value, whole[name], rtol=1e-4, atol=1e-6)
    assert calls[: len(batch.input_ids)] == [1] * len(batch.input_ids)
    again = gradients(length, True)
    monkeypatch.setattr(model, "checkpoint", lambda encoder, *given, use_reentrant: encoder(*given))
    for name, value in gradients(length, True).items():
        torch.testing.assert_close(again[name], value, rtol=1e-4, atol=1e-6)


def test_a_missing_blank_line_is_suspected(
    options: Callable[..., TrainOptions], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pybert_crf.debug_data.findings._LONG", 100)
    path = tmp_path / "train.txt"
    path.write_text("京 B-LOC\n\n" + "张 B-PER\n甲 I-PER\n在 O\n" * 40, encoding="utf-8")
    events: list[Any] = []
    train(options(train=str(path), epochs=1), events.append)
    assert "train: a sentence of 120 units at line 3: is what ends a sentence missing?" in events[0].notes
