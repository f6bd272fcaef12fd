"""The CRF on NumPy arrays against the reference backend in float64, and against every path enumerated."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from cases import Case, answer, layer, problem
from numpy.typing import NDArray
from oracle import enumerate_chain

crf = pytest.importorskip(
    "pybert_crf.crf.on_numpy", reason="the compiled extension is not built", exc_type=ImportError
)

INF = np.inf
each_dtype = pytest.mark.parametrize("dtype", [np.float32, np.float64])
each_size = pytest.mark.parametrize("num_tags", [1, 2, 7, 9, 33, 97])


def random_case(batch: int, time: int, num_tags: int, seed: int = 0) -> Case:
    """With gaps, left padding and, from three rows on, one with nothing unmasked."""
    case = problem(batch, time, num_tags, seed=seed, ragged=False)
    mask = torch.rand(batch, time, generator=torch.Generator().manual_seed(seed)) < 0.7
    mask[1:2] = True
    mask[2:3] = False
    return case._replace(mask=mask)


def arrays(case: Case, dtype: Any = np.float64) -> dict[str, NDArray[Any]]:
    """The arguments that every function takes."""
    scores = {name: getattr(case, name).numpy().astype(dtype) for name in SCORES}
    return scores | {"mask": case.mask.numpy()}


SCORES = ("emissions", "start", "transitions", "end")


def close(found: NDArray[Any], expected: torch.Tensor, dtype: Any) -> None:
    assert found.dtype == dtype
    assert found.shape == expected.shape
    loose = {"rtol": 1e-6, "atol": 1e-5} if dtype == np.float32 else {"rtol": 1e-12, "atol": 1e-12}
    np.testing.assert_allclose(found, expected.detach().numpy(), **loose)


@each_dtype
@each_size
def test_sums_over_paths(num_tags: int, dtype: Any) -> None:
    case = random_case(5, 23, num_tags, seed=num_tags)
    expected = answer(case, "reference")
    given = arrays(case, dtype)
    close(crf.log_partition(**given), expected.log_z, dtype)
    close(crf.marginals(**given), expected.marginals, dtype)
    value, gradient = crf.value_and_gradient(**given)
    close(value, expected.log_z, dtype)
    close(gradient.emissions, expected.marginals, dtype)
    close(gradient.start, expected.d_start, dtype)
    close(gradient.transitions, expected.d_transitions, dtype)
    close(gradient.end, expected.d_end, dtype)


@each_dtype
@each_size
def test_log_likelihood_and_its_weighted_gradient(num_tags: int, dtype: Any) -> None:
    case = random_case(5, 23, num_tags, seed=num_tags)
    case.tags[~case.mask] = -100
    reference = layer(case, "reference")
    emissions = case.emissions.clone().requires_grad_()
    likelihood = reference(emissions, case.tags, case.mask, reduction="none")
    weights = torch.linspace(-1.0, 3.0, 5, dtype=torch.float64)
    (weights * likelihood).sum().backward()
    assert emissions.grad is not None

    tags = case.tags.numpy().astype(np.int32)
    given = arrays(case, dtype)
    close(crf.log_likelihood(tags=tags, **given), likelihood, dtype)
    value, gradient = crf.value_and_gradient(tags=tags, weights=weights.numpy(), **given)
    close(value, likelihood, dtype)
    close(gradient.emissions, emissions.grad, dtype)
    for name, parameter in (
        ("start", reference.start_transitions),
        ("transitions", reference.transitions),
        ("end", reference.end_transitions),
    ):
        expected = torch.zeros_like(parameter) if parameter.grad is None else parameter.grad
        close(getattr(gradient, name), expected, dtype)


@each_dtype
@each_size
def test_best_paths(num_tags: int, dtype: Any) -> None:
    case = random_case(5, 23, num_tags, seed=num_tags)
    reference = layer(case, "reference")
    expected_tags, expected_scores = reference.viterbi(case.emissions, case.mask)
    tags, scores = crf.viterbi(**arrays(case, dtype))
    assert tags.dtype == np.int64
    np.testing.assert_array_equal(tags, expected_tags.numpy())
    close(scores, expected_scores, dtype)
    assert crf.decode(**arrays(case, dtype)) == reference.decode(case.emissions, case.mask)


@each_dtype
def test_k_best_paths_with_ties(dtype: Any) -> None:
    """Scores of -1, 0 and 1: no sum is rounded, and many paths tie."""
    for seed in range(20):
        case = random_case(4, 4, 3, seed=seed)
        case = Case(*(part.clamp(-1, 1).round() if part.is_floating_point() else part for part in case))
        case.transitions[0, 1] = -INF
        tags, scores = crf.viterbi(k=100, **arrays(case, dtype))
        for row in range(4):
            chain = enumerate_chain(
                case.emissions[row], case.mask[row], case.start, case.transitions, case.end
            )
            pairs = zip(chain.scores.tolist(), chain.paths, strict=True)
            best = sorted((-score, path[::-1]) for score, path in pairs if score > -INF)
            legal = len(best)
            assert scores[:legal, row].tolist() == [-score for score, _ in best]
            found = tags[:legal, row][:, case.mask[row].numpy()]
            assert [tuple(path) for path in found.tolist()] == [path[::-1] for _, path in best]
            assert np.isneginf(scores[legal:, row]).all()
            assert (tags[legal:, row] == -1).all()
        assert (tags[:, ~case.mask.numpy()] == -1).all()


def test_samples_have_the_probabilities_of_their_paths() -> None:
    case = random_case(3, 4, 3, seed=6)
    case.transitions[1, 2] = -INF
    n = 20_000
    drawn = crf.sample(n=n, rng=5, **arrays(case))
    assert drawn.shape == (n, 3, 4)
    assert drawn.dtype == np.int64
    assert (drawn[:, ~case.mask.numpy()] == -1).all()
    for row in range(3):
        chain = enumerate_chain(case.emissions[row], case.mask[row], case.start, case.transitions, case.end)
        paths, counts = np.unique(drawn[:, row][:, case.mask[row].numpy()], axis=0, return_counts=True)
        counted = dict(zip(map(tuple, paths.tolist()), counts.tolist(), strict=True))
        for path, probability in zip(chain.paths, chain.probabilities.tolist(), strict=True):
            spread = np.sqrt(n * probability * (1 - probability))
            assert abs(counted.get(path, 0) - n * probability) <= 5 * spread
            assert probability > 0 or path not in counted


def test_a_seed_and_a_generator_repeat_the_samples() -> None:
    given = arrays(random_case(3, 9, 5))
    first = crf.sample(n=7, rng=3, **given)
    np.testing.assert_array_equal(first, crf.sample(n=7, rng=np.random.default_rng(3), **given))
    assert (first != crf.sample(n=7, rng=4, **given)).any()
    assert crf.sample(n=0, **given).shape == (0, 3, 9)


@each_dtype
def test_one_row_without_an_axis_for_rows(dtype: Any) -> None:
    case = random_case(1, 9, 5)
    batch, tags = arrays(case, dtype), case.tags.numpy()
    row = batch | {"emissions": batch["emissions"][0], "mask": batch["mask"][0]}
    same = np.testing.assert_array_equal
    same(crf.log_partition(**row), crf.log_partition(**batch)[0])
    same(crf.log_likelihood(tags=tags[0], **row), crf.log_likelihood(tags=tags, **batch)[0])
    same(crf.marginals(**row), crf.marginals(**batch)[0])
    same(crf.sample(n=3, rng=1, **row), crf.sample(n=3, rng=1, **batch)[:, 0])
    assert crf.decode(**row) == crf.decode(**batch)[0]
    best, many = crf.viterbi(**row), crf.viterbi(k=3, **row)
    same(best[0], crf.viterbi(**batch)[0][0])
    same(best[1], crf.viterbi(**batch)[1][0])
    same(many[0], crf.viterbi(k=3, **batch)[0][:, 0])
    same(many[1], crf.viterbi(k=3, **batch)[1][:, 0])
    value, gradient = crf.value_and_gradient(tags=tags[0], weights=2.0, **row)
    values, gradients = crf.value_and_gradient(tags=tags, weights=[2.0], **batch)
    same(value, values[0])
    same(gradient.emissions, gradients.emissions[0])
    same(gradient.transitions, gradients.transitions)


def test_parameters_and_mask_may_be_left_out() -> None:
    given = arrays(random_case(3, 7, 4))
    emissions, transitions = given["emissions"], given["transitions"]
    alone = crf.log_partition(emissions, transitions)
    zeros = np.zeros(4)
    spelled_out = crf.log_partition(emissions, transitions, start=zeros, end=zeros, mask=np.ones((3, 7)))
    np.testing.assert_array_equal(alone, spelled_out)
    np.testing.assert_array_equal(alone, crf.log_partition(emissions.tolist(), transitions.tolist()))


def test_a_row_without_a_legal_path() -> None:
    given = arrays(random_case(4, 5, 3))
    given["transitions"][:] = -INF
    given["mask"] = np.array([[0, 1, 0, 0, 0], [1, 0, 1, 1, 0], [0, 0, 0, 0, 0], [1, 1, 1, 1, 1]])
    tags = np.zeros((4, 5), np.int64)
    legal = np.array([True, False, True, False])
    for scores in (
        crf.log_partition(**given),
        crf.log_likelihood(tags=tags, **given),
        crf.viterbi(**given)[1],
        crf.viterbi(k=2, **given)[1][0],
    ):
        np.testing.assert_array_equal(np.isfinite(scores), legal)
        assert np.isneginf(scores[~legal]).all()
    assert (crf.marginals(**given)[~legal] == 0).all()
    _, gradient = crf.value_and_gradient(tags=tags, **given)
    assert all(np.isfinite(part).all() for part in gradient)
    assert (crf.sample(**given)[:, ~legal] == -1).all()
    with pytest.raises(ValueError, match="no legal tag sequence for batch row 1, 3: every path scores -inf"):
        crf.decode(**given)


def test_nan_is_not_hidden_but_for_masked_positions() -> None:
    given = arrays(random_case(3, 6, 4))
    given["mask"] = np.ones((3, 6), bool)
    given["mask"][:, 2] = False
    expected = crf.log_partition(**given)
    given["emissions"][:, 2] = np.nan
    np.testing.assert_array_equal(crf.log_partition(**given), expected)
    given["emissions"][1, 3, 0] = np.nan
    for scores in (crf.log_partition(**given), crf.viterbi(**given)[1]):
        assert np.isnan(scores).tolist() == [False, True, False]
    with pytest.raises(ValueError, match="emissions hold NaN at batch row 1, position 3"):
        crf.decode(**given)
    given["emissions"][1, 3, 0] = np.inf
    with pytest.raises(ValueError, match=r"emissions hold \+inf at batch row 1, position 3"):
        crf.decode(**given)
    for bad, named in ((np.inf, r"\+inf"), (np.nan, "NaN")):
        given["end"][0] = bad
        with pytest.raises(ValueError, match=f"the transition parameters hold {named}"):
            crf.decode(**given)


@pytest.mark.parametrize("shape", [(0, 5, 3), (4, 0, 3), (0, 0, 3), (0, 3)])
def test_no_rows_or_no_positions(shape: tuple[int, ...]) -> None:
    emissions, transitions = np.zeros(shape), np.zeros((3, 3))
    *rows, _, _ = shape
    np.testing.assert_array_equal(crf.log_partition(emissions, transitions), np.zeros(rows))
    value, gradient = crf.value_and_gradient(emissions, transitions, np.zeros(shape[:-1], int))
    np.testing.assert_array_equal(value, np.zeros(rows))
    assert gradient.emissions.shape == shape
    assert not any(part.any() for part in gradient)
    assert crf.viterbi(emissions, transitions)[0].shape == shape[:-1]
    paths = min(3, 3 ** shape[-2])
    assert crf.viterbi(emissions, transitions, 3)[0].shape == (paths, *shape[:-1])
    assert crf.sample(emissions, transitions, 2).shape == (2, *shape[:-1])
    assert crf.decode(emissions, transitions) == ([[] for _ in range(shape[0])] if rows else [])


def test_the_example_of_the_docstring_runs() -> None:
    assert crf.__doc__ is not None
    example = crf.__doc__.split("::\n", 1)[1].split("\nThe parameters", 1)[0]
    names: dict[str, Any] = {}
    exec("if True:" + example, names)
    assert names["tags"].shape == (2, 5)
    np.testing.assert_allclose(crf.marginals(names["emissions"], names["transitions"]).sum(axis=2), 1.0)
