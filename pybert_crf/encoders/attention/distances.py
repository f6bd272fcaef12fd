"""Position scores of disentangled attention: products of pieces and distances, viewed by pairs of pieces.

A matrix product gives the scores of L pieces and their 2L distances, (L, 2L). The scores of piece i and all
other pieces are L adjacent elements of row i, which begin one element further left in each row: a strided
view, where other implementations gather. Half of the products are unused; a block of c rows needs only L + c
distances.
Shapes: h heads of d units, B sequences of L pieces.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

BLOCK = 64  # rows of one product on the CPU: few unused products, yet large enough to be fast


def by_piece(pieces: Tensor, distances: Tensor) -> Tensor:
    """Return products, (h, B, c, L): a view of (h, B, c, L + c).

    ``pieces`` are c rows, (h, B, c, d), and ``distances`` is (h, d, L + c); element [i, j] is the product of
    row i and the distance c - 1 - i + j.
    """
    h, B, c, d = pieces.shape
    products = torch.bmm(pieces.reshape(h, B * c, d), distances)
    return _by_piece(products.view(h, B, c, distances.shape[2]))


def _by_piece(products: Tensor) -> Tensor:
    """View (h, B, c, L + c) by distance as (h, B, c, L) by piece."""
    h, B, c, width = products.shape
    # The same memory in rows one element shorter, starting at the last distance of the first piece.
    rows = products.view(h, B, c * width)[..., c - 1 : c - 1 + c * (width - 1)]
    return rows.view(h, B, c, width - 1)[..., : width - c]


def position_scores(
    query: Tensor, key: Tensor, position_key: Tensor | None, position_query: Tensor | None
) -> Tensor | None:
    """Return the position terms of the scores of queries and keys, (h, B, L, L); None without such terms.

    ``query`` and ``key`` are (h, B, L, d). ``position_key``, (h, d, 2L), is for the distances L - 1 … -L from
    query to key, ``position_query``, (h, d, 2L), for the distances 1 - L … L.
    """
    if position_key is None and position_query is None:
        return None
    if not torch.compiler.is_compiling():
        scores: Tensor = _PositionScores.apply(  # type: ignore[no-untyped-call]
            query, key, position_key, position_query
        )
        return scores
    if position_query is None or position_key is None:
        alone = by_piece(query, position_key) if position_key is not None else None
        return alone if position_query is None else by_piece(key, position_query).transpose(2, 3)
    return by_piece(query, position_key) + by_piece(key, position_query).transpose(2, 3)


class _PositionScores(torch.autograd.Function):
    """The same in blocks of rows, forward and backward."""

    @staticmethod
    def forward(
        ctx: Any, query: Tensor, key: Tensor, position_key: Tensor | None, position_query: Tensor | None
    ) -> Tensor:
        ctx.save_for_backward(query, key, position_key, position_query)
        h, B, L, _ = query.shape
        scores = query.new_empty(h, B, L, L)
        if position_key is not None:
            for rows, columns in _blocks(query):
                scores[:, :, rows] = by_piece(query[:, :, rows], position_key[..., columns])
        if position_query is not None:
            transposed = scores.transpose(2, 3)
            for rows, columns in _blocks(key):
                part = by_piece(key[:, :, rows], position_query[..., columns])
                if position_key is None:
                    transposed[:, :, rows] = part
                else:
                    transposed[:, :, rows] += part
        return scores

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        query, key, position_key, position_query = ctx.saved_tensors
        by_query = _backward(query, position_key, grad)
        by_key = _backward(key, position_query, grad.transpose(2, 3))
        return by_query[0], by_key[0], by_query[1], by_key[1]


def _backward(pieces: Tensor, distances: Tensor | None, grad: Tensor) -> tuple[Tensor | None, Tensor | None]:
    """Return the gradients of both arguments of `by_piece`, given that of its result."""
    if distances is None:
        return None, None
    h, B, L, d = pieces.shape
    of_pieces = torch.empty_like(pieces, memory_format=torch.contiguous_format)
    of_distances = torch.zeros_like(distances, memory_format=torch.contiguous_format)
    for rows, columns in _blocks(pieces):
        c = rows.stop - rows.start
        by_distance = grad.new_zeros(h, B, c, L + c)
        _by_piece(by_distance).copy_(grad[:, :, rows])
        products = by_distance.view(h, B * c, L + c)
        of_pieces[:, :, rows] = (products @ distances[..., columns].transpose(1, 2)).view(h, B, c, d)
        of_distances[..., columns] += pieces[:, :, rows].reshape(h, B * c, d).transpose(1, 2) @ products
    return of_pieces, of_distances


def _blocks(pieces: Tensor) -> list[tuple[slice, slice]]:
    """Return the rows of each block and the columns of their distances."""
    L = pieces.shape[2]
    block = BLOCK if pieces.device.type == "cpu" else L
    ends = [(first, min(first + block, L)) for first in range(0, L, block)]
    return [(slice(first, end), slice(L - end, 2 * L - first)) for first, end in ends]
