"""The compiled kernels' numbers: every enumerated path, double autograd, hostile scores, long chains."""

from __future__ import annotations

import math

import pytest
import torch
from native_chains import CastableChain, native, random_chain, run
from oracle import enumerate_chain
from torch import Tensor

INF = math.inf
TOLERANCE = {torch.float32: 1e-6, torch.float64: 1e-12}
TAG_COUNTS = [1, 2, 7, 8, 9, 31, 32, 33, 64, 97, 128, 257]


def expected_by_autograd(chain: CastableChain, grad: Tensor) -> tuple[Tensor, list[Tensor]]:
    """log Z (B,) in float64 and the gradients of (grad * log Z).sum() by autograd; needs finite scores."""
    mask = chain.mask
    leaves = [tensor.clone().requires_grad_() for tensor in chain if tensor.dtype != torch.bool]
    emissions, start, transitions, end = leaves
    alpha = torch.zeros_like(emissions[:, 0])
    begun = torch.zeros_like(mask[:, 0])
    for t in range(mask.shape[1]):
        further = torch.logsumexp(alpha[:, :, None] + transitions, dim=1)
        step = torch.where(begun[:, None], further, start) + emissions[:, t]
        alpha = torch.where(mask[:, t, None], step, alpha)
        begun = begun | mask[:, t]
    log_z = torch.where(begun, torch.logsumexp(alpha + end, dim=1), 0.0)
    gradients = torch.autograd.grad((grad * log_z).sum(), leaves)
    return log_z.detach(), list(gradients)


def forbid(chain: CastableChain, what: str) -> CastableChain:
    K = chain.start.shape[0]
    transitions, start = chain.transitions.clone(), chain.start.clone()
    if what == "entry":
        transitions[0, K - 1] = -INF
    elif what == "row":
        transitions[1] = -INF
    elif what == "column":
        transitions[:, 1] = -INF
    elif what == "only way":  # the last tag can be entered from tag 0 alone, and nothing starts there
        transitions[1:, K - 1] = -INF
        start[K - 1] = -INF
    elif what == "all":
        start[:] = -INF
    return chain._replace(transitions=transitions, start=start)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("what", ["nothing", "entry", "row", "column", "only way", "all"])
@pytest.mark.parametrize(("time", "num_tags"), [(1, 3), (5, 2), (4, 3)])
def test_every_path(time: int, num_tags: int, what: str, dtype: torch.dtype) -> None:
    chain = forbid(random_chain(5, time, num_tags, seed=time), what)
    _, mask, *parameters = chain
    grad = torch.tensor([1.0, -2.0, 0.5, 3.0, 1.0], dtype=dtype)
    log_z, (d_emissions, _, d_transitions, _) = run(chain.to(dtype), grad)
    tags, scores = native.viterbi(chain.to(dtype))
    rtol, atol = TOLERANCE[dtype], 3 * TOLERANCE[dtype]
    counts = torch.zeros(num_tags, num_tags, dtype=torch.float64)
    for row in range(5):
        every = enumerate_chain(chain.emissions[row], mask[row], *parameters)
        assert log_z[row].item() == pytest.approx(every.log_partition, rel=1e-6, abs=1e-6)
        kept = d_emissions[row, mask[row]].double()
        if every.log_partition == -INF:
            assert scores[row] == -INF
            assert not kept.any()
            continue
        path, score = every.best
        assert scores[row].item() == pytest.approx(score, rel=1e-6, abs=1e-6)
        assert tuple(tags[row, mask[row]].tolist()) == path
        torch.testing.assert_close(kept, grad[row].item() * every.marginals(num_tags), rtol=rtol, atol=atol)
        counts += grad[row].item() * every.transition_counts(num_tags)
    torch.testing.assert_close(d_transitions.double(), counts, rtol=rtol, atol=atol)
    assert torch.equal(tags == -1, ~mask)
    assert not d_emissions[~mask].any()


@pytest.mark.parametrize("num_tags", [1, 2, 3, 9])
def test_ties_go_to_the_lowest_tag(num_tags: int) -> None:
    torch.manual_seed(num_tags)
    K, T = num_tags, 3 if num_tags == 9 else 5
    whole = [torch.randint(-1, 2, shape).double() for shape in ((6, T, K), (K,), (K, K), (K,))]
    chain = CastableChain(whole[0], torch.ones(6, T, dtype=torch.bool), *whole[1:])
    tags, _ = native.viterbi(chain.to(torch.float32))
    for row in range(6):
        every = enumerate_chain(chain.emissions[row], chain.mask[row], *chain[2:])
        assert tuple(tags[row].tolist()) == every.best[0]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("num_tags", TAG_COUNTS)
def test_autograd_agrees(num_tags: int, dtype: torch.dtype) -> None:
    chain = random_chain(4, 11, num_tags, seed=num_tags)
    chain.mask[1] = False
    chain.mask[2, :5] = False
    grad = torch.randn(4, dtype=torch.float64).to(dtype)
    want, gradients = expected_by_autograd(chain, grad.double())
    log_z, got = run(chain.to(dtype), grad)
    tolerance = TOLERANCE[dtype]
    torch.testing.assert_close(log_z.double(), want, rtol=tolerance, atol=10 * tolerance)
    for result, expected in zip(got, gradients, strict=True):
        torch.testing.assert_close(result.double(), expected, rtol=tolerance, atol=3 * tolerance)
    assert log_z[1] == 0
    assert not got[0][~chain.mask].any()


