"""A batch of chains as NumPy arrays, and the compiled kernels on it."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pybert_crf.crf.extension import native as _native
from pybert_crf.crf.long_calls import count_paths, in_slices

Array = NDArray[Any]


@dataclass(frozen=True)
class ArrayChain:
    """A batch of chains, with an axis for rows, of one dtype. Owns the memory that the kernels read."""

    emissions: Array  # (B, T, K), of any strides that are whole numbers of elements
    mask: Array  # (B, T) bool
    start: Array  # (K,)
    transitions: Array  # (K, K)
    end: Array  # (K,)
    threads: int
    is_one_row: bool  # the caller's arrays have no axis for rows

    @classmethod
    def of(
        cls,
        emissions: ArrayLike,
        transitions: ArrayLike,
        start: ArrayLike | None,
        end: ArrayLike | None,
        mask: ArrayLike | None,
        threads: int | None,
    ) -> ArrayChain:
        """Check the caller's arrays and bring them to one dtype. Raises ValueError if one does not fit."""
        scores = _floats("emissions", emissions)
        if scores.ndim not in (2, 3) or scores.shape[-1] == 0:
            raise ValueError(
                f"emissions must be (batch, time, tags) or (time, tags) with tags > 0, got {scores.shape}"
            )
        sizes, K = scores.shape[:-1], scores.shape[-1]
        zeros = np.zeros(K, scores.dtype)
        given = (
            scores,
            _sized("start", _floats("start", zeros if start is None else start), (K,)),
            _sized("transitions", _floats("transitions", transitions), (K, K)),
            _sized("end", _floats("end", zeros if end is None else end), (K,)),
        )
        dtype = np.result_type(np.float32, *given)
        scores, first, moves, last = (_addressable(array, dtype) for array in given)
        on = np.ones(sizes, np.bool_) if mask is None else _sized("mask", _flags(mask), sizes)
        is_one_row = scores.ndim == 2
        if is_one_row:
            scores, on = scores[None], on[None]
        return cls(scores, on, first, moves, last, _count(threads), is_one_row)

    def paths(self, tags: ArrayLike) -> Array:
        """The caller's tags as (B, T) int64."""
        paths = np.asarray(tags)
        if paths.dtype.kind not in "iu":
            raise ValueError(f"tags must be integers, got {paths.dtype}")
        paths = _sized("tags", paths, self.mask.shape[self.is_one_row :])
        return np.ascontiguousarray(paths, np.int64).reshape(self.mask.shape)

    def as_given(self, result: Array, axis: int = 0) -> Array:
        """A result in the caller's layout: without the axis for rows if the emissions have none."""
        return result.squeeze(axis)[()] if self.is_one_row else result

    def forward(self, paths: Array | None) -> Array:
        """The log-likelihood (B,) of paths, or log Z if paths are None.

        Raises:
            ValueError: an unmasked tag is out of range; names the first and its position.
        """
        B = len(self.mask)
        value, log_z, messages = self._empty(B), self._empty(B), self._empty(*self.emissions.shape)
        wrong = self._call("log_partition", _paths(paths), tuple(map(_address, (value, log_z, messages))))
        self._check_paths(wrong, paths)
        return value

    def value_and_gradient(
        self, paths: Array | None, weights: ArrayLike | None = None
    ) -> tuple[Array, Array, Array, Array, Array]:
        """The value of :meth:`forward`, and the gradients of its weighted sum over rows with respect to
        emissions, start, transitions and end. Raises ValueError as :meth:`forward`.
        """
        (B, _, K), dtype = self.emissions.shape, self.emissions.dtype
        shape = self.mask.shape[self.is_one_row : 1]
        given = np.ones(shape) if weights is None else _sized("weights", np.asarray(weights), shape)
        grad = np.ascontiguousarray(given, dtype).reshape(B)
        value, d_emissions = self._empty(B), self._empty(*self.emissions.shape)
        outputs = (value, d_emissions, self._empty(K), self._empty(K, K), self._empty(K))
        addresses = (_address(grad), _address(value), tuple(map(_address, outputs[1:])))
        wrong = self._call("value_and_gradient", _paths(paths), *addresses)
        self._check_paths(wrong, paths)
        return outputs

    def _check_paths(self, wrong: int, paths: Array | None) -> None:
        """Raise ValueError for the tag that a kernel found out of range; -1 means none."""
        if wrong >= 0 and paths is not None:
            row, position = divmod(wrong, paths.shape[1])
            raise ValueError(
                f"tag {paths[row, position]} at batch row {row}, position {position} is out of range: "
                f"expected 0 <= tag < {len(self.start)} where the mask is on"
            )

    def best(self) -> tuple[Array, Array]:
        """The best paths (B, T) int64 and their scores (B,)."""
        tags, scores = np.empty(self.mask.shape, np.int64), self._empty(len(self.mask))
        self._call("viterbi", (1, _address(tags), _address(scores)))
        return tags, scores

    def k_best(self, k: int) -> tuple[Array, Array]:
        """The k best paths (k, B, T) int64 and their scores (k, B); k is cut to the number of paths."""
        B, T, K = self.emissions.shape
        k = count_paths(k, T, K)

        def best(begin: int, end: int) -> tuple[Array, Array]:
            rows = replace(self, emissions=self.emissions[begin:end], mask=self.mask[begin:end])
            tags, scores = np.empty((k, *rows.mask.shape), np.int64), self._empty(k, len(rows.mask))
            rows._call("k_best", (k, _address(tags), _address(scores)))
            return tags, scores

        parts = in_slices(best, B, self.threads, float(T) * K * K * k)
        tags, scores = zip(*parts, strict=True)
        return np.concatenate(tags, axis=1), np.concatenate(scores, axis=1)

    def sample(self, uniforms: Array) -> Array:
        """A path (n, B, T) int64 for each of the uniforms (n, B, T) in [0, 1)."""
        tags = np.empty(uniforms.shape, np.int64)
        self._call("sample", (len(uniforms), _view(uniforms), _address(tags)))
        return tags

    def check_best(self, scores: Array) -> None:
        """Raise ValueError if the score (B,) of a row's best path is NaN or -inf; names row and cause."""
        if np.isfinite(scores).all():
            return
        for array in (self.start, self.transitions, self.end):
            if not (array < np.inf).all():
                raise ValueError(f"the transition parameters hold {_nan_or_inf(array)}")
        for row in np.flatnonzero(np.isnan(scores)):
            wrong = np.flatnonzero(~(self.emissions[row] < np.inf).all(axis=1) & self.mask[row])
            if not len(wrong):
                raise ValueError(f"the scores of batch row {row} sum to NaN")
            held = _nan_or_inf(self.emissions[row, wrong[0]])
            raise ValueError(f"emissions hold {held} at batch row {row}, position {wrong[0]}")
        illegal = np.flatnonzero(np.isneginf(scores)).tolist()
        if illegal:
            named = ", ".join(map(str, illegal[:5])) + (", ..." if len(illegal) > 5 else "")
            raise ValueError(f"no legal tag sequence for batch row {named}: every path scores -inf")

    def _empty(self, *shape: int) -> Array:
        return np.empty(shape, self.emissions.dtype)

    def _call(self, operation: str, *arguments: Any) -> Any:
        arrays = (self.emissions, self.mask, self.start, self.transitions, self.end)
        problem = (*self.emissions.shape, *map(_view, arrays))
        kernel = getattr(_native, f"{operation}_{self.emissions.dtype.name}")
        return kernel(problem, *arguments, (self.threads,))


