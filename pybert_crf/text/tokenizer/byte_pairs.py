"""Byte-level byte-pair encoding of RoBERTa and DeBERTa v1: ``vocab.json`` and ``merges.txt``.

Every byte has a piece, so nothing is unknown; the space before a word is its first byte, written Ġ (Radford
et al., 2019).
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, processors

from pybert_crf.reading import ConfigError, quoted, read_object, read_text
from pybert_crf.text.tokenizer.pieces import MAX_PIECES


def build_byte_pairs(
    vocab: dict[str, int], merges: list[tuple[str, str]], names: Mapping[str, str], space_before: bool
) -> Tokenizer:
    """The tokenizer of a byte-pair vocabulary.

    Args:
        vocab: ids of the pieces.
        merges: pairs of pieces, in the order in which they are merged.
        names: the special pieces.
        space_before: whether a unit is read as if a space preceded it.

    Raises:
        ValueError: the merges do not fit the vocabulary.
    """
    try:
        model = models.BPE(vocab, merges, fuse_unk=False)
    except Exception as error:  # the library raises bare Exception
        raise ValueError(f"the merges do not fit the vocabulary: {error}") from error
    tokenizer = Tokenizer(model)
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=space_before)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(special_tokens(names, vocab))
    if names["cls"] in vocab and names["sep"] in vocab:
        tokenizer.post_processor = processors.RobertaProcessing(
            (names["sep"], vocab[names["sep"]]),
            (names["cls"], vocab[names["cls"]]),
            add_prefix_space=space_before,
        )
    return tokenizer


def special_tokens(names: Mapping[str, str], vocab: Mapping[str, int]) -> list[AddedToken]:
    """The special pieces in the vocabulary; the mask includes the space before it, as words do."""
    return [
        AddedToken(piece, lstrip=name == "mask", normalized=False, special=True)
        for name, piece in names.items()
        if piece in vocab
    ]


def read_vocab_json(path: Path) -> dict[str, int]:
    """Read a ``vocab.json``: pieces and ids.

    Raises:
        ConfigError: the file is not a JSON object of distinct ids.
    """
    vocab = read_object(path)
    for piece, index in vocab.items():
        if type(index) is not int or not 0 <= index < MAX_PIECES:
            raise ConfigError(f"{path}: the id of {quoted(piece)} is {quoted(index)}")
    if len(set(vocab.values())) < len(vocab):
        raise ConfigError(f"{path}: two pieces have the same id")
    return vocab


def read_merges(path: Path) -> list[tuple[str, str]]:
    """Read a ``merges.txt``: one pair per line, in the order in which they are merged.

    A count after the pair and a ``#version`` line are ignored.

    Raises:
        ConfigError: a line is not a pair, or the file is not UTF-8.
    """
    text = read_text(path)
    merges = []
    # Only \n ends a line and only a space separates the pair: other white space occurs in real vocabularies.
    for number, line in enumerate(text.split("\n"), 1):
        pair = line.removesuffix("\r").split(" ")
        if line.startswith("#version") or pair == [""]:
            continue
        if len(pair) < 2 or not all(pair[:2]) or "\r" in line.removesuffix("\r"):
            raise ConfigError(f"{path}, line {number}: expected two pieces, got {quoted(line)}")
        merges.append((pair[0], pair[1]))
    return merges
