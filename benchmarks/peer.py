"""The usual stack beside ours in `compare_training.py`: transformers' BERT, a linear layer, pytorch-crf.

It is trained as a careful script would do it: batches shuffled in every epoch, AdamW with one rate for the
encoder and one for the head, no decay of biases and norms, linear warm-up and decay, gradients clipped at 1.
Sentences longer than the encoder's window are cut off there, and the units beyond it are tagged O.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from random import Random
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence
from torchcrf import CRF
from transformers import BertModel, get_linear_schedule_with_warmup

from pybert_crf import TrainOptions
from pybert_crf.annotation.examples import Example
from pybert_crf.crf.constraints import Constraints
from pybert_crf.text.tokenizer import UnitTokenizer


class Peer(nn.Module):
    """BERT, dropout, linear and pytorch-crf over each unit's first piece."""

    def __init__(self, bert: BertModel, tags: int) -> None:
        super().__init__()
        self.bert = bert
        self.dropout = nn.Dropout(0.1)
        self.linear = nn.Linear(bert.config.hidden_size, tags)
        self.crf = CRF(tags, batch_first=True)

    @torch.no_grad()
    def forbid(self, legal: Constraints) -> None:
        """Start from scores of -10,000 for what is not legal, as a script can without a change of the CRF."""
        parameters = self.crf.start_transitions, self.crf.transitions, self.crf.end_transitions
        for parameter, allowed in zip(parameters, (legal.start, legal.transitions, legal.end), strict=True):
            if allowed is not None:
                parameter[~allowed] = -10_000.0

    def emissions(self, ids: Tensor, attention: Tensor, first: Tensor) -> Tensor:
        """Scores (batch, units, tags) from pieces (batch, length) and each unit's first piece."""
        hidden = self.bert(ids, attention_mask=attention).last_hidden_state
        units = hidden.gather(1, first[..., None].expand(-1, -1, hidden.shape[-1]))
        scores: Tensor = self.linear(self.dropout(units))
        return scores


class PeerRun:
    """Trains a `Peer` an epoch at a time and tags with it.

    Args:
        bert: the encoder, random or pretrained.
        labels: of the tags.
        tokenizer: that made the examples.
        examples: the training part.
        batch_size: sentences in a batch.
        options: epochs, rates, warm-up, weight decay and seed, which are those of our side.
    """

    def __init__(
        self,
        bert: BertModel,
        labels: Sequence[str],
        tokenizer: UnitTokenizer,
        examples: Sequence[Example],
        batch_size: int,
        options: TrainOptions,
    ) -> None:
        self.labels, self.tokenizer, self.examples = list(labels), tokenizer, examples
        self.batch_size, self.seed = batch_size, options.seed
        self.limit = bert.config.max_position_embeddings - 2
        self.model = Peer(bert, len(labels))
        self.optimizer = torch.optim.AdamW(_groups(self.model, options.rates(), options.weight_decay))
        steps = options.epochs * -(-len(examples) // batch_size)
        self.schedule = get_linear_schedule_with_warmup(self.optimizer, round(options.warmup * steps), steps)

    def train_epoch(self, epoch: int) -> float:
        """Train one epoch; returns its processor time. Random numbers of the caller stay as they were."""
        with torch.random.fork_rng():
            torch.manual_seed(1000 * self.seed + epoch)
            started = time.process_time()
            self.model.train()
            order = list(self.examples)
            Random(f"{self.seed}/{epoch}").shuffle(order)
            for i in range(0, len(order), self.batch_size):
                self._step(order[i : i + self.batch_size])
            return time.process_time() - started

    def _step(self, examples: Sequence[Example]) -> None:
        ids, attention, first, mask, tags = self._batch(examples)
        emissions = self.model.emissions(ids, attention, first)
        loss = -self.model.crf(emissions, tags, mask=mask, reduction="token_mean")
        self.optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.optimizer.step()
        self.schedule.step()

    @torch.no_grad()
    def predict(self, sentences: Sequence[Sequence[str]]) -> list[list[str]]:
        """The tags of all units of the sentences."""
        self.model.eval()
        examples = [Example(self.tokenizer.encode(list(units)), []) for units in sentences]
        rows = [["O"] * len(units) for units in sentences]
        order = sorted(range(len(rows)), key=lambda row: len(examples[row].encoded.ids))
        for i in range(0, len(order), self.batch_size):
            chunk = order[i : i + self.batch_size]
            ids, attention, first, mask, _ = self._batch([examples[row] for row in chunk])
            paths = self.model.crf.decode(self.model.emissions(ids, attention, first), mask=mask)
            for row, path in zip(chunk, paths, strict=True):
                rows[row][: len(path)] = [self.labels[tag] for tag in path]
        return rows

    def _batch(self, examples: Sequence[Example]) -> tuple[Tensor, ...]:
        """Piece ids, attention mask, first pieces, mask and tags, padded."""
        ids, first, tags = [], [], []
        for example in examples:
            ids.append([self.tokenizer.cls_id, *example.encoded.ids[: self.limit], self.tokenizer.sep_id])
            first.append([piece + 1 for piece in example.encoded.first if piece < self.limit])
            tags.append((example.tags or [0] * len(first[-1]))[: len(first[-1])])
        attention, mask = ([[True] * len(row) for row in rows] for rows in (ids, first))
        return _padded(ids, self.tokenizer.pad_id), *map(_padded, (attention, first, mask, tags))


def _padded(rows: Sequence[Sequence[int]], value: int = 0) -> Tensor:
    return pad_sequence([torch.tensor(row) for row in rows], batch_first=True, padding_value=value)


def _groups(model: Peer, rates: tuple[float, float], weight_decay: float) -> list[dict[str, Any]]:
    """The optimizer's groups: encoder and head, with decay and without."""
    groups: dict[tuple[float, float], list[nn.Parameter]] = {}
    for name, parameter in model.named_parameters():
        rate = rates[0] if name.startswith("bert.") else rates[1]
        decay = 0.0 if name.endswith("bias") or "LayerNorm" in name else weight_decay
        groups.setdefault((rate, decay), []).append(parameter)
    return [{"params": p, "lr": rate, "weight_decay": decay} for (rate, decay), p in groups.items()]
