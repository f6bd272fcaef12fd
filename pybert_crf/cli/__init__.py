"""The command line: options and printing; the work is done by the rest of the package."""

from __future__ import annotations

import sys

from pybert_crf.cli.app import app

__all__ = ["app", "main"]


def main() -> None:
    """Run the command line; an expected error is one clear line on standard error and exit status 1."""
    try:
        app()
    except (ValueError, OSError) as error:
        if isinstance(error, BrokenPipeError):  # `pybert-crf predict … | head`
            sys.stderr.close()
            sys.exit(0)
        print(f"error: {error}", file=sys.stderr)
        sys.exit(1)
