"""Check a wheel before it is given to others: its contents, size, and what it needs of the system.

    python packaging/check_wheel.py [--max-megabytes 25] [--any] WHEEL...

Prints a report for each wheel and exits with 1 if

- a file is there that does not belong, or the licence, the type marker or the extension is missing (`--any`
  accepts a wheel without the extension);
- it is larger than the bound;
- its extension for Linux needs a newer symbol version than manylinux_2_28 allows, or a library beyond libc
  and libstdc++.

Needs nothing but Python, so that it runs in every image in which wheels are built.
"""

from __future__ import annotations

import argparse
import re
import struct
import sys
import zipfile
from pathlib import Path

# What may be in a wheel, and what must be.
ALLOWED = [
    r"pybert_crf/([a-z_0-9]+/)*[a-z_0-9]+\.py",
    r"pybert_crf/serve/static/\w+\.(html|css|js)",
    r"pybert_crf/py\.typed",
    r"pybert_crf/_native\.pyi",
    r"pybert_crf/_native\.[\w-]+\.(so|pyd)",
    r"pybert_crf-[\w.]+\.dist-info/(METADATA|WHEEL|RECORD|entry_points\.txt|licenses/LICENSE)",
    r"pybert_crf-[\w.]+\.dist-info/sboms/[\w.-]+",  # what auditwheel writes
]
REQUIRED = [
    r"pybert_crf/__init__\.py",
    r"pybert_crf/py\.typed",
    r".*\.dist-info/licenses/LICENSE",
    r".*\.dist-info/entry_points\.txt",
]
EXTENSION = r"pybert_crf/_native\.[\w-]+\.(so|pyd)"

# manylinux_2_28, as PEP 600's profile has it.
NEWEST = {"GLIBC": (2, 28), "GLIBCXX": (3, 4, 24), "CXXABI": (1, 3, 11), "GCC": (7, 0, 0)}
LIBRARIES = {"libc.so.6", "libm.so.6", "libdl.so.2", "librt.so.1", "libpthread.so.0"}
LIBRARIES |= {"libstdc++.so.6", "libgcc_s.so.1", "ld-linux-x86-64.so.2", "ld-linux-aarch64.so.1"}
MUSL = re.compile(r"libc\.musl-\w+\.so\.1|libstdc\+\+.*\.so.*|libgcc_s.*\.so.*")


def faults_of_contents(names: list[str], *, extension: bool = True) -> list[str]:
    """Files that do not belong into a wheel, and those that are missing."""
    files = [name for name in names if not name.endswith("/")]
    faults = [
        f"does not belong: {name}" for name in files if not any(re.fullmatch(each, name) for each in ALLOWED)
    ]
    required = [*REQUIRED, *([EXTENSION] if extension else [])]
    faults += [f"missing: {each}" for each in required if not any(re.fullmatch(each, name) for name in files)]
    if len([name for name in files if re.fullmatch(EXTENSION, name)]) > 1:
        faults.append("more than one extension")
    return faults


def sections(elf: bytes) -> list[tuple[int, ...]]:
    """The section headers of an ELF file: (name, type, flags, address, offset, size, link, info)."""
    if elf[:6] != b"\x7fELF\x02\x01":
        raise ValueError("no 64-bit little-endian ELF file")
    (start,) = struct.unpack_from("<Q", elf, 0x28)
    size, count = struct.unpack_from("<HH", elf, 0x3A)
    return [struct.unpack_from("<IIQQQQII", elf, start + size * i) for i in range(count)]


def needs(elf: bytes) -> tuple[set[str], set[str]]:
    """What a shared object needs: names of libraries, and versions such as GLIBC_2.17 (of .gnu.version_r)."""
    table = sections(elf)
    libraries, versions = set(), set()

    def word(section: tuple[int, ...], at: int) -> str:
        start = table[section[6]][4] + at
        return elf[start : elf.index(b"\0", start)].decode()

    for section in table:
        if section[1] == 6:  # SHT_DYNAMIC
            for at in range(section[4], section[4] + section[5], 16):
                tag, value = struct.unpack_from("<QQ", elf, at)
                if tag == 1:  # DT_NEEDED
                    libraries.add(word(section, value))
        if section[1] == 0x6FFFFFFE:  # SHT_GNU_verneed
            at = section[4]
            for _ in range(section[7]):
                _, count, _, first, following = struct.unpack_from("<HHIII", elf, at)
                entry = at + first
                for _ in range(count):
                    _, _, _, name, step = struct.unpack_from("<IHHII", elf, entry)
                    versions.add(word(section, name))
                    entry += step
                at += following
    return libraries, versions


def newest(versions: set[str]) -> dict[str, tuple[int, ...]]:
    """The newest version of each library, such as {"GLIBC": (2, 17)}."""
    found: dict[str, tuple[int, ...]] = {}
    for version in versions:
        name, _, number = version.partition("_")
        if re.fullmatch(r"[\d.]+", number):
            parts = tuple(int(part) for part in number.split("."))
            found[name] = max(found.get(name, ()), parts)
    return found


def faults_of_needs(libraries: set[str], versions: set[str]) -> list[str]:
    """What systems of manylinux_2_28 lack, or musl's."""
    faults = [
        f"needs {name}" for name in sorted(libraries) if name not in LIBRARIES and not MUSL.fullmatch(name)
    ]
    for name, version in newest(versions).items():
        if name in NEWEST and version > NEWEST[name]:
            faults.append(f"needs {name}_{'.'.join(map(str, version))}, newer than manylinux_2_28 has")
    return faults


def check(path: Path, most_megabytes: float, *, extension: bool) -> list[str]:
    """Print what there is to know of a wheel; its faults."""
    with zipfile.ZipFile(path) as wheel:
        names = wheel.namelist()
        faults = faults_of_contents(names, extension=extension)
        megabytes = path.stat().st_size / 1e6
        print(f"{path.name}: {megabytes:.1f} MB, {len(names)} files")
        if megabytes > most_megabytes:
            faults.append(f"{megabytes:.1f} MB, more than {most_megabytes:g}")
        for name in names:
            if re.fullmatch(EXTENSION, name):
                content = wheel.read(name)
                print(f"  {name}: {len(content) / 1e6:.1f} MB")
                if content.startswith(b"\x7fELF"):
                    libraries, versions = needs(content)
                    print(f"  libraries: {', '.join(sorted(libraries))}")
                    for library, version in sorted(newest(versions).items()):
                        print(f"  newest version of {library}: {'.'.join(map(str, version))}")
                    faults += faults_of_needs(libraries, versions)
    return faults


def main() -> int:
    """Check the wheels named on the command line; 1 if one has a fault."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("wheels", nargs="+", type=Path)
    parser.add_argument("--max-megabytes", type=float, default=25)
    parser.add_argument("--any", action="store_true", help="accept a wheel without the extension")
    given = parser.parse_args()
    failed = False
    for path in given.wheels:
        for fault in check(path, given.max_megabytes, extension=not given.any):
            print(f"  FAULT: {fault}")
            failed = True
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
