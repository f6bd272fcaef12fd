"""Constraints: forbidden paths have probability 0, in training and decoding, in every backend."""

from __future__ import annotations

import itertools

import pytest
import torch
from cases import DEVICE, each_backend

from pybert_crf.crf import CRF, Constraints

# Tags 0 = O, 1 = B, 2 = I, and 3, which may stand anywhere but last.
CONSTRAINTS = Constraints(
    start=torch.tensor([True, True, False, True]),
    transitions=torch.tensor(
        [
            [True, True, False, True],
            [True, True, True, True],
            [True, True, True, True],
            [True, True, False, True],
        ]
    ),
    end=torch.tensor([True, True, True, False]),
)


def legal(path: tuple[int, ...]) -> bool:
    pairs = itertools.pairwise(path)
    return path[0] != 2 and path[-1] != 3 and not any(b == 2 and a in (0, 3) for a, b in pairs)


def layer(backend: str, constraints: Constraints | None = CONSTRAINTS) -> CRF:
    torch.manual_seed(4)
    return CRF(4, batch_first=True, constraints=constraints, backend=backend).to(DEVICE).double()


@each_backend
def test_they_leave_just_the_legal_paths(backend: str) -> None:
    crf, free = layer(backend), layer("reference", None)
    emissions = torch.randn(1, 5, 4, dtype=torch.float64)
    paths = [path for path in itertools.product(range(4), repeat=5) if legal(path)]
    scores = free.score(emissions.expand(len(paths), -1, -1), torch.tensor(paths))
    torch.testing.assert_close(crf.log_partition(emissions)[0], scores.logsumexp(0))
    assert crf.decode(emissions) == [list(paths[int(scores.argmax())])]
    assert crf(emissions, torch.tensor([[0, 2, 2, 0, 0]])).item() == -torch.inf


@each_backend
def test_what_is_forbidden_gets_no_gradient_and_the_rest_does(backend: str) -> None:
    crf = layer(backend)
    emissions = torch.randn(2, 5, 4, dtype=torch.float64, requires_grad=True)
    (-crf(emissions, torch.tensor([[0, 1, 2, 2, 0], [3, 1, 2, 3, 1]]))).backward()
    for name, allowed in (("start_transitions", CONSTRAINTS.start), ("end_transitions", CONSTRAINTS.end)):
        assert torch.equal(getattr(crf, name).grad != 0, allowed)
    assert crf.transitions.grad is not None
    assert torch.equal(crf.transitions.grad != 0, CONSTRAINTS.transitions)
    assert emissions.grad is not None
    assert emissions.grad.isfinite().all()


def test_they_move_with_the_layer_and_are_not_saved() -> None:
    crf = layer("reference")
    assert sorted(crf.state_dict()) == ["end_transitions", "start_transitions", "transitions"]
    assert crf.to("meta").get_buffer("_allowed_transitions").device.type == "meta"


def test_the_wrong_shape_or_dtype_is_named() -> None:
    with pytest.raises(ValueError, match=r"constraints.end must be bool of shape \(4,\), got .* \(3,\)"):
        layer("reference", CONSTRAINTS._replace(end=torch.ones(3, dtype=torch.bool)))
    with pytest.raises(ValueError, match=r"constraints.start must be bool .* got torch.float32"):
        layer("reference", CONSTRAINTS._replace(start=torch.ones(4)))


def test_a_rule_on_pairs_of_tags_becomes_constraints() -> None:
    made = Constraints.from_rule(("O", "B", "I"), "O", lambda a, b: b != "I" or a in ("B", "I"))
    assert made.start is not None
    assert made.start.tolist() == [True, True, False]
    assert made.transitions is not None
    assert made.transitions.tolist() == [[True, True, False], [True, True, True], [True, True, True]]
    assert made.end is not None
    assert made.end.all()
