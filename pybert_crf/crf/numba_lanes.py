"""What a group of lanes is in Numba: rows of a batch times a register's worth of tags, in float64.

The kernels are written as ``csrc/chain/`` is, for a group of lanes that each own one tag, and here for a few
rows of the batch at once: while the sums of one are under way the processor works on the others, and a table
is read once for all. A :class:`Lanes` value is an array of LLVM vectors, which become the registers that the
machine has; loops over plain arrays, left to the vectoriser, take three times as long.

The functions are Numba intrinsics: they can only be called in compiled code. ``like`` is a value of the
wanted type. :mod:`pybert_crf.crf.numba_memory` brings lanes from memory and to it.
"""

# mypy: disable-error-code="no-untyped-call"

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba.core import types
from numba.core.datamodel import models
from numba.extending import lower_builtin, register_model, type_callable

from pybert_crf.crf import numba_lanes_math as math
from pybert_crf.crf.numba_compile import intrinsic

_LONG, _DOUBLE = ir.IntType(64), ir.DoubleType()


class Lanes(types.Type):
    """``rows`` times ``width`` numbers. ``is_whole``: whether all tags fit in one block of that width."""

    def __init__(self, rows: int, width: int, is_whole: bool) -> None:
        self.rows, self.width, self.is_whole = rows, width, is_whole
        self.vector = ir.VectorType(_DOUBLE, width)
        super().__init__(name=f"Lanes({rows}, {width}, {is_whole})")


class _LanesModel(models.PrimitiveModel):
    def __init__(self, manager: Any, lanes: Lanes) -> None:
        super().__init__(manager, lanes, ir.ArrayType(lanes.vector, lanes.rows))


register_model(Lanes)(_LanesModel)

WIDTHS = ((8, True), (16, True), (16, False))  # by the length of `blocks`: up to 8 tags, up to 16, more


def _lanes(context: Any, rows: types.UniTuple, blocks: types.UniTuple) -> Any:
    """Zeros: of as many rows as ``rows`` is long, of the width that the length of ``blocks`` stands for."""
    return Lanes(rows.count, *WIDTHS[blocks.count - 1])(rows, blocks), _zeros


def _with_rows(rows: int) -> Any:
    """Zeros of another number of rows."""

    def typed(context: Any, like: Any) -> Any:
        return Lanes(rows, like.width, like.is_whole)(like), _zeros

    return intrinsic(typed)


def _zeros(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
    return context.get_constant_null(signature.return_type)


def _constant(value: Callable[[Lanes], int]) -> Any:
    def typed(context: Any, like: Any) -> Any:
        return types.int64(like), lambda *_: ir.Constant(_LONG, value(like))

    return intrinsic(typed)


def _padded(context: Any, like: Lanes, tags: Any) -> Any:
    """The number of tags, rounded up to whole blocks."""

    def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        width = ir.Constant(_LONG, like.width)
        if like.is_whole:
            return width
        up = builder.add(arguments[1], ir.Constant(_LONG, like.width - 1))
        return builder.and_(up, ir.Constant(_LONG, -like.width))

    return types.int64(like, types.int64), build


lanes, padded = intrinsic(_lanes), intrinsic(_padded)
one_row, four_rows = _with_rows(1), _with_rows(4)
rows_of = _constant(lambda like: like.rows)
width_of = _constant(lambda like: like.width)


# Arithmetic, row by row.


def rows_made_of(builder: Any, lanes: Lanes, part: Callable[[int], Any]) -> Any:
    """The value whose row r is ``part(r)``."""
    value = ir.Constant(ir.ArrayType(lanes.vector, lanes.rows), ir.Undefined)
    for row in range(lanes.rows):
        value = builder.insert_value(value, part(row), row)
    return value


def _every(context: Any, like: Lanes, number: Any) -> Any:
    """A number in all lanes of all rows."""

    def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        vector = math.splat(builder, arguments[1], like.width)
        return rows_made_of(builder, like, lambda _: vector)

    return like(like, types.float64), build


def _on_rows(build: Callable[..., Any]) -> Callable[..., Any]:
    def lower(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return rows_made_of(
            builder,
            signature.return_type,
            lambda row: build(builder, *(builder.extract_value(value, row) for value in arguments)),
        )

    return lower


def _of_one(build: Callable[..., Any]) -> Any:
    return intrinsic(lambda context, x: (x(x), _on_rows(build)))


def _of_two(build: Callable[..., Any]) -> Any:
    return intrinsic(lambda context, x, y: (x(x, y), _on_rows(build)))


def _exp(context: Any, x: Lanes, real: Any) -> Any:
    """exp of what was a number of the type of ``real``: to as many digits as that has, and a few more."""
    degree = 8 if real == types.float32 else 13
    return x(x, real), lambda context, builder, signature, arguments: _on_rows(
        lambda builder, x: math.exp(builder, x, degree)
    )(context, builder, x(x), arguments[:1])


def _fma(context: Any, x: Lanes, y: Lanes, z: Lanes) -> Any:
    """x * y + z."""
    return x(x, y, z), _on_rows(math.fma)


def _first_equal(context: Any, x: Lanes, y: Lanes) -> Any:
    """The lowest lane of the only row in which both are equal; the width if there is none."""

    def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return math.first_equal(builder, *(builder.extract_value(value, 0) for value in arguments))

    return types.int64(x, y), build


def _first(context: Any, x: Lanes) -> Any:
    """The first lane of the first row, as a number."""

    def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.extract_element(builder.extract_value(arguments[0], 0), ir.Constant(_LONG, 0))

    return types.float64(x), build


exp, fma, every = intrinsic(_exp), intrinsic(_fma), intrinsic(_every)
first, first_equal = intrinsic(_first), intrinsic(_first_equal)
maximum = _of_two(math.maximum)  # the greater; the second where either is NaN
least_positive = _of_two(math.least_positive)  # the less of the first and, where positive, the second
least_finite = _of_two(math.least_finite)  # the less of the first and, where above -inf, the second
keep_nan = _of_two(math.keep_nan)  # the first; NaN where the second is
inverse = _of_one(math.inverse)  # 1 / x where x is positive, else 0
scale_to_one = _of_one(math.scale_to_one)  # the power of two that brings x into [1, 2); 1 for 0, inf and NaN
exponent_of = _of_one(math.exponent_of)  # that of x, as a number; 0 for 0, inf and NaN
greatest = _of_one(math.greatest)  # of a row, in all its lanes
least = _of_one(math.least)
total = _of_one(math.total)


def _make_operator(operation: Any, instruction: str) -> None:
    def typed(context: Any) -> Callable[[Any, Any], Any]:
        return lambda x, y: x if isinstance(x, Lanes) and x == y else None

    type_callable(operation)(typed)
    lower_builtin(operation, Lanes, Lanes)(
        _on_rows(lambda builder, x, y: getattr(builder, instruction)(x, y))
    )


for _operation, _instruction in (
    (operator.add, "fadd"),
    (operator.sub, "fsub"),
    (operator.mul, "fmul"),
):
    _make_operator(_operation, _instruction)
