"""What a wheel and a source distribution hold, built from a tree in which there is more."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parents[2] / "packaging"))

import check_wheel

import pybert_crf

ROOT = Path(__file__).parents[2]
NOT_COPIED = shutil.ignore_patterns(".git", "build", "dist", ".venv", "shared", "kept", ".*_cache", "*.so")

# What lies about in a working tree, or is no part of the package.
LITTER = [
    "pybert_crf/_native.cpython-311-x86_64-linux-gnu.so",
    "pybert_crf/__pycache__/model.cpython-311.pyc",
    "build/left/over.o",
    "dist/pybert_crf-0.0.0.tar.gz",
    ".venv/pyvenv.cfg",
    ".github/workflows/extra.yml",
]

BUILD = """
import sys
from scikit_build_core import build
build.build_sdist(sys.argv[1])
build.build_wheel(sys.argv[1], {"wheel.cmake": "false"})
"""


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with both, of this tree; nothing is compiled."""
    pytest.importorskip("scikit_build_core")
    tree = tmp_path_factory.mktemp("tree") / "source"
    shutil.copytree(ROOT, tree, ignore=NOT_COPIED)
    for name in LITTER:
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        (tree / name).write_bytes(b"")
    out = tmp_path_factory.mktemp("built")
    done = subprocess.run(
        [sys.executable, "-c", BUILD, str(out)], cwd=tree, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return out


def test_the_wheel_holds_the_package_and_its_licence_alone(built: Path) -> None:
    (path,) = built.glob("*.whl")
    with zipfile.ZipFile(path) as wheel:
        names = wheel.namelist()
        (metadata,) = [wheel.read(name).decode() for name in names if name.endswith("METADATA")]
        (licence,) = [wheel.read(name) for name in names if name.endswith("licenses/LICENSE")]
    assert check_wheel.faults_of_contents(names, extension=False) == []
    modules = {path.relative_to(ROOT).as_posix() for path in (ROOT / "pybert_crf").rglob("*.py")}
    assert modules <= set(names)
    assert licence == (ROOT / "LICENSE").read_bytes()
    assert f"\nVersion: {pybert_crf.__version__}\n" in metadata
    assert "\nLicense-Expression: MIT\n" in metadata


def test_the_source_distribution_holds_what_builds_the_package(built: Path) -> None:
    (path,) = built.glob("*.tar.gz")
    with tarfile.open(path) as archive:
        files = [each.name.partition("/")[2] for each in archive.getmembers() if each.isfile()]
    allowed = [
        r"(CMakeLists\.txt|pyproject\.toml|CMakePresets\.json|LICENSE|PKG-INFO)",
        r"(README|CHANGELOG|SECURITY)(\.zh-CN)?\.md|CITATION\.cff",
        r"cmake/\w+\.cmake",
        r"csrc/([a-z]+/)*\w+\.(hpp|cpp|cu|cuh|md)",
        r"pybert_crf/([a-z_0-9]+/)*[a-z_0-9]+\.(py|pyi)|pybert_crf/py\.typed",
        r"pybert_crf/serve/static/\w+\.(html|css|js)",
        r"tests/cpp/([a-z]+/)*\w+(\.zh-CN)?\.(hpp|cpp|txt|py|sh|md)",
    ]
    assert [name for name in files if not any(re.fullmatch(each, name) for each in allowed)] == []
    tracked = {path.relative_to(ROOT).as_posix() for path in (ROOT / "csrc").rglob("*.[hc]*")}
    assert tracked | {"LICENSE", "CMakeLists.txt", "cmake/cuda.cmake", "README.md"} <= set(files)


def test_a_wheel_with_more_or_less_is_refused() -> None:
    good = [
        "pybert_crf/__init__.py",
        "pybert_crf/py.typed",
        "pybert_crf/_native.cpython-311-x86_64-linux-gnu.so",
        "pybert_crf-0.1.0.dist-info/entry_points.txt",
        "pybert_crf-0.1.0.dist-info/licenses/LICENSE",
    ]
    assert check_wheel.faults_of_contents(good) == []
    assert check_wheel.faults_of_contents([*good, "tests/conftest.py"]) == [
        "does not belong: tests/conftest.py"
    ]
    assert check_wheel.faults_of_contents([*good, "pybert_crf/_native.pyd"]) == [
        "does not belong: pybert_crf/_native.pyd"
    ]
    for missing in good:
        assert check_wheel.faults_of_contents([name for name in good if name != missing]) != []


def test_needs_that_old_systems_lack_are_named() -> None:
    assert (
        check_wheel.faults_of_needs({"libc.so.6", "libc.musl-x86_64.so.1"}, {"GLIBC_2.28", "CXXABI_1.3"})
        == []
    )
    assert check_wheel.faults_of_needs({"libtorch.so"}, set()) == ["needs libtorch.so"]
    assert check_wheel.faults_of_needs(set(), {"GLIBC_2.4", "GLIBC_2.34"}) == [
        "needs GLIBC_2.34, newer than manylinux_2_28 has"
    ]


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads a shared object of Linux")
def test_the_needs_of_a_shared_object_are_read() -> None:
    import _ctypes

    libraries, versions = check_wheel.needs(Path(_ctypes.__file__).read_bytes())
    assert "libc.so.6" in libraries or any("musl" in name for name in libraries)
    assert all(re.fullmatch(r"[A-Z]+\w*_[\w.]+", version) for version in versions)
