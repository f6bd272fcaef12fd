"""NumPy arrays of any layout and dtype, invalid arguments, and the modules that are imported."""

from __future__ import annotations

import runpy
import subprocess
import sys
import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

crf = pytest.importorskip(
    "pybert_crf.crf.on_numpy", reason="the compiled extension is not built", exc_type=ImportError
)

Arrays = dict[str, NDArray[Any]]


def given(batch: int, time: int, num_tags: int, dtype: Any = np.float64) -> Arrays:
    """Random arguments that every function takes."""
    rng = np.random.default_rng(7)
    sizes = {
        "emissions": (batch, time, num_tags),
        "start": (num_tags,),
        "transitions": (num_tags, num_tags),
        "end": (num_tags,),
    }
    scores = {name: rng.normal(size=size).astype(dtype) for name, size in sizes.items()}
    return scores | {"mask": rng.random((batch, time)) < 0.8}


def everything(arguments: Arrays, **options: Any) -> list[NDArray[Any]]:
    """The arrays that all functions return."""
    tags = np.arange(arguments["mask"].size).reshape(arguments["mask"].shape) % len(arguments["start"])
    value, gradient = crf.value_and_gradient(tags=tags, **arguments, **options)
    return [
        value,
        *gradient,
        crf.log_partition(**arguments, **options),
        crf.marginals(**arguments, **options),
        *crf.viterbi(**arguments, **options),
        *crf.viterbi(k=3, **arguments, **options),
        crf.sample(n=3, rng=0, **arguments, **options),
    ]


def equal(found: list[NDArray[Any]], expected: list[NDArray[Any]]) -> bool:
    return all(np.array_equal(one, other) for one, other in zip(found, expected, strict=True))


def transposed(array: NDArray[Any]) -> NDArray[Any]:
    return np.asfortranarray(array)


def backwards(array: NDArray[Any]) -> NDArray[Any]:
    """The same elements at negative strides."""
    everywhere = (slice(None, None, -1),) * array.ndim
    return array[everywhere].copy()[everywhere]


def spread_out(array: NDArray[Any]) -> NDArray[Any]:
    wide = np.zeros((*array.shape, 3), array.dtype)
    wide[..., 1] = array
    return wide[..., 1]


def in_a_record(array: NDArray[Any]) -> NDArray[Any]:
    """A field of a packed record: unaligned, with a stride that is no multiple of its size."""
    records = np.zeros(array.shape, np.dtype([("flag", "u1"), ("value", array.dtype)]))
    records["value"] = array
    return records["value"]


def other_byte_order(array: NDArray[Any]) -> NDArray[Any]:
    return array.astype(array.dtype.newbyteorder())


def read_only(array: NDArray[Any]) -> NDArray[Any]:
    array = array.copy()
    array.flags.writeable = False
    return array


@pytest.mark.parametrize(
    "laid_out", [transposed, backwards, spread_out, in_a_record, other_byte_order, read_only]
)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_any_layout(laid_out: Callable[[NDArray[Any]], NDArray[Any]], dtype: Any) -> None:
    arguments = given(5, 7, 11, dtype)
    odd = {name: laid_out(array) for name, array in arguments.items()}
    assert equal(everything(odd), everything(arguments))
    before = given(5, 7, 11, dtype)
    assert all(np.array_equal(odd[name], before[name]) for name in before)  # nothing is written into them


def test_broadcast_emissions() -> None:
    arguments = given(1, 7, 5) | {"mask": np.ones((4, 7), bool)}
    one = np.broadcast_to(arguments["emissions"], (4, 7, 5))
    assert one.strides[0] == 0
    assert equal(
        everything(arguments | {"emissions": one}), everything(arguments | {"emissions": one.copy()})
    )


def test_the_widest_dtype_is_that_of_the_results() -> None:
    arguments = given(3, 5, 4)
    single = {name: array.astype(np.float32) for name, array in arguments.items() if name != "mask"}
    assert crf.log_partition(single["emissions"], single["transitions"]).dtype == np.float32
    mixed = crf.log_partition(single["emissions"], arguments["transitions"])
    assert mixed.dtype == np.float64
    wide = crf.log_partition(single["emissions"].astype(np.float64), arguments["transitions"])
    np.testing.assert_array_equal(mixed, wide)
    half, transitions = (single[name].astype(np.float16) for name in ("emissions", "transitions"))
    found = crf.log_partition(half, transitions)
    assert found.dtype == np.float32
    expected = crf.log_partition(half.astype(np.float32), transitions.astype(np.float32))
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("dtype", [np.int8, np.float32])
def test_a_mask_of_numbers(dtype: Any) -> None:
    arguments = given(3, 5, 4)
    numbers = arguments["mask"].astype(dtype) * 3
    assert equal(everything(arguments | {"mask": numbers}), everything(arguments))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_threads_change_no_bit(dtype: Any) -> None:
    arguments = given(37, 67, 13, dtype)
    expected = everything(arguments, threads=1)
    for threads in (2, 5, None):
        assert equal(everything(arguments, threads=threads), expected)


