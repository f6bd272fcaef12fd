"""Only the Numba backend: which rows take the scaled recursion, threads, and where machine code is
kept."""

from __future__ import annotations

import math
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import torch
from cases import COMPILED, Case, answer, chain_of, check_bounds, problem

pytestmark = pytest.mark.skipif("numba" not in COMPILED, reason="numba is not usable here")


@pytest.mark.parametrize("below", [-2000, -800, -1, 1, 300])
def test_a_tag_that_is_hard_to_reach(below: float) -> None:
    """The only ways into the last tag weigh exp(below - 460.5); it is where every path must end."""
    case = problem(2, 7, 3)
    case.transitions[:, 2] = below - 460.5 + torch.tensor([0.3, -0.2, 0.0])
    case.end[:2] = -torch.inf
    found, expected = answer(case, "numba"), answer(case, "reference")
    for ours, theirs in zip(found, expected, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-12, atol=1e-12)


def spread(what: str, by: float, dtype: torch.dtype) -> Case:
    """A problem in which one score is lower than the others of its kind by this difference."""
    case = problem(3, 6, 5)
    for scores in (case.emissions, case.transitions, case.start, case.end):
        scores.mul_(0.0)
    if what == "alphas":  # the second tag falls behind with every position
        case.transitions.fill_(-torch.inf).fill_diagonal_(0.0)
        case.emissions[:, :, 1] = -by / 6
    elif what == "emissions":
        case.emissions[:, 2, 1] = -by
    else:
        getattr(case, what)[..., 1] = -by
    return case.to(dtype)


LIMITS = {"transitions": 300, "start": 200, "end": 200, "emissions": 200, "alphas": 400 - 2}  # of 4 tags


def is_scaled(case: Case) -> torch.Tensor:
    """Which rows took the scaled recursion."""
    from pybert_crf.crf.backends import numba

    _, messages = numba.log_partition(chain_of(case))
    return messages.bool()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("side", [-0.01, 0.01])
@pytest.mark.parametrize("what", LIMITS)
def test_both_sides_of_the_scaled_bound(what: str, side: float, dtype: torch.dtype) -> None:
    case = spread(what, (LIMITS[what] + side) * math.log(2.0), dtype)
    assert is_scaled(case).all() if side < 0 else not is_scaled(case)[0]
    check_bounds(case.to(torch.float64), answer(case, "numba"), answer(case.to(torch.float64), "reference"))


def test_a_tag_that_no_path_reaches_and_all_would_prefer() -> None:
    """Its suffixes weigh exp(130) more at each of 40 positions; the scaled recursion must not follow them."""
    case = problem(2, 40, 3).to(torch.float64)
    case.emissions[:, :, 2] = case.emissions[:, :, :2].amax(dim=2) + 130
    case.start[2] = -torch.inf
    case.transitions[:2, 2] = -torch.inf
    assert is_scaled(case).all()
    check_bounds(case, answer(case, "numba"), answer(case, "reference"))


@pytest.fixture
def eager_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    """Small problems are spread over threads as well."""
    from pybert_crf.crf.backends.numba import batches

    monkeypatch.setattr(batches, "WORTH_A_THREAD", 0)


@pytest.mark.parametrize("bad", [torch.nan, torch.inf])
@pytest.mark.parametrize("what", ["emissions", "transitions", "start", "end"])
def test_tags_are_in_range_whatever_the_scores_are(what: str, bad: float) -> None:
    from pybert_crf.crf.backends import numba

    case = problem(5, 9, 7)
    case.transitions[3] = -torch.inf
    getattr(case, what).view(-1)[[0, 3, -1]] = bad
    chain = chain_of(case)
    uniforms = torch.full((2, 5, 9), 1 - 1e-9, dtype=torch.float64)
    tags, scores = numba.viterbi(chain)
    several, _ = numba.k_best(3, chain)
    for found in (tags, *several, *numba.sample(uniforms, chain)):
        assert (found[~case.mask] == -1).all()
        assert found.ge(-1).all()
        assert found.lt(7).all()
    assert tags[case.mask].ge(0).all()
    assert scores[0].isnan()
    assert numba.log_likelihood(case.tags, chain)[0][0].isnan()


def everything(case: Case) -> tuple[torch.Tensor, ...]:
    """The results of the kernels for a problem."""
    from pybert_crf.crf.backends import numba

    chain, grad = chain_of(case), torch.linspace(-1, 2, len(case.tags), dtype=case.start.dtype)
    value, log_z, messages = numba.log_likelihood(case.tags, chain)
    gradients = numba.gradient(grad, case.tags, chain, messages, log_z)
    return value, log_z, *gradients, *numba.viterbi(chain), *numba.k_best(2, chain)


