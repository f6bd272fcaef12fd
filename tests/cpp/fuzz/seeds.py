"""Write the inputs that the C++ fuzzer starts from (``tests/cpp/fuzz/kept``): for each number of tags and
each type of numbers, one whose other choices are random. ``hostile/problem.hpp`` says what the bytes mean."""

from __future__ import annotations

import random
from pathlib import Path

KEPT = Path(__file__).parent / "kept"
LARGE = [34, 63, 64, 65, 100, 127, 129, 300]  # chosen by the bytes 231 and more


def main() -> None:
    KEPT.mkdir(exist_ok=True)
    draw = random.Random(1)
    first_bytes = {tags: tags - 1 for tags in range(1, 34)}
    first_bytes |= {tags: 232 + at for at, tags in enumerate(LARGE)}
    for tags, first in first_bytes.items():
        for real, name in enumerate(("double", "float")):
            choices = bytes([real, first]) + draw.randbytes(60)
            (KEPT / f"{tags}-tags-{name}").write_bytes(choices)


if __name__ == "__main__":
    main()
