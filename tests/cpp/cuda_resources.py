"""The registers, memory and spills of each CUDA kernel, from the log of a build with PYBERT_CRF_WERROR=ON.

    pip install -v . 2>&1 | tee build.log && python tests/cpp/cuda_resources.py build.log

Prints a table. Exits with 1 if a kernel of groups of up to 32 lanes spills registers, if a kernel keeps more
than MOST_STACK bytes in local memory, or if the log has none.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import NamedTuple

MOST_STACK = 64  # a sweep's state, which belongs in registers, is some 200 bytes

ENTRY = re.compile(r"Compiling entry function '(?P<name>\w+)' for '(?P<architecture>\w+)'")
SPILLS = re.compile(r"(\d+) bytes stack frame, (\d+) bytes spill stores, (\d+) bytes spill loads")
USED = re.compile(r"Used (\d+) registers(?:.*?(\d+) bytes smem)?")
LANES = re.compile(r"CudaLanesI\wLi(\d+)E")
KERNEL = re.compile(r"\d+([a-z_]+_kernel|find_chains)")


class Kernel(NamedTuple):
    """One kernel's row of the table."""

    name: str
    lanes: int
    numbers: str
    architecture: str
    registers: int
    shared: int  # bytes, without what a launch adds
    stack: int  # bytes
    spilled: int  # bytes


def read(log: str) -> list[Kernel]:
    """The kernels of a log, in the order of the table."""
    kernels = {}
    entry: re.Match[str] | None = None
    stack = spilled = 0
    for line in log.splitlines():
        if found := ENTRY.search(line):
            entry = found
        elif found := SPILLS.search(line):
            stack, spilled = int(found[1]), int(found[2]) + int(found[3])
        elif entry is not None and (found := USED.search(line)):
            kernel = _kernel(entry, int(found[1]), int(found[2] or 0), stack, spilled)
            kernels[kernel[:4]] = kernel
            entry = None
    return [kernels[key] for key in sorted(kernels)]


def _kernel(entry: re.Match[str], registers: int, shared: int, stack: int, spilled: int) -> Kernel:
    mangled = entry["name"]
    name, lanes = KERNEL.search(mangled), LANES.search(mangled)
    numbers = "float64" if "gpu_double" in mangled else "float32"
    return Kernel(
        name[1] if name else mangled,
        int(lanes[1]) if lanes else 32,
        numbers,
        entry["architecture"],
        registers,
        shared,
        stack,
        spilled,
    )


def table(kernels: list[Kernel]) -> str:
    """The kernels as a Markdown table."""
    head = ("kernel", "lanes", "numbers", "architecture", "registers", "shared", "stack", "spilled")
    lines = [head, ("---",) * len(head), *(tuple(map(str, kernel)) for kernel in kernels)]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def main() -> int:
    kernels = read(Path(sys.argv[1]).read_text(encoding="utf-8", errors="replace"))
    print(table(kernels))
    if not kernels:
        print("no CUDA kernel in the log")
        return 1
    wrong = [kernel for kernel in kernels if kernel.lanes <= 32 and kernel.spilled]
    for kernel in wrong:
        print(f"{kernel.name} of {kernel.lanes} lanes ({kernel.numbers}) spills {kernel.spilled} bytes")
    large = [kernel for kernel in kernels if kernel.stack > MOST_STACK]
    for kernel in large:
        print(f"{kernel.name} of {kernel.lanes} lanes ({kernel.numbers}) has {kernel.stack} bytes of stack")
    return 1 if wrong or large else 0


if __name__ == "__main__":
    sys.exit(main())
