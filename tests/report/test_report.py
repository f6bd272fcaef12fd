"""The report: its numbers, counted again in another way, and its markup, which no data can change."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import pytest
from small_corpus import corpus, one_thread

from pybert_crf import Tagger, TrainOptions, train
from pybert_crf.annotation.entities import Tagging
from pybert_crf.evaluation import TaggedCorpus, tag_corpus
from pybert_crf.report import Analysis, analyse, evaluation_page, transitions_of
from pybert_crf.report.analysis import UNCERTAIN, WRONG
from pybert_crf.report.calibration import Bin, bins, bins_of, calibration_error
from pybert_crf.report.confusion import Confusion, pairs
from pybert_crf.report.sentences import LONGEST
from pybert_crf.report.transitions import Transitions
from pybert_crf.report.words import _WORDS, Words
from pybert_crf.text.corpora import Corpus, Sentence, read_corpus
from pybert_crf.text.tagging.entity_spans import Span, spans, tags_from_spans
from pybert_crf.text.tagging.schemes import is_legal
from pybert_crf.web_page import html

__all__ = ["corpus", "one_thread"]

HOSTILE = (
    "<script>alert(1)</script>",
    "\"'>",
    "</style><img src=x onerror=y>",
    "&amp;",
    "\u202e",
    "\ud800",
    "\x00",
)
VOID = {"meta"}
ALLOWED = {"html", "head", "meta", "style", "title", "body", "h1", "h2", "h3", "p", "ul", "li", "table", "tr"}
ALLOWED |= {"th", "td", "span", "div", "small", "bdi", "mark", "code"}
ALLOWED |= {"svg", "text", "rect", "path", "line", "circle"}


class Page(HTMLParser):
    """The elements of a page, whether they nest, and the rows of its tables by class or id of the table."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: Counter[str] = Counter()
        self.attributes: set[str] = set()
        self.tables: dict[str, list[list[str]]] = {}
        self.text = ""
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen[tag] += 1
        self.attributes |= {name for name, _ in attrs}
        if tag not in VOID:
            self.open.append(tag)
        if tag == "table":
            given = dict(attrs)
            self.rows = self.tables.setdefault(str(given.get("class") or given.get("id")), [])
        elif tag == "tr":
            self.rows.append([])
        elif tag in ("td", "th"):
            self.rows[-1].append("")

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "style" not in self.open:
            self.text += data
        if self.open and ("td" in self.open or "th" in self.open):
            self.rows[-1][-1] += data


