"""The stack that people use today, as the other side of `compare_training.py`.

transformers' BERT, a linear layer and pytorch-crf; batches of 16 sentences in file order; AdamW at a
constant rate; sentences longer than the encoder's window cut off, their remaining units tagged O.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor, nn
from torchcrf import CRF
from transformers import BertConfig, BertModel

from pybert_crf.batches import Example


class Peer(nn.Module):
    """BERT + linear + pytorch-crf over each unit's first piece."""

    def __init__(self, bert: BertModel, tags: int) -> None:
        super().__init__()
        self.bert = bert
        self.dropout = nn.Dropout(0.1)
        self.linear = nn.Linear(bert.config.hidden_size, tags)
        self.crf = CRF(tags, batch_first=True)

    def emissions(self, ids: Tensor, attention: Tensor, first: Tensor) -> Tensor:
        hidden = self.bert(ids, attention_mask=attention).last_hidden_state  # (batch, length, hidden)
        units = hidden.gather(1, first[..., None].expand(-1, -1, hidden.shape[-1]))
        scores: Tensor = self.linear(self.dropout(units))
        return scores


class PeerRun:
    """Trains a `Peer` an epoch at a time and tags with it."""

    def __init__(
        self,
        bert: BertModel,
        labels: Sequence[str],
        specials: tuple[int, int, int],
        rates: tuple[float, float],
        batch_size: int = 16,
    ) -> None:
        self.labels, self.batch_size = list(labels), batch_size
        self.cls_id, self.sep_id, self.pad_id = specials
        self.limit = bert.config.max_position_embeddings - 2
        self.model = Peer(bert, len(labels))
        head = [*self.model.linear.parameters(), *self.model.crf.parameters()]
        groups = [{"params": bert.parameters(), "lr": rates[0]}, {"params": head, "lr": rates[1]}]
        self.optimizer = torch.optim.AdamW(groups)

    def train_epoch(self, examples: Sequence[Example]) -> float:
        """One epoch in file order; returns its seconds."""
        started = time.perf_counter()
        self.model.train()
        for i in range(0, len(examples), self.batch_size):
            ids, attention, first, mask, tags = self._batch(examples[i : i + self.batch_size])
            emissions = self.model.emissions(ids, attention, first)
            loss = -self.model.crf(emissions, tags, mask=mask, reduction="mean")
            self.optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
            self.optimizer.step()
        return time.perf_counter() - started

    @torch.no_grad()
    def predict(self, examples: Sequence[Example]) -> list[list[str]]:
        """Tags of every unit; O for units beyond the encoder's window."""
        self.model.eval()
        rows: list[list[str]] = []
        for i in range(0, len(examples), self.batch_size):
            chunk = examples[i : i + self.batch_size]
            ids, attention, first, mask, _ = self._batch(chunk)
            paths = self.model.crf.decode(self.model.emissions(ids, attention, first), mask=mask)
            for example, path in zip(chunk, paths, strict=True):
                tags = [self.labels[tag] for tag in path]
                rows.append(tags + ["O"] * (len(example.encoded.first) - len(tags)))
        return rows

    def _batch(self, examples: Sequence[Example]) -> tuple[Tensor, ...]:
        kept = [[p for p in e.encoded.first if p < self.limit] for e in examples]
        length = max(min(len(e.encoded.ids), self.limit) for e in examples) + 2
        time_ = max(len(first) for first in kept)
        ids = torch.full((len(examples), length), self.pad_id)
        first = torch.zeros(len(examples), time_, dtype=torch.long)
        mask = torch.zeros(len(examples), time_, dtype=torch.bool)
        tags = torch.zeros(len(examples), time_, dtype=torch.long)
        attention = torch.zeros_like(ids)
        for row, example in enumerate(examples):
            pieces = [self.cls_id, *example.encoded.ids[: self.limit], self.sep_id]
            ids[row, : len(pieces)] = torch.tensor(pieces)
            attention[row, : len(pieces)] = 1
            first[row, : len(kept[row])] = torch.tensor(kept[row]) + 1
            mask[row, : len(kept[row])] = True
            if example.tags is not None:
                tags[row, : len(kept[row])] = torch.tensor(example.tags[: len(kept[row])])
        return ids, attention, first, mask, tags


def new_bert(vocab_size: int, layers: int, width: int, heads: int) -> BertModel:
    """A BERT with random weights."""
    return BertModel(
        BertConfig(
            vocab_size=vocab_size,
            hidden_size=width,
            num_hidden_layers=layers,
            num_attention_heads=heads,
            intermediate_size=4 * width,
        ),
        add_pooling_layer=False,
    )


def pretrained_bert(directory: str | Path) -> BertModel:
    """A pretrained BERT from a directory."""
    model: BertModel = BertModel.from_pretrained(directory, add_pooling_layer=False)
    return model
