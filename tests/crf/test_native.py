"""The compiled kernels by themselves: every enumerated path, double autograd, hostile scores, threads."""

from __future__ import annotations

import itertools
import math
import runpy
import subprocess
import sys
from collections.abc import Iterator
from typing import NamedTuple

import pytest
import torch
from torch import Tensor

native = pytest.importorskip(
    "pybert_crf.crf.native", reason="the compiled extension is not built", exc_type=ImportError
)

INF = math.inf
TOLERANCE = {torch.float32: 1e-6, torch.float64: 1e-12}
TAG_COUNTS = [1, 2, 7, 8, 9, 31, 32, 33, 64, 97, 128, 257]


class Chain(NamedTuple):
    """What the kernels take, in their order."""

    emissions: Tensor  # (B, T, K)
    mask: Tensor  # (B, T)
    start: Tensor  # (K,)
    transitions: Tensor  # (K, K)
    end: Tensor  # (K,)

    def to(self, dtype: torch.dtype) -> Chain:
        return Chain(*(tensor if tensor.dtype == torch.bool else tensor.to(dtype) for tensor in self))


def random_chain(B: int, T: int, K: int, *, kept: float = 0.7, scale: float = 1.0, seed: int = 0) -> Chain:
    """Scores that float32 holds exactly, in float64."""
    torch.manual_seed(seed)
    mask = torch.rand(B, T) < kept
    scores = (torch.randn(B, T, K) * scale, torch.randn(K), torch.randn(K, K), torch.randn(K))
    emissions, start, transitions, end = (tensor.double() for tensor in scores)
    return Chain(emissions, mask, start, transitions, end)


@pytest.fixture
def threads() -> Iterator[None]:
    """Puts the number of threads back."""
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def paths(chain: Chain, row: int) -> tuple[list[int], list[tuple[int, ...]], Tensor]:
    """A row's positions, all its paths (last tag changing slowest), and their scores."""
    emissions, mask, start, transitions, end = chain
    positions = mask[row].nonzero().flatten().tolist()
    every = [path[::-1] for path in itertools.product(range(emissions.shape[2]), repeat=len(positions))]
    scores = []
    for path in every:
        score = start[path[0]] + end[path[-1]] if path else torch.zeros((), dtype=torch.float64)
        score = score + sum(emissions[row, t, tag] for t, tag in zip(positions, path, strict=True))
        scores.append(score + sum(transitions[pair] for pair in itertools.pairwise(path)))
    return positions, every, torch.stack(scores)


def expected_by_autograd(chain: Chain, grad: Tensor) -> tuple[Tensor, list[Tensor]]:
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


def run(chain: Chain, grad: Tensor) -> tuple[Tensor, tuple[Tensor, ...]]:
    log_z, alphas = native.log_partition(*chain)
    return log_z, native.log_partition_backward(grad, *chain, alphas, log_z)


def forbid(chain: Chain, what: str) -> Chain:
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
@pytest.mark.parametrize(("T", "K"), [(1, 3), (5, 2), (4, 3)])
def test_every_path(T: int, K: int, what: str, dtype: torch.dtype) -> None:
    chain = forbid(random_chain(5, T, K, seed=T), what)
    grad = torch.tensor([1.0, -2.0, 0.5, 3.0, 1.0], dtype=torch.float64)
    leaves = [tensor.clone().requires_grad_() for tensor in chain if tensor.dtype != torch.bool]
    emissions, *parameters = leaves
    rows = [paths(Chain(emissions, chain.mask, *parameters), row) for row in range(5)]
    want = torch.stack([torch.logsumexp(scores, 0) for _, _, scores in rows])
    alive = torch.isfinite(want)
    posteriors = [torch.softmax(scores.detach(), 0) for _, _, scores in rows]
    loss = sum(
        grad[row] * (posteriors[row][legal] * rows[row][2][legal]).sum()
        for row in range(5)
        if alive[row]
        for legal in [torch.isfinite(rows[row][2].detach())]
    )
    loss = loss + sum((leaf * 0).nan_to_num(0).sum() for leaf in leaves)
    gradients = torch.autograd.grad(loss, leaves)

    log_z, got = run(chain.to(dtype), grad.to(dtype))
    torch.testing.assert_close(log_z.double(), want.detach(), rtol=TOLERANCE[dtype], atol=TOLERANCE[dtype])
    for result, expected in zip(got, gradients, strict=True):
        torch.testing.assert_close(
            result.double(), expected.nan_to_num(0), rtol=TOLERANCE[dtype], atol=3 * TOLERANCE[dtype]
        )

    tags, best = native.viterbi(*chain.to(dtype))
    for row, (positions, every, scores) in enumerate(rows):
        assert best[row].item() == pytest.approx(scores.max().item(), rel=1e-6, abs=1e-6)
        if alive[row]:
            assert tags[row, positions].tolist() == list(every[int(scores.argmax())])
    assert torch.equal(tags == -1, ~chain.mask)


