"""Tiny tokenizers of every family, trained here and written in the layout of the family's checkpoints."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import sentencepiece
from tokenizers import Tokenizer, models, pre_tokenizers, trainers

TEXT = (
    """\
the quick brown fox jumps over the lazy dog, and the dog sleeps in the sun
It's 7.7 percent of 1,000 people who don't know the newest Élan café in Paris
北京大学的学生在图书馆学习，我们在中国工作，生活很好。中国人民大学在北京
ภาษาไทยเป็นภาษาที่สวยงาม ประเทศไทย
اللغة العربية جميلة في القاهرة
naïve façade 😂 👍 #tag hello@example.com (a) [b] <c> ABC 123
""".splitlines()
    * 20
)

HOSTILE = [
    *["the", "quickest", "The", "Élan", "café", "cafe\u0301", "e\u0301", "naïve", "İstanbul", "ß", "ﬁn"],
    *["7.7", "1,000", "1,", "don't", "Mr.", "U.S.", "end.", "...", "“quoted”", "``hi''", "hello@example.com"],
    *["北京大学", "中国", "国", "，", "。", "中国abc", "日本語", "가각", "ไทย", "ภาษาไทย", "اللغة", "Ελλάς"],
    *[
        "ＡＢＣ",
        "１２３",
        "①",
        "½",
        "😂",
        "👨\u200d👩\u200d👧",
        "🏳️\u200d🌈",
        "\u200d",
        "\ufe0f",
        "\u0301",
        "\u0e31",
    ],
    *["\u200e", "a\u200eb", "\x01", "a\x01b", "\x7f", "\xad", "\ufeff", "\ufffd", chr(0xD800), "\U000e0001"],
    *[
        "",
        " ",
        "\xa0",
        "\u3000",
        "\u2028",
        "\n",
        "\t",
        "a b",
        "a\xa0b",
        "a\nb",
        "▁",
        "▁a",
        "Ġ",
        "##a",
        "</w>",
    ],
    *["x" * 300, "北" * 200, "the" * 100, "[b]", "<c>"],
]
"""Units on which tokenizers differ."""


Make = Callable[..., Path]
"""Type of the fixture `make_checkpoint`."""


@dataclass(frozen=True)
class Layout:
    """The files of a family's tokenizer.

    Attributes:
        write: writes the family's own files into an empty directory.
        special: the pieces before and after a text, the padding, the unknown piece and the mask.
        spaces: a unit's pieces depend on whether a space precedes it.
        model: the name of the sentencepiece file, if there is one.
        spm_ids: maps sentencepiece's ids to the family's.
        config: variants of `tokenizer_config.json` to test besides the defaults.
    """

    write: Callable[..., None]
    special: tuple[str, str, str, str, str]
    spaces: bool = False
    model: str = ""
    spm_ids: Callable[[int], int] = int
    config: tuple[dict[str, Any], ...] = ()


def write_wordpiece(directory: Path) -> None:
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    tokenizer = Tokenizer(models.WordPiece({}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    lines = [*TEXT, *(line.lower() for line in TEXT), "elan cafe naive facade " * 3, *"中国北京大学"]
    tokenizer.train_from_iterator(lines, trainers.WordPieceTrainer(vocab_size=400, special_tokens=special))
    tokenizer.model.save(str(directory))


def write_byte_pairs(*special: str) -> Callable[[Path], None]:
    def write(directory: Path) -> None:
        tokenizer = Tokenizer(models.BPE())
        tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
        trainer = trainers.BpeTrainer(
            vocab_size=600,
            special_tokens=list(special),
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        )
        tokenizer.train_from_iterator(TEXT, trainer)
        tokenizer.model.save(str(directory))

    return write


def write_xlm(directory: Path) -> None:
    """As in published vocabularies, pieces that occur only in merges are omitted."""
    special = ["<s>", "</s>", "<pad>", "<unk>", *(f"<special{i}>" for i in range(10))]
    tokenizer = Tokenizer(models.BPE(end_of_word_suffix="</w>"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    trainer = trainers.BpeTrainer(vocab_size=500, special_tokens=special, end_of_word_suffix="</w>")
    tokenizer.train_from_iterator(
        [*TEXT, *(line.lower() for line in TEXT), *["the", ".", ",", "'", "北", "京"]], trainer
    )
    tokenizer.model.save(str(directory))
    vocab = json.loads((directory / "vocab.json").read_text(encoding="utf-8"))
    kept = [
        piece
        for piece in sorted(vocab, key=vocab.__getitem__)
        if piece in special or len(piece.removesuffix("</w>")) == 1 or sum(map(ord, piece)) % 5
    ]
    (directory / "vocab.json").write_text(json.dumps({piece: i for i, piece in enumerate(kept)}))
    merges = (directory / "merges.txt").read_text(encoding="utf-8").split("\n")[1:]
    (directory / "merges.txt").write_text("\n".join(f"{m} 1" if m else m for m in merges), encoding="utf-8")


def write_sentencepiece(name: str, **options: Any) -> Callable[..., None]:
    def write(directory: Path, **more: Any) -> None:
        train_sentencepiece(directory / name, **options, **more)

    return write


def train_sentencepiece(path: Path, **options: Any) -> None:
    settings = {"model_type": "unigram", "normalization_rule_name": "nmt_nfkc", "vocab_size": 300} | options
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(TEXT),
        model_prefix=str(path.with_suffix("")),
        hard_vocab_limit=False,
        minloglevel=2,
        num_threads=1,
        **settings,
    )


BERT = Layout(
    write_wordpiece,
    ("[CLS]", "[SEP]", "[PAD]", "[UNK]", "[MASK]"),
    config=({"do_lower_case": False}, {"strip_accents": False}, {"tokenize_chinese_chars": False}),
)
BRACKETS = ("[CLS]", "[SEP]", "<pad>", "<unk>", "[MASK]")

LAYOUTS = {
    "bert": BERT,
    "distilbert": BERT,
    "electra": BERT,
    "ernie": BERT,
    "roberta": Layout(
        write_byte_pairs("<s>", "<pad>", "</s>", "<unk>", "<mask>"),
        ("<s>", "</s>", "<pad>", "<unk>", "<mask>"),
        spaces=True,
    ),
    "deberta": Layout(
        write_byte_pairs("[PAD]", "[CLS]", "[SEP]", "[UNK]", "[MASK]"),
        ("[CLS]", "[SEP]", "[PAD]", "[UNK]", "[MASK]"),
        spaces=True,
    ),
    "xlm": Layout(
        write_xlm,
        ("<s>", "</s>", "<pad>", "<unk>", "<special1>"),
        config=({"do_lowercase_and_remove_accent": False, "lang2id": {"en": 0}, "id2lang": {"0": "en"}},),
    ),
    "xlm-roberta": Layout(
        write_sentencepiece("sentencepiece.bpe.model"),
        ("<s>", "</s>", "<pad>", "<unk>", "<mask>"),
        spaces=True,
        model="sentencepiece.bpe.model",
        spm_ids=lambda index: {0: 3, 1: 0, 2: 2}.get(index, index + 1),
    ),
    "albert": Layout(
        write_sentencepiece(
            "spiece.model",
            pad_id=0,
            unk_id=1,
            bos_id=-1,
            eos_id=-1,
            control_symbols="[CLS],[SEP]",
            user_defined_symbols="[MASK]",
        ),
        BRACKETS,
        spaces=True,
        model="spiece.model",
        config=({"do_lower_case": False, "keep_accents": True}, {"keep_accents": True}),
    ),
    "deberta-v2": Layout(
        write_sentencepiece(
            "spm.model",
            pad_id=0,
            bos_id=1,
            eos_id=2,
            unk_id=3,
            unk_piece="[UNK]",
            pad_piece="[PAD]",
            bos_piece="[CLS]",
            eos_piece="[SEP]",
        ),
        ("[CLS]", "[SEP]", "[PAD]", "[UNK]", "[MASK]"),
        spaces=True,
        model="spm.model",
        config=({"do_lower_case": True}, {"split_by_punct": True}),
    ),
    "big_bird": Layout(
        write_sentencepiece(
            "spiece.model",
            pad_id=0,
            eos_id=1,
            bos_id=2,
            unk_id=3,
            control_symbols="[CLS],[SEP],[MASK]",
        ),
        BRACKETS,
        spaces=True,
        model="spiece.model",
    ),
}
"""By `model_type`."""
