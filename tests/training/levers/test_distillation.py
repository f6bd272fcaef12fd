"""Learning from a teacher: the divergence of two chains, its gradient, and students of teachers."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from killed_runs import resumed_alike
from small_corpus import sentences
from torch import Tensor

from pybert_crf import CRF, Tagger, TrainOptions, tag_constraints, train
from pybert_crf.text.corpora import read_corpus
from pybert_crf.training import TaggingStarted, tagging
from pybert_crf.training.levers import distillation
from pybert_crf.training.levers.distillation import Teacher, divergence, expectations

Make = Callable[..., TrainOptions]
LABELS = ("O", "B-PER", "I-PER")


def chain(seed: int) -> tuple[CRF, Tensor, Tensor]:
    """A constrained CRF of three tags, emissions (3, 4, 3), and a mask with an empty row."""
    generator = torch.Generator().manual_seed(seed)
    crf = CRF(3, batch_first=True, constraints=tag_constraints(LABELS, "BIO"))
    with torch.no_grad():
        for parameter in crf.parameters():
            parameter.copy_(2 * torch.randn(parameter.shape, generator=generator))
    mask = torch.tensor([[True] * 4, [True, True, False, False], [False] * 4])
    return crf, 2 * torch.randn(3, 4, 3, generator=generator), mask


def log_probabilities(crf: CRF, emissions: Tensor, length: int) -> Tensor:
    """log P of each legal path of a row, float64, in the order of the paths."""
    legal = tag_constraints(LABELS, "BIO")
    assert legal.start is not None
    assert legal.transitions is not None
    scores = []
    for path in itertools.product(range(3), repeat=length):
        pairs = list(itertools.pairwise(path))
        if legal.start[path[0]] and all(legal.transitions[pair] for pair in pairs):
            score = crf.start_transitions[path[0]] + crf.end_transitions[path[-1]]
            score = score + sum(emissions[t, tag] for t, tag in enumerate(path))
            scores.append(score + sum(crf.transitions[pair] for pair in pairs))
    return torch.stack(scores).double().log_softmax(0)


def test_the_divergence_and_its_gradient_are_those_over_all_paths() -> None:
    teacher, given, mask = chain(1)
    student, own, _ = chain(2)
    own.requires_grad_()
    found = divergence(expectations(teacher, given, mask), student, own, mask)
    wanted = torch.zeros((), dtype=torch.float64)
    for row, length in ((0, 4), (1, 2)):
        p, q = (log_probabilities(*each, length) for each in ((teacher, given[row]), (student, own[row])))
        wanted = wanted + (p.detach().exp() * (p.detach() - q)).sum()
    assert float(wanted.detach()) > 1
    torch.testing.assert_close(found, wanted.float(), rtol=1e-6, atol=0)
    parts = [own, *student.parameters()]
    found_gradients = torch.autograd.grad(found, parts)
    for mine, theirs in zip(found_gradients, torch.autograd.grad(wanted, parts), strict=True):
        assert float(theirs.abs().max()) > 1e-3
        torch.testing.assert_close(mine, theirs, rtol=1e-5, atol=1e-6)
    assert all(parameter.grad is None for parameter in teacher.parameters())
    plain = student.kl_divergence  # the same by factors, from the teacher's side
    assert float(found.detach()) == pytest.approx(
        float(teacher.kl_divergence(given, student, own, mask).sum().detach()), rel=1e-5
    )
    assert float(plain(own, student, own, mask).abs().sum().detach()) == 0
    same = divergence(expectations(teacher, given, mask), teacher, given, mask)
    assert abs(float(same.detach())) < 1e-5


def test_what_is_never_read_does_not_count() -> None:
    teacher, given, mask = chain(1)
    student, own, _ = chain(2)
    expected = expectations(teacher, given, mask)
    found = divergence(expected, student, own, mask)
    hostile = own.masked_fill(~mask[:, :, None], 3e4)
    assert divergence(expected, student, hostile, mask).equal(found)


@pytest.fixture(scope="module")
def teacher_dir(corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tagger that has learnt the small corpus."""
    out = tmp_path_factory.mktemp("teacher") / "tagger"
    options = TrainOptions(
        str(corpus / "train.txt"),
        str(corpus / "dev.txt"),
        str(out),
        model="tiny",
        epochs=8,
        batch_tokens=128,
        min_count=1,
    )
    assert train(options).dev.f1 > 0.95
    return out


