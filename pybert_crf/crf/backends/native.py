"""The compiled backend: C++17 for CPU tensors, CUDA for those of a GPU.

The kernels take addresses, sizes and strides, so inputs of any layout go in without a copy; outputs are
allocated here. Importing this module raises ImportError if the extension has not been built.

On the CPU, rows are spread over at most ``torch.get_num_threads()`` threads; results do not depend on their
number, bit for bit. The instruction set is the widest that the machine has; the environment variable
``PYBERT_CRF_ISA`` names another (baseline, avx2, avx512).

On a GPU, kernels run on torch's current stream of the tensors' device and no call waits for them, so a call
can be captured in a CUDA graph. Their working memory comes from torch's allocator. The same input gives the
same bits every time.
"""

from __future__ import annotations

import functools
import importlib
from typing import Any

import torch
from torch import Tensor

from pybert_crf.crf.backends.base import Gradients, Pair, Triple, ValueAndGradients
from pybert_crf.crf.problem import Chain, check_chain, check_tags, check_tensor

try:
    _native: Any = importlib.import_module("pybert_crf._native")
except ImportError as error:
    raise ImportError(
        f"the compiled extension pybert_crf._native cannot be loaded ({error}); "
        "install the package again where there is a C++17 compiler"
    ) from error

_SUFFIX = {torch.float32: "float32", torch.float64: "float64"}


def cuda_status() -> tuple[bool, str]:
    """Whether CUDA tensors can be served here, and in a sentence by what or why not."""
    if not hasattr(_native, "cuda_devices"):
        return False, "compiled without CUDA: install the package again where there is an nvcc"
    if not torch.cuda.is_available():
        return False, "torch sees no CUDA device"
    count, why = _native.cuda_devices()
    if count == 0:
        return False, f"CUDA finds no device ({why})"
    return True, "compiled CUDA, on the GPU"


def instruction_set() -> str:
    """The name of the instruction set in use on the CPU."""
    name: str = _native.instruction_set()
    return name


def log_partition(chain: Chain) -> Pair:
    _, log_z, messages = _forward(None, chain)
    return log_z, messages


def log_likelihood(tags: Tensor, chain: Chain) -> Triple:
    return _forward(tags, chain)


def _forward(tags: Tensor | None, chain: Chain) -> Triple:
    problem, emissions = _problem(chain), chain.emissions
    value = emissions.new_empty(emissions.shape[0])
    log_z = torch.empty_like(value)
    messages = _empty_like(emissions)
    outputs = (value.data_ptr(), log_z.data_ptr(), messages.data_ptr())
    wrong = _run("log_partition", emissions, problem, _paths(tags, emissions), *outputs)
    _check_paths(wrong, tags, chain)
    return value, log_z, messages


def gradient(grad: Tensor, tags: Tensor | None, chain: Chain, messages: Tensor, log_z: Tensor) -> Gradients:
    problem, emissions = _problem(chain), chain.emissions
    batch, dtype = emissions.shape[:1], emissions.dtype
    check_tensor("grad", grad, batch, dtype, emissions)
    check_tensor("messages", messages, emissions.shape, dtype, emissions)
    check_tensor("log_z", log_z, batch, dtype, emissions)
    grad, messages, log_z = grad.contiguous(), messages.contiguous(), log_z.contiguous()
    gradients = _empty_gradients(chain)
    inputs = (grad.data_ptr(), messages.data_ptr(), log_z.data_ptr())
    outputs = map(Tensor.data_ptr, gradients)
    _run("gradient", emissions, problem, _paths(tags, emissions), *inputs, *outputs)
    return gradients


def value_and_gradient(grad: Tensor, tags: Tensor | None, chain: Chain) -> ValueAndGradients:
    """Faster than the two calls: the messages of a row are used while they are in the cache, and not kept."""
    problem, emissions = _problem(chain), chain.emissions
    check_tensor("grad", grad, emissions.shape[:1], emissions.dtype, emissions)
    grad = grad.contiguous()
    value = torch.empty_like(grad)
    gradients = _empty_gradients(chain)
    outputs = map(Tensor.data_ptr, (value, *gradients))
    paths = _paths(tags, emissions)
    wrong = _run("value_and_gradient", emissions, problem, paths, grad.data_ptr(), *outputs)
    _check_paths(wrong, tags, chain)
    return value, *gradients


