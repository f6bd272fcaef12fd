"""How the Numba backend's GPU kernels are compiled and launched: on torch's current stream, without waiting.

Tensors go in as they are, through ``__cuda_array_interface__``, of any strides. Under Numba's simulator
(``NUMBA_ENABLE_CUDASIM=1``) they are CPU tensors, and go in as NumPy arrays of the same memory: that is how
the kernels are tested where there is no GPU.
"""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable
from typing import Any, NamedTuple

import numba
import torch
from numba import cuda
from torch import Tensor

MOST_TAGS = 1024  # as many threads as a block can have
IS_SIMULATED = bool(numba.config.ENABLE_CUDASIM)  # type: ignore[attr-defined]

# A multiprocessor's threads share 65,536 registers, of which one has 255 at most (CUDA C++ Programming Guide,
# technical specifications by compute capability).
_FREE_THREADS = 256
_REGISTERS = 64  # of each where there are more threads


class Kernel(NamedTuple):
    """A kernel, compiled at its first launch: for blocks of few threads, and of many with fewer registers."""

    few: Any
    many: Any


def kernel(function: Callable[..., None]) -> Kernel:
    """A kernel whose machine code is kept on disk where that can be: that for few threads, for Numba's cache
    does not know one number of registers from another."""
    if IS_SIMULATED:
        return Kernel(cuda.jit(function), cuda.jit(function))
    many = cuda.jit(max_registers=_REGISTERS)(function)
    try:
        return Kernel(cuda.jit(cache=True)(function), many)
    except RuntimeError:  # neither the package's nor the user's cache folder can be written
        return Kernel(cuda.jit(function), many)


def device_function(function: Callable[..., Any]) -> Any:
    """Part of the kernels that call it."""
    return cuda.jit(device=True)(function)


def launch(kernel: Kernel, grid: tuple[int, ...], threads: int, doubles: int, *arguments: Any) -> None:
    """Queue a kernel on the current stream of its tensors' device.

    Args:
        grid: blocks by axis; where one is 0 there is nothing to do.
        threads: of a block.
        doubles: how many numbers of float64 a block shares.
        arguments: tensors, all on one device, and numbers.
    """
    if 0 in grid:
        return
    compiled = kernel.few if threads <= _FREE_THREADS else kernel.many
    if IS_SIMULATED:
        compiled[grid, threads, 0, 8 * doubles](*map(_array, arguments))
        return
    index = next(part.get_device() for part in arguments if isinstance(part, Tensor))
    with cuda.gpus[index]:
        stream = _stream(index, torch.cuda.current_stream(index).cuda_stream)
        _configured(compiled, grid, threads, stream, 8 * doubles)(*map(_array, arguments))


def _array(argument: Any) -> Any:
    """A tensor's memory, as kernels take it."""
    if not isinstance(argument, Tensor):
        return argument
    if IS_SIMULATED:
        from numba.cuda.simulator.cudadrv.devicearray import FakeCUDAArray

        return FakeCUDAArray(argument.detach().numpy())
    return cuda.as_cuda_array(argument.detach(), sync=False)


@functools.lru_cache(maxsize=256)
def _stream(index: int, handle: int) -> Any:
    """Numba's name for a stream of torch's; the device's number is there to tell default streams apart."""
    return cuda.external_stream(handle)


@functools.lru_cache(maxsize=1024)
def _configured(compiled: Any, grid: tuple[int, ...], threads: int, stream: Any, shared: int) -> Any:
    with warnings.catch_warnings():  # a block a row is what there is to do; Numba would like 128 at least
        warnings.simplefilter("ignore", numba.core.errors.NumbaPerformanceWarning)
        return compiled[grid, threads, stream, shared]