@pytest.mark.parametrize("K", [1, 2, 3, 9])
def test_ties_go_to_the_lowest_tag(K: int) -> None:
    torch.manual_seed(K)
    T = 5 if K < 9 else 3
    whole = [torch.randint(-1, 2, shape).double() for shape in ((6, T, K), (K,), (K, K), (K,))]
    chain = Chain(whole[0], torch.ones(6, T, dtype=torch.bool), *whole[1:])
    tags, _ = native.viterbi(*chain.to(torch.float32))
    for row in range(6):
        _, every, scores = paths(chain, row)
        assert tags[row].tolist() == list(every[int(scores.argmax())])  # argmax: the first of equals


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("K", TAG_COUNTS)
def test_autograd_agrees(K: int, dtype: torch.dtype) -> None:
    chain = random_chain(4, 11, K, seed=K)
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
    tags, scores = native.viterbi(*chain)
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


def test_a_normalised_chain_has_log_z_zero_at_any_length() -> None:
    """Every tag and every transition a probability: no sum of large scores hides a drift."""
    K, T = 5, 20_000
    chain = random_chain(2, T, K, kept=1.0)
    chain = chain._replace(
        emissions=torch.zeros_like(chain.emissions),
        start=torch.log_softmax(chain.start, 0),
        transitions=torch.log_softmax(chain.transitions, 1),
        end=torch.zeros_like(chain.end),
    )
    log_z, _ = native.log_partition(*chain)
    assert log_z.abs().max() < 1e-9
    exact = chain.to(torch.float32).to(torch.float64)  # the float32 scores no longer sum to exactly 1
    want, _ = native.log_partition(*exact)
    got, _ = native.log_partition(*chain.to(torch.float32))
    assert (got - want).abs().max() < T * 5e-8


@pytest.mark.parametrize("T", [100_000])
def test_very_long_chain(T: int) -> None:
    chain = random_chain(1, T, 4, kept=1.0)
    want, gradients = run(chain, torch.ones(1, dtype=torch.float64))
    log_z, got = run(chain.to(torch.float32), torch.ones(1))
    torch.testing.assert_close(log_z.double(), want, rtol=1e-6, atol=0)
    torch.testing.assert_close(got[0].double(), gradients[0], rtol=0, atol=1e-6)
    assert (got[0].double().sum(2) - 1).abs().max() < 1e-6
    tags, score = native.viterbi(*chain.to(torch.float32))
    assert torch.equal(tags, native.viterbi(*chain)[0])
    assert score.item() == pytest.approx(native.viterbi(*chain)[1].item(), rel=1e-6)


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
    both = native.viterbi(*chain), native.viterbi(*chain._replace(emissions=poisoned))
    assert all(map(torch.equal, *both))


def test_a_nan_score_is_not_hidden() -> None:
    chain = random_chain(2, 6, 3, kept=1.0).to(torch.float32)
    chain.emissions[1, 2, 0] = math.nan
    log_z, _ = native.log_partition(*chain)
    assert torch.isnan(log_z).tolist() == [False, True]