def scaled_and_not() -> Case:
    """A problem in which every third row cannot take the scaled recursion."""
    case = problem(37, 20, 9)
    case.emissions[::3, :5, 2] = -1e4
    return case


@pytest.mark.usefixtures("eager_threads")
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_number_of_threads_changes_no_bit(dtype: torch.dtype) -> None:
    case = scaled_and_not().to(dtype)
    before = torch.get_num_threads()
    results = []
    for threads in (1, 2, 5):
        torch.set_num_threads(threads)
        results.append(everything(case))
    torch.set_num_threads(before)
    for more in results[1:]:
        assert all(map(torch.equal, results[0], more))


@pytest.mark.usefixtures("eager_threads")
def test_calls_from_several_threads_at_once() -> None:
    case = scaled_and_not()
    expected = everything(case)
    with ThreadPoolExecutor(4) as pool:
        for found in pool.map(lambda _: everything(case), range(12)):
            assert all(map(torch.equal, found, expected))


def test_scaled_rows_beside_others() -> None:
    case = scaled_and_not()
    assert torch.equal(is_scaled(case), torch.arange(37) % 3 > 0)
    check_bounds(case, answer(case, "numba"), answer(case, "reference"))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("with_tags", [False, True])
def test_both_at_once_are_the_same_bits(with_tags: bool, dtype: torch.dtype) -> None:
    from pybert_crf.crf.backends import numba

    case = scaled_and_not().to(dtype)
    chain, grad = chain_of(case), torch.linspace(-1, 2, 37, dtype=dtype)
    if with_tags:
        tags = case.tags
        value, log_z, messages = numba.log_likelihood(tags, chain)
    else:
        tags = None
        log_z, messages = numba.log_partition(chain)
        value = log_z
    expected = (value, *numba.gradient(grad, tags, chain, messages, log_z))
    assert all(map(torch.equal, numba.value_and_gradient(grad, tags, chain), expected))


@pytest.mark.parametrize("num_tags", [8, 9, 16, 17])
@pytest.mark.parametrize("batch", [1, 3, 4, 5])
def test_groups_and_blocks_that_are_not_full(batch: int, num_tags: int) -> None:
    case = problem(batch, 33, num_tags)
    case.mask[:, ::5] = False
    check_bounds(case, answer(case, "numba"), answer(case, "reference"))


def test_memory_is_not_read_as_it_was() -> None:
    """Tensors that do not fit are refused before the kernels read them."""
    ops, chain = torch.ops.pybert_crf, chain_of(problem(3, 5, 4))
    log_z, messages = ops.log_partition(*chain, "numba")
    with pytest.raises(ValueError, match="mask must be"):
        ops.viterbi(*chain._replace(mask=chain.mask[:2]), "numba")
    with pytest.raises(ValueError, match="tags must be"):
        ops.log_likelihood(torch.zeros(3, 4, dtype=torch.int64), *chain, "numba")
    with pytest.raises(ValueError, match="grad must be"):
        ops.value_and_gradient(torch.ones(2).double(), None, *chain, "numba")
    with pytest.raises(ValueError, match="messages must be"):
        ops.gradient(torch.ones_like(log_z), None, *chain, messages[:2], log_z, "numba")


def test_without_a_folder_for_machine_code_it_still_compiles(monkeypatch: pytest.MonkeyPatch) -> None:
    from pybert_crf.crf.backends.numba import batches

    def njit(cache: bool = False, **options: Any) -> Callable[[Any], Any]:
        if cache:
            raise RuntimeError("cannot cache function: no locator available")
        return lambda function: ("compiled", function, options["nogil"])

    monkeypatch.setattr("numba.njit", njit)
    assert batches.kernel(len) == ("compiled", len, True)


def test_a_kernel_uses_nothing_compiled_in_another_file() -> None:
    """Numba looks at the kernel's own file alone to see whether the machine code on disk is still good."""
    from numba.core.dispatcher import Dispatcher

    from pybert_crf.crf.backends.numba import paths, sums

    for module in (paths, sums):
        compiled = [value for value in vars(module).values() if isinstance(value, Dispatcher)]
        assert compiled
        assert {function.py_func.__module__ for function in compiled} == {module.__name__}
