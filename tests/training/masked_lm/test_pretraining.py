"""Pretraining: it learns, resumes, goes on from a checkpoint, and writes what others open."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers

from pybert_crf import Encoder, MaskedLM, PretrainOptions, TrainOptions, pretrain, train
from pybert_crf.encoders import read_tensors
from pybert_crf.text.tokenizer import UnitTokenizer
from pybert_crf.training import EpochDone, PretrainingStarted, Stepped

Make = Callable[..., PretrainOptions]


def test_it_learns_and_writes_what_it_found(options: Make) -> None:
    events: list[Any] = []
    chosen = {"epochs": 20, "learning_rate": 2e-3, "batch_tokens": 128, "mask_rate": 0.3}
    result = pretrain(options(**chosen), events.append)
    done = [event for event in events if isinstance(event, EpochDone)]
    assert result.dev.perplexity < 2 < done[0].dev.perplexity
    assert result.dev.accuracy > 0.8
    assert result.dev.perplexity == pytest.approx(math.exp(result.dev.loss))
    best = min(done, key=lambda event: event.dev.loss)
    assert (result.epoch, result.dev.loss) == (best.epoch, pytest.approx(best.dev.loss))

    out = Path(result.out)
    metrics = json.loads((out / "metrics.json").read_text())
    assert metrics["dev"] == result.dev.to_dict()
    assert [row["epoch"] for row in metrics["history"]] == list(range(1, 21))
    assert f"perplexity {result.dev.perplexity:.2f}" in (out / "README.md").read_text()
    assert not [path for path in out.iterdir() if path.is_dir() or path.name.startswith(".")]

    theirs = transformers.BertForMaskedLM.from_pretrained(out).eval()
    tokenizer = transformers.AutoTokenizer.from_pretrained(out)
    asked = tokenizer("甲乙丙[MASK]戊己庚辛壬癸", return_tensors="pt")
    with torch.no_grad():
        answer = theirs(**asked).logits[0, 4].argmax()
    assert tokenizer.convert_ids_to_tokens(int(answer)) == "丁"


def test_events_tell_the_whole_story(options: Make) -> None:
    events: list[Any] = []
    pretrain(options(epochs=2), events.append)
    started = events[0]
    assert isinstance(started, PretrainingStarted)
    assert {name: size.lines for name, size in started.parts.items()} == {"train": 72, "dev": 8}
    assert (started.unit, started.mask_unit, started.masking) == ("char", "char", "dynamic")
    assert started.vocab_size == 5 + 30
    steps = [event for event in events if isinstance(event, Stepped) and event.epoch == 1]
    assert [event.step for event in steps] == list(range(1, steps[0].steps + 1))
    assert [event.epoch for event in events if isinstance(event, EpochDone)] == [1, 2]


class _Killed(BaseException):
    """A BaseException, like the KeyboardInterrupt of a signal."""


@pytest.mark.parametrize(("epoch", "step"), [(1, 3), (3, 1), (3, 5)])
def test_a_killed_run_resumes_to_the_same_weights(
    options: Make, tmp_path: Path, epoch: int, step: int
) -> None:
    """With a checkpoint every two steps, so that it goes on within an epoch."""

    def kill(event: object) -> None:
        if isinstance(event, Stepped) and (event.epoch, event.step) == (epoch, step):
            raise _Killed

    chosen = {"checkpoint_steps": 2, "accumulate": 1, "batch_tokens": 128}
    whole = pretrain(options(**chosen, out=str(tmp_path / "whole")))
    with pytest.raises(_Killed):
        pretrain(options(**chosen), kill)
    seen: list[Any] = []
    resumed = pretrain(options(**chosen, resume=True), seen.append)
    assert seen[0].epoch == epoch
    assert seen[1].step == step - (step + 1) % 2  # the step after the last even one

    def figures(history: list[dict[str, Any]]) -> list[tuple[Any, ...]]:
        return [(row["epoch"], row["loss"], row["dev_loss"]) for row in history]

    assert figures(resumed.history) == figures(whole.history)
    first, second = read_tensors(whole.out), read_tensors(resumed.out)
    assert first.keys() == second.keys()
    assert all(first[name].equal(second[name]) for name in first)


def test_every_parameter_moves(options: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    from pybert_crf.training.masked_lm import pretraining

    models = []
    build = pretraining.build_learner
    before: dict[str, torch.Tensor] = {}

    def spy(*args: Any) -> Any:
        learner, notes = build(*args)
        models.append(learner.model)
        before.update({name: value.clone() for name, value in learner.model.named_parameters()})
        return learner, notes

    monkeypatch.setattr(pretraining, "build_learner", spy)
    pretrain(options(epochs=1))
    still = [name for name, value in models[0].named_parameters() if value.equal(before[name])]
    assert still == []
    assert "head.bias" in before


def test_train_starts_from_what_it_saved(options: Make, tmp_path: Path) -> None:
    result = pretrain(options(epochs=1))
    corpus = tmp_path / "train.txt"
    corpus.write_text("甲 B-PER\n乙 I-PER\n丙 O\n\n丁 O\n甲 B-PER\n乙 I-PER\n\n" * 4, encoding="utf-8")
    parts = {"train": str(corpus), "dev": str(corpus), "out": str(tmp_path / "tagger")}
    tagger = train(TrainOptions(**parts, model=result.out, epochs=1, learning_rate=1e-9))
    mine = read_tensors(result.out)["bert.encoder.layer.0.output.dense.weight"]
    torch.testing.assert_close(
        read_tensors(tagger.out)["bert.encoder.layer.0.output.dense.weight"], mine, rtol=0, atol=1e-6
    )


def test_it_goes_on_from_a_checkpoint_with_its_head(options: Make, tmp_path: Path) -> None:
    first = pretrain(options(epochs=8, learning_rate=3e-3))
    events: list[Any] = []
    going_on = {"model": first.out, "out": str(tmp_path / "more"), "epochs": 1, "learning_rate": 1e-9}
    second = pretrain(options(**going_on), events.append)
    assert second.dev.loss == pytest.approx(first.dev.loss, abs=1e-5)
    assert events[0].notes == ()
    assert (Path(second.out) / "vocab.txt").read_bytes() == (Path(first.out) / "vocab.txt").read_bytes()


def test_an_encoder_without_a_head_gets_a_new_one_and_says_so(
    options: Make, text: Path, tmp_path: Path
) -> None:
    units = list(text.read_text(encoding="utf-8").replace("\n", ""))
    tokenizer = UnitTokenizer.build([units], "char", min_count=1)
    Encoder.from_size("tiny", vocab_size=tokenizer.vocab_size).save_pretrained(tmp_path / "bare")
    tokenizer.save(tmp_path / "bare")
    events: list[Any] = []
    pretrain(options(model=str(tmp_path / "bare"), epochs=1), events.append)
    assert events[0].notes == (f"{tmp_path / 'bare'} holds no MLM head; a new one is trained",)


def test_a_vocabulary_without_mask_is_refused(options: Make, tmp_path: Path) -> None:
    (tmp_path / "vocab.txt").write_text("[PAD]\n[UNK]\n[CLS]\n[SEP]\n甲\n乙\n", encoding="utf-8")
    Encoder.from_size("tiny", vocab_size=6).save_pretrained(tmp_path)
    with pytest.raises(ValueError, match="has no mask piece"):
        pretrain(options(model=str(tmp_path)))


def test_the_last_epoch_is_kept_where_asked(options: Make) -> None:
    too_high = 0.3  # so that it gets worse
    result = pretrain(options(epochs=3, keep="last", learning_rate=too_high, warmup=0.0))
    assert result.epoch == 3
    assert result.dev.loss == pytest.approx(result.history[-1]["dev_loss"])
    MaskedLM.from_pretrained(result.out)


def test_words_are_pretrained_on_in_mixed_precision(options: Make, tmp_path: Path) -> None:
    path = tmp_path / "english.txt"
    path.write_text("the cat sat on the mat\nthe dog sat on the rug\n" * 30, encoding="utf-8")
    events: list[Any] = []
    chosen = {"precision": "bf16", "accumulate": 2, "masking": "static", "epochs": 12, "learning_rate": 3e-3}
    result = pretrain(options(text=str(path), **chosen), events.append)
    assert (events[0].unit, events[0].mask_unit) == ("word", "word")
    assert result.dev.loss < 0.7 * result.history[0]["dev_loss"]
    assert read_tensors(result.out)["cls.predictions.bias"].dtype == torch.float32


def test_resuming_with_another_masking_is_refused(options: Make) -> None:
    def kill(event: object) -> None:
        if isinstance(event, Stepped) and event.epoch == 2:
            raise _Killed

    with pytest.raises(_Killed):
        pretrain(options(), kill)
    with pytest.raises(ValueError, match=r"mask_rate was 0\.15, is 0\.3"):
        pretrain(options(resume=True, mask_rate=0.3))
    with pytest.raises(FileExistsError, match="unfinished run"):
        pretrain(options())


def test_resuming_with_another_text_is_refused(options: Make, tmp_path: Path) -> None:
    path = tmp_path / "text.txt"
    path.write_text("甲乙丙\n" * 20, encoding="utf-8")

    def kill(event: object) -> None:
        if isinstance(event, Stepped) and event.epoch == 2:
            raise _Killed

    with pytest.raises(_Killed):
        pretrain(options(text=str(path)), kill)
    path.write_text("甲乙丙\n" * 19 + "甲乙丙丙\n", encoding="utf-8")
    with pytest.raises(ValueError, match="data are not what they were"):
        pretrain(options(text=str(path), resume=True))