def test_any_strides() -> None:
    chain = random_chain(5, 7, 11).to(torch.float32)
    ones = torch.ones(5)
    odd = Chain(
        chain.emissions.permute(2, 1, 0).contiguous().permute(2, 1, 0),
        chain.mask.t().contiguous().t(),
        torch.stack([chain.start, chain.end], 1)[:, 0],
        chain.transitions.t().contiguous().t(),
        torch.stack([chain.start, chain.end], 1)[:, 1],
    )
    assert not any(tensor.is_contiguous() for tensor in odd)
    log_z, gradients = run(chain, ones)
    log_z_odd, gradients_odd = run(odd, torch.ones(1).expand(5))
    assert torch.equal(log_z, log_z_odd)
    assert all(map(torch.equal, gradients, gradients_odd))
    assert all(map(torch.equal, native.viterbi(*chain), native.viterbi(*odd)))


def test_nothing_in_the_batch() -> None:
    chain = random_chain(0, 4, 3)
    log_z, gradients = run(chain, torch.ones(0, dtype=torch.float64))
    assert log_z.shape == (0,)
    assert not any(gradient.any() for gradient in gradients)
    tags, scores = native.viterbi(*chain)
    assert tags.shape == (0, 4)
    assert scores.shape == (0,)


@pytest.mark.usefixtures("threads")
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_number_of_threads_changes_no_bit(dtype: torch.dtype) -> None:
    chain = random_chain(97, 40, 17).to(dtype)
    grad = torch.randn(97, dtype=dtype)
    results = []
    for threads in (1, 2, 5):
        torch.set_num_threads(threads)
        log_z, gradients = run(chain, grad)
        results.append((log_z, *gradients, *native.viterbi(*chain)))
    for more in results[1:]:
        assert all(map(torch.equal, results[0], more))


@pytest.mark.skipif(sys.platform == "win32", reason="no fork")
def test_a_forked_child_after_a_parallel_call() -> None:
    program = """
import os, torch
from pybert_crf.crf import native
torch.set_num_threads(2)
chain = (torch.randn(64, 64, 24), torch.ones(64, 64, dtype=torch.bool), *map(torch.randn, ((24,), (24, 24), (24,))))
log_z = native.log_partition(*chain)[0].tolist()
child = os.fork()
if child == 0:
    os._exit(0 if native.log_partition(*chain)[0].tolist() == log_z else 1)
assert os.waitpid(child, 0)[1] == 0
"""
    command = [sys.executable, "-W", "ignore", "-c", program]
    done = subprocess.run(command, timeout=60, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("name", "wrong", "message"),
    [
        ("emissions", torch.zeros(2, 3), "emissions must be"),
        ("emissions", torch.zeros(2, 3, 0), "tags > 0"),
        ("emissions", torch.zeros(2, 3, 4, dtype=torch.float16), "float32 or float64"),
        ("mask", torch.ones(2, 4, dtype=torch.bool), r"mask must be \(2, 3\)"),
        ("mask", torch.ones(2, 3), "mask must be .* torch.bool"),
        ("start", torch.zeros(5), r"start must be \(4,\)"),
        ("transitions", torch.zeros(4, 5), r"transitions must be \(4, 4\)"),
        ("end", torch.zeros(4, dtype=torch.float64), "end must be .* float32"),
    ],
)
def test_what_does_not_fit_is_refused(name: str, wrong: Tensor, message: str) -> None:
    chain = random_chain(2, 3, 4).to(torch.float32)._replace(**{name: wrong})
    for kernel in (native.log_partition, native.viterbi):
        with pytest.raises(ValueError, match=message):
            kernel(*chain)


def test_backward_refuses_what_forward_did_not_make() -> None:
    chain = random_chain(2, 3, 4).to(torch.float32)
    log_z, alphas = native.log_partition(*chain)
    with pytest.raises(ValueError, match="grad must be"):
        native.log_partition_backward(torch.ones(3), *chain, alphas, log_z)
    with pytest.raises(ValueError, match="alphas must be"):
        native.log_partition_backward(torch.ones(2), *chain, alphas[:, :2], log_z)


def test_without_the_extension_the_import_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pybert_crf._native", None)
    path = native.__file__
    assert path is not None
    with pytest.raises(ImportError, match=r"compiled extension pybert_crf\._native cannot be loaded"):
        runpy.run_path(path)
