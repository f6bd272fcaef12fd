"""Levers of the loss, each against its formula: class weights, smoothing, focal weights, R-Drop, attacks."""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from killed_runs import resumed_alike

from pybert_crf import CRF, Tagger, TrainOptions, train
from pybert_crf.text.corpora import read_corpus
from pybert_crf.training import tagging
from pybert_crf.training.levers.objective import Objective, class_weights

Make = Callable[..., TrainOptions]
MASK = torch.tensor([[True, True, True], [True, False, False], [False, False, False]])
TAGS = torch.tensor([[0, 2, 1], [1, -100, -100], [-100, -100, -100]])


class Stub:
    """A model whose passes give these emissions, one after another."""

    def __init__(self, *passes: torch.Tensor) -> None:
        torch.manual_seed(5)
        self.crf = CRF(3, batch_first=True).requires_grad_(True)
        self.passes = iter(passes)

    def emissions(self, batch: Any) -> torch.Tensor:
        return next(self.passes)


def loss_of(objective: Objective, *passes: torch.Tensor) -> float:
    batch: Any = SimpleNamespace(tags=TAGS, mask=MASK)
    stub: Any = Stub(*passes)
    return float(objective(stub, batch).detach())


@pytest.fixture
def emissions() -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    return torch.randn(3, 3, 3, generator=generator), torch.randn(3, 3, 3, generator=generator)


def paths(crf: CRF, emissions: torch.Tensor, length: int) -> torch.Tensor:
    """log P of every path of one row, float64."""
    scores = []
    for path in itertools.product(range(3), repeat=length):
        score = crf.start_transitions[path[0]] + crf.end_transitions[path[-1]]
        score = score + sum(emissions[t, tag] for t, tag in enumerate(path))
        scores.append(score + sum(crf.transitions[a, b] for a, b in itertools.pairwise(path)))
    return torch.stack(scores).double().log_softmax(0)


def divergence(p: torch.Tensor, q: torch.Tensor) -> torch.Tensor:
    return (p.exp() * (p - q)).sum()


def test_rdrop_is_the_mean_loss_and_the_divergence_over_all_paths(emissions: Any) -> None:
    first, second = emissions
    crf = Stub().crf
    nll = [-float(crf(e, TAGS.clamp(min=0), MASK).detach()) for e in (first, second)]
    kl = sum(
        float((divergence(p, q) + divergence(q, p)).detach())
        for row, length in ((0, 3), (1, 1))
        for p, q in [(paths(crf, first[row], length), paths(crf, second[row], length))]
    )
    assert kl > 0.5
    found = loss_of(Objective(rdrop=3.0), first, second)
    assert found == pytest.approx((sum(nll) / 2 + 3.0 * kl / 4) / 4, rel=1e-5)
    assert loss_of(Objective(rdrop=3.0), first, first) == pytest.approx(nll[0] / 4, rel=1e-5)


def test_gradients_flow_through_the_divergence(emissions: Any) -> None:
    crf = Stub().crf
    first, second = (each.clone().requires_grad_() for each in emissions)
    (crf.symmetric_divergence(first, second, MASK).sum() / 2).backward()
    other, again = (each.clone().requires_grad_() for each in emissions)
    rows = [(paths(crf, other[r], n), paths(crf, again[r], n)) for r, n in ((0, 3), (1, 1))]
    oracle = torch.stack([(divergence(p, q) + divergence(q, p)) / 2 for p, q in rows]).sum()
    scores = [crf.start_transitions, crf.transitions, crf.end_transitions]
    wanted = torch.autograd.grad(oracle, [other, again, *scores])
    found = [first.grad, second.grad, *(score.grad for score in scores)]
    for mine, theirs in zip(found, wanted, strict=True):
        assert mine is not None
        assert float(theirs.abs().max()) > 1e-3
        torch.testing.assert_close(mine, theirs, rtol=1e-4, atol=1e-5)


def test_focal_weights(emissions: Any) -> None:
    first, _ = emissions
    crf = Stub().crf
    rows = crf(first, TAGS.clamp(min=0), MASK, reduction="none").detach()
    wanted = -sum((1 - math.exp(float(rows[r]) / n)) ** 2 * float(rows[r]) for r, n in ((0, 3), (1, 1))) / 4
    assert loss_of(Objective(focal=2.0), first) == pytest.approx(wanted, rel=1e-5)
    assert loss_of(Objective(), first) == pytest.approx(-float(rows.sum()) / 4, rel=1e-5)
    sure = torch.nn.functional.one_hot(TAGS.clamp(min=0), 3) * 40.0
    sure.requires_grad_()
    stub: Any = Stub(sure)
    objective: Any = Objective(focal=0.5)
    objective(stub, SimpleNamespace(tags=TAGS, mask=MASK)).backward()
    assert bool(sure.grad.isfinite().all())


