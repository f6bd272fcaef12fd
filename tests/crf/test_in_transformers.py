"""A CRF in a model of one's own: built on the meta device and opened by transformers' `from_pretrained`."""

from __future__ import annotations

import copy
import io
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from pybert_crf import CRF, tag_constraints

LABELS = ["O", "B-NAME", "M-NAME", "E-NAME", "B-TITLE", "M-TITLE", "E-TITLE"]
NAMES = ("start_transitions", "end_transitions", "transitions")
# In the manner of the Resume corpus (Zhang & Yang, 2018).
SENTENCES = [
    ("甲乙：女", ["B-NAME", "E-NAME", "O", "O"]),
    ("甲丙丁，监事", ["B-NAME", "M-NAME", "E-NAME", "O", "B-TITLE", "E-TITLE"]),
    ("曾任公司董事", ["O", "O", "O", "O", "B-TITLE", "E-TITLE"]),
    ("任监事长", ["O", "B-TITLE", "M-TITLE", "E-TITLE"]),
]
Sentences = list[tuple[str, list[str]]]


def batch(sentences: Sentences, labels: list[str]) -> dict[str, Tensor]:
    vocabulary = ["[PAD]", *sorted({character for text, _ in sentences for character in text})]
    width = max(len(text) for text, _ in sentences)
    ids, tags = torch.zeros(len(sentences), width).long(), torch.full((len(sentences), width), -100)
    for row, (text, own) in enumerate(sentences):
        ids[row, : len(text)] = torch.tensor([vocabulary.index(character) for character in text])
        tags[row, : len(text)] = torch.tensor([labels.index(label) for label in own])
    return {"input_ids": ids, "attention_mask": ids != 0, "labels": tags}


def make_class(own_init: bool = False, constrained: bool = False, labels: list[str] = LABELS) -> Any:
    transformers = pytest.importorskip("transformers")

    class Head(nn.Module):
        """The CRF is nested, so that no name of the model tells it."""

        def __init__(self, hidden: int) -> None:
            super().__init__()
            self.classifier = nn.Linear(hidden, len(labels))
            constraints = tag_constraints(labels, scheme="BMES") if constrained else None
            self.crf = CRF(len(labels), batch_first=True, constraints=constraints)

    class BertCrf(transformers.BertPreTrainedModel):  # type: ignore[misc, name-defined]
        def __init__(self, config: Any) -> None:
            super().__init__(config)
            self.bert = transformers.BertModel(config, add_pooling_layer=False)
            self.head = Head(config.hidden_size)
            self.post_init()

        if own_init:

            def _init_weights(self, module: nn.Module) -> None:
                if isinstance(module, nn.Linear):
                    module.weight.data.normal_(0.0, 0.02)

        def forward(self, input_ids: Tensor, attention_mask: Tensor, labels: Tensor | None = None) -> Any:
            hidden = self.bert(input_ids, attention_mask=attention_mask.long()).last_hidden_state
            emissions = self.head.classifier(hidden)
            if labels is None:
                return self.head.crf.decode(emissions, attention_mask)
            return -self.head.crf(emissions, labels, attention_mask, reduction="token_mean")

    return BertCrf


