"""The compiled CUDA kernels: whether they are there, and how :mod:`pybert_crf.crf.native` calls them.

They run on torch's current stream of the tensors' device, and nothing waits for them: a call can be captured
in a CUDA graph. Their working memory comes from torch's allocator. The same input gives the same bits every
time.
"""

from __future__ import annotations

import functools
from typing import Any

import torch
from torch import Tensor


def status(native: Any) -> tuple[bool, str]:
    """Whether the extension ``native`` can serve CUDA tensors here; and what it is, or why not."""
    if not hasattr(native, "cuda_devices"):
        return False, "compiled without CUDA: install the package again where there is an nvcc"
    if not torch.cuda.is_available():
        return False, "torch sees no CUDA device"
    count, why = native.cuda_devices()
    if count == 0:
        return False, f"CUDA finds no device ({why})"
    return True, "compiled CUDA, on the GPU"


def enqueue(native: Any, operation: str, suffix: str, emissions: Tensor, arguments: tuple[Any, ...]) -> None:
    """Enqueue an operation for the emissions' numbers, on their device.

    Raises:
        ValueError: there are more tags than the kernels take.
        RuntimeError: a kernel could not be launched.
    """
    tags, most = emissions.shape[2], native.cuda_most_tags
    if tags > most:
        raise ValueError(
            f"the CUDA kernels take up to {most} tags, got {tags}: use CRF(..., backend='reference')"
        )
    kernel = _kernel(native, operation, suffix)
    device = emissions.device
    index, stream = device.index or 0, torch.cuda.current_stream(device).cuda_stream
    size: int = kernel(*arguments, (index, stream, 0))
    workspace = torch.empty(size, dtype=torch.uint8, device=device)
    kernel(*arguments, (index, stream, workspace.data_ptr()))


@functools.cache
def _kernel(native: Any, operation: str, suffix: str) -> Any:
    return getattr(native, f"cuda_{operation}_{suffix}")
