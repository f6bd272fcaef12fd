"""The families of tokenizers: one table row each, with files, special pieces and rules."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pybert_crf.text.tokenizer.byte_pairs import build_byte_pairs, read_merges, read_vocab_json
from pybert_crf.text.tokenizer.model_file import read_model
from pybert_crf.text.tokenizer.moses import XlmPieces
from pybert_crf.text.tokenizer.pieces import LibraryPieces, Pieces
from pybert_crf.text.tokenizer.sentencepiece import SentencePieceRules, build_sentencepiece
from pybert_crf.text.tokenizer.wordpiece import WordPieces, build_wordpiece, read_vocab

Open = Callable[[Sequence[Path], Mapping[str, str], Mapping[str, Any], bool], Pieces]
"""(vocabulary files, special pieces, tokenizer_config.json, whether a space precedes a unit) → the rules."""

BRACKETED = {"unk": "[UNK]", "cls": "[CLS]", "sep": "[SEP]", "pad": "[PAD]", "mask": "[MASK]"}
"""BERT's special pieces."""

_ANGLED = {"unk": "<unk>", "cls": "<s>", "sep": "</s>", "pad": "<pad>", "mask": "<mask>"}
_ENDS = {"bos": "<s>", "eos": "</s>"}


@dataclass(frozen=True)
class TokenizerFamily:
    """The files and rules of one family's tokenizer.

    Attributes:
        model_types: of the encoders that use it, in ``config.json``.
        tokenizer_classes: in ``tokenizer_config.json``, without "Fast".
        files: the vocabulary files, all required if there is no ``tokenizer.json``.
        names: the special pieces, unless a file defines others.
        open: makes the rules from the files.
        bos_first: the piece before a text is ``bos_token``, not ``cls_token``.
        library: a ``tokenizer.json`` may replace the files.
        saved_as: the class of transformers that opens a saved tokenizer; the generic class applies
            ``tokenizer.json`` unchanged, whereas a family's own class may omit some of the rules.
    """

    model_types: tuple[str, ...]
    tokenizer_classes: tuple[str, ...]
    files: tuple[str, ...]
    names: Mapping[str, str]
    open: Open
    bos_first: bool = False
    library: bool = True
    saved_as: str = "PreTrainedTokenizerFast"


def _wordpiece(saved_as: str) -> Open:
    def open_wordpiece(
        files: Sequence[Path], names: Mapping[str, str], config: Mapping[str, Any], space_before: bool
    ) -> Pieces:
        return WordPieces(build_wordpiece(read_vocab(files[0]), names, config), saved_as)

    return open_wordpiece


def _byte_pairs(
    files: Sequence[Path], names: Mapping[str, str], config: Mapping[str, Any], space_before: bool
) -> Pieces:
    vocab, merges = read_vocab_json(files[0]), read_merges(files[1])
    return LibraryPieces(build_byte_pairs(vocab, merges, names, space_before))


def _xlm(
    files: Sequence[Path], names: Mapping[str, str], config: Mapping[str, Any], space_before: bool
) -> Pieces:
    return XlmPieces(read_vocab_json(files[0]), read_merges(files[1]), names, config)


def _sentencepiece(rules: SentencePieceRules) -> Open:
    def open_sentencepiece(
        files: Sequence[Path], names: Mapping[str, str], config: Mapping[str, Any], space_before: bool
    ) -> Pieces:
        return LibraryPieces(build_sentencepiece(read_model(files[0]), rules, names, config, space_before))

    return open_sentencepiece


BERT_TOKENIZER = TokenizerFamily(
    ("bert", "electra", "ernie"),
    ("BertTokenizer", "ElectraTokenizer", "ErnieTokenizer"),
    ("vocab.txt",),
    BRACKETED,
    _wordpiece("BertTokenizer"),
    saved_as="BertTokenizer",
)

TOKENIZER_FAMILIES = (
    BERT_TOKENIZER,
    TokenizerFamily(
        ("distilbert",),
        ("DistilBertTokenizer",),
        ("vocab.txt",),
        BRACKETED,
        _wordpiece("DistilBertTokenizer"),
        saved_as="DistilBertTokenizer",
    ),
    TokenizerFamily(
        ("roberta",), ("RobertaTokenizer",), ("vocab.json", "merges.txt"), {**_ANGLED, **_ENDS}, _byte_pairs
    ),
    TokenizerFamily(
        ("deberta",), ("DebertaTokenizer",), ("vocab.json", "merges.txt"), BRACKETED, _byte_pairs
    ),
    TokenizerFamily(
        ("xlm",),
        ("XLMTokenizer",),
        ("vocab.json", "merges.txt"),
        {**_ANGLED, **_ENDS, "cls": "</s>", "mask": "<special1>"},
        _xlm,
        bos_first=True,
        library=False,
    ),
    TokenizerFamily(
        ("xlm-roberta", "xlm-roberta-xl"),
        ("XLMRobertaTokenizer",),
        ("sentencepiece.bpe.model",),
        {**_ANGLED, **_ENDS},
        _sentencepiece(SentencePieceRules({}, fairseq_ids=True)),
    ),
    TokenizerFamily(
        ("albert",),
        ("AlbertTokenizer",),
        ("spiece.model",),
        {**BRACKETED, "unk": "<unk>", "pad": "<pad>"},
        _sentencepiece(
            SentencePieceRules(
                {"do_lower_case": True, "keep_accents": False}, quotes=True, split_number_commas=True
            )
        ),
    ),
    TokenizerFamily(
        ("deberta-v2",),
        ("DebertaV2Tokenizer",),
        ("spm.model",),
        BRACKETED,
        _sentencepiece(SentencePieceRules({"do_lower_case": False, "split_by_punct": False})),
    ),
    TokenizerFamily(
        ("big_bird",),
        ("BigBirdTokenizer",),
        ("spiece.model",),
        {**BRACKETED, **_ENDS, "unk": "<unk>", "pad": "<pad>"},
        _sentencepiece(SentencePieceRules({})),
    ),
)
