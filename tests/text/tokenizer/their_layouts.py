"""Tiny vocabulary files as types without a table here have them: no tokenizer.json."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from layouts import TEXT, train_sentencepiece, write_byte_pairs, write_wordpiece
from sentencepiece import sentencepiece_model_pb2 as protobuf
from tokenizers import Tokenizer, models, pre_tokenizers, trainers


class TheirLayout(NamedTuple):
    """The files of a type, and what stands around a text.

    Attributes:
        write: writes the files into an empty directory.
        before, after: the special pieces around a text.
        config: ``tokenizer_config.json``.
        model: the name of the sentencepiece file whose pieces, in its own normalisation, must come out.
    """

    write: Callable[[Path], None]
    before: tuple[str, ...] = ()
    after: tuple[str, ...] = ()
    config: dict[str, Any] = {}  # noqa: RUF012 (never changed)
    model: str = ""


def _spm(name: str, **options: Any) -> Callable[[Path], None]:
    return lambda directory: train_sentencepiece(directory / name, **options)


def _m2m(directory: Path) -> None:
    """Pieces of a sentencepiece model, numbered anew in vocab.json."""
    train_sentencepiece(directory / "sentencepiece.bpe.model", model_type="bpe")
    proto = protobuf.ModelProto()
    proto.ParseFromString((directory / "sentencepiece.bpe.model").read_bytes())
    pieces = ["<s>", "<pad>", "</s>", "<unk>", *(piece.piece for piece in proto.pieces[3:][::-1])]
    vocab = {piece: index for index, piece in enumerate(pieces)}
    (directory / "vocab.json").write_text(json.dumps(vocab), encoding="utf-8")


def _ctrl(directory: Path) -> None:
    (directory / "vocab.json").write_text(json.dumps({"<unk>": 0, "the": 1, "th@@": 2, "e": 3, "t@@": 4}))
    (directory / "merges.txt").write_text("#version: 0.2\nt h\nth e</w>\n")


def _openai(directory: Path) -> None:
    tokenizer = Tokenizer(models.BPE(end_of_word_suffix="</w>", unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    trainer = trainers.BpeTrainer(
        vocab_size=400, special_tokens=["<unk>"], end_of_word_suffix="</w>", show_progress=False
    )
    tokenizer.train_from_iterator([line.lower() for line in TEXT], trainer)
    tokenizer.model.save(str(directory))


_T5 = {"pad_id": 0, "eos_id": 1, "unk_id": 2, "bos_id": -1}
_LLAMA = {"model_type": "bpe", "byte_fallback": True, "normalization_rule_name": "identity"}
_LLAMA |= {"vocab_size": 600}
_REMBERT = {"pad_id": 0, "unk_id": 1, "bos_id": -1, "eos_id": -1, "control_symbols": "[CLS],[SEP],[MASK]"}
_BERT = ("[CLS]",), ("[SEP]",)

THEIR_LAYOUTS = {
    "gpt2": TheirLayout(write_byte_pairs("<|endoftext|>")),
    "gpt_neo": TheirLayout(write_byte_pairs("<|endoftext|>")),
    "opt": TheirLayout(
        write_byte_pairs("<s>", "<pad>", "</s>", "<unk>"),
        before=("</s>",),
        config={"add_bos_token": True, "bos_token": "</s>", "unk_token": "</s>", "pad_token": "<pad>"},
    ),
    "qwen2": TheirLayout(write_byte_pairs("<|endoftext|>")),
    "qwen3": TheirLayout(write_byte_pairs("<|endoftext|>")),
    "bart": TheirLayout(write_byte_pairs("<s>", "<pad>", "</s>", "<unk>", "<mask>"), ("<s>",), ("</s>",)),
    "longformer": TheirLayout(
        write_byte_pairs("<s>", "<pad>", "</s>", "<unk>", "<mask>"), ("<s>",), ("</s>",)
    ),
    "t5": TheirLayout(_spm("spiece.model", **_T5), after=("</s>",), model="spiece.model"),
    "mt5": TheirLayout(_spm("spiece.model", **_T5), after=("</s>",), model="spiece.model"),
    "mbart": TheirLayout(
        _spm("sentencepiece.bpe.model"), after=("</s>", "zh_CN"), config={"src_lang": "zh_CN"}
    ),
    "mbart-50": TheirLayout(
        _spm("sentencepiece.bpe.model"),
        before=("zh_CN",),
        after=("</s>",),
        config={"tokenizer_class": "MBart50Tokenizer", "src_lang": "zh_CN"},
    ),
    "camembert": TheirLayout(_spm("sentencepiece.bpe.model"), ("<s>",), ("</s>",)),
    "rembert": TheirLayout(
        _spm("sentencepiece.model", **_REMBERT),
        *_BERT,
    ),
    "llama": TheirLayout(
        _spm("tokenizer.model", **_LLAMA),
        before=("<s>",),
        config={"tokenizer_class": "LlamaTokenizer", "add_bos_token": True},
        model="tokenizer.model",
    ),
    "m2m_100": TheirLayout(_m2m, before=("__zh__",), after=("</s>",), config={"src_lang": "zh"}),
    "ctrl": TheirLayout(_ctrl),
    "openai-gpt": TheirLayout(_openai),
    "nomic_bert": TheirLayout(write_wordpiece, *_BERT),
    "roformer": TheirLayout(write_wordpiece, *_BERT),
}
"""By the type of encoder, or the name of a kind of it."""

TYPES = {"mbart-50": "mbart"}
"""The ``model_type`` of those whose name is another."""


def write_layout(name: str, directory: Path) -> Path:
    """Write the files of a layout, with its config.json, into a new directory."""
    layout = THEIR_LAYOUTS[name]
    directory.mkdir(parents=True, exist_ok=True)
    layout.write(directory)
    (directory / "config.json").write_text(json.dumps({"model_type": TYPES.get(name, name)}))
    if layout.config:
        (directory / "tokenizer_config.json").write_text(json.dumps(layout.config))
    return directory
