"""Opening the tokenizer in a checkpoint's directory, by the rules of transformers' ``AutoTokenizer``.

``tokenizer_class`` in ``tokenizer_config.json``, or else ``model_type`` in ``config.json``, determines the
family; ``tokenizer.json`` has precedence over the vocabulary files.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tokenizers import AddedToken, models

from pybert_crf.reading import ConfigError, quoted, read_object
from pybert_crf.text.tokenizer.families import BERT_TOKENIZER, BRACKETED, TOKENIZER_FAMILIES, TokenizerFamily
from pybert_crf.text.tokenizer.pieces import (
    MAX_PIECES,
    LibraryPieces,
    Pieces,
    library_errors,
    library_tokenizer,
    set_space_before,
)
from pybert_crf.text.tokenizer.wordpiece import WordPieces, set_options

WHOLE = "tokenizer.json"

# Classes of transformers that belong to no family.
_GENERIC = ("PreTrainedTokenizer", "TokenizersBackend", "PythonBackend")


def open_directory(directory: Path, space_before: bool) -> tuple[Pieces, dict[str, str]]:
    """The tokenizer's rules, and its special pieces unk, cls, sep, pad, mask and, if known, bos and eos.

    A ``tokenizer.json`` of no known family may lack some of the first four.

    Args:
        directory: of a checkpoint.
        space_before: whether a unit is read as if a space preceded it, in families where this matters.

    Raises:
        FileNotFoundError: a vocabulary file is missing.
        ConfigError: a file cannot be read or has an invalid value, or the family cannot be determined.
    """
    try:
        return _open(directory, space_before)
    except ValueError as error:  # begins with the name of a file, or with a reason for which all are to blame
        named = str(error).startswith(str(directory))
        raise ConfigError(str(error) if named else f"{directory}: {error}") from error


def _open(directory: Path, space_before: bool) -> tuple[Pieces, dict[str, str]]:
    config = _read_object(directory / "tokenizer_config.json")
    if "added_tokens_decoder" not in config:  # present in newer files, of which this one is only a copy
        config |= _read_object(directory / "special_tokens_map.json")
    whole = directory / WHOLE
    family = _family(directory, config, whole.is_file())
    names = dict(family.names if family else BRACKETED)
    stated = {
        name: spelling
        for name in (*names, "bos", "eos")
        if config.get(f"{name}_token") and (spelling := _spelling(config, f"{name}_token"))
    }
    names |= stated
    if family is None:
        whole_pieces = _from_whole(whole, family, config, space_before)
        return whole_pieces, _found(whole_pieces, stated, _read_object(directory / "config.json"))
    if family.library and whole.is_file():
        return _from_whole(whole, family, config, space_before), names
    pieces = _from_files(directory, family, names, config, space_before)
    return pieces, {**names, "cls": names["bos"]} if family.bos_first else names


def _family(directory: Path, config: Mapping[str, Any], has_whole: bool) -> TokenizerFamily | None:
    """The tokenizer's family; None if `tokenizer.json` alone determines it."""
    stated = config.get("tokenizer_class") or ""
    if not isinstance(stated, str):
        raise ConfigError(f"tokenizer_config.json: tokenizer_class must be a string, got {quoted(stated)}")
    stated = stated.removesuffix("Fast")
    for family in TOKENIZER_FAMILIES:
        if stated in family.tokenizer_classes:
            return family
    if stated and has_whole:
        return None
    if stated and stated not in _GENERIC:
        known = ", ".join(name for family in TOKENIZER_FAMILIES for name in family.tokenizer_classes)
        raise ValueError(
            f"{directory / 'tokenizer_config.json'}: tokenizer_class {quoted(stated)} can be opened only "
            f"with a {WHOLE}; without one: {known}"
        )
    model_type = _read_object(directory / "config.json").get("model_type")
    for family in TOKENIZER_FAMILIES:
        if model_type in family.model_types:
            return family
    if has_whole:
        return None
    if (directory / "vocab.txt").is_file() and model_type is None:
        return BERT_TOKENIZER
    files = dict.fromkeys(file for family in TOKENIZER_FAMILIES for file in family.files)
    if any((directory / file).is_file() for file in files):
        raise ValueError(
            f"{directory} has no {WHOLE}, and the family of its vocabulary files cannot be determined: "
            "neither tokenizer_config.json (tokenizer_class) nor config.json (model_type) names a known one"
        )
    raise FileNotFoundError(f"no tokenizer in {directory}: looked for {WHOLE}, {', '.join(files)}")


