"""The command line: options and printing; the work is done by the rest of the package."""

from __future__ import annotations

import os
import sys

from pybert_crf.cli.app import app

__all__ = ["app", "main"]


def main() -> None:
    """Run the command line; an error is one clear line on standard error and exit status 1.

    With the environment variable ``PYBERT_CRF_TRACEBACK`` set, it is the whole traceback.
    """
    try:
        app()
    except BrokenPipeError:  # `pybert-crf predict … | head`: nobody reads on
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except (ValueError, OSError, RuntimeError, ImportError) as error:
        if os.environ.get("PYBERT_CRF_TRACEBACK"):
            raise
        print(f"error: {error}", file=sys.stderr)
        sys.exit(1)
