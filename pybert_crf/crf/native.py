"""The compiled CRF: C++17, threads over sequences, for CPU tensors of float32 or float64; CUDA for a GPU's.

The kernels take addresses, sizes and strides, so inputs of any layout go in without a copy; outputs are
allocated here. Importing this module raises ImportError where the extension has not been built.

Results do not depend on ``torch.get_num_threads()``, bit for bit. The instruction set is the widest that the
machine has; the environment variable ``PYBERT_CRF_ISA`` names another (baseline, avx2, avx512).
"""

from __future__ import annotations

import importlib
from typing import Any

import torch
from torch import Tensor

from pybert_crf.crf import native_cuda
from pybert_crf.crf.checks import check_chain, check_tags, check_tensor

try:
    _native: Any = importlib.import_module("pybert_crf._native")
except ImportError as error:
    raise ImportError(
        f"the compiled extension pybert_crf._native cannot be loaded ({error}); "
        "install the package again where there is a C++17 compiler"
    ) from error

_SUFFIX = {torch.float32: "float32", torch.float64: "float64"}
_OPERATIONS = (
    "log_partition",
    "gradient",
    "value_and_gradient",
    "viterbi",
    "k_best",
    "log_alphas",
    "sample",
)
_KERNELS = {
    (operation, dtype): getattr(_native, f"{operation}_{suffix}")
    for operation in _OPERATIONS
    for dtype, suffix in _SUFFIX.items()
}

_Pair = tuple[Tensor, Tensor]
_Triple = tuple[Tensor, Tensor, Tensor]
_Gradients = tuple[Tensor, Tensor, Tensor, Tensor]


def cuda_status() -> tuple[bool, str]:
    """Whether CUDA tensors can be served here, and in a sentence what by or why not."""
    return native_cuda.status(_native)


def instruction_set() -> str:
    """The name of the instruction set in use."""
    name: str = _native.instruction_set()
    return name


def log_partition(emissions: Tensor, mask: Tensor, start: Tensor, transitions: Tensor, end: Tensor) -> _Pair:
    """Log of the sum of exp(score) over all paths, by the forward algorithm from both ends of a row.

    Args:
        emissions: (B, T, K) float32 or float64, any strides; never read where masked.
        mask: (B, T) bool; the chain of a row is its unmasked positions, in order.
        start: (K,) scores of the first tag.
        transitions: (K, K) scores, from row to column.
        end: (K,) scores of the last tag.

    Returns:
        log_z: (B,); 0 for an empty row, -inf where no path is legal.
        messages: (B, T, K), what :func:`gradient` needs.

    Raises:
        ValueError: sizes, dtypes or devices do not fit together.
    """
    _, log_z, messages = _forward(None, emissions, mask, start, transitions, end)
    return log_z, messages


def log_likelihood(
    tags: Tensor, emissions: Tensor, mask: Tensor, start: Tensor, transitions: Tensor, end: Tensor
) -> _Triple:
    """The score of the paths ``tags`` minus log Z.

    Args:
        tags: (B, T) int64, read where unmasked only; the others as for :func:`log_partition`.

    Returns:
        likelihood: (B,), 0 for an empty row, -inf where no path is legal; log_z and messages as from
        :func:`log_partition`.

    Raises:
        ValueError: sizes, dtypes or devices do not fit together, or an unmasked tag is none; names the first.
    """
    return _forward(tags, emissions, mask, start, transitions, end)