def test_weights_and_smoothing_are_those_of_the_layer(emissions: Any) -> None:
    first, _ = emissions
    weights = torch.tensor([0.5, 2.0, 1.0])
    crf = Stub().crf
    rows = crf(first, TAGS.clamp(min=0), MASK, class_weights=weights, label_smoothing=0.2)
    plain = crf(first, TAGS.clamp(min=0), MASK)
    found = loss_of(Objective(weights, smoothing=0.2), first)
    assert found == pytest.approx(-float(rows.detach()) / 4, rel=1e-5)
    assert found != pytest.approx(-float(plain.detach()) / 4, rel=1e-2)


def test_inverse_and_given_class_weights(options: Make) -> None:
    chosen = options()
    data = tagging.read_corpora(chosen)
    model = tagging.build_tagger(data, chosen).model
    tags = [sentence.tags for sentence in data.train.sentences]
    numbers = [[model.labels.index(tag) for tag in each] for each in tags]
    counts = Counter(itertools.chain.from_iterable(tags))
    inverse = class_weights(model, ("inverse",), numbers)
    for label, weight in zip(model.labels, inverse.tolist(), strict=True):
        assert weight == pytest.approx(counts.total() / (4 * counts[label]))
    given = class_weights(model, ("PER=2", "I-PER=3", "O=0.5"), numbers)
    assert dict(zip(model.labels, given.tolist(), strict=True)) == {
        "O": 0.5,
        "B-LOC": 1.0,
        "B-PER": 2.0,
        "I-PER": 3.0,
    }
    with pytest.raises(ValueError, match="class_weight: there is no tag and no type 'ORG'; there are B-LOC"):
        class_weights(model, ("ORG=2",), numbers)
    for wrong in (("PER",), ("PER=-1",), ("=2",), ("PER=inf",), ("inverse", "O=1")):
        with pytest.raises(ValueError, match="class_weight must be inverse alone, or TAG=WEIGHT"):
            options(class_weight=wrong)


def outcome(options: Make, out: Path, **chosen: Any) -> tuple[Tagger, list[list[str]]]:
    """A tagger trained for some epochs, and its tags on dev."""
    made = options(epochs=3, learning_rate=2e-3, patience=0, out=str(out), **chosen)
    tagger = Tagger.from_pretrained(train(made).out)
    tokens = [sentence.tokens for sentence in read_corpus(made.files("dev")[0]).sentences]
    return tagger, [tagging.tags for tagging in tagger.tag_units(tokens)]


def test_a_class_of_little_weight_is_found_less_often(options: Make, tmp_path: Path) -> None:
    counts = []
    for weight in ("O=0.02", "O=50"):
        _, tags = outcome(options, tmp_path / weight, class_weight=weight)
        counts.append(sum(each.count("O") for each in tags))
    assert counts[0] < counts[1]


def test_smoothed_taggers_are_less_certain(options: Make, tmp_path: Path) -> None:
    entropies = []
    for smoothing in (0.0, 0.4):
        tagger, _ = outcome(options, tmp_path / str(smoothing), label_smoothing=smoothing)
        scores = [s for each in tagger.tag_units([list("张甲在京。")] * 2) for s in each.scores]
        entropies.append(sum(scores) / max(1, len(scores)))
    assert entropies[1] < entropies[0] - 0.02


# Adversarial training.


def gradients(options: Make, groups: list[list[int]], **chosen: Any) -> tuple[Any, dict[str, torch.Tensor]]:
    """The task, without dropout, and the gradients of its first step on these batches."""
    made = options(dropout=0.0, clip=0.0, **chosen)
    data = tagging.read_corpora(made)
    accelerator = tagging.build_accelerator(made)
    tagger = tagging.build_tagger(data, made)
    run = tagging.TaggingTask(made, None, data, accelerator, tagger)
    run.model.train()
    run.model.encoder.eval()
    for name in ("step", "zero_grad"):
        setattr(run.optimizer, name, lambda: None)
    run.scheduler.step = lambda: None  # type: ignore[method-assign,assignment]
    run._step(groups, 1)
    return run, {name: p.grad.clone() for name, p in run.model.named_parameters()}