@pytest.fixture(scope="module")
def body(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A saved BERT without a CRF, of random weights."""
    transformers = pytest.importorskip("transformers")
    config = transformers.BertConfig(
        vocab_size=2_000, hidden_size=32, num_hidden_layers=1, num_attention_heads=2,
        intermediate_size=64, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0,
    )  # fmt: skip
    folder = tmp_path_factory.mktemp("body")
    torch.manual_seed(0)
    transformers.BertModel(config).save_pretrained(folder)
    return folder


def parameters(crf: CRF) -> dict[str, Tensor]:
    return {name: getattr(crf, name).detach().clone() for name in NAMES}


def fill_memory() -> None:
    """Leave NaN where the allocator takes the next small tensors from."""
    kept = [torch.full((size,), torch.nan) for size in (7, 49) for _ in range(500)]
    del kept


@pytest.mark.parametrize("own_init", [False, True])
def test_from_pretrained_initialises_what_the_body_does_not_have(own_init: bool, body: Path) -> None:
    kind = make_class(own_init)
    for seed in range(10):
        fill_memory()
        torch.manual_seed(seed)
        for values in parameters(kind.from_pretrained(body).head.crf).values():
            assert values.abs().max() <= 0.1
            assert values.unique().numel() == values.numel()


def resume(data_dir: Path) -> Sentences:
    """Some 20 short sentences of the Resume corpus."""
    blocks = (data_dir / "resume" / "dev.char.bmes").read_text("utf-8").split("\n\n")
    rows = [[line.split() for line in block.splitlines()] for block in blocks if block.strip()]
    return [
        ("".join(row[0] for row in sentence), [row[1] for row in sentence])
        for sentence in rows
        if len(sentence) < 25
    ][:20]


@pytest.mark.parametrize("constrained", [False, True])
def test_train_save_and_open_again(constrained: bool, body: Path, tmp_path: Path) -> None:
    check_training(SENTENCES, LABELS, constrained, body, tmp_path)


def test_sentences_of_resume(body: Path, tmp_path: Path, data_dir: Path) -> None:
    sentences = resume(data_dir)
    labels = sorted({label for _, own in sentences for label in own})
    check_training(sentences, labels, False, body, tmp_path)


def check_training(
    sentences: Sentences, labels: list[str], constrained: bool, body: Path, folder: Path
) -> None:
    """Learns the sentences by heart; saved and opened again, the model is the same."""
    kind = make_class(constrained=constrained, labels=labels)
    torch.manual_seed(0)
    model = kind.from_pretrained(body).train()
    given = batch(sentences, labels)
    optimiser = torch.optim.Adam(model.parameters(), lr=1e-2)
    losses = []
    for _ in range(100):
        optimiser.zero_grad()
        loss = model(**given)
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[0] < 5
    assert losses[-1] < 0.1
    wanted = given.pop("labels")
    expected = [row[on].tolist() for row, on in zip(wanted, given["attention_mask"], strict=True)]
    assert model.eval()(**given) == expected
    model.save_pretrained(folder)
    fill_memory()
    again = kind.from_pretrained(folder)
    for name, values in parameters(model.head.crf).items():
        assert torch.equal(getattr(again.head.crf, name), values)
    assert again.eval()(**given) == expected
    if constrained:
        for name, allowed in tag_constraints(labels, scheme="BMES")._asdict().items():
            assert torch.equal(getattr(again.head.crf, f"_allowed_{name}"), allowed)


def test_values_of_a_layer_that_was_built_normally_are_left_alone() -> None:
    crf = CRF(5)
    with torch.no_grad():
        crf.transitions.fill_(3.0)
    before = parameters(crf)
    assert not crf._is_hf_initialized
    crf._is_hf_initialized = True
    assert crf._is_hf_initialized
    assert all(torch.equal(values, before[name]) for name, values in parameters(crf).items())


@pytest.mark.parametrize("assign", [False, True])
def test_loaded_values_of_a_layer_from_the_meta_device_are_left_alone(assign: bool) -> None:
    with torch.device("meta"):
        crf = CRF(5)
    if not assign:
        crf.to_empty(device="cpu")
    wanted = CRF(5)
    crf.load_state_dict(wanted.state_dict(), assign=assign)
    crf._is_hf_initialized = True
    assert all(torch.equal(values, getattr(wanted, name)) for name, values in parameters(crf).items())


@pytest.mark.parametrize("bad", [torch.nan, torch.inf, 1e38, -1e38])
def test_uninitialised_memory_is_refused(bad: float) -> None:
    with torch.device("meta"):
        crf = CRF(5, batch_first=True)
    crf.to_empty(device="cpu")
    with torch.no_grad():
        for parameter in crf.parameters():
            parameter.zero_()
        crf.transitions[1, 2] = bad
    emissions, tags = torch.zeros(1, 3, 5), torch.zeros(1, 3).long()
    with pytest.raises(ValueError, match=r"transitions holds uninitialised memory.*crf\.reset_parameters"):
        crf(emissions, tags)
    crf.reset_parameters()
    assert crf(emissions, tags).isfinite()


def test_constraints_outlive_the_meta_device() -> None:
    constraints = tag_constraints(LABELS, scheme="BMES")
    with torch.device("meta"):
        crf = CRF(len(LABELS), batch_first=True, constraints=constraints)
    crf.to_empty(device="cpu").reset_parameters()
    assert torch.equal(crf._allowed_transitions, constraints.transitions)


def test_copies_and_pickles_keep_what_is_known() -> None:
    with torch.device("meta"):
        crf = CRF(5)
    copied = copy.deepcopy(crf).to_empty(device="cpu")
    copied._is_hf_initialized = True
    assert all(values.abs().max() <= 0.1 for values in parameters(copied).values())
    memory = io.BytesIO()
    torch.save(CRF(5), memory)
    memory.seek(0)
    assert torch.load(memory, weights_only=False)._is_hf_initialized is False
