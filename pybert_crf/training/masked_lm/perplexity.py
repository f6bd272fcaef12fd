"""Loss, perplexity and accuracy on masked pieces, with the same masks at every call."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F

from pybert_crf.annotation.examples import WindowLayout, by_length
from pybert_crf.encoders import AnyMaskedLM
from pybert_crf.training.masked_lm.collation import collate_masked
from pybert_crf.training.masked_lm.masking import HELD_OUT, Masking
from pybert_crf.training.masked_lm.texts import EncodedText


@dataclass(frozen=True)
class MaskedReport:
    """The figures of a masked language model on some text.

    Attributes:
        pieces: how many pieces were masked and predicted.
        loss: their mean negative log-likelihood, in nats.
        accuracy: the share whose most probable prediction is correct.
    """

    pieces: int
    loss: float
    accuracy: float

    @property
    def perplexity(self) -> float:
        """``exp(loss)``: how many equally probable pieces would have this loss."""
        return math.exp(self.loss) if self.loss < 700 else math.inf  # exp(710) overflows

    def to_dict(self) -> dict[str, Any]:
        """A plain dictionary, for JSON."""
        return {**vars(self), "perplexity": self.perplexity}


@torch.inference_mode()
def evaluate_masked(
    model: AnyMaskedLM, text: EncodedText, layout: WindowLayout, masking: Masking, batch_tokens: int
) -> MaskedReport:
    """Predict the masked pieces of `text`, `batch_tokens` encoder positions at a time; the model is left in
    evaluation mode. The masks are those of the seed, whatever the epoch."""
    model.eval()
    device = next(model.parameters()).device
    loss = torch.zeros((), dtype=torch.float64)
    right = pieces = 0
    for rows in by_length(text.lengths, batch_tokens):
        batch = collate_masked(text, rows, layout, masking, 0, HELD_OUT).to(device)
        scores = model(batch.input_ids, batch.attention_mask, batch.places).float()  # (M, V)
        loss += F.cross_entropy(scores, batch.targets, reduction="sum").cpu()
        right += int((scores.argmax(-1) == batch.targets).sum())
        pieces += len(batch.targets)
    return MaskedReport(pieces, float(loss) / pieces, right / pieces)