def _nan_or_inf(array: Array) -> str:
    """Which of the two an array holds."""
    return "NaN" if np.isnan(array).any() else "+inf"


def _floats(name: str, values: ArrayLike) -> Array:
    array = np.asarray(values)
    if array.dtype.kind != "f":
        raise ValueError(f"{name} must be floating point, got {array.dtype}")
    if array.dtype.itemsize > 8:
        raise ValueError(f"{name} must be float64 at most, got {array.dtype}")
    return array


def _flags(values: ArrayLike) -> Array:
    array = np.asarray(values)
    if array.dtype.kind not in "biuf":
        raise ValueError(f"mask must be bool or numbers, got {array.dtype}")
    return array if array.dtype == np.bool_ else array != 0


def _sized(name: str, array: Array, shape: tuple[int, ...]) -> Array:
    if array.shape != shape:
        raise ValueError(f"{name} must be of shape {shape}, got {array.shape}")
    return array


def _count(threads: int | None) -> int:
    if threads is None:
        return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    if threads < 1:
        raise ValueError(f"threads must be at least 1, got {threads}")
    return threads


def _addressable(array: Array, dtype: np.dtype[Any]) -> Array:
    """The array in native byte order and of ``dtype``, aligned, with strides of whole elements."""
    array = array.astype(dtype, copy=False)
    reachable = array.flags.aligned and not any(stride % array.itemsize for stride in array.strides)
    return array if reachable else array.copy()


def _address(array: Array) -> int:
    return array.ctypes.data


def _view(array: Array) -> tuple[int, tuple[int, ...]]:
    """The address and the strides, in elements, as the kernels take them."""
    return array.ctypes.data, tuple(stride // array.itemsize for stride in array.strides)


def _paths(paths: Array | None) -> tuple[int, tuple[int, ...]]:
    return (0, (0, 0)) if paths is None else _view(paths)
