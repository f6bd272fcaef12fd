"""The families of encoders, by ``model_type``: one table each, for reading and writing their checkpoints."""

from __future__ import annotations

from pybert_crf.encoders.families.albert import ALBERT
from pybert_crf.encoders.families.bert import BERT, ERNIE
from pybert_crf.encoders.families.big_bird import BIG_BIRD
from pybert_crf.encoders.families.deberta import DEBERTA, DEBERTA_V2
from pybert_crf.encoders.families.distilbert import DISTILBERT
from pybert_crf.encoders.families.electra import ELECTRA
from pybert_crf.encoders.families.family import Family, Key, MlmHead, Rename, SplitKey
from pybert_crf.encoders.families.gpt2 import GPT2
from pybert_crf.encoders.families.modernbert import MODERNBERT
from pybert_crf.encoders.families.roberta import ROBERTA, XLM_ROBERTA, XLM_ROBERTA_XL
from pybert_crf.encoders.families.t5 import MT5, T5, UMT5
from pybert_crf.encoders.families.xlm import XLM
from pybert_crf.reading import quoted

__all__ = ["FAMILIES", "Family", "Key", "MlmHead", "Rename", "SplitKey", "family_of"]

FAMILIES = {
    family.model_type: family
    for family in (
        BERT,
        ERNIE,
        ROBERTA,
        XLM_ROBERTA,
        XLM_ROBERTA_XL,
        XLM,
        DISTILBERT,
        ALBERT,
        ELECTRA,
        DEBERTA,
        DEBERTA_V2,
        BIG_BIRD,
        MODERNBERT,
        T5,
        MT5,
        UMT5,
        GPT2,
    )
}


def family_of(model_type: str) -> Family:
    """Return the family called ``model_type``; raise ``ValueError`` listing the known ones."""
    if not isinstance(model_type, str) or model_type not in FAMILIES:
        raise ValueError(f"unknown model_type {quoted(model_type)}; known: {', '.join(sorted(FAMILIES))}")
    return FAMILIES[model_type]
