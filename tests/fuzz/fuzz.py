"""Fuzz one target: ``python fuzz.py TARGET [libFuzzer's options and folders of inputs]``.

A target is a module here with `check`, which raises for an input that is treated wrongly, `mutate` (see
`mutation`) and `seeds`, valid inputs to begin with. Only pybert_crf is instrumented: torch and the other
libraries are slow to instrument, and their branches are not what is looked for.
"""

from __future__ import annotations

import importlib
import os
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))  # damages.py
os.environ |= {"HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1", "RUST_BACKTRACE": "0"}

TARGETS = ("config", "checkpoint", "tokenizer", "options", "corpus", "brat")


def load(name: str) -> Any:
    """The module of a target."""
    return importlib.import_module(f"{name}_target")


def main() -> None:
    """Run libFuzzer, which ends the process."""
    name, *arguments = sys.argv[1:] or [""]
    if name not in TARGETS:
        print("\n".join(TARGETS))
        return
    import atheris

    with atheris.instrument_imports(include=["pybert_crf"]):
        target = load(name)

    def mutate(data: bytes, limit: int, seed: int) -> bytes:
        changed = target.mutate(Random(seed), data, lambda part: atheris.Mutate(part, len(part) + 64))
        return changed if len(changed) <= limit else atheris.Mutate(data, limit)

    # For a merge libFuzzer starts itself again, by a shell: as its first argument says.
    again = f"{sys.executable} {Path(__file__).resolve()} {name}"
    atheris.Setup([again, *arguments], _quiet(target.check), custom_mutator=mutate)
    atheris.Fuzz()


def _quiet(check: Callable[[bytes], None]) -> Callable[[bytes], None]:
    """`check` without libraries' warnings about odd tensors."""

    def run(data: bytes) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            check(data)

    return run


if __name__ == "__main__":
    main()
