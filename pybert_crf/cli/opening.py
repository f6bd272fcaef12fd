"""A saved tagger, opened as the options of a verb say."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pybert_crf.options.inference import InferenceOptions

if TYPE_CHECKING:
    from pybert_crf.tagger import Tagger


def open_tagger(options: InferenceOptions) -> Tagger:
    """The tagger of `options.model`, on its device; raises as `Tagger.from_pretrained`."""
    from pybert_crf.model import DTYPES
    from pybert_crf.tagger import Tagger

    dtype = None if options.dtype is None else DTYPES[options.dtype]
    return Tagger.from_pretrained(options.model, device=options.device, dtype=dtype)
