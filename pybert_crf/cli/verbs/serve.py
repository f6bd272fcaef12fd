"""``pybert-crf serve``: taggers behind HTTP."""

from __future__ import annotations

import sys

from pybert_crf.cli.verb import Verb
from pybert_crf.options import ServeOptions


def work(options: ServeOptions) -> None:
    """Serve taggers by HTTP, with a JSON API, metrics and a page, until SIGTERM or Ctrl-C."""
    from pybert_crf.serve.running import serve

    serve(options, lambda line: print(line, file=sys.stderr, flush=True))


VERB = Verb("serve", ServeOptions, work, "pybert-crf serve my-tagger --port 8000")
