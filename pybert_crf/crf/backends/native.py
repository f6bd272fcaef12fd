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
from typing import Any

import torch
from torch import Tensor

from pybert_crf.crf.backends.base import Gradients, Pair, Triple, ValueAndGradients
from pybert_crf.crf.extension import native as _native
from pybert_crf.crf.problem import Chain, check_tags

_SUFFIX = {torch.float32: "float32", torch.float64: "float64"}


def cuda_status() -> tuple[bool, str]:
    """Whether CUDA tensors can be computed here, and by what or why not."""
    if not hasattr(_native, "cuda_devices"):
        return False, (
            f"compiled without CUDA ({_native.cuda_build}): install a wheel, which has the kernels, or "
            "`pip install nvidia-cuda-nvcc` and then pybert-crf from its source (docs/install.md)"
        )
    if not torch.cuda.is_available():
        return False, "torch sees no CUDA device"
    count, why = _native.cuda_devices()
    if count == 0:
        return False, f"CUDA finds no device ({why})"
    return True, "compiled CUDA, on the GPU"


def builds() -> tuple[str, str]:
    """What the extension was compiled for: on the CPU, and for GPUs or why not, in a sentence each."""
    return _native.cpu_build, _native.cuda_build


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
    emissions = chain.emissions
    value = emissions.new_empty(emissions.shape[0])
    log_z = torch.empty_like(value)
    messages = emissions.new_empty(emissions.shape)
    outputs = (value.data_ptr(), log_z.data_ptr(), messages.data_ptr())
    wrong = _run("log_partition", emissions, _problem(chain), _paths(tags), outputs)
    _check_paths(wrong, tags, chain)
    return value, log_z, messages


def gradient(grad: Tensor, tags: Tensor | None, chain: Chain, messages: Tensor, log_z: Tensor) -> Gradients:
    grad, messages, log_z = grad.contiguous(), messages.contiguous(), log_z.contiguous()
    gradients = _empty_gradients(chain)
    inputs = (grad.data_ptr(), messages.data_ptr(), log_z.data_ptr())
    _run("gradient", chain.emissions, _problem(chain), _paths(tags), *inputs, _addresses(gradients))
    return gradients


def value_and_gradient(grad: Tensor, tags: Tensor | None, chain: Chain) -> ValueAndGradients:
    """Faster than the two calls: the messages of a row are used while they are in the cache, and not kept."""
    grad = grad.contiguous()
    value = torch.empty_like(grad)
    gradients = _empty_gradients(chain)
    outputs = (grad.data_ptr(), value.data_ptr(), _addresses(gradients))
    wrong = _run("value_and_gradient", chain.emissions, _problem(chain), _paths(tags), *outputs)
    _check_paths(wrong, tags, chain)
    return value, *gradients


def viterbi(chain: Chain) -> Pair:
    emissions, mask = chain.emissions, chain.mask
    tags = mask.new_empty(mask.shape, dtype=torch.int64)
    scores = emissions.new_empty(mask.shape[0])
    _run("viterbi", emissions, _problem(chain), (1, tags.data_ptr(), scores.data_ptr()))
    return tags, scores


def k_best(k: int, chain: Chain) -> Pair:
    if k < 1:
        raise ValueError(f"k must be positive, got {k}")
    emissions, mask = chain.emissions, chain.mask
    tags = mask.new_empty((k, *mask.shape), dtype=torch.int64)
    scores = emissions.new_empty((k, mask.shape[0]))
    _run("k_best", emissions, _problem(chain), (k, tags.data_ptr(), scores.data_ptr()))
    return tags, scores


def log_alphas(chain: Chain) -> Tensor:
    alphas = chain.emissions.new_empty(chain.emissions.shape)
    _run("log_alphas", chain.emissions, _problem(chain), alphas.data_ptr())
    return alphas


def sample(uniforms: Tensor, chain: Chain) -> Tensor:
    tags = chain.mask.new_empty(uniforms.shape, dtype=torch.int64)
    n = uniforms.shape[0]
    _run("sample", chain.emissions, _problem(chain), (n, _view(uniforms), tags.data_ptr()))
    return tags


def _run(operation: str, emissions: Tensor, *arguments: Any) -> int | None:
    """Call the kernel for the emissions' device and dtype.

    On the CPU, operations that are given paths return the flat index of the first unmasked tag out of range,
    or -1. On a GPU all return None at once.
    """
    suffix = _SUFFIX[emissions.dtype]
    if emissions.is_cpu:
        result: int | None = _kernel(f"{operation}_{suffix}")(*arguments, (torch.get_num_threads(),))
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


def _problem(chain: Chain) -> tuple[Any, ...]:
    """The sizes and tensors of a chain, as the kernels take them."""
    return (*chain.emissions.shape, *map(_view, chain))


def _view(tensor: Tensor) -> tuple[int, tuple[int, ...]]:
    """The address and the strides, in elements, of a tensor."""
    return tensor.data_ptr(), tensor.stride()


def _addresses(tensors: tuple[Tensor, ...]) -> tuple[int, ...]:
    return tuple(map(Tensor.data_ptr, tensors))


def _paths(tags: Tensor | None) -> tuple[int, tuple[int, ...]]:
    return (0, (0, 0)) if tags is None else _view(tags)


def _check_paths(wrong: int | None, tags: Tensor | None, chain: Chain) -> None:
    """Raise ValueError for the tag that a kernel found out of range; at -1 it found none."""
    if wrong is not None and wrong >= 0 and tags is not None:
        check_tags(tags, chain.mask, chain.emissions.shape[2])  # says which


def _empty_gradients(chain: Chain) -> Gradients:
    emissions, shape = chain.emissions, chain.emissions.shape
    K = shape[2]
    new = emissions.new_empty  # contiguous, whatever the strides of the chain
    return new(shape), new(K), new(K, K), new(K)
