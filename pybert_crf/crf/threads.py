"""Spread chunks of work over Python threads, for code without the GIL. Safe to use in a forked child."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

_pool: ThreadPoolExecutor | None = None
_pool_size = 0


def run_chunks(work: Callable[[int], None], chunks: int, threads: int) -> None:
    """Call ``work(chunk)`` for each chunk in ``range(chunks)``, on up to ``threads`` threads, this one
    included.

    Which thread takes which chunk is left to chance, so ``work`` must write where no other chunk does.
    """
    threads = min(threads, chunks)
    todo = iter(range(chunks))  # next() on it is one step under the GIL: no chunk is taken twice

    def take() -> None:
        for chunk in todo:
            work(chunk)

    helpers = [_helpers(threads - 1).submit(take) for _ in range(threads - 1)]
    take()
    for helper in helpers:
        helper.result()


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
