"""Reference tokenizers: transformers, its converter, and sentencepiece."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import sentencepiece
from layouts import LAYOUTS
from sentencepiece import sentencepiece_model_pb2 as protobuf
from tokenizers import Tokenizer

from pybert_crf.text.tokenizer import UnitTokenizer

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # raised by this import
    import transformers.convert_slow_tokenizer as conversion
    from transformers import AutoTokenizer  # type: ignore[attr-defined]  # known at run time only


def own(ours: UnitTokenizer, unit: str) -> list[int]:
    return ours.encode([unit]).ids


def auto(directory: Path, **options: Any) -> Any:
    """The tokenizer that transformers opens."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return AutoTokenizer.from_pretrained(directory, **options)


def expected(theirs: Any, unit: str) -> list[int]:
    """The ids of a unit in transformers; unknown if nothing, or only the space before it, remains."""
    ids: list[int] = theirs([clean(unit)], is_split_into_words=True, add_special_tokens=False)["input_ids"]
    return [theirs.unk_token_id] if theirs.convert_ids_to_tokens(ids) in ([], ["▁"]) else ids


def converted(model_type: str, directory: Path, config: dict[str, Any], space_before: bool) -> Tokenizer:
    """The tokenizer that transformers' converter of slow tokenizers makes of a sentencepiece model."""
    converter = {
        "albert": conversion.AlbertConverter,
        "deberta-v2": conversion.DebertaV2Converter,
        "big_bird": conversion.BigBirdConverter,
    }[model_type]
    options = {"do_lower_case": False, "keep_accents": False, "split_by_punct": False} | config
    slow = SimpleNamespace(
        vocab_file=str(directory / LAYOUTS[model_type].model),
        add_prefix_space=space_before,
        convert_tokens_to_ids=lambda piece: 0,
        **options,
    )
    tokenizer: Tokenizer = converter(slow).converted()
    tokenizer.add_special_tokens(list(LAYOUTS[model_type].special))
    return tokenizer


def read_proto(path: Path) -> Any:
    proto = protobuf.ModelProto()
    proto.ParseFromString(path.read_bytes())
    return proto


def sentencepiece_pieces(path: Path, space_before: bool) -> Callable[[str], tuple[list[int], list[str]]]:
    """A function that returns sentencepiece's ids and pieces of a unit."""
    proto = read_proto(path)
    proto.normalizer_spec.add_dummy_prefix = space_before
    processor = sentencepiece.SentencePieceProcessor(model_proto=proto.SerializeToString())
    return lambda unit: (processor.encode(clean(unit)), processor.encode(clean(unit), out_type=str))


def clean(unit: str) -> str:
    """The unit with lone surrogates replaced, which the libraries refuse."""
    return unit.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