def _found(pieces: LibraryPieces, stated: Mapping[str, str], model: Mapping[str, Any]) -> dict[str, str]:
    """The special pieces of a vocabulary of no known family: those stated, and those found in it.

    Before and after a text stands what the tokenizer's own template puts there, which may be nothing.

    Args:
        stated: in ``tokenizer_config.json``; the vocabulary must have them.
        model: ``config.json``.
    """
    vocab = pieces.vocab()
    found = {name: each for name, each in BRACKETED.items() if each in vocab}
    for name, each in (("unk", "<unk>"), ("pad", "<pad>"), ("mask", "<mask>")):
        if name not in found and each in vocab:
            found[name] = each
    if "pad" not in found and type(pad := model.get("pad_token_id")) is int:
        found |= [("pad", each) for each, index in vocab.items() if index == pad]
    around = dict(zip(("cls", "sep"), pieces.around(), strict=True))
    found |= {name: each for name, each in around.items() if each is not None and name not in found}
    return found | dict(stated)


def _from_whole(
    path: Path, family: TokenizerFamily | None, config: Mapping[str, Any], space_before: bool
) -> LibraryPieces:
    state = read_object(path)
    set_space_before(state.get("pre_tokenizer"), space_before)
    wordpiece = family is not None and family.files == BERT_TOKENIZER.files
    if wordpiece:
        set_options(state.get("normalizer"), config)
    tokenizer = library_tokenizer(state, path)
    if family is not None and wordpiece and isinstance(tokenizer.model, models.WordPiece):
        return WordPieces(tokenizer, family.saved_as)
    return LibraryPieces(tokenizer)


def _from_files(
    directory: Path,
    family: TokenizerFamily,
    names: Mapping[str, str],
    config: Mapping[str, Any],
    space_before: bool,
) -> Pieces:
    files = [directory / name for name in family.files]
    missing = [path.name for path in files if not path.is_file()]
    if missing:
        looked = f"{WHOLE} or {' and '.join(family.files)}" if family.library else " and ".join(family.files)
        pickled = (
            " (bpe_encoder.bin, a pickle, is not read)" if (directory / "bpe_encoder.bin").exists() else ""
        )
        raise FileNotFoundError(
            f"no {family.model_types[0]} tokenizer in {directory}: looked for {looked}, "
            f"{', '.join(missing)} missing{pickled}"
        )
    with library_errors(str(files[0])):
        pieces = family.open(files, names, config, space_before)
    _add_tokens(directory, pieces, config)
    return pieces


def _add_tokens(directory: Path, pieces: Pieces, config: Mapping[str, Any]) -> None:
    """Add the pieces that were added after training; each must get the id that the files give it.

    XLM's tokenizer is not one of the library and cannot be extended.
    """
    added: dict[int, AddedToken] = {}
    source = directory / "added_tokens.json"
    if "added_tokens_decoder" in config:
        source = directory / "tokenizer_config.json"
        added = _added_tokens(config["added_tokens_decoder"])
    else:
        special = {
            _spelling(config, key) for key, value in config.items() if key.endswith("_token") and value
        }
        for text, index in _read_object(source).items():
            if type(index) is not int or not 0 <= index < MAX_PIECES:
                raise ConfigError(f"{source}: the id of {quoted(text)} is {quoted(index)}")
            added[index] = AddedToken(text, normalized=text not in special, special=text in special)
    with library_errors(str(source)):
        for index, token in sorted(added.items()):
            if isinstance(pieces, LibraryPieces):
                add = pieces.tokenizer.add_special_tokens if token.special else pieces.tokenizer.add_tokens
                add([token])
                got = pieces.tokenizer.token_to_id(token.content)
            else:
                got = pieces.vocab().get(token.content)
            if got != index:
                raise ValueError(f"{quoted(token.content)} should have the id {index}, but gets {got}")
        if added and isinstance(pieces, LibraryPieces) and not pieces.survives_saving():
            raise ValueError("its pieces would get other ids when saved, since the ids below have gaps")


def _added_tokens(entries: object) -> dict[int, AddedToken]:
    """The entry ``added_tokens_decoder`` of a ``tokenizer_config.json``: options of pieces, by their ids."""
    if not isinstance(entries, dict):
        raise ConfigError(
            f"tokenizer_config.json: added_tokens_decoder must be an object, got {quoted(entries)}"
        )
    return dict(_added_token(index, token) for index, token in entries.items())


def _added_token(index: str, token: Any) -> tuple[int, AddedToken]:
    try:
        return int(index), AddedToken(**token)
    except (TypeError, ValueError) as error:
        raise ConfigError(
            f"tokenizer_config.json: added_tokens_decoder: {quoted(index)} is {quoted(token)}"
        ) from error


def _read_object(path: Path) -> dict[str, Any]:
    """Read a JSON object; an empty one if the file does not exist."""
    return read_object(path) if path.is_file() else {}


def _spelling(config: Mapping[str, Any], key: str) -> str:
    """The text of a special piece, which is a string or an object with a ``content``."""
    token = config[key]
    text = token.get("content") if isinstance(token, dict) else token
    if not isinstance(text, str):
        raise ConfigError(f"tokenizer_config.json: {key} must be a string, got {quoted(token)}")
    return text