def test_python_threads_may_call_at_once() -> None:
    arguments = given(16, 64, 13)
    expected = everything(arguments)
    found: list[bool] = []
    callers = [
        threading.Thread(target=lambda: found.append(equal(everything(arguments, threads=2), expected)))
        for _ in range(6)
    ]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    assert found == [True] * 6


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"emissions": np.zeros(3)}, r"emissions must be \(batch, time, tags\) or \(time, tags\) .* \(3,\)"),
        ({"emissions": np.zeros((2, 3, 0))}, r"with tags > 0, got \(2, 3, 0\)"),
        ({"emissions": np.zeros((2, 3, 4), int)}, "emissions must be floating point, got int64"),
        ({"emissions": np.zeros((2, 3, 4), complex)}, "emissions must be floating point, got complex128"),
        ({"emissions": np.zeros((2, 3, 4), np.longdouble)}, "emissions must be float64 at most, got"),
        ({"mask": np.ones((3, 2), bool)}, r"mask must be of shape \(2, 3\), got \(3, 2\)"),
        ({"mask": np.full((2, 3), "on")}, "mask must be bool or numbers, got <U2"),
        ({"start": np.zeros(5)}, r"start must be of shape \(4,\), got \(5,\)"),
        ({"transitions": np.zeros((4, 5))}, r"transitions must be of shape \(4, 4\), got \(4, 5\)"),
        ({"transitions": np.zeros((4, 4), int)}, "transitions must be floating point, got int64"),
        ({"end": np.zeros((4, 1))}, r"end must be of shape \(4,\), got \(4, 1\)"),
        ({"threads": 0}, "threads must be at least 1, got 0"),
    ],
)
def test_what_does_not_fit_is_refused(wrong: dict[str, Any], message: str) -> None:
    arguments = given(2, 3, 4) | wrong
    for function in (crf.log_partition, crf.marginals, crf.viterbi, crf.decode, crf.sample):
        with pytest.raises(ValueError, match=message):
            function(**arguments)


def test_counts_and_weights_that_do_not_fit_are_refused() -> None:
    arguments = given(2, 3, 4)
    with pytest.raises(ValueError, match="k must be positive, got 0"):
        crf.viterbi(k=0, **arguments)
    with pytest.raises(ValueError, match="n must not be negative, got -1"):
        crf.sample(n=-1, **arguments)
    with pytest.raises(ValueError, match=r"weights must be of shape \(2,\), got \(3,\)"):
        crf.value_and_gradient(weights=np.ones(3), **arguments)


def test_a_wrong_tag_is_named_with_its_place() -> None:
    arguments = given(2, 3, 4)
    arguments["mask"] = np.array([[True, True, False], [True, True, True]])
    tags = np.zeros((2, 3), np.int64)
    tags[0, 2] = -100  # masked: never read
    assert np.isfinite(crf.log_likelihood(tags=tags, **arguments)).all()
    for tag in (4, -1):
        tags[1, 1] = tag
        message = f"tag {tag} at batch row 1, position 1 is out of range: expected 0 <= tag < 4"
        for function in (crf.log_likelihood, crf.value_and_gradient):
            with pytest.raises(ValueError, match=message):
                function(tags=tags, **arguments)
    with pytest.raises(ValueError, match="tags must be integers, got float64"):
        crf.log_likelihood(tags=np.zeros((2, 3)), **arguments)
    with pytest.raises(ValueError, match=r"tags must be of shape \(2, 3\), got \(3, 2\)"):
        crf.log_likelihood(tags=tags.T, **arguments)


def run(program: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", program], timeout=120, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_torch_is_not_imported() -> None:
    run(
        "import sys\n"
        "import numpy as np\n"
        "from pybert_crf.crf import on_numpy as crf\n"
        "scores = np.zeros((2, 3, 4)), np.zeros((4, 4))\n"
        "tags = np.zeros((2, 3), int)\n"
        "crf.log_partition(*scores), crf.marginals(*scores), crf.decode(*scores), crf.viterbi(*scores, 3)\n"
        "crf.value_and_gradient(*scores, tags), crf.sample(*scores)\n"
        "crf.log_likelihood(scores[0], tags, scores[1])\n"
        "assert not {'torch', 'numba', 'onnx'} & set(sys.modules)\n"
    )


@pytest.mark.skipif(sys.platform == "win32", reason="no fork")
def test_backends_is_the_function_whatever_is_imported_first() -> None:
    """``pybert_crf.crf.backends`` is the folder. Each is imported first by a child that has only torch."""
    run(
        "import importlib, os, torch\n"
        "for first in ('pybert_crf', 'pybert_crf.crf', 'pybert_crf.crf.backends', 'pybert_crf.crf.module'):\n"
        "    if os.fork():\n"
        "        assert os.wait()[1] == 0, first\n"
        "        continue\n"
        "    importlib.import_module(first)\n"
        "    import pybert_crf, pybert_crf.crf.backends\n"
        "    assert list(pybert_crf.backends()) == ['native', 'numba', 'reference']\n"
        "    assert pybert_crf.crf.backends.__name__ == 'pybert_crf.crf.backends'\n"
        "    break\n"
    )


def test_the_package_tells_its_names() -> None:
    import pybert_crf.crf as package

    assert set(package.__all__) == set(dir(package))
    assert all(getattr(package, name) is not None for name in package.__all__)
    with pytest.raises(AttributeError, match=r"module 'pybert_crf\.crf' has no attribute 'CRFF'"):
        package.CRFF  # noqa: B018


def test_without_the_extension_the_import_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    from pybert_crf.crf.on_numpy import arrays

    monkeypatch.setitem(sys.modules, "pybert_crf._native", None)
    monkeypatch.delitem(sys.modules, "pybert_crf.crf.extension")
    assert arrays.__file__ is not None
    with pytest.raises(ImportError, match=r"compiled extension pybert_crf\._native cannot be loaded"):
        runpy.run_path(arrays.__file__)
