"""Piece vocabularies made from a training text, the same at every run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from tokenizers import Tokenizer, models, pre_tokenizers, trainers

SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")


def character_vocabulary(
    rules: Tokenizer, token_sequences: Iterable[Sequence[str]], size: int, min_count: int
) -> list[str]:
    """The special pieces, then every character seen often enough, the most frequent first.

    A character that does not open its word (inside a unit of several characters) counts for its ``##`` piece.

    Args:
        rules: whose normaliser and pre-tokenizer to apply.
        token_sequences: the units of each sentence.
        size: at most so many pieces, special ones included.
        min_count: leave out pieces seen less often.
    """
    _check_size(size)
    words = _words(rules, token_sequences)
    return [*SPECIAL, *_often(words, min_count)][:size]


def wordpiece_vocabulary(
    rules: Tokenizer, token_sequences: Iterable[Sequence[str]], size: int, min_count: int
) -> list[str]:
    """The special pieces, the characters seen often enough, and what `tokenizers`' WordPiece trainer merges.

    Words with a character rarer than `min_count` are left out: they are [UNK] then, here as in training.
    """
    _check_size(size)
    words = _words(rules, token_sequences)
    alphabet = _often(words, min_count)[: size - len(SPECIAL)]
    known = set(alphabet)
    corpus = [word for word in sorted(words) if known.issuperset(_characters(word))]

    trained = Tokenizer(models.WordPiece({}, unk_token="[UNK]"))
    trained.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    # The trainer numbers "##x" pieces in the order of a hash table, which differs between processes and
    # decides ties; given as special tokens they have their numbers from here.
    trainer = trainers.WordPieceTrainer(
        vocab_size=size, min_frequency=min_count, special_tokens=[*SPECIAL, *alphabet], show_progress=False
    )
    trained.train_from_iterator((word for word in corpus for _ in range(words[word])), trainer)
    vocab: dict[str, int] = trained.get_vocab()
    return sorted(vocab, key=vocab.__getitem__)


def _words(rules: Tokenizer, token_sequences: Iterable[Sequence[str]]) -> Counter[str]:
    """How often each word comes, after normalising and pre-tokenizing each unit."""
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
    """The characters seen `min_count` times or more, by falling frequency, then by code point."""
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
