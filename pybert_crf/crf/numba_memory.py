"""Lanes from memory and to it, for Numba: intrinsics, which can only be called in compiled code.

A pointer is Numba's ``CPointer``, to float32, float64, int64 or a mask's bytes; it can be indexed. What is
loaded becomes float64, what is stored the pointer's type. ``like`` is a value of the wanted type, ``along``
how far apart its rows lie.
"""

# mypy: disable-error-code="no-untyped-call"

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba.core import cgutils, types

from pybert_crf.crf import numba_lanes_math as math
from pybert_crf.crf.numba_compile import intrinsic
from pybert_crf.crf.numba_lanes import Lanes, rows_made_of

_LONG = ir.IntType(64)


def _pointer(context: Any, address: Any, real: Any) -> Any:
    """An address as a pointer to numbers of the type of ``real``."""

    def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.inttoptr(arguments[0], context.get_value_type(signature.return_type))

    return types.CPointer(real)(types.int64, real), build


def _at(context: Any, pointer: types.CPointer, index: Any) -> Any:
    """The pointer, moved on by a number of elements."""
    return pointer(pointer, types.int64), lambda _, builder, __, arguments: builder.gep(
        arguments[0], [arguments[1]]
    )


pointer, at = intrinsic(_pointer), intrinsic(_at)


def _memory(context: Any, builder: Any, lanes: Lanes, pointer: Any, offset: Any = None) -> tuple[Any, Any]:
    """A pointer to a vector of the pointer's own numbers, and that vector's type."""
    here = pointer if offset is None else builder.gep(pointer, [offset])
    vector = ir.VectorType(here.type.pointee, lanes.width)
    return builder.bitcast(here, vector.as_pointer()), vector


def _times(builder: Any, row: int, along: Any) -> Any:
    return builder.mul(along, ir.Constant(_LONG, row))


def _load(context: Any, like: Lanes, pointer: types.CPointer, along: Any) -> Any:
    def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        def part(row: int) -> Any:
            here, _ = _memory(context, builder, like, arguments[1], _times(builder, row, arguments[2]))
            return math.widened(builder, builder.load(here, align=4), like.vector)

        return rows_made_of(builder, like, part)

    return like(like, pointer, types.int64), build


def _load_shared(context: Any, like: Lanes, pointer: types.CPointer) -> Any:
    """The same for all rows."""

    def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        here, _ = _memory(context, builder, like, arguments[1])
        loaded = math.widened(builder, builder.load(here, align=4), like.vector)
        return rows_made_of(builder, like, lambda _: loaded)

    return like(like, pointer), build


def _load_some(context: Any, like: Lanes, pointer: types.CPointer, count: Any, fill: Any) -> Any:
    """The first ``count`` lanes of the only row, ``fill`` in those beyond."""

    def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        _, source, count, fill = arguments
        here, vector = _memory(context, builder, like, source)
        some = math.lanes_below(builder, count, like.width)
        rest = math.splat(builder, math.narrowed(builder, fill, vector.element), like.width)
        name = f"llvm.masked.load.v{like.width}{math.suffix(vector.element)}.p0"
        function = ir.FunctionType(vector, [here.type, ir.IntType(32), some.type, vector])
        load = cgutils.get_or_insert_function(builder.module, function, name)
        loaded = builder.call(load, [here, ir.Constant(ir.IntType(32), 4), some, rest])
        return rows_made_of(builder, like, lambda _: math.widened(builder, loaded, like.vector))

    return like(like, pointer, types.int64, types.float64), build


def _spread(context: Any, like: Lanes, pointer: types.CPointer, along: Any) -> Any:
    """A number of each row in all of its lanes."""

    def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        def part(row: int) -> Any:
            number = builder.load(builder.gep(arguments[1], [_times(builder, row, arguments[2])]))
            return math.splat(builder, number, like.width)

        return rows_made_of(builder, like, part)

    return like(like, pointer, types.int64), build


def _store(context: Any, pointer: types.CPointer, along: Any, values: Lanes) -> Any:
    def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        for row in range(values.rows):
            here, vector = _memory(context, builder, values, arguments[0], _times(builder, row, arguments[1]))
            builder.store(
                math.narrowed(builder, builder.extract_value(arguments[2], row), vector), here, align=4
            )
        return context.get_dummy_value()

    return types.none(pointer, types.int64, values), build


def _store_some(context: Any, pointer: types.CPointer, count: Any, values: Lanes) -> Any:
    """The first ``count`` lanes of the only row."""

    def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        here, vector = _memory(context, builder, values, arguments[0])
        some = math.lanes_below(builder, arguments[1], values.width)
        stored = math.narrowed(builder, builder.extract_value(arguments[2], 0), vector)
        name = f"llvm.masked.store.v{values.width}{math.suffix(vector.element)}.p0"
        function = ir.FunctionType(ir.VoidType(), [vector, here.type, ir.IntType(32), some.type])
        store = cgutils.get_or_insert_function(builder.module, function, name)
        builder.call(store, [stored, here, ir.Constant(ir.IntType(32), 4), some])
        return context.get_dummy_value()

    return types.none(pointer, types.int64, values), build


def _store_first(context: Any, pointer: types.CPointer, values: Lanes) -> Any:
    """The first lane of each row, one behind the other."""

    def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        for row in range(values.rows):
            number = builder.extract_element(builder.extract_value(arguments[1], row), ir.Constant(_LONG, 0))
            builder.store(number, builder.gep(arguments[0], [ir.Constant(_LONG, row)]))
        return context.get_dummy_value()

    return types.none(pointer, values), build


load, load_shared, load_some = intrinsic(_load), intrinsic(_load_shared), intrinsic(_load_some)
spread = intrinsic(_spread)
store, store_some, store_first = intrinsic(_store), intrinsic(_store_some), intrinsic(_store_first)
