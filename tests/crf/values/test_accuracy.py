"""float32 in every backend against the reference in float64, on ordinary inputs and hostile ones."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from cases import Case, answer, check_bounds, drawn, each_backend, layer, problem

INF = torch.inf
TAGS = [1, 2, 7, 8, 9, 31, 32, 33, 64, 97, 128, 257]


def wide_emissions(case: Case) -> None:
    case.emissions.mul_(1e4)


def wide_transitions(case: Case) -> None:
    case.transitions.mul_(1e3)


def forbidden_entries(case: Case) -> None:
    case.transitions[drawn(torch.rand, *case.transitions.shape, seed=5) < 0.3] = -INF


def forbidden_column(case: Case) -> None:
    case.transitions[:, 1] = -INF


def forbidden_row(case: Case) -> None:
    case.transitions[-1] = -INF


def forbidden_ends(case: Case) -> None:
    case.start[1:] = -INF
    case.end[:-1] = -INF


def forbidden_emissions(case: Case) -> None:
    case.emissions[:, ::3, 0] = -INF


def reached_through_one_other(case: Case) -> None:
    case.transitions[1:, -1] = -INF
    case.emissions[:, :, -1] += 30


def narrow_way(case: Case) -> None:
    """The only way leads through a tag that every emission makes all but impossible: it must not be
    flushed."""
    case.transitions[:, -1] = -INF
    case.transitions[0, -1] = case.transitions[-1, -1] = 0.0
    case.end[:-1] = -INF
    case.emissions[:, :, 0] -= 3000


HOSTILE = [
    wide_emissions,
    wide_transitions,
    forbidden_entries,
    forbidden_column,
    forbidden_row,
    forbidden_ends,
    forbidden_emissions,
    reached_through_one_other,
    narrow_way,
]


@each_backend
@pytest.mark.parametrize("num_tags", TAGS)
def test_every_number_of_tags(backend: str, num_tags: int) -> None:
    case = problem(3, 5, num_tags, seed=num_tags)
    check_bounds(case, answer(case.to(torch.float32), backend), answer(case, "reference"))


@each_backend
@pytest.mark.parametrize("spoil", HOSTILE)
@pytest.mark.parametrize("num_tags", [2, 7, 33])
def test_hostile_scores(backend: str, spoil: Callable[[Case], None], num_tags: int) -> None:
    case = problem(5, 23, num_tags, seed=num_tags)
    spoil(case)
    case = case.to(torch.float32).to(torch.float64)
    expected = answer(case, "reference")
    found = answer(case.to(torch.float32), backend)
    check_bounds(case, found, expected)
    assert all(part.isfinite().all() for part in found[1:])


@each_backend
def test_long_rows(backend: str) -> None:
    case = problem(2, 2000, 7, seed=3)
    check_bounds(case, answer(case.to(torch.float32), backend), answer(case, "reference"))


@each_backend
@pytest.mark.parametrize("apart", [-INF, -1e4, -40.0])
def test_a_chain_that_does_not_forget(backend: str, apart: float) -> None:
    """Two blocks of tags with hardly a way between them: 2,000 positions together decide for one, and an
    error at any of them is an error at all."""
    case = problem(2, 2000, 6, seed=4, ragged=False)
    for scores in (case.emissions, case.start, case.end):
        scores[..., 3:] = scores[..., :3]  # the blocks are alike
    case.emissions[..., 3:] += 0.01 * drawn(torch.randn, 2, 2000, 3, seed=1)
    case.transitions[3:, 3:] = case.transitions[:3, :3]
    case.transitions[:3, 3:] = apart
    case.transitions[3:, :3] = apart
    case = case.to(torch.float32).to(torch.float64)
    found, expected = answer(case.to(torch.float32), backend), answer(case, "reference")
    share = expected.marginals[:, 0, :3].sum(1)
    assert ((share > 0.01) & (share < 0.99)).any()  # undecided, or the test would show nothing
    torch.testing.assert_close(found.log_z, expected.log_z, rtol=1e-6, atol=0)
    torch.testing.assert_close(found.marginals, expected.marginals, rtol=0, atol=1e-6)


@each_backend
@pytest.mark.parametrize("seed", [1, 2])
def test_log_z_about_0(backend: str, seed: int) -> None:
    """Every start and transition a probability, so that no large score hides a drift over 2,000 steps, which
    are all alike and round alike."""
    case = problem(2, 2000, 5, seed=seed, ragged=False)
    case = case._replace(
        emissions=torch.zeros_like(case.emissions),
        start=case.start.log_softmax(0),
        transitions=case.transitions.log_softmax(1),
        end=torch.zeros_like(case.end),
    )
    exact = case.to(torch.float32).to(torch.float64)  # float32's probabilities do not sum to exactly 1
    expected = answer(exact, "reference")
    assert expected.log_z.abs().max() < 1e-3
    for dtype, bound in ((torch.float32, 1e-5), (torch.float64, 1e-9)):
        found = answer(exact.to(dtype), backend)
        torch.testing.assert_close(found.log_z, expected.log_z, rtol=0, atol=bound)


@each_backend
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_very_long_row(backend: str, dtype: torch.dtype) -> None:
    """Transitions u_i + v_j make the positions independent: log Z and the marginals have a closed form."""
    T, K = (500 if backend == "reference" else 100_000), 3
    case = problem(1, T, K, seed=7)
    leaving, entering = drawn(torch.randn, 2, K, seed=1).double()
    case = case._replace(transitions=leaving[:, None] + entering).to(torch.float32).to(torch.float64)
    alone = case.emissions[0].clone()
    alone[0] += case.start
    alone[-1] += case.end
    alone[:-1] += leaving
    alone[1:] += entering
    case = case.to(dtype)
    crf = layer(case, backend)
    log_z = crf.log_partition(case.emissions, case.mask)
    torch.testing.assert_close(log_z.double(), alone.logsumexp(1).sum()[None], rtol=1e-6, atol=0)
    marginals = crf.marginals(case.emissions, case.mask)
    torch.testing.assert_close(marginals[0].double(), alone.softmax(1), rtol=0, atol=1e-6)
    tags, scores = crf.viterbi(case.emissions, case.mask)
    torch.testing.assert_close(scores.double(), alone.amax(1).sum()[None], rtol=1e-6, atol=0)
    assert torch.equal(tags[0], alone.argmax(1))


@pytest.mark.reduced
@each_backend
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_is_at_most_twice_as_far_off_as_plain_pytorch(
    backend: str, dtype: torch.dtype
) -> None:
    case = problem(3, 29, 7, ragged=False).to(dtype)
    exact = case.to(torch.float64)

    def run(crf: torch.nn.Module, given: Case) -> tuple[torch.Tensor, torch.Tensor]:
        emissions = given.emissions.clone().requires_grad_()
        value = crf(emissions, given.tags, given.mask, reduction="none")
        value.sum().backward()
        assert emissions.grad is not None
        assert emissions.grad.dtype == given.emissions.dtype
        return value.detach().double(), emissions.grad.double()

    torchcrf = pytest.importorskip("torchcrf", reason="pytorch-crf is not installed")
    ours = layer(case, backend)
    plain = torchcrf.CRF(7, batch_first=True).to(case.start)
    plain.load_state_dict(ours.state_dict())
    pairs = zip(run(ours, case), run(plain, case), run(layer(exact, "reference"), exact), strict=True)
    for found, peer, expected in pairs:
        assert (found - expected).abs().max() <= 2 * (peer - expected).abs().max()


@pytest.mark.reduced
@each_backend
@pytest.mark.parametrize("shape", [(0, 5, 3), (4, 0, 3), (0, 0, 3)])
def test_no_rows_or_no_positions(backend: str, shape: tuple[int, int, int]) -> None:
    case = problem(*shape)
    crf = layer(case, backend)
    emissions = case.emissions.requires_grad_()
    for reduction in ("none", "sum", "mean", "token_mean"):
        value = crf(emissions, case.tags, case.mask, reduction=reduction)
        assert torch.equal(value, torch.zeros_like(value))
        value.sum().backward()
    assert crf.decode(emissions, case.mask) == [[] for _ in range(shape[0])]
    assert crf.marginals(emissions, case.mask).shape == shape
    assert crf.viterbi(emissions, case.mask)[0].shape == shape[:2]
    assert crf.span_probabilities(emissions, case.tags, [], case.mask).shape == (0,)
