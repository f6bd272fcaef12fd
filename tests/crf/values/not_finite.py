"""Batches of scores that are not finite, the calls that take them, and memory that ends at an unreadable
page."""

from __future__ import annotations

import ctypes
import mmap
import random

import pytest
import torch
from cases import DEVICE, Case, layer
from torch import Tensor

from pybert_crf.crf.problem import Chain
from pybert_crf.crf.registry import load

INF = torch.inf


def hostile_batch(seed: int, num_tags: int) -> Case:
    """A small batch, in which single scores, whole positions and parameters may be +inf, -inf or NaN."""
    draw = random.Random(seed)
    generator = torch.Generator().manual_seed(seed)
    B, T, K = draw.randint(1, 9), draw.randint(1, 8), num_tags
    dtype = draw.choice([torch.float32, torch.float64])

    def randn(*size: int) -> Tensor:
        return torch.randn(*size, generator=generator, device="cpu").to(dtype)

    def some(*size: int, share: float) -> Tensor:
        return torch.rand(*size, generator=generator, device="cpu") < share

    emissions = randn(B, T, K) * draw.choice([1.0, 1.0, 1e5])
    for value, share in ((INF, 0.3), (-INF, 0.5), (torch.nan, 0.2)):
        if draw.random() < 0.6:
            emissions[some(B, T, K, share=share * draw.random())] = value
        if draw.random() < 0.4:
            emissions[some(B, T, share=share)] = value
    mask = some(B, T, share=draw.choice([1.0, 0.7]))
    tags = torch.randint(K, (B, T), generator=generator, device="cpu")
    parameters = randn(K), randn(K, K), randn(K)
    for scores in parameters:
        if draw.random() < 0.3:
            scores[some(*scores.shape, share=0.3)] = draw.choice([INF, -INF, torch.nan])
    return Case(*(part.to(DEVICE) for part in (emissions, tags, mask, *parameters)))


def check_tags_in_range(case: Case, backend: str) -> None:
    """Every tag that any method returns is -1 or in 0..K-1, and -1 where masked."""
    crf, K = layer(case, backend), case.start.shape[0]
    for name, given in (("start_transitions", case.start), ("transitions", case.transitions),
                        ("end_transitions", case.end)):  # fmt: skip
        getattr(crf, name).data = given  # the layer's own are copies
    emissions, tags, mask = case.emissions, case.tags, case.mask
    for found in (
        crf.viterbi(emissions, mask)[0],
        crf.viterbi(emissions, mask, 3)[0],
        crf.sample(emissions, mask, n=2),
        crf.posterior_decode(emissions, mask)[0],
    ):
        assert ((found >= -1) & (found < K)).all()
        assert (found[..., ~mask] == -1).all()
    if crf.viterbi(emissions, mask)[1].isfinite().all():
        assert all(0 <= tag < K for row in crf.decode(emissions, mask) for tag in row)
    else:
        with pytest.raises(ValueError, match=r"batch row|parameters hold"):
            crf.decode(emissions, mask)
    for name in ("marginals", "transition_marginals", "log_partition", "entropy"):
        getattr(crf, name)(emissions, mask)
    leaf = emissions.detach().requires_grad_()
    crf(leaf, tags, mask).backward()
    assert leaf.grad is not None
    assert leaf.grad[~mask].eq(0).all()


def run_every_function(case: Case, backend: str) -> None:
    """Call the functions of a backend, with the case's own tensors."""
    chain = Chain(case.emissions, case.mask, case.start, case.transitions, case.end)
    (B, T), functions = case.mask.shape, load(backend)
    ones = guarded(torch.ones(B, dtype=case.emissions.dtype))
    for tags in (None, case.tags):
        log_z, messages = (
            functions.log_partition(chain) if tags is None else functions.log_likelihood(tags, chain)[1:]
        )
        functions.gradient(ones, tags, chain, guarded(messages), guarded(log_z))
        functions.value_and_gradient(ones, tags, chain)
    functions.viterbi(chain)
    functions.k_best(2, chain)
    functions.log_alphas(chain)
    functions.sample(guarded(torch.rand(2, B, T, dtype=torch.float64)), chain)


def at_an_unreadable_page(case: Case) -> Case:
    """The same numbers, each tensor of which ends where reading ends the process."""
    return Case(*map(guarded, case))


_LIBC = ctypes.CDLL(None, use_errno=True)
_KEPT = []  # the mappings, as long as the process lives: nothing else may be put in their place


def guarded(tensor: Tensor) -> Tensor:
    """A copy that ends at an unreadable page."""
    size, page = tensor.numel() * tensor.element_size(), mmap.PAGESIZE
    length = -(-max(size, 1) // page) * page
    memory = mmap.mmap(-1, length + page)
    start = ctypes.addressof(ctypes.c_char.from_buffer(memory))
    if _LIBC.mprotect(ctypes.c_void_p(start + length), ctypes.c_size_t(page), 0) != 0:
        pytest.fail(f"mprotect: errno {ctypes.get_errno()}")
    _KEPT.append(memory)
    if size == 0:
        return tensor
    buffer = (ctypes.c_char * size).from_address(start + length - size)
    return torch.frombuffer(buffer, dtype=tensor.dtype).view(tensor.shape).copy_(tensor)