def test_the_usual_radius_is_the_mean_norm_of_an_embedding(options: Make) -> None:
    run, found = gradients(options, [[0, 1]], adversarial="fgm")
    radius = run.model.encoder.embeddings.word.weight.detach().norm(dim=1).mean().item()
    same = gradients(options, [[0, 1]], adversarial="fgm", adversarial_radius=radius)[1]
    for name, gradient in found.items():
        torch.testing.assert_close(gradient, same[name])
    other = gradients(options, [[0, 1]], adversarial="fgm", adversarial_radius=2 * radius)[1]
    assert not found["linear.weight"].allclose(other["linear.weight"])


@pytest.mark.parametrize(("kind", "steps"), [("fgm", 1), ("pgd", 2)])
@pytest.mark.parametrize("groups", [[[0, 1, 2, 3]], [[0, 1, 2], [3]]])
def test_an_attack_adds_the_gradient_at_the_moved_embeddings(
    options: Make, kind: str, steps: int, groups: list[list[int]]
) -> None:
    radius = 0.5
    run, found = gradients(
        options, groups, adversarial=kind, adversarial_radius=radius, adversarial_steps=max(2, steps)
    )
    weight = run.model.encoder.embeddings.word.weight
    own = weight.detach().clone()
    units = sum(int(run.collate(rows, 1)[0].mask.sum()) for rows in groups)
    wanted = {name: torch.zeros_like(p) for name, p in run.model.named_parameters()}
    for rows in groups:
        batch, count = run.collate(rows, 1)

        def gradient(batch: Any = batch, share: float = count / units) -> dict[str, torch.Tensor]:
            run.model.zero_grad()
            (run.loss(batch) * share).backward()
            return {name: p.grad.clone() for name, p in run.model.named_parameters()}

        clean = gradient()
        moved, at = torch.zeros_like(own), clean["encoder.embeddings.word.weight"]
        for _ in range(steps):
            moved = moved + at / at.norm() * (radius if steps == 1 else 2.5 * radius / steps)
            moved = moved * min(1.0, radius / float(moved.norm()))
            weight.data = own + moved
            attacked = gradient()
            at = attacked["encoder.embeddings.word.weight"]
        weight.data = own.clone()
        for name in wanted:
            wanted[name] += clean[name] + attacked[name]
    for name, value in wanted.items():
        torch.testing.assert_close(found[name], value, rtol=1e-3, atol=1e-6)
    plain = gradients(options, groups, overwrite=True)[1]
    assert not torch.allclose(found["linear.weight"], 2 * plain["linear.weight"], rtol=1e-2, atol=1e-6)


def test_the_embeddings_are_bitwise_what_they_were(options: Make) -> None:
    run, _ = gradients(options, [[0, 1, 2, 3]], adversarial="pgd")
    made = options(dropout=0.0)
    plain = tagging.build_tagger(tagging.read_corpora(made), made)
    assert (
        run.tagger.model.encoder.embeddings.word.weight.shape
        == plain.model.encoder.embeddings.word.weight.shape
    )
    again, _ = gradients(options, [[0, 1, 2, 3]])
    assert run.model.encoder.embeddings.word.weight.equal(again.model.encoder.embeddings.word.weight)


def test_attacks_need_embeddings_that_are_trained(options: Make) -> None:
    for chosen in ({"freeze": "embeddings"}, {"lora_rank": 2, "model": "x"}):
        with pytest.raises(ValueError, match="adversarial must be none if embeddings are frozen"):
            options(adversarial="fgm", **chosen)


@pytest.mark.parametrize(
    "chosen",
    [{"adversarial": "pgd", "average": 0.9}, {"rdrop": 1.0, "focal": 1.0}, {"class_weight": "inverse"}],
    ids=["pgd", "rdrop", "weights"],
)
def test_they_resume(options: Make, tmp_path: Path, chosen: dict[str, Any]) -> None:
    resumed_alike(options, tmp_path, (2, 2), epochs=2, **chosen)


@pytest.mark.parametrize("chosen", [{"adversarial": "fgm"}, {"rdrop": 1.0}, {"focal": 1.0}])
def test_they_learn(options: Make, chosen: dict[str, Any]) -> None:
    result = train(options(epochs=12, learning_rate=2e-3, patience=0, **chosen))
    assert result.dev.f1 > 0.9
