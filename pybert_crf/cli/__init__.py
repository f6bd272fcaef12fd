"""The command line: options and printing; the work is done by the rest of the package."""

from __future__ import annotations

import os
import sys
from typing import Any

import typer

from pybert_crf.cli.app import VERBS, app
from pybert_crf.options import explain_unknown

__all__ = ["app", "main"]

# All errors of usage. Typer exports only this child of the class; its older releases take both from click.
_UsageError: type[Any] = typer.BadParameter.__mro__[1]


def main() -> None:
    """Run the command line; an error is one clear line on standard error.

    The exit status is 2 for an error of usage, 1 for any other. With the environment variable
    ``PYBERT_CRF_TRACEBACK`` set, other errors show the whole traceback.
    """
    try:
        status = app(standalone_mode=False)
        sys.exit(status if isinstance(status, int) else 0)
    except _UsageError as error:
        sys.exit(_show_usage_error(error))
    except BrokenPipeError:  # `pybert-crf predict … | head`: the reader has closed the pipe
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except typer.Abort:
        sys.exit(130)
    except (ValueError, OSError, RuntimeError, ImportError, FloatingPointError) as error:
        if os.environ.get("PYBERT_CRF_TRACEBACK"):
            raise
        print(f"error: {_told(error)}", file=sys.stderr)
        sys.exit(1)


def _told(error: Exception) -> str:
    """Return what an error says; one of the system without its number, the file first."""
    if isinstance(error, OSError) and error.filename is not None and error.strerror:
        return f"{error.filename}: {error.strerror}"
    return str(error)


def _show_usage_error(error: Any) -> int:
    """Print what is wrong with the arguments; the exit status."""
    if type(error).__name__ == "NoArgsIsHelpError":
        return 2  # typer has shown the help
    message = error.format_message()
    verb = VERBS.get(error.ctx.info_name) if error.ctx is not None else None
    if verb is not None and type(error).__name__ == "NoSuchOption":
        message = explain_unknown(error.option_name, verb.options)
    print(f"error: {' '.join(message.split())}", file=sys.stderr)
    return 2
