"""LLVM instructions for a vector of float64: what :mod:`pybert_crf.crf.numba_lanes` is made of.

exp is without branches, about one unit in the last place; NaN comes out as NaN. It relies on IEEE arithmetic
as written: sums must not be reassociated.
"""

# mypy: disable-error-code="no-untyped-call"

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba.core import cgutils

_LONG, _DOUBLE = ir.IntType(64), ir.DoubleType()
_MANTISSA_BITS, _BIAS, _EXPONENT = 52, 1023, 0x7FF
_INTEGER_AT_BOTTOM = 1.5 * 2.0**52  # adding it leaves the rounded integer in the low bits
_INTEGER_BITS = 0x4338000000000000  # those of this number
_LN2_HIGH = float.fromhex("0x1.62e42feep-1")  # few enough bits that n * it is exact
_LN2_LOW = float.fromhex("0x1.a39ef35793c76p-33")
_EXP_UNDERFLOW = -708.0  # below it exp is taken as 0


def suffix(number: Any) -> str:
    """The name of a type of numbers in the names of LLVM's own functions."""
    return "f32" if isinstance(number, ir.FloatType) else "f64"


def _all(value: float, vector: Any) -> Any:
    return ir.Constant(vector, [value] * vector.count)


def splat(builder: Any, number: Any, width: int) -> Any:
    """A number in all lanes."""
    vector = ir.VectorType(number.type, width)
    one = builder.insert_element(ir.Constant(vector, ir.Undefined), number, ir.Constant(_LONG, 0))
    first = ir.Constant(ir.VectorType(ir.IntType(32), width), [0] * width)
    return builder.shuffle_vector(one, ir.Constant(vector, ir.Undefined), first)


def widened(builder: Any, x: Any, to: Any) -> Any:
    """To float64."""
    return x if x.type == to else builder.fpext(x, to)


def narrowed(builder: Any, x: Any, to: Any) -> Any:
    """From float64."""
    return x if x.type == to else builder.fptrunc(x, to)


def lanes_below(builder: Any, count: Any, width: int) -> Any:
    """Which lanes are below ``count``, an int64."""
    numbers = ir.VectorType(_LONG, width)
    return builder.icmp_signed("<", ir.Constant(numbers, list(range(width))), splat(builder, count, width))


def fma(builder: Any, x: Any, y: Any, z: Any) -> Any:
    """x * y + z, rounded once where the machine can."""
    name = f"llvm.fmuladd.v{x.type.count}f64"
    function = ir.FunctionType(x.type, [x.type] * 3)
    return builder.call(cgutils.get_or_insert_function(builder.module, function, name), [x, y, z])


def maximum(builder: Any, x: Any, y: Any) -> Any:
    return builder.select(builder.fcmp_ordered(">", x, y), x, y)


def _minimum(builder: Any, x: Any, y: Any) -> Any:
    return builder.select(builder.fcmp_ordered("<", x, y), x, y)


def _least_above(bound: float) -> Callable[..., Any]:
    def build(builder: Any, least: Any, x: Any) -> Any:
        counts = builder.fcmp_ordered(">", x, _all(bound, x.type))
        return _minimum(builder, builder.select(counts, x, least), least)

    return build


least_positive = _least_above(0.0)
least_finite = _least_above(-math.inf)


def keep_nan(builder: Any, x: Any, y: Any) -> Any:
    return builder.select(builder.fcmp_unordered("uno", y, y), y, x)


def inverse(builder: Any, x: Any) -> Any:
    positive = builder.fcmp_ordered(">", x, _all(0.0, x.type))
    divided = builder.fdiv(_all(1.0, x.type), builder.select(positive, x, _all(1.0, x.type)))
    return builder.select(positive, divided, _all(0.0, x.type))


def _exponent_bits(builder: Any, x: Any) -> tuple[Any, Any]:
    """The biased exponents, and where they are those of ordinary numbers."""
    numbers = ir.VectorType(_LONG, x.type.count)
    bits = builder.lshr(builder.bitcast(x, numbers), _all(_MANTISSA_BITS, numbers))
    bits = builder.and_(bits, _all(_EXPONENT, numbers))
    ordinary = builder.icmp_unsigned("<", builder.sub(bits, _all(1, numbers)), _all(_EXPONENT - 1, numbers))
    return bits, ordinary


def scale_to_one(builder: Any, x: Any) -> Any:
    bits, ordinary = _exponent_bits(builder, x)
    scale = builder.shl(builder.sub(_all(2 * _BIAS, bits.type), bits), _all(_MANTISSA_BITS, bits.type))
    return builder.select(ordinary, builder.bitcast(scale, x.type), _all(1.0, x.type))


def exponent_of(builder: Any, x: Any) -> Any:
    bits, ordinary = _exponent_bits(builder, x)
    number = builder.bitcast(builder.add(bits, _all(_INTEGER_BITS, bits.type)), x.type)
    exponent = builder.fsub(number, _all(_INTEGER_AT_BOTTOM + _BIAS, x.type))
    return builder.select(ordinary, exponent, _all(0.0, x.type))


def exp(builder: Any, x: Any, degree: int) -> Any:
    """By x = n ln2 + r with abs(r) <= ln2 / 2: exp(r) by its Taylor series, 2^n by writing the exponent bits.

    For x up to 709; exactly 0 below -708 and at -inf, exactly 1 at 0.
    """
    vector, numbers = x.type, ir.VectorType(_LONG, x.type.count)
    shifted = fma(builder, x, _all(1 / math.log(2), vector), _all(_INTEGER_AT_BOTTOM, vector))
    n = builder.fsub(shifted, _all(_INTEGER_AT_BOTTOM, vector))
    r = fma(builder, n, _all(-_LN2_HIGH, vector), x)
    r = fma(builder, n, _all(-_LN2_LOW, vector), r)
    series = _all(1 / math.factorial(degree), vector)
    for k in range(degree - 1, -1, -1):
        series = fma(builder, series, r, _all(1 / math.factorial(k), vector))
    bits = builder.sub(builder.bitcast(shifted, numbers), _all(_INTEGER_BITS - _BIAS, numbers))
    power = builder.bitcast(builder.shl(bits, _all(_MANTISSA_BITS, numbers)), vector)
    tiny = builder.fcmp_ordered("<", x, _all(_EXP_UNDERFLOW, vector))
    return builder.select(tiny, _all(0.0, vector), builder.fmul(series, power))


def _folded(operation: Callable[..., Any]) -> Callable[..., Any]:
    """All lanes made one by halves, then put in all lanes."""

    def build(builder: Any, x: Any) -> Any:
        width = count = x.type.count
        while count > 1:
            count //= 2
            halves = (
                ir.Constant(ir.VectorType(ir.IntType(32), count), list(range(begin, begin + count)))
                for begin in (0, count)
            )
            nothing = ir.Constant(x.type, ir.Undefined)
            x = operation(builder, *[builder.shuffle_vector(x, nothing, half) for half in halves])
        return splat(builder, builder.extract_element(x, ir.Constant(_LONG, 0)), width)

    return build


greatest = _folded(maximum)
least = _folded(_minimum)
total = _folded(lambda builder, x, y: builder.fadd(x, y))


def first_equal(builder: Any, x: Any, y: Any) -> Any:
    width = x.type.count
    equal = builder.bitcast(builder.fcmp_ordered("==", x, y), ir.IntType(width))
    bits = builder.or_(builder.zext(equal, _LONG), ir.Constant(_LONG, 1 << width))
    return builder.cttz(bits, ir.Constant(ir.IntType(1), 1))