def gradient(
    grad: Tensor,
    tags: Tensor | None,
    emissions: Tensor,
    mask: Tensor,
    start: Tensor,
    transitions: Tensor,
    end: Tensor,
    messages: Tensor,
    log_z: Tensor,
) -> _Gradients:
    """Gradient of ``(grad * log_z).sum()``, or of ``(grad * likelihood).sum()`` where ``tags`` are given.

    Args:
        grad: (B,) factor of each row.
        tags, emissions, mask, start, transitions, end: as given to the forward function.
        messages, log_z: as returned by it.

    Returns:
        d_emissions: (B, T, K), posterior probabilities times grad; they sum to grad at each position, and are
            0 where masked and in rows without a legal path. (With tags: 1 at those, minus the probabilities.)
        d_start: (K,).
        d_transitions: (K, K).
        d_end: (K,).

    Raises:
        ValueError: sizes, dtypes or devices do not fit together.
    """
    problem = _problem(emissions, mask, start, transitions, end)
    batch, dtype = emissions.shape[:1], emissions.dtype
    check_tensor("grad", grad, batch, dtype, emissions)
    check_tensor("messages", messages, emissions.shape, dtype, emissions)
    check_tensor("log_z", log_z, batch, dtype, emissions)
    grad, messages, log_z = grad.contiguous(), messages.contiguous(), log_z.contiguous()
    gradients = _empty_like(emissions), _empty_like(start), _empty_like(transitions), _empty_like(end)
    _run(
        "gradient",
        emissions,
        problem,
        _paths(tags, emissions),
        grad.data_ptr(),
        messages.data_ptr(),
        log_z.data_ptr(),
        *map(Tensor.data_ptr, gradients),
    )
    return gradients


