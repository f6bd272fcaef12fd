"""The mean loss of a tagger on a tagged corpus."""

from __future__ import annotations

import torch

from pybert_crf.annotation.annotator import BATCH_TOKENS
from pybert_crf.annotation.examples import by_length
from pybert_crf.batches import collate
from pybert_crf.taggers.tagger import Tagger
from pybert_crf.text.corpora import Corpus, mended
from pybert_crf.training.corpora import encode_corpus


@torch.inference_mode()
def mean_loss(tagger: Tagger, corpus: Corpus) -> float:
    """Mean negative log-likelihood, in nats, per unit.

    Sentences with a tag unknown to the tagger are left out; the loss is 0 if none remains. Tags that break
    the scheme, which the CRF holds impossible, are mended as those of train are. The model is left in
    evaluation mode.
    """
    model = tagger.model.eval()
    examples = encode_corpus(mended(corpus), tagger)
    total = torch.zeros((), dtype=torch.float64)
    units = 0
    for rows in by_length([example.positions for example in examples], BATCH_TOKENS):
        batch = collate([examples[row] for row in rows], tagger.layout).to(model.linear.weight.device)
        assert batch.tags is not None
        total -= model.crf(model(batch).float(), batch.tags, batch.mask).cpu()
        units += int(batch.mask.sum())
    return float(total) / max(1, units)
