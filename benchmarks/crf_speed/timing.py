"""Timing of contenders side by side."""

from __future__ import annotations

import contextlib
import gc
import statistics
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import torch

from crf_speed.problem import Shape

TURNS = 5  # so that a change in the machine's speed meets all contenders
PAUSE = 0.005  # seconds before a turn, until the threads of the contender before have gone to sleep
SETTLING = 0.003  # seconds of untimed calls in a turn, until caches and our own threads are awake again
MOST = 1000  # calls of one contender in a turn


class Timing(NamedTuple):
    """Times of one operation of one contender at one shape, in seconds a call."""

    shape: Shape
    threads: int
    operation: str
    contender: str
    median: float
    fastest: float
    calls: int
    clock: str = "wall"  # how it was timed: on a device there are more ways (device.py)

    @classmethod
    def of(
        cls,
        shape: Shape,
        threads: int,
        operation: str,
        contender: str,
        times: list[float],
        clock: str = "wall",
    ) -> Timing:
        middle = statistics.median(times)
        return cls(shape, threads, operation, contender, middle, min(times), len(times), clock)


def measure(calls: Mapping[str, Callable[[], Any]], seconds: float) -> dict[str, list[float]]:
    """Seconds of each call of each function. They take turns; each gets about `seconds` in all.

    Each is called once in each turn at least. One that takes longer than `seconds` is called twice, and once
    if it takes thrice that.
    """
    with collected_garbage():
        taken = {name: _rested(call) for name, call in calls.items()}
        for name, call in calls.items():
            first = taken[name][0]
            if seconds < first < 3 * seconds:
                taken[name] += _rested(call)
            elif first <= seconds:
                taken[name] = []  # it was a warm-up
        quick = {name: call for name, call in calls.items() if not taken[name]}
        for _ in range(TURNS):
            for name, call in quick.items():
                taken[name] += _turn(call, seconds / TURNS)
    return taken


def _turn(call: Callable[[], Any], seconds: float) -> list[float]:
    taken = _rested(call)
    if taken[0] > 5 * SETTLING:  # the caches are a small part of this one's time
        return taken + _times(call, int(seconds / taken[0]) - 1)
    settling = time.perf_counter() + SETTLING
    while time.perf_counter() < settling:
        taken = _times(call, 1)
    return _times(call, max(1, min(MOST, int(seconds / taken[0]))))


def _rested(call: Callable[[], Any]) -> list[float]:
    time.sleep(PAUSE)
    return _times(call, 1)


def _times(call: Callable[[], Any], number: int) -> list[float]:
    taken = []
    for _ in range(number):
        start = time.perf_counter()
        call()
        taken.append(time.perf_counter() - start)
    return taken


@contextlib.contextmanager
def collected_garbage() -> Iterator[None]:
    """Collect garbage now, and not before the end."""
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


@contextlib.contextmanager
def threads(number: int) -> Iterator[None]:
    """Run with this many threads in torch and every backend."""
    before = torch.get_num_threads()
    torch.set_num_threads(number)
    try:
        yield
    finally:
        torch.set_num_threads(before)
