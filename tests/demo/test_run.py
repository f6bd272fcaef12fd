"""The demo's run, on a smaller corpus; ``.ci/run`` does the whole of it."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from pybert_crf.annotation.entities import Entity
from pybert_crf.cli.show import highlight
from pybert_crf.demo import run
from pybert_crf.demo.grammar import UNSEEN, make_corpus


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """A hundred sentences, one epoch."""
    options = run.options
    monkeypatch.setattr(run, "make_corpus", lambda: make_corpus(sizes=(100, 20, 20)))
    monkeypatch.setattr(run, "options", lambda out: dataclasses.replace(options(out), epochs=1))


@pytest.mark.usefixtures("small")
def test_it_leaves_a_corpus_and_a_tagger_and_can_be_repeated(tmp_path: Path) -> None:
    for _ in range(2):
        finished, tagged = run.run_demo(tmp_path / "demo")
    assert finished.test is not None
    assert [text for text, _ in tagged] == list(UNSEEN)
    assert (tmp_path / "demo" / "data" / "test.txt").is_file()
    assert (Path(finished.out) / "model.safetensors").is_file()


@pytest.mark.usefixtures("small")
def test_it_writes_over_nobody_elses_folder(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(FileExistsError, match="holds no earlier demo"):
        run.run_demo(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_entities_are_marked_in_their_text() -> None:
    entities = [Entity(0, 2, "PER", "张三", 0.984), Entity(3, 5, "LOC", "北京", 0.5)]
    plain = highlight("张三在北京。", entities, ["LOC", "PER"], colour=False)
    assert plain.plain == "[张三|PER 0.98]在[北京|LOC 0.50]。"
    coloured = highlight("张三在北京。", entities, ["LOC", "PER"], colour=True)
    assert coloured.plain == " 张三 PER 0.98在 北京 LOC 0.50。"
    assert len({str(span.style) for span in coloured.spans if span.style != "dim"}) == 2
