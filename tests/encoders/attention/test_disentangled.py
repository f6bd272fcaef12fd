"""Disentangled attention: position scores without gathering, log buckets, groups of heads."""

from __future__ import annotations

import pytest
import torch
from encoder_cases import batch_for, our_encoder
from torch import Tensor
from transformers.models.deberta_v2.modeling_deberta_v2 import make_log_bucket_position

from pybert_crf.encoders.attention import disentangled
from pybert_crf.encoders.attention.disentangled import log_buckets
from pybert_crf.encoders.attention.distances import BLOCK, by_piece, position_scores


def _gathered(query: Tensor, key: Tensor, by_query: Tensor | None, by_key: Tensor | None) -> Tensor:
    """The definition: each score is gathered by its distance."""
    L = query.shape[2]
    distance = (torch.arange(L)[:, None] - torch.arange(L)).expand(*query.shape[:2], L, L)
    scores = torch.zeros(distance.shape, dtype=query.dtype)
    if by_query is not None:
        scores = scores + (query @ by_query[:, None]).gather(3, L - 1 - distance)
    if by_key is not None:
        scores = scores + (key @ by_key[:, None]).gather(3, distance.mT + L - 1).mT
    return scores


@pytest.mark.parametrize("terms", ["c2p", "p2c", "both"])
@pytest.mark.parametrize("length", [1, 2, BLOCK - 1, BLOCK, BLOCK + 1, 2 * BLOCK + 22])
def test_position_scores(length: int, terms: str) -> None:
    """Scores and all gradients equal the definition's, also for partial blocks."""
    torch.manual_seed(length)
    query, key = (torch.randn(2, 3, length, 5, dtype=torch.float64, requires_grad=True) for _ in range(2))
    tables = [torch.randn(2, 5, 2 * length, dtype=torch.float64, requires_grad=True) for _ in range(2)]
    by_query = tables[0] if terms != "p2c" else None
    by_key = tables[1] if terms != "c2p" else None
    weights = torch.randn(2, 3, length, length, dtype=torch.float64)
    results = []
    for function in (position_scores, _gathered):
        scores = function(query, key, by_query, by_key)
        assert scores is not None
        used = [x for x in (query, key, by_query, by_key) if x is not None]
        gradients = torch.autograd.grad(scores, used, weights, allow_unused=True)
        zero = torch.zeros(())
        results.append([scores, *(zero if gradient is None else gradient for gradient in gradients)])
    for mine, expected in zip(*results, strict=True):
        torch.testing.assert_close(mine, expected, rtol=0, atol=1e-12)


def test_scores_by_piece_are_a_view() -> None:
    """Scores are neither copied nor gathered."""
    pieces, distances = torch.randn(2, 3, 4, 5), torch.randn(2, 5, 4 + 7)
    scores = by_piece(pieces, distances)
    assert scores.shape == (2, 3, 4, 7)
    assert scores.untyped_storage().nbytes() == 4 * 2 * 3 * 4 * 11
    torch.testing.assert_close(scores[1, 2, 3, 6], pieces[1, 2, 3] @ distances[1, :, 4 - 1 - 3 + 6])


@pytest.mark.parametrize(("buckets", "furthest"), [(256, 512), (8, 18), (13, 29), (2, 512), (30, 18)])
def test_log_buckets(buckets: int, furthest: int) -> None:
    """Every distance has the same bucket as in transformers, also at the borders."""
    distance = torch.arange(3 * furthest)
    expected = make_log_bucket_position(distance, buckets, furthest).long()
    assert log_buckets(buckets, furthest, 3 * furthest - 1) == tuple(expected.tolist())


@pytest.mark.parametrize("training", [False, True])
def test_heads_in_parts(training: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """The result is the same for all heads at once and one by one."""
    encoder = our_encoder("deberta-v2", hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0)
    encoder.train(training)
    batch = batch_for(encoder.config)
    together = encoder(**batch)
    monkeypatch.setattr(disentangled, "CHUNK", 1)
    torch.testing.assert_close(encoder(**batch), together, rtol=0, atol=1e-5)
