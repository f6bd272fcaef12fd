"""Every backend against every enumerated path, on tiny inputs of any shape and mask."""

from __future__ import annotations

import pytest
import torch
from cases import Case, answer, drawn, each_backend, layer, problem
from hypothesis import given
from hypothesis import strategies as st
from strategies import doubles, examples, kept_tags, problems, rows

exhaustive = examples(25)


@each_backend
@exhaustive
@given(case=problems())
def test_log_partition_score_and_likelihood(backend: str, case: Case) -> None:
    chains = rows(case)
    crf = layer(case, backend)
    log_z = doubles([chain.log_partition for chain in chains])
    scores = doubles([chain.score_of(path) for chain, path in zip(chains, kept_tags(case), strict=True)])
    torch.testing.assert_close(crf.log_partition(case.emissions, case.mask), log_z)
    torch.testing.assert_close(crf.score(case.emissions, case.tags, case.mask), scores)
    likelihood = crf(case.emissions, case.tags, case.mask, reduction="none")
    torch.testing.assert_close(likelihood, scores - log_z)


@each_backend
@exhaustive
@given(case=problems())
def test_gradient_is_expected_counts(backend: str, case: Case) -> None:
    K = len(case.start)
    chains = rows(case)
    found = answer(case, backend)
    marginals = torch.zeros_like(case.emissions)
    d_start, d_end = torch.zeros_like(case.start), torch.zeros_like(case.end)
    d_transitions = torch.zeros_like(case.transitions)
    for row, chain in enumerate(chains):
        expected = chain.marginals(K)
        marginals[row, case.mask[row]] = expected
        d_start += expected[:1].sum(0)
        d_end += expected[-1:].sum(0)
        d_transitions += chain.transition_counts(K)
    torch.testing.assert_close(found.marginals, marginals)
    torch.testing.assert_close(layer(case, backend).marginals(case.emissions, case.mask), marginals)
    torch.testing.assert_close(found.d_start, d_start)
    torch.testing.assert_close(found.d_end, d_end)
    torch.testing.assert_close(found.d_transitions, d_transitions)


@each_backend
@pytest.mark.parametrize("ties", [False, True])
@exhaustive
@given(data=st.data())
def test_best_path(backend: str, ties: bool, data: st.DataObject) -> None:
    case = data.draw(problems(ties=ties))
    crf = layer(case, backend)
    best = [chain.best for chain in rows(case)]
    assert crf.decode(case.emissions, case.mask) == [list(path) for path, _ in best]
    tags, scores = crf.viterbi(case.emissions, case.mask)
    torch.testing.assert_close(scores, doubles([score for _, score in best]))
    assert tags[~case.mask].eq(-1).all()
    assert [row[on].tolist() for row, on in zip(tags, case.mask, strict=True)] == [list(p) for p, _ in best]


@each_backend
@pytest.mark.parametrize("ties", [False, True])
@exhaustive
@given(data=st.data(), k=st.integers(2, 7))
def test_k_best_paths(backend: str, ties: bool, data: st.DataObject, k: int) -> None:
    """Also if there are fewer than k paths, because there are few tags or most are forbidden."""
    case = data.draw(problems(ties=ties, forbidden=True))
    tags, scores = layer(case, backend).viterbi(case.emissions, case.mask, k)
    k = min(k, len(case.start) ** case.mask.shape[1])  # there are no more paths
    assert tags.shape == (k, *case.mask.shape)
    assert tags[:, ~case.mask].eq(-1).all()
    for row, chain in enumerate(rows(case)):
        best = chain.k_best(k)
        missing = k - len(best)
        expected = [score for _, score in best] + [-torch.inf] * missing
        torch.testing.assert_close(scores[:, row], doubles(expected))
        found = [tuple(path.tolist()) for path in tags[:, row, case.mask[row]]]
        assert found == [path for path, _ in best] + [(-1,) * chain.length] * missing


@pytest.mark.reduced
@each_backend
def test_of_equal_paths_the_lowest_tags_win(backend: str) -> None:
    case = problem(2, 5, 3)
    case = Case(*(part.zero_() if part.is_floating_point() else part for part in case))
    assert all(tag == 0 for row in layer(case, backend).decode(case.emissions, case.mask) for tag in row)


@each_backend
@pytest.mark.parametrize("follow", [False, True])
@exhaustive
@given(case=problems(), seed=st.integers(0, 2**16))
def test_span_probabilities(backend: str, follow: bool, case: Case, seed: int) -> None:
    K = len(case.start)
    continuing = drawn(torch.rand, K, K, seed=seed) < 0.5 if follow else None
    spans, expected = [], []
    for row, (chain, path) in enumerate(zip(rows(case), kept_tags(case), strict=True)):
        for begin in range(len(path)):
            for end in range(begin + 1, len(path) + 1):
                spans.append((row, begin, end))
                expected.append(chain.span_probability(path[begin:end], begin, continuing))
    found = layer(case, backend).span_probabilities(case.emissions, case.tags, spans, case.mask, continuing)
    torch.testing.assert_close(found, doubles(expected))
