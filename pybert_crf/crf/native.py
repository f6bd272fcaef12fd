"""The compiled CRF (C++17, threads over sequences) for CPU tensors of float32 or float64.

The kernels take addresses, sizes and strides, so tensors of any layout go in without a copy; outputs are
allocated here. Importing this module raises ImportError where the extension has not been built.

Results do not depend on ``torch.get_num_threads()``, bit for bit.
"""

from __future__ import annotations

import importlib
from typing import Any

import torch
from torch import Tensor

try:
    _native: Any = importlib.import_module("pybert_crf._native")
except ImportError as error:
    raise ImportError(
        f"the compiled extension pybert_crf._native cannot be loaded ({error}); "
        "install the package again where there is a C++17 compiler"
    ) from error

_SUFFIX = {torch.float32: "float32", torch.float64: "float64"}


def log_partition(
    emissions: Tensor, mask: Tensor, start: Tensor, transitions: Tensor, end: Tensor
) -> tuple[Tensor, Tensor]:
    """Log of the sum of exp(score) over all paths, by the forward algorithm.

    Args:
        emissions: (B, T, K) float32 or float64, any strides; never read where masked.
        mask: (B, T) bool; the chain of a row is its unmasked positions, in order.
        start: (K,) scores of the first tag.
        transitions: (K, K) scores, from row to column.
        end: (K,) scores of the last tag.

    Returns:
        log_z: (B,); 0 for an empty row, -inf where no path is legal.
        alphas: (B, T, K) log-scores of the prefixes ending in each tag, relative at each position to the
            greatest of them; 0 where masked. What `log_partition_backward` needs.

    Raises:
        ValueError: sizes, dtypes or devices do not fit together.
    """
    problem = _problem(emissions, mask, start, transitions, end)
    log_z = emissions.new_empty(emissions.shape[0])
    alphas = emissions.new_empty(emissions.shape)
    kernel = _kernel("log_partition", emissions)
    kernel(problem, _view(log_z), _view(alphas), torch.get_num_threads())
    return log_z, alphas


def log_partition_backward(
    grad: Tensor,
    emissions: Tensor,
    mask: Tensor,
    start: Tensor,
    transitions: Tensor,
    end: Tensor,
    alphas: Tensor,
    log_z: Tensor,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Gradient of ``(grad * log_z).sum()``: expected counts of tags and of pairs of tags.

    Args:
        grad: (B,) factor of each row.
        emissions, mask, start, transitions, end: as given to `log_partition`.
        alphas, log_z: as returned by it; these kernels need the alphas alone.

    Returns:
        d_emissions: (B, T, K), posterior probabilities times grad; they sum to grad at each position, and are
            0 where masked and in rows without a legal path.
        d_start: (K,).
        d_transitions: (K, K).
        d_end: (K,).

    Raises:
        ValueError: sizes, dtypes or devices do not fit together.
    """
    problem = _problem(emissions, mask, start, transitions, end)
    batch = emissions.shape[:1]
    for name, tensor, shape in (
        ("grad", grad, batch),
        ("alphas", alphas, emissions.shape),
        ("log_z", log_z, batch),
    ):
        _check(name, tensor, shape, emissions.dtype)
    gradients = (
        emissions.new_empty(emissions.shape),
        start.new_empty(start.shape),
        transitions.new_empty(transitions.shape),
        end.new_empty(end.shape),
    )
    kernel = _kernel("log_partition_backward", emissions)
    views = [_view(tensor) for tensor in (grad, alphas, *gradients)]
    kernel(problem, *views, torch.get_num_threads())
    return gradients


def viterbi(
    emissions: Tensor, mask: Tensor, start: Tensor, transitions: Tensor, end: Tensor
) -> tuple[Tensor, Tensor]:
    """Best path of each row and its score. Of equals, the lowest tag wins, from the last position backwards.

    Args:
        emissions, mask, start, transitions, end: as for `log_partition`.

    Returns:
        tags: (B, T) int64; -1 where masked. Where no path is legal, some path.
        scores: (B,); 0 for an empty row, -inf where no path is legal.

    Raises:
        ValueError: sizes, dtypes or devices do not fit together.
    """
    problem = _problem(emissions, mask, start, transitions, end)
    tags = emissions.new_empty(emissions.shape[:2], dtype=torch.int64)
    scores = emissions.new_empty(emissions.shape[0])
    kernel = _kernel("viterbi", emissions)
    kernel(problem, _view(tags), _view(scores), torch.get_num_threads())
    return tags, scores


def _kernel(operation: str, emissions: Tensor) -> Any:
    return getattr(_native, f"{operation}_{_SUFFIX[emissions.dtype]}")


def _view(tensor: Tensor) -> tuple[int, ...]:
    return (tensor.data_ptr(), *tensor.stride())


def _problem(
    emissions: Tensor, mask: Tensor, start: Tensor, transitions: Tensor, end: Tensor
) -> tuple[tuple[int, ...], ...]:
    """Sizes and views as the kernels take them. They read raw memory, so whatever does not fit stops here."""
    if emissions.dtype not in _SUFFIX:
        raise ValueError(f"emissions must be float32 or float64, got {emissions.dtype}")
    if emissions.dim() != 3 or emissions.shape[2] == 0:
        raise ValueError(f"emissions must be (batch, time, tags) with tags > 0, got {tuple(emissions.shape)}")
    batch, time, tags = emissions.shape
    _check("emissions", emissions, emissions.shape, emissions.dtype)
    _check("mask", mask, (batch, time), torch.bool)
    _check("start", start, (tags,), emissions.dtype)
    _check("transitions", transitions, (tags, tags), emissions.dtype)
    _check("end", end, (tags,), emissions.dtype)
    views = (_view(tensor) for tensor in (emissions, mask, start, transitions, end))
    return (batch, time, tags), *views


def _check(name: str, tensor: Tensor, shape: tuple[int, ...], dtype: torch.dtype) -> None:
    if tuple(tensor.shape) != tuple(shape) or tensor.dtype != dtype or tensor.device.type != "cpu":
        raise ValueError(
            f"{name} must be {tuple(shape)} of {dtype} on the CPU, "
            f"got {tuple(tensor.shape)} of {tensor.dtype} on {tensor.device}"
        )
