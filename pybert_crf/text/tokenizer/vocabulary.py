"""Deterministic construction of vocabularies from a training text."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from tokenizers import Tokenizer, models, pre_tokenizers, trainers

SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")


def character_vocabulary(
    rules: Tokenizer, token_sequences: Iterable[Sequence[str]], size: int, min_count: int
) -> list[str]:
    """The special pieces, then the characters that occur `min_count` times, most frequent first.

    A character that is not the first of its word (in a unit of several characters) counts for its ``##``
    piece.

    Args:
        rules: tokenizer whose normaliser and pre-tokenizer are applied.
        token_sequences: the units of each sentence.
        size: greatest number of pieces, including special ones.
        min_count: pieces that occur less often are omitted.

    Raises:
        ValueError: `size` leaves no room besides the special pieces.
    """
    _check_size(size)
    words = _words(rules, token_sequences)
    return [*SPECIAL, *_often(words, min_count)][:size]


def wordpiece_vocabulary(
    rules: Tokenizer, token_sequences: Iterable[Sequence[str]], size: int, min_count: int
) -> list[str]:
    """The special pieces, the frequent characters, and the merges of the WordPiece trainer of `tokenizers`.

    Arguments and errors are those of `character_vocabulary`. Words with a character rarer than `min_count`
    are omitted, as WordPiece maps the whole word to [UNK].
    """
    _check_size(size)
    words = _words(rules, token_sequences)
    alphabet = _often(words, min_count)[: size - len(SPECIAL)]
    known = set(alphabet)
    corpus = [word for word in sorted(words) if known.issuperset(_characters(word))]

    trained = Tokenizer(models.WordPiece({}, unk_token="[UNK]"))
    trained.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    # The trainer would number "##x" pieces in the order of a hash table, which differs between processes and
    # breaks ties; as special tokens they get their numbers here.
    trainer = trainers.WordPieceTrainer(
        vocab_size=size, min_frequency=min_count, special_tokens=[*SPECIAL, *alphabet], show_progress=False
    )
    trained.train_from_iterator((word for word in corpus for _ in range(words[word])), trainer)
    vocab: dict[str, int] = trained.get_vocab()
    return sorted(vocab, key=vocab.__getitem__)


def _words(rules: Tokenizer, token_sequences: Iterable[Sequence[str]]) -> Counter[str]:
    """The frequency of each word, after normalisation and pre-tokenization of each unit."""
    units: Counter[str] = Counter()
    for tokens in token_sequences:
        units.update(tokens)
    words: Counter[str] = Counter()
    for unit, count in units.items():
        text = rules.normalizer.normalize_str(unit.encode("utf-8", "ignore").decode("utf-8"))
        for word, _ in rules.pre_tokenizer.pre_tokenize_str(text):
            words[word] += count
    return words


def _often(words: Counter[str], min_count: int) -> list[str]:
    """The characters that occur at least `min_count` times, by descending frequency, then by code point."""
    pieces: Counter[str] = Counter()
    for word, count in words.items():
        for piece in _characters(word):
            pieces[piece] += count
    often = [piece for piece, count in pieces.items() if count >= min_count]
    return sorted(often, key=lambda piece: (-pieces[piece], piece))


def _characters(word: str) -> list[str]:
    return [word[0], *(f"##{character}" for character in word[1:])]


def _check_size(size: int) -> None:
    if size <= len(SPECIAL):
        raise ValueError(f"a vocabulary needs more than {len(SPECIAL)} pieces, got size={size}")