def test_many_tags_have_wide_back_pointers() -> None:
    chain = random_chain(2, 9, 300, kept=1.0).to(torch.float32)
    tags, scores = native.viterbi(chain)
    delta = chain.start + chain.emissions[:, 0]
    back = []
    for t in range(1, 9):
        best = (delta[:, :, None] + chain.transitions).max(1)
        back.append(best.indices)
        delta = best.values + chain.emissions[:, t]
    best = (delta + chain.end).max(1)
    path = [best.indices]
    for pointers in reversed(back):
        path.append(pointers.gather(1, path[-1][:, None]).flatten())
    assert torch.equal(tags, torch.stack(path[::-1], 1))
    assert tags.max() > 255
    torch.testing.assert_close(scores, best.values)


def test_float32_stays_exact_in_long_chains() -> None:
    chain = random_chain(3, 2000, 13, kept=0.9)
    one = torch.ones(3, dtype=torch.float64)
    want, gradients = run(chain, one)
    log_z, got = run(chain.to(torch.float32), one.float())
    torch.testing.assert_close(log_z.double(), want, rtol=1e-6, atol=0)
    torch.testing.assert_close(got[0].double(), gradients[0], rtol=0, atol=1e-6)
    torch.testing.assert_close(got[2].double(), gradients[2], rtol=1e-5, atol=1e-6)


def test_what_drifts_is_less_than_a_rounding_a_step() -> None:
    """Every start and transition a probability, so log Z = 0: no large score hides a drift, and the steps,
    all alike, all round alike, which is the worst that can be."""
    K, T = 5, 20_000
    chain = random_chain(2, T, K, kept=1.0)
    chain = chain._replace(
        emissions=torch.zeros_like(chain.emissions),
        start=torch.log_softmax(chain.start, 0),
        transitions=torch.log_softmax(chain.transitions, 1),
        end=torch.zeros_like(chain.end),
    )
    log_z, _ = native.log_partition(chain)
    assert log_z.abs().max() < 1e-9
    exact = chain.to(torch.float32).to(torch.float64)  # the float32 scores no longer sum to exactly 1
    want, _ = native.log_partition(exact)
    got, _ = native.log_partition(chain.to(torch.float32))
    assert (got - want).abs().max() < T * 2.0**-24


def test_very_long_chain() -> None:
    chain = random_chain(1, 100_000, 4, kept=1.0)
    want, gradients = run(chain, torch.ones(1, dtype=torch.float64))
    log_z, got = run(chain.to(torch.float32), torch.ones(1))
    torch.testing.assert_close(log_z.double(), want, rtol=1e-6, atol=0)
    torch.testing.assert_close(got[0].double(), gradients[0], rtol=0, atol=1e-6)
    assert (got[0].double().sum(2) - 1).abs().max() < 1e-6
    tags, score = native.viterbi(chain.to(torch.float32))
    assert torch.equal(tags, native.viterbi(chain)[0])
    assert score.item() == pytest.approx(native.viterbi(chain)[1].item(), rel=1e-6)


@pytest.mark.parametrize("what", ["nothing", "entry", "row", "column", "only way"])
def test_huge_emissions(what: str) -> None:
    chain = forbid(random_chain(3, 50, 9, scale=1e4), what)
    one = torch.ones(3, dtype=torch.float64)
    want, gradients = run(chain, one)
    log_z, got = run(chain.to(torch.float32), one.float())
    torch.testing.assert_close(log_z.double(), want, rtol=1e-6, atol=0)
    torch.testing.assert_close(got[0].double(), gradients[0], rtol=0, atol=1e-3)  # 1e4 has steps of 1e-3
    torch.testing.assert_close(got[0].double().sum(2), chain.mask.double(), rtol=0, atol=1e-6)
    assert all(torch.isfinite(result).all() for result in got)


def test_masked_positions_are_never_read() -> None:
    chain = random_chain(4, 8, 5).to(torch.float32)
    poisoned = chain.emissions.clone()
    poisoned[~chain.mask] = torch.tensor([math.nan, INF, -INF, 1e38, math.nan])
    ones = torch.ones(4)
    log_z, gradients = run(chain, ones)
    log_z_poisoned, gradients_poisoned = run(chain._replace(emissions=poisoned), ones)
    assert torch.equal(log_z, log_z_poisoned)
    assert all(map(torch.equal, gradients, gradients_poisoned))
    both = native.viterbi(chain), native.viterbi(chain._replace(emissions=poisoned))
    assert all(map(torch.equal, *both))


def test_a_nan_score_is_not_hidden() -> None:
    chain = random_chain(2, 6, 3, kept=1.0).to(torch.float32)
    chain.emissions[1, 2, 0] = math.nan
    log_z, _ = native.log_partition(chain)
    assert torch.isnan(log_z).tolist() == [False, True]