def value_and_gradient(
    grad: Tensor,
    tags: Tensor | None,
    emissions: Tensor,
    mask: Tensor,
    start: Tensor,
    transitions: Tensor,
    end: Tensor,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """The value of :func:`log_likelihood`, or of :func:`log_partition`, and what :func:`gradient` returns.

    The same bits, sooner: a row's gradient is computed while its messages are in the cache, and they are not
    kept.

    Raises:
        ValueError: sizes, dtypes or devices do not fit together, or an unmasked tag is none; names the first.
    """
    problem = _problem(emissions, mask, start, transitions, end)
    dtype = emissions.dtype
    check_tensor("grad", grad, emissions.shape[:1], dtype, emissions)
    grad = grad.contiguous()
    value = torch.empty_like(grad)
    gradients = _empty_like(emissions), _empty_like(start), _empty_like(transitions), _empty_like(end)
    wrong = _run(
        "value_and_gradient",
        emissions,
        problem,
        _paths(tags, emissions),
        grad.data_ptr(),
        value.data_ptr(),
        *map(Tensor.data_ptr, gradients),
    )
    if wrong is not None and wrong >= 0 and tags is not None:
        check_tags(tags, mask, emissions.shape[2])  # says which
    return value, *gradients


def viterbi(emissions: Tensor, mask: Tensor, start: Tensor, transitions: Tensor, end: Tensor) -> _Pair:
    """Best path of each row and its score. Of equals, the lowest tag wins, from the last position backwards.

    Args:
        emissions, mask, start, transitions, end: as for :func:`log_partition`.

    Returns:
        tags: (B, T) int64; -1 where masked. Where no path is legal, some path.
        scores: (B,); 0 for an empty row, -inf where no path is legal, NaN for a row with NaN in it.

    Raises:
        ValueError: sizes, dtypes or devices do not fit together.
    """
    problem = _problem(emissions, mask, start, transitions, end)
    tags = torch.empty_like(mask, dtype=torch.int64, memory_format=torch.contiguous_format)
    scores = emissions.new_empty(mask.shape[0])
    _run("viterbi", emissions, problem, tags.data_ptr(), scores.data_ptr())
    return tags, scores


def k_best(k: int, emissions: Tensor, mask: Tensor, start: Tensor, transitions: Tensor, end: Tensor) -> _Pair:
    """The k best paths of each row, best first; of equals as :func:`viterbi`.

    Returns:
        tags: (k, B, T) int64; -1 where masked, and beyond the number of legal paths.
        scores: (k, B); -inf beyond the number of legal paths. An empty row has one path, of score 0.

    Raises:
        ValueError: sizes, dtypes or devices do not fit together, or k is not positive.
    """
    if k < 1:
        raise ValueError(f"k must be positive, got {k}")
    problem = _problem(emissions, mask, start, transitions, end)
    tags = mask.new_empty((k, *mask.shape), dtype=torch.int64)
    scores = emissions.new_empty((k, *mask.shape[:1]))
    _run("k_best", emissions, k, problem, tags.data_ptr(), scores.data_ptr())
    return tags, scores


def log_alphas(emissions: Tensor, mask: Tensor, start: Tensor, transitions: Tensor, end: Tensor) -> Tensor:
    """Log-scores (B, T, K) of the prefixes that end in each tag, relative at each position to the greatest.

    -inf where no prefix is legal, 0 where masked. Raises ValueError as :func:`log_partition`.
    """
    problem = _problem(emissions, mask, start, transitions, end)
    alphas = _empty_like(emissions)
    _run("log_alphas", emissions, problem, alphas.data_ptr())
    return alphas


def sample(
    uniforms: Tensor, emissions: Tensor, mask: Tensor, start: Tensor, transitions: Tensor, end: Tensor
) -> Tensor:
    """Exact samples (n, B, T) int64 of the rows' paths; -1 where masked and in rows with no legal path.

    Args:
        uniforms: (n, B, T) float64 in [0, 1), one a position; the others as for :func:`log_partition`.

    Raises:
        ValueError: sizes, dtypes or devices do not fit together.
    """
    problem = _problem(emissions, mask, start, transitions, end)
    n = uniforms.shape[0]
    check_tensor("uniforms", uniforms, (n, *mask.shape), torch.float64, emissions)
    tags = mask.new_empty(uniforms.shape, dtype=torch.int64)
    _run("sample", emissions, n, problem, _view(uniforms), tags.data_ptr())
    return tags


def _forward(
    tags: Tensor | None, emissions: Tensor, mask: Tensor, start: Tensor, transitions: Tensor, end: Tensor
) -> _Triple:
    problem = _problem(emissions, mask, start, transitions, end)
    value = emissions.new_empty(emissions.shape[0])
    log_z = torch.empty_like(value)
    messages = _empty_like(emissions)
    wrong = _run(
        "log_partition",
        emissions,
        problem,
        _paths(tags, emissions),
        value.data_ptr(),
        log_z.data_ptr(),
        messages.data_ptr(),
    )
    if wrong is not None and wrong >= 0 and tags is not None:
        check_tags(tags, mask, emissions.shape[2])  # says which
    return value, log_z, messages


def _run(operation: str, emissions: Tensor, *arguments: Any) -> int | None:
    """Call the kernel for the emissions' device and dtype.

    On the CPU, operations that are given paths return the flat index of the first unmasked tag that is none,
    or -1. On a GPU all return None at once.
    """
    if emissions.is_cpu:
        result: int | None = _KERNELS[operation, emissions.dtype](*arguments, torch.get_num_threads())
        return result
    native_cuda.enqueue(_native, operation, _SUFFIX[emissions.dtype], emissions, arguments)
    return None


def _empty_like(tensor: Tensor) -> Tensor:
    """Contiguous, whatever the tensor's strides."""
    return torch.empty_like(tensor, memory_format=torch.contiguous_format)


def _view(tensor: Tensor) -> tuple[int, ...]:
    return (tensor.data_ptr(), *tensor.stride())


def _paths(tags: Tensor | None, emissions: Tensor) -> tuple[int, ...] | None:
    if tags is None:
        return None
    check_tensor("tags", tags, emissions.shape[:2], torch.int64, emissions)
    return _view(tags)


def _problem(
    emissions: Tensor, mask: Tensor, start: Tensor, transitions: Tensor, end: Tensor
) -> tuple[tuple[int, ...], ...]:
    """Sizes and views as the kernels take them. They read raw memory, so whatever does not fit stops here."""
    check_chain(emissions, mask, start, transitions, end)
    return (
        tuple(emissions.shape),
        _view(emissions),
        _view(mask),
        _view(start),
        _view(transitions),
        _view(end),
    )