def viterbi(chain: Chain) -> Pair:
    problem, mask = _problem(chain), chain.mask
    tags = torch.empty_like(mask, dtype=torch.int64, memory_format=torch.contiguous_format)
    scores = chain.emissions.new_empty(mask.shape[0])
    _run("viterbi", chain.emissions, problem, tags.data_ptr(), scores.data_ptr())
    return tags, scores


def k_best(k: int, chain: Chain) -> Pair:
    if k < 1:
        raise ValueError(f"k must be positive, got {k}")
    problem, mask = _problem(chain), chain.mask
    tags = mask.new_empty((k, *mask.shape), dtype=torch.int64)
    scores = chain.emissions.new_empty((k, *mask.shape[:1]))
    _run("k_best", chain.emissions, k, problem, tags.data_ptr(), scores.data_ptr())
    return tags, scores


def log_alphas(chain: Chain) -> Tensor:
    problem = _problem(chain)
    alphas = _empty_like(chain.emissions)
    _run("log_alphas", chain.emissions, problem, alphas.data_ptr())
    return alphas


def sample(uniforms: Tensor, chain: Chain) -> Tensor:
    problem, mask = _problem(chain), chain.mask
    n = uniforms.shape[0]
    check_tensor("uniforms", uniforms, (n, *mask.shape), torch.float64, chain.emissions)
    tags = mask.new_empty(uniforms.shape, dtype=torch.int64)
    _run("sample", chain.emissions, n, problem, _view(uniforms), tags.data_ptr())
    return tags


def _run(operation: str, emissions: Tensor, *arguments: Any) -> int | None:
    """Call the kernel for the emissions' device and dtype.

    On the CPU, operations that are given paths return the flat index of the first unmasked tag out of range,
    or -1. On a GPU all return None at once.
    """
    suffix = _SUFFIX[emissions.dtype]
    if emissions.is_cpu:
        result: int | None = _kernel(f"{operation}_{suffix}")(*arguments, torch.get_num_threads())
        return result
    _enqueue(_kernel(f"cuda_{operation}_{suffix}"), emissions, arguments)
    return None


@functools.cache
def _kernel(name: str) -> Any:
    return getattr(_native, name)


def _enqueue(kernel: Any, emissions: Tensor, arguments: tuple[Any, ...]) -> None:
    """Enqueue a CUDA kernel on the current stream of the emissions' device.

    Raises:
        ValueError: there are more tags than the kernels take.
        RuntimeError: a kernel could not be launched.
    """
    tags, most = emissions.shape[2], _native.cuda_most_tags
    if tags > most:
        raise ValueError(
            f"the CUDA kernels take up to {most} tags, got {tags}: use CRF(..., backend='reference')"
        )
    device = emissions.device
    index, stream = device.index or 0, torch.cuda.current_stream(device).cuda_stream
    size: int = kernel(*arguments, (index, stream, 0))  # without a workspace it only returns the size
    workspace = torch.empty(size, dtype=torch.uint8, device=device)
    kernel(*arguments, (index, stream, workspace.data_ptr()))


def _problem(chain: Chain) -> tuple[tuple[int, ...], ...]:
    """Sizes and views as the kernels take them. They read raw memory, so whatever does not fit stops here."""
    check_chain(chain)
    return (tuple(chain.emissions.shape), *map(_view, chain))


def _paths(tags: Tensor | None, emissions: Tensor) -> tuple[int, ...] | None:
    if tags is None:
        return None
    check_tensor("tags", tags, emissions.shape[:2], torch.int64, emissions)
    return _view(tags)


def _check_paths(wrong: int | None, tags: Tensor | None, chain: Chain) -> None:
    """Raise ValueError for the tag that a kernel found out of range; at -1 it found none."""
    if wrong is not None and wrong >= 0 and tags is not None:
        check_tags(tags, chain.mask, chain.emissions.shape[2])  # says which


def _view(tensor: Tensor) -> tuple[int, ...]:
    """The address and the strides, in elements."""
    return (tensor.data_ptr(), *tensor.stride())


def _empty_gradients(chain: Chain) -> Gradients:
    emissions, _, start, transitions, end = chain
    return _empty_like(emissions), _empty_like(start), _empty_like(transitions), _empty_like(end)


def _empty_like(tensor: Tensor) -> Tensor:
    """Contiguous, whatever the tensor's strides."""
    return torch.empty_like(tensor, memory_format=torch.contiguous_format)