@pytest.fixture(scope="module")
def text(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Untagged text, a sentence a line, and a blank line."""
    path = tmp_path_factory.mktemp("text") / "text.txt"
    blocks = [block.split("\n") for block in sentences(50, 7).strip().split("\n\n")]
    lines = ["".join(row.split()[0] for row in block) for block in blocks]
    path.write_text("\n".join([*lines[:3], "", *lines[3:]]) + "\n", encoding="utf-8")
    return path


@pytest.fixture
def tasks(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The tasks that `train` makes."""
    made: list[Any] = []
    start = tagging.TaggingTask.__init__

    def spy(self: Any, *rest: Any) -> None:
        start(self, *rest)
        made.append(self)

    monkeypatch.setattr(tagging.TaggingTask, "__init__", spy)
    return made


def agreement(one: Tagger, other: Tagger, texts: list[str]) -> float:
    """The share of units to which two taggers give the same tag."""
    pairs = [
        (a, b)
        for first, second in zip(one.annotate(texts), other.annotate(texts), strict=True)
        for a, b in zip(first.tags, second.tags, strict=True)
    ]
    return sum(a == b for a, b in pairs) / len(pairs)


def test_a_student_learns_from_untagged_text_alone(
    options: Make, teacher_dir: Path, text: Path, tasks: list[Any]
) -> None:
    chosen = options(train=(), teacher=str(teacher_dir), text=str(text), epochs=8)
    events: list[Any] = []
    result = train(chosen, events.append)
    losses = [row["loss"] for row in result.history]
    assert losses[0] > 3 * losses[-1] > 0
    assert result.dev.f1 > 0.8  # dev chooses the epoch
    (started,) = [event for event in events if isinstance(event, TaggingStarted)]
    assert started.sentences == {"dev": 12, "test": 12, "text": 50}
    teacher, student = Tagger.from_pretrained(teacher_dir), Tagger.from_pretrained(result.out)
    assert (student.labels, student.scheme, student.unit) == (teacher.labels, teacher.scheme, teacher.unit)
    lines = [line for line in text.read_text("utf-8").splitlines() if line]
    start = Tagger.from_pretrained(
        train(options(train=(), teacher=str(teacher_dir), text=str(text), epochs=1, overwrite=True)).out
    )
    assert agreement(student, teacher, lines) > 0.95 > agreement(start, teacher, lines)
    assert tasks[0].name_example(3) == "text.txt, text 4"
    assert "what " in (Path(result.out) / "README.md").read_text("utf-8")


def test_a_batch_of_tagged_and_untagged_sentences_adds_both_losses(
    options: Make, teacher_dir: Path, text: Path, tasks: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    train(options(teacher=str(teacher_dir), text=str(text), teacher_weight=0.5, epochs=1))
    task = tasks[0]
    model, teacher = task.tagger.model.train(), Tagger.from_pretrained(teacher_dir)
    model.dropout.p = 0.0
    for module in model.encoder.modules():
        if hasattr(module, "p"):
            module.p = 0.0
    model.encoder.eval()
    rows = [0, 5, 61, 70]  # 60 sentences have tags
    batch, units = task.collate(rows, 1)
    loss = float(task.loss(batch).detach())
    with torch.no_grad():
        emissions = model.emissions(batch)
        tags = [task.examples[i].tags for i in rows[:2]]
        likelihood = sum(
            float(model.crf(emissions[i : i + 1, : len(own)], torch.tensor([own])))
            for i, own in enumerate(tags)
        )
        theirs = []
        for row in rows:
            units_of = task.teacher.texts[row]
            example = teacher.example("".join(units_of), [(i, i + 1) for i in range(len(units_of))])
            given, mask = teacher._emissions([example])
            own = emissions[rows.index(row) : rows.index(row) + 1, : len(units_of)]
            theirs.append(float(teacher.model.crf.kl_divergence(given, model.crf, own, mask)))
    assert loss == pytest.approx((-likelihood + 0.5 * sum(theirs)) / units, rel=1e-4)
    assert units == sum(len(task.teacher.texts[row]) for row in rows)


def test_emissions_are_computed_once_if_there_is_room(
    teacher_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from pybert_crf.batches import collate

    tagger = Tagger.from_pretrained(teacher_dir)
    texts = [list("张甲在京。"), list("京的王乙"), list("李丙在沪。")]
    examples = [tagger.example("".join(each), [(i, i + 1) for i in range(len(each))]) for each in texts]
    batch = collate(examples, tagger.layout)
    asked: list[list[int]] = []
    whole = Teacher._emissions

    def spy(self: Teacher, rows: Any) -> Any:
        asked.append(list(rows))
        return whole(self, rows)

    monkeypatch.setattr(Teacher, "_emissions", spy)
    teacher = Teacher(tagger, texts, 1.0)
    first = teacher.teach(batch, [0, 1, 2])
    again = teacher.teach(batch, [0, 1, 2])
    assert asked == [[0, 1, 2], []]
    assert first.taught is not None
    assert again.taught is not None
    assert first.taught.equal(again.taught)
    expected, _ = tagger._emissions(examples)
    torch.testing.assert_close(first.taught[first.mask], expected[first.mask].detach(), rtol=1e-5, atol=1e-5)
    assert float(first.taught[~first.mask].abs().sum()) == 0
    monkeypatch.setattr(distillation, "KEPT", 5 * len(tagger.labels))  # room for one text
    small = Teacher(tagger, texts, 1.0)
    small.teach(batch, [0, 1, 2])
    small.teach(batch, [0, 1, 2])
    assert asked[2:] == [[0, 1, 2], [0, 2]]  # the shortest is computed first, and kept


def test_a_taught_run_resumes(options: Make, teacher_dir: Path, text: Path, tmp_path: Path) -> None:
    chosen: dict[str, Any] = {"teacher": str(teacher_dir), "text": str(text), "epochs": 2}
    resumed_alike(options, tmp_path, (2, 2), **chosen, rdrop=0.5)


def test_text_in_another_format(options: Make, teacher_dir: Path, corpus: Path) -> None:
    told: list[Any] = []
    chosen: dict[str, Any] = {"train": (), "teacher": str(teacher_dir), "text": str(corpus / "train.txt")}
    train(options(**chosen, text_format="columns", epochs=1), told.append)
    count = len(read_corpus(corpus / "train.txt").sentences)
    assert told[0].sentences["text"] == count
    train(options(**chosen, epochs=1, overwrite=True), told.append)
    (note,) = [
        n for event in told if isinstance(event, TaggingStarted) for n in event.notes if "plain text" in n
    ]
    assert note.endswith(
        "looks like a column file but is read as plain text, including its tags: see --text-format columns"
    )


def test_what_does_not_fit_the_teacher_is_named(
    options: Make, teacher_dir: Path, text: Path, tmp_path: Path
) -> None:
    taught: dict[str, Any] = {"teacher": str(teacher_dir), "text": str(text)}
    other = tmp_path / "other.txt"
    other.write_text("张 B-ORG\n甲 I-ORG\n\n京 B-LOC\n。 O\n", encoding="utf-8")
    with pytest.raises(ValueError, match=r"train has tags that the teacher .* B-ORG, I-ORG"):
        train(options(**taught, train=str(other)))
    words = tmp_path / "words.txt"
    words.write_text("Anna B-PER\nlives O\n\nPeter B-PER\nsleeps O\n" * 5, encoding="utf-8")
    with pytest.raises(ValueError, match=r"the teacher .* tags each char, but the data are read by word"):
        train(options(**taught, train=str(words), dev=str(words), test=()))
    with pytest.raises(ValueError, match=r"tags each char, but the data are read by word"):
        train(options(**taught, train=(), unit="word"))
    out = train(options(train=str(other), dev=str(other), test=(), epochs=1, out=str(tmp_path / "org"))).out
    with pytest.raises(ValueError, match=r"must have the labels and scheme of its teacher .*B-ORG, B-PER"):
        train(options(**taught, model=out))
    with pytest.raises(FileNotFoundError, match="nowhere"):
        train(options(teacher=str(tmp_path / "nowhere"), text=str(text)))
    empty = tmp_path / "empty.txt"
    empty.write_text("\n\n")
    with pytest.raises(ValueError, match=r"empty\.txt: no text in this file"):
        train(options(teacher=str(teacher_dir), text=str(empty)))


ALONE: dict[str, Any] = {"teacher": "t", "text": "a", "train": ()}


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"text": "a"}, "text must come with teacher"),
        ({"teacher": "t", "text_format": "json"}, "text_format must come with text"),
        ({"teacher_weight": 2.0}, "teacher_weight must come with teacher"),
        ({"teacher": "t", "train": ()}, r"missing: train, .* \(or a teacher, and text"),
        (
            {"teacher": "t", "text": "a", "train": (), "dev": (), "dev_share": 0.1},
            "dev_share must be left out",
        ),
        ({**ALONE, "transitions": "counts"}, "transitions must be random without train"),
        ({**ALONE, "focal": 1.0}, "focal must be left out without train"),
    ],
)
def test_options_that_do_not_go_together(given: dict[str, Any], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        TrainOptions(**({"train": "a", "dev": "b", "out": "c"} | given))


def test_a_resumed_run_knows_its_teacher_by_content(
    options: Make, teacher_dir: Path, text: Path, tmp_path: Path
) -> None:
    class _KilledError(BaseException):
        pass

    def kill(event: object) -> None:
        if type(event).__name__ == "EpochDone":
            raise _KilledError

    chosen: dict[str, Any] = {"train": (), "text": str(text), "epochs": 2, "checkpoint_steps": 1}
    with pytest.raises(_KilledError):
        train(options(**chosen, teacher=str(teacher_dir)), kill)
    other = train(options(epochs=1, out=str(tmp_path / "other"))).out
    with pytest.raises(ValueError, match="the training or dev data are not what they were"):
        train(options(**chosen, teacher=other, resume=True))
    progress = json.loads((tmp_path / "out" / "checkpoint" / "progress.json").read_text())
    assert progress["options"]["teacher"] == str(teacher_dir)
