"""Spread work over Python threads, for code without the GIL. Safe to use in a forked child."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

_Result = TypeVar("_Result")

_pool: ThreadPoolExecutor | None = None
_pool_size = 0


def run_in_threads(work: Callable[[int], _Result], threads: int) -> list[_Result]:
    """What ``work(number)`` returns for each number in ``range(threads)``, each called in a thread, the
    first in this one. They may run at once, so ``work`` must write where no other call does."""
    helpers = [_helpers(threads - 1).submit(work, number) for number in range(1, threads)]
    return [work(0), *(helper.result() for helper in helpers)]


def _helpers(size: int) -> ThreadPoolExecutor:
    """This process's pool of at least ``size`` threads, made when first needed."""
    global _pool, _pool_size
    if _pool is None or _pool_size < size:
        _pool, _pool_size = ThreadPoolExecutor(size, thread_name_prefix="pybert-crf"), size
    return _pool


def _forget() -> None:
    """Threads do not live on in a forked child, so neither may their pool."""
    global _pool, _pool_size
    _pool, _pool_size = None, 0


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)
