"""Sentencepiece models (Kudo and Richardson, 2018) of XLM-R, ALBERT, DeBERTa-v2 and -v3, and BigBird.

A ``.model`` file becomes a tokenizer of the `tokenizers` library with the same pieces, the model's
normalisation (which transformers 5 omits for DeBERTa-v2 and BigBird) and the additional rules of the
family.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors

from pybert_crf.reading import ConfigError, quoted
from pybert_crf.text.tokenizer import model_file as spm
from pybert_crf.text.tokenizer.byte_pairs import special_tokens
from pybert_crf.text.tokenizer.pieces import SPACE


@dataclass(frozen=True)
class SentencePieceRules:
    """The rules of a family that are not in the model itself.

    Attributes:
        options: of ``tokenizer_config.json``, with defaults: ``do_lower_case``, ``keep_accents``,
            ``split_by_punct``.
        fairseq_ids: <s>, <pad>, </s>, <unk> have the first ids, whatever the model's order (XLM-R).
        quotes: `` and '' become " (ALBERT).
        split_number_commas: pieces such as "9," are avoided (ALBERT).
    """

    options: Mapping[str, bool]
    fairseq_ids: bool = False
    quotes: bool = False
    split_number_commas: bool = False


def build_sentencepiece(
    model: spm.SentencePieceModel,
    rules: SentencePieceRules,
    names: Mapping[str, str],
    config: Mapping[str, Any],
    space_before: bool,
) -> Tokenizer:
    """The tokenizer of a model.

    Args:
        model: content of the ``.model`` file.
        rules: the family's.
        names: the special pieces; the mask is appended if the model has none.
        config: ``tokenizer_config.json``, whose values override the defaults in ``rules.options``.
        space_before: whether a unit is read as if a space preceded it.

    Raises:
        ConfigError: an option has an invalid value.
        ValueError: a type of model, or an order of pieces, that the family does not have.
    """
    options = {key: config.get(key, default) for key, default in rules.options.items()}
    for option, value in options.items():
        if not isinstance(value, bool):
            raise ConfigError(f"tokenizer_config.json: {option} must be true or false, got {quoted(value)}")
    tokenizer = Tokenizer(_segmentation(model, rules, names))
    tokenizer.normalizer = normalizers.Sequence(_normalizers(model, rules, options))
    scheme = "always" if space_before else "never"
    splits: list[Any] = [pre_tokenizers.WhitespaceSplit()]
    if options.get("split_by_punct"):
        splits.append(pre_tokenizers.Punctuation(behavior="isolated"))
    splits.append(pre_tokenizers.Metaspace(replacement=SPACE, prepend_scheme=scheme))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(splits)
    tokenizer.decoder = decoders.Metaspace(replacement=SPACE, prepend_scheme=scheme)
    tokenizer.add_tokens(
        [
            AddedToken(piece.text, normalized=False, special=piece.type == spm.CONTROL)
            for piece in model.pieces
            if piece.type in (spm.CONTROL, spm.USER_DEFINED)
        ]
    )
    vocab = tokenizer.get_vocab()
    tokenizer.add_special_tokens(special_tokens(names, {**vocab, names["mask"]: len(vocab)}))
    if names["cls"] in vocab and names["sep"] in vocab:
        tokenizer.post_processor = _surround(names, vocab, pair_apart=rules.fairseq_ids)
    return tokenizer


def _segmentation(
    model: spm.SentencePieceModel, rules: SentencePieceRules, names: Mapping[str, str]
) -> models.Unigram | models.BPE:
    pieces, unk_id = [(piece.text, piece.score) for piece in model.pieces], model.unk_id
    if rules.fairseq_ids:
        if any(piece.type not in (spm.UNKNOWN, spm.CONTROL) for piece in model.pieces[:3]):
            raise ValueError("its first three pieces should be the special ones <unk>, <s>, </s>")
        first = [(names[name], 0.0) for name in ("bos", "pad", "eos", "unk")]
        pieces, unk_id = [*first, *pieces[3:]], 3
    if rules.split_number_commas:
        pieces = [(text, score - 100 * _number_comma(text)) for text, score in pieces]
    if model.type == spm.UNIGRAM:
        return models.Unigram(pieces, unk_id, byte_fallback=model.byte_fallback)
    if model.type == spm.BPE:
        vocab = {text: index for index, (text, _) in enumerate(pieces)}
        return models.BPE(
            vocab,
            _merges(model),
            unk_token=pieces[unk_id][0],
            fuse_unk=True,
            byte_fallback=model.byte_fallback,
        )
    raise ValueError("it is neither a unigram model nor one of byte-pair encoding")


def _number_comma(text: str) -> bool:
    return len(text) > 1 and text[-1] == "," and text[-2].isdigit()


def _merges(model: spm.SentencePieceModel) -> list[tuple[str, str]]:
    """All pairs of pieces whose concatenation is a piece, by descending score as in sentencepiece."""
    scores = {piece.text: piece.score for piece in model.pieces if piece.type == spm.NORMAL}
    pairs = [
        (-score, text[:cut], text[cut:])
        for text, score in scores.items()
        for cut in range(1, len(text))
        if text[:cut] in scores and text[cut:] in scores
    ]
    return [(left, right) for _, left, right in sorted(pairs)]


def _normalizers(
    model: spm.SentencePieceModel, rules: SentencePieceRules, options: Mapping[str, bool]
) -> list[Any]:
    steps: list[Any] = []
    if rules.quotes:
        steps += [normalizers.Replace("``", '"'), normalizers.Replace("''", '"')]
    if not options.get("keep_accents", True):
        steps += [normalizers.NFKD(), normalizers.StripAccents()]
    if options.get("do_lower_case"):
        steps.append(normalizers.Lowercase())
    if model.charsmap:
        steps.append(normalizers.Precompiled(model.charsmap))
    return steps


def _surround(
    names: Mapping[str, str], vocab: Mapping[str, int], *, pair_apart: bool
) -> processors.TemplateProcessing:
    """The special pieces around a text or a pair; `pair_apart`: two of them between the pair, one segment."""
    cls, sep = names["cls"], names["sep"]
    pair = f"{cls} $A {sep} {sep} $B {sep}" if pair_apart else f"{cls}:0 $A:0 {sep}:0 $B:1 {sep}:1"
    return processors.TemplateProcessing(
        single=f"{cls} $A {sep}", pair=pair, special_tokens=[(cls, vocab[cls]), (sep, vocab[sep])]
    )
