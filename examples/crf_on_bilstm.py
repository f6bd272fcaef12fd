"""The CRF alone: a BiLSTM over characters, with our CRF in the place of a softmax.

    python examples/crf_on_bilstm.py

Nothing else of the package is needed: `CRF` is a `torch.nn.Module` that takes emissions, tags and a mask. The
corpus is generated (Chinese news; persons, places, organisations), and no name of its test part stands in the
part to learn from.
"""

from __future__ import annotations

import argparse

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence

from pybert_crf import CRF, tag_constraints
from pybert_crf.demo.grammar import make_corpus
from pybert_crf.text.tagging.metrics import evaluate

LABELS = ["O", *(f"{role}-{kind}" for kind in ("LOC", "ORG", "PER") for role in "BI")]


class BiLSTMCRF(nn.Module):
    def __init__(self, characters: int, width: int = 96) -> None:
        super().__init__()
        self.embedding = nn.Embedding(characters, width)
        self.lstm = nn.LSTM(width, width // 2, batch_first=True, bidirectional=True)
        self.linear = nn.Linear(width, len(LABELS))
        # With constraints I-PER can follow only B-PER or I-PER, in training and decoding alike.
        self.crf = CRF(len(LABELS), batch_first=True, constraints=tag_constraints(LABELS, "BIO"))

    def emissions(self, ids: Tensor) -> Tensor:  # (batch, time) -> (batch, time, tags)
        return self.linear(self.lstm(self.embedding(ids))[0])

    def loss(self, ids: Tensor, tags: Tensor, mask: Tensor) -> Tensor:
        return -self.crf(self.emissions(ids), tags, mask, reduction="token_mean")

    @torch.inference_mode()
    def decode(self, ids: Tensor, mask: Tensor) -> list[list[str]]:
        best = self.crf.decode(self.emissions(ids), mask)
        return [[LABELS[tag] for tag in row] for row in best]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sentences", type=int, default=1500, help="to learn from")
    parser.add_argument("--epochs", type=int, default=4)
    options = parser.parse_args()
    torch.manual_seed(0)

    corpus = make_corpus(sizes=(options.sentences, 0, 300))
    characters = sorted({character for units, _ in corpus.train for character in units})
    number = {character: i for i, character in enumerate(characters, start=2)}  # 0: padding, 1: unknown

    def batch(sentences: list[tuple[list[str], list[str]]]) -> tuple[Tensor, Tensor, Tensor]:
        ids = [torch.tensor([number.get(unit, 1) for unit in units]) for units, _ in sentences]
        tags = [torch.tensor([LABELS.index(tag) for tag in tags]) for _, tags in sentences]
        padded = pad_sequence(ids, batch_first=True)
        return padded, pad_sequence(tags, batch_first=True), padded != 0

    model = BiLSTMCRF(len(number) + 2)
    optimizer = torch.optim.AdamW(model.parameters(), lr=5e-3)
    for epoch in range(1, options.epochs + 1):
        model.train()
        losses = []
        for rows in torch.randperm(len(corpus.train)).split(16):
            optimizer.zero_grad()
            loss = model.loss(*batch([corpus.train[row] for row in rows]))
            loss.backward()
            optimizer.step()
            losses.append(float(loss.detach()))
        print(f"epoch {epoch}: loss {sum(losses) / len(losses):.3f}")

    model.eval()
    ids, tags, mask = batch(corpus.test)
    found = model.decode(ids, mask)
    report = evaluate([tags for _, tags in corpus.test], found, "BIO")
    print(f"F1 on {len(corpus.test)} sentences whose names were never seen: {report.f1:.3f}")

    # What a softmax cannot tell: the probability of a whole reading, and the uncertainty of each sentence.
    with torch.inference_mode():
        emissions = model.emissions(ids)
        tags, _ = model.crf.viterbi(emissions, mask)
        probability = model.crf(emissions, tags, mask, reduction="none").exp()
        entropy = model.crf.entropy(emissions, mask)
    row = int(probability.argmin())
    told = f"probability {probability[row]:.3f}, entropy {entropy[row]:.1f} nats"
    print(f"least certain ({told}): {''.join(corpus.test[row][0])}")


if __name__ == "__main__":
    main()