@pytest.fixture(scope="module")
def run(corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tagger that has learnt something and still errs."""
    out = tmp_path_factory.mktemp("run") / "out"
    files = {name: str(corpus / f"{name}.txt") for name in ("train", "dev", "test")}
    train(
        TrainOptions(
            **files, out=str(out), model="tiny", epochs=4, batch_tokens=128, min_count=1, language="zh"
        )
    )
    return out


@pytest.fixture(scope="module")
def tagger(run: Path) -> Tagger:
    return Tagger.from_pretrained(run)


@pytest.fixture(scope="module")
def tagged(tagger: Tagger, corpus: Path) -> TaggedCorpus:
    return tag_corpus(tagger, read_corpus(corpus / "test.txt"), scores=True)


def test_pairs_prefer_the_same_place_and_then_the_most_shared_units() -> None:
    gold = [Span(0, 3, "A"), Span(5, 6, "B"), Span(8, 9, "A"), Span(20, 21, "C")]
    found = [Span(0, 1, "A"), Span(1, 3, "B"), Span(5, 6, "A"), Span(8, 9, "A"), Span(11, 12, "C")]
    confusion = Confusion()
    confusion.add(pairs(gold, found))
    expected = {("A", "B"): 1, ("B", "A"): 1, ("A", "A"): 1, ("C", None): 1, (None, "A"): 1, (None, "C"): 1}
    assert confusion.cells == expected
    assert confusion.kinds == {"both": 1, "type": 1, "correct": 1, "missed": 1, "spurious": 2}


def test_the_calibration_error_by_hand() -> None:
    found = bins([(0.95, True), (1.0, True), (0.97, False), (0.31, False), (0.39, True)])
    assert [(each.low, each.size, each.correct) for each in found] == [(0.3, 2, 1), (0.9, 3, 2)]
    low, high = abs(0.5 - 0.35), abs(2 / 3 - (0.95 + 1.0 + 0.97) / 3)
    assert calibration_error(found) == pytest.approx((2 * low + 3 * high) / 5)
    assert calibration_error([]) is None
    assert calibration_error([Bin(0.9, 1.0, 4, 0.75, 3)]) == 0


def _number(text: str) -> int:
    return int(text.replace(",", ""))


@pytest.mark.parametrize("language", ["en", "zh"])
def test_the_tables_hold_what_counting_again_gives(
    tagger: Tagger, tagged: TaggedCorpus, language: str
) -> None:
    analysis, transitions = analyse(tagger, tagged), transitions_of(tagger)
    page = Page(evaluation_page("test.txt", ["note"], analysis, transitions, language))
    words = Words(language)
    gold = {(i, s) for i, each in enumerate(tagged.corpus.sentences) for s in spans(each.tags, "BIO")}
    found = {(i, s) for i, each in enumerate(tagged.taggings) for s in each.spans}

    rows = {row[0]: row[1:] for row in page.tables["figures"][1:]}
    for label in {s.label for _, s in gold | found}:
        support, predicted = (sum(s.label == label for _, s in part) for part in (gold, found))
        correct = sum(s.label == label for _, s in gold & found)
        assert [_number(each) for each in rows[label][4:]] == [support, predicted, correct]
        assert float(rows[label][2]) == pytest.approx(2 * correct / (support + predicted), abs=5e-5)

    kinds = {row[0]: _number(row[1]) for row in page.tables["kinds"][1:]}
    named = {kind: kinds[words(f"k_{kind}")] for kind in ("correct", "missed", "spurious")}
    assert named["correct"] == len(gold & found)
    assert sum(kinds.values()) - named["spurious"] == len(gold)
    assert sum(kinds.values()) - named["missed"] == len(found)

    head, *body = page.tables["heat confusion"]
    for row in body[:-1]:
        assert sum(map(_number, row[1:])) == sum(s.label == row[0] for _, s in gold)
    for column, label in enumerate(head[1:-1], 1):
        assert sum(_number(row[column]) for row in body) == sum(s.label == label for _, s in found)

    scores = [
        (score, (i, span) in gold)
        for i, each in enumerate(tagged.taggings)
        for span, score in zip(each.spans, each.scores, strict=True)
    ]
    for name, count, mean, share in page.tables["calibration"][1:]:
        low, high = map(float, name.split("–"))
        inside = [(s, right) for s, right in scores if low <= s < high or s == high == 1]
        assert _number(count) == len(inside)
        assert float(mean) == pytest.approx(sum(s for s, _ in inside) / len(inside), abs=5e-5)
        assert float(share) == pytest.approx(sum(right for _, right in inside) / len(inside), abs=5e-5)

    crf, labels = tagger.model.crf, list(tagger.labels)
    head, first, *body = page.tables["heat transitions"]
    assert head[1:-1] == labels
    for i, row in enumerate(body):
        for j, cell in enumerate(row[1:-1]):
            shown = f"{crf.transitions[i, j]:.2f}" if is_legal(labels[i], labels[j], "BIO") else "×"
            shown = "0.00" if shown == "-0.00" else shown
            assert cell == shown
    starts = zip(labels, crf.start_transitions.tolist(), strict=True)
    assert first[1:] == [
        *("×" if label[0] == "I" else f"{score:.2f}".replace("-0.00", "0.00") for label, score in starts),
        "×",
    ]


def test_training_leaves_a_report_of_the_run(run: Path, corpus: Path) -> None:
    text = (run / "report.html").read_text("utf-8")
    page, metrics = Page(text), json.loads((run / "metrics.json").read_text("utf-8"))
    assert '<html lang="zh">' in text
    assert "http" not in text.replace("http-equiv", "")  # needs nothing else
    sizes = {row[0]: row for row in page.tables["sizes"]}
    for name, chinese in (("train", "训练集"), ("dev", "开发集"), ("test", "测试集")):
        lines = (corpus / f"{name}.txt").read_text("utf-8").split("\n")
        tags = [line.split()[1] for line in lines if line]
        begun = [sum(tag == f"B-{kind}" for tag in tags) for kind in ("LOC", "PER")]
        assert [_number(each) for each in sizes[chinese][2:3] + sizes[chinese][4:]] == [
            len(tags),
            sum(begun),
            *begun,
        ]
    tips = [float(value) for value in re.findall(r"轮次 \d+: ([\d.e-]+)", page.text)]
    shown = [row[key] for key in ("loss", "dev_f1") for row in metrics["history"]]
    shown += [row["dev_f1_by_type"][kind] for kind in ("LOC", "PER") for row in metrics["history"]]
    assert tips == pytest.approx(shown, rel=1e-3)
    assert re.search("保留第 (\\d+) 轮", page.text)[1] == str(metrics["epoch"])  # type: ignore[index]
    figures = [row for row in page.tables["figures"] if row[0] == "微平均"]
    measured = [metrics[part]["conlleval"]["micro"]["f1"] for part in ("dev", "test")]
    assert [float(row[3]) for row in figures] == pytest.approx(measured, abs=5e-5)
    options = {row[0]: row[1] for row in page.tables["options"]}
    assert options["epochs"] == "4"
    assert options["warmup"] == "0.1"
    assert re.search("[0-9a-f]{64}", page.text)


def test_the_temperature_is_fitted_on_dev_and_told(run: Path, tagger: Tagger, corpus: Path) -> None:
    told = json.loads((run / "metrics.json").read_text("utf-8"))["calibration"]
    page = Page((run / "report.html").read_text("utf-8"))
    assert tagger.temperature == told["temperature"] != 1.0
    assert told["dev_loss"]["after"] < told["dev_loss"]["before"]
    plain = Tagger.from_pretrained(run)
    plain.temperature = 1.0
    dev = read_corpus(corpus / "dev.txt")
    for name, one in (("after", tagger), ("before", plain)):
        error = calibration_error(bins_of(tag_corpus(one, dev, scores=True)))
        assert told["expected_calibration_error"]["dev"][name] == pytest.approx(error, abs=1e-6)
        assert f"{error:.4f}" in page.text
    note = f"temperature {tagger.temperature:.3f}, fitted on dev"
    assert note in page.text
    assert note[1:] in (run / "README.md").read_text("utf-8")
    fitted = plain.calibrate((s.tokens for s in dev.sentences), (s.tags for s in dev.sentences))
    assert fitted.temperature == pytest.approx(tagger.temperature, rel=1e-4)


def _analysis(tagger: Tagger, sentences: list[Sentence], predicted: list[list[Span]]) -> Analysis:
    taggings = [
        Tagging(tags_from_spans(spans, len(s.tokens), "BIO"), spans, [0.5] * len(spans))
        for s, spans in zip(sentences, predicted, strict=True)
    ]
    return analyse(tagger, TaggedCorpus(Corpus(Path("<b>.txt"), sentences, "BIO"), taggings))


def test_hostile_texts_stay_texts(tagger: Tagger) -> None:
    sentences = [Sentence([text, "x"], [f"B-{text.strip()}", "O"], 1) for text in HOSTILE]
    analysis = _analysis(tagger, sentences, [[Span(1, 2, text)] for text in HOSTILE])
    transitions = Transitions(HOSTILE, [0.0] * 7, [None] * 7, [[-1.0] * 7] * 7)
    raw = evaluation_page(HOSTILE[0], HOSTILE, analysis, transitions, "en")
    raw.encode("utf-8")  # without lone surrogates
    page = Page(raw)
    assert set(page.seen) <= ALLOWED
    assert not {name for name in page.attributes if name.startswith("on") or name in ("src", "href")}
    assert page.seen["style"] == 1
    for text in HOSTILE[:4]:
        assert text in page.text
    assert "\x00" not in raw
    assert html(html("<")) == "&lt;"


def test_a_large_part_makes_no_large_page(tagger: Tagger) -> None:
    sentences = [
        Sentence(["京"] * 3000, ["O"] * 2000 + [f"B-T{i % 90}"] + ["O"] * 999, i) for i in range(120)
    ]
    analysis = _analysis(
        tagger, sentences, [[] if i % 2 else spans(s.tags, "BIO") for i, s in enumerate(sentences)]
    )
    assert (len(analysis.wrong), len(analysis.uncertain), analysis.wrong_in_all) == (WRONG, UNCERTAIN, 60)
    raw = evaluation_page("dev", [], analysis, None, "en")
    page = Page(raw)
    assert len(raw) < 120_000
    assert page.text.count("京") == 2 * LONGEST * (WRONG + UNCERTAIN)
    assert page.seen["mark"] == WRONG + 2 * UNCERTAIN  # what is cut out holds the error
    assert "The 20 most frequent of 90 types are shown." in page.text


def test_the_worst_come_first(tagger: Tagger) -> None:
    sentences = [Sentence(list("abc"), ["B-A", "B-A", "O"], line) for line in (1, 5, 9)]
    predicted = [[Span(0, 1, "A"), Span(1, 2, "B")], [Span(0, 1, "A"), Span(1, 2, "A")], []]
    analysis = _analysis(tagger, sentences, predicted)
    assert [(each.place, each.errors) for each in analysis.wrong] == [("<b>.txt:1", 2), ("<b>.txt:9", 2)]
    assert [each.place for each in analysis.uncertain] == ["<b>.txt:5"]


def _plain(text: str) -> Iterator[str]:
    yield from re.findall(r"{(\w+)", text)


@pytest.mark.parametrize("key", _WORDS)
def test_both_languages_say_the_same_values(key: str) -> None:
    english, chinese = _WORDS[key]
    assert sorted(_plain(english)) == sorted(_plain(chinese))
    assert english != chinese


def test_the_command(run: Path, corpus: Path, tmp_path: Path) -> None:
    file = tmp_path / "page.html"
    command = [sys.executable, "-m", "pybert_crf", "evaluate", str(run), str(corpus / "dev.txt")]
    done = subprocess.run(
        [*command, "--html", str(file)], capture_output=True, text=True, check=True, encoding="utf-8"
    )
    page = Page(file.read_text("utf-8"))
    assert "Evaluated on dev.txt" in page.text
    assert done.stdout.splitlines()[0] in page.text
