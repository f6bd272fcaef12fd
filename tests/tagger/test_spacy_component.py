"""A tagger in a pipeline of spaCy: the tagger's own answers, on the borders of tokens, saved and opened."""

from __future__ import annotations

import os
import subprocess
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from entry_points import write_entry_points

from pybert_crf.annotation.entities import Entity
from pybert_crf.reading import ConfigError
from pybert_crf.taggers.tagger import Tagger

spacy = pytest.importorskip("spacy", reason="spacy is not installed")
tokens = pytest.importorskip("spacy.tokens", reason="spacy is not installed")

from pybert_crf.spacy_component import EntityComponent  # noqa: E402

TEXTS = ["张三在北京工作7.7年。", "", "李四 works in Shanghai", " 北京 "]


@pytest.fixture(scope="module")
def saved(make_tagger: Callable[..., Tagger], tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("spacy") / "tagger"
    make_tagger().save_pretrained(directory)
    return directory


def pipeline(saved: Path, **config: Any) -> Any:
    nlp = spacy.blank("zh")
    nlp.add_pipe("pybert_crf", config={"model": str(saved), **config})
    return nlp


def read(doc: Any) -> list[Entity]:
    return [Entity(e.start_char, e.end_char, e.label_, e.text, e._.score) for e in doc.ents]


def same(found: list[Entity], expected: list[Entity]) -> bool:
    assert [each.score for each in found] == pytest.approx([each.score for each in expected], abs=1e-6)
    keys = [[(e.start, e.end, e.label, e.text) for e in those] for those in (found, expected)]
    return keys[0] == keys[1]


def test_a_pipeline_finds_what_the_tagger_finds(saved: Path) -> None:
    tagger, nlp = Tagger.from_pretrained(saved), pipeline(saved)
    expected = [tagger(text) for text in TEXTS]
    assert sum(map(len, expected)) > 5
    assert all(same(read(nlp(text)), found) for text, found in zip(TEXTS, expected, strict=True))
    piped = list(nlp.pipe(TEXTS * 3, batch_size=5))
    assert [doc.text for doc in piped] == TEXTS * 3
    assert all(same(read(doc), found) for doc, found in zip(piped, expected * 3, strict=True))
    told = nlp.analyze_pipes()["summary"]["pybert_crf"]
    assert "doc.ents" in told["assigns"]


def test_scores_outlive_a_bin_of_documents(saved: Path) -> None:
    nlp = pipeline(saved)
    data = tokens.DocBin(docs=nlp.pipe(TEXTS), store_user_data=True).to_bytes()
    opened = list(tokens.DocBin().from_bytes(data).get_docs(nlp.vocab))
    assert [read(doc) for doc in opened] == [read(nlp(text)) for text in TEXTS]


@pytest.mark.parametrize("way", ["disk", "bytes"])
def test_a_saved_pipeline_holds_its_tagger(saved: Path, tmp_path: Path, way: str) -> None:
    rules = tmp_path / "rules.json"
    rules.write_text('{"must": {"LOC": ["北京"]}}', encoding="utf-8")
    copy = tmp_path / "copy"
    saved.rename(copy)
    try:
        nlp = pipeline(copy, rules=str(rules), min_score=0.25, score="probability")
        first = [[(e.text, e.label_, e._.probability) for e in doc.ents] for doc in nlp.pipe(TEXTS)]
        assert ("北京", "LOC") in [pair[:2] for pair in first[0]]
        nlp.to_disk(tmp_path / "pipeline")
        data = nlp.to_bytes()
    finally:
        copy.rename(saved)  # the model that the configuration names is gone
    rules.unlink()
    if way == "disk":
        opened = spacy.load(tmp_path / "pipeline")
    else:
        opened = spacy.blank("zh", config=nlp.config)  # with its components
        opened.from_bytes(data)
    assert first == [[(e.text, e.label_, e._.probability) for e in doc.ents] for doc in opened.pipe(TEXTS)]
    assert (
        Tagger.from_pretrained(tmp_path / "pipeline" / "pybert_crf").labels
        == nlp.get_pipe("pybert_crf").tagger.labels
    )
    opened.to_disk(tmp_path / "pipeline")  # over itself
    assert (tmp_path / "pipeline" / "pybert_crf" / "rules.json").exists()


def test_what_a_pipeline_cannot_save_is_refused(saved: Path, tmp_path: Path) -> None:
    nlp = pipeline(saved)
    nlp.get_pipe("pybert_crf").tagger.min_score = 0.5
    with pytest.raises(ValueError, match="min_score that were set on the tagger are not saved"):
        nlp.to_disk(tmp_path / "pipeline")


def test_the_tagger_is_opened_when_it_is_needed(tmp_path: Path) -> None:
    nlp = pipeline(tmp_path / "nothing")
    with pytest.raises(FileNotFoundError, match="nothing is neither a directory"):
        nlp("张三")
    with pytest.raises(FileNotFoundError, match="nothing is neither a directory"):
        list(nlp.pipe(["张三"]))


class Found:
    """A tagger that finds these entities in every text."""

    rules, min_score = None, 0.0

    def __init__(self, *entities: Entity) -> None:
        self.entities = list(entities)

    def __call__(self, text: str) -> list[Entity]:
        if not text.strip():
            raise ConfigError("an empty text")
        return self.entities

    def tag(self, texts: list[str], batch_tokens: int) -> list[list[Entity]]:
        return [self(text) for text in texts]


def component(*entities: Entity, **settings: Any) -> EntityComponent:
    made = EntityComponent("pybert_crf", "nothing", **settings)
    made._tagger = Found(*entities)  # type: ignore[assignment]
    return made


def document(*words: str) -> Any:
    return tokens.Doc(spacy.blank("xx").vocab, words, spaces=[False] * len(words))


INSIDE = Entity(1, 3, "PER", "bc", 0.75)  # of the words "ab", "cd", "e"


def test_an_entity_between_borders_is_refused() -> None:
    told = r"PER at 1:3 \('bc'\) does not begin and end with tokens, which are 'ab \| cd': choose config="
    with pytest.raises(ValueError, match=told):
        component(INSIDE)(document("ab", "cd", "e"))


def test_an_entity_between_borders_is_expanded_or_contracted() -> None:
    (span,) = component(INSIDE, alignment="expand")(document("ab", "cd", "e")).ents
    assert (span.text, span.label_, span._.score) == ("abcd", "PER", 0.75)
    wide = Entity(1, 5, "PER", "bcde", 0.5)
    (span,) = component(wide, alignment="contract")(document("ab", "cd", "e")).ents
    assert (span.text, span._.score) == ("cde", 0.5)


def test_what_cannot_be_set_is_told() -> None:
    with pytest.warns(UserWarning, match=r"PER at 1:3 \('bc'\) has no token within it, and is left out"):
        assert component(INSIDE, alignment="contract")(document("ab", "cd", "e")).ents == ()
    both = [INSIDE, Entity(3, 5, "LOC", "de", 0.5)]
    with pytest.warns(UserWarning, match=r"LOC at 3:5 \('de'\) shares a token of 'cde' with another entity"):
        doc = component(*both, alignment="expand")(document("ab", "cd", "e"))
    assert [span.text for span in doc.ents] == ["abcd"]


def test_entities_of_other_components() -> None:
    ours = [Entity(0, 2, "PER", "ab", 0.75), Entity(4, 5, "LOC", "e", 0.5)]

    def preset() -> Any:
        doc = document("ab", "cd", "e")
        doc.set_ents([tokens.Span(doc, 0, 2, "RULE")])
        return doc

    with pytest.warns(UserWarning, match="PER at 0:2"):
        doc = component(*ours)(preset())
    assert [(span.text, span.label_) for span in doc.ents] == [("abcd", "RULE"), ("e", "LOC")]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        doc = component(*ours, overwrite_ents=True)(preset())
    assert [(span.text, span.label_) for span in doc.ents] == [("ab", "PER"), ("e", "LOC")]


def test_a_document_that_fails_goes_to_the_error_handler() -> None:
    nlp = spacy.blank("xx")
    nlp.add_pipe("pybert_crf", config={"model": "nothing"})
    nlp.get_pipe("pybert_crf")._tagger = Found(Entity(0, 2, "PER", "ab", 0.75))
    with pytest.raises(ConfigError, match="an empty text"):
        list(nlp.pipe(["ab", " ", "ab d"]))
    failed: list[str] = []
    nlp.set_error_handler(lambda name, made, docs, error: failed.extend(doc.text for doc in docs))
    assert [doc.text for doc in nlp.pipe(["ab", " ", "abc", "ab d"])] == ["ab", "ab d"]
    assert failed == [" ", "abc"]  # the latter is one token, and the entity its first half


def test_an_extension_of_others_is_not_taken() -> None:
    tokens.Span.set_extension("computed", getter=len, force=True)
    with pytest.raises(ValueError, match=r"span\._\.computed is an extension that is computed by something"):
        EntityComponent("pybert_crf", "nothing", score="computed")


def test_files_of_bytes_stay_in_their_folder() -> None:
    from srsly import msgpack_dumps

    with pytest.raises(ValueError, match=r"'\.\./config\.json' is no name of a file"):
        component().from_bytes(msgpack_dumps({"../config.json": b"{}"}))


def test_spacy_finds_the_component_by_its_name(saved: Path, tmp_path: Path) -> None:
    """By the entry points of the package, which an installation writes from pyproject.toml."""
    write_entry_points(tmp_path)
    code = (
        "import spacy; nlp = spacy.blank('zh')\n"
        f"nlp.add_pipe('pybert_crf', config={{'model': {str(saved)!r}}})\n"
        f"print(len(nlp({TEXTS[0]!r}).ents))"
    )
    paths = os.pathsep.join(filter(None, [str(tmp_path), os.environ.get("PYTHONPATH", "")]))
    run = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code],
        env={**os.environ, "PYTHONPATH": paths, "PYTHONIOENCODING": "utf-8"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    assert int(run.stdout) == len(Tagger.from_pretrained(saved)(TEXTS[0]))
