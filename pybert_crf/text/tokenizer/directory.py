"""Opening the tokenizer in a checkpoint's directory, by the rules of transformers' ``AutoTokenizer``.

``tokenizer_class`` in ``tokenizer_config.json``, or else ``model_type`` in ``config.json``, determines the
family; ``tokenizer.json`` has precedence over the vocabulary files.
"""

from __future__ import annotations

import json
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
from pybert_crf.text.tokenizer.theirs import PythonPieces, open_theirs, set_unknown
from pybert_crf.text.tokenizer.wordpiece import WordPieces, read_vocab, set_options

WHOLE = "tokenizer.json"

# Classes of transformers that belong to no family.
_GENERIC = ("PreTrainedTokenizer", "TokenizersBackend", "PythonBackend")


Around = tuple[tuple[str, ...], tuple[str, ...]]
"""The special pieces before and after a text."""


def open_directory(directory: Path, space_before: bool) -> tuple[Pieces, dict[str, str], Around | None]:
    """The tokenizer's rules, its special pieces unk, cls, sep, pad, mask, bos, eos, and those around a text.

    Tokenizers of no known family may lack some of them. The last result is None for cls and sep.

    Args:
        directory: of a checkpoint.
        space_before: whether a unit is read as if a space preceded it, in families where this matters.

    Raises:
        FileNotFoundError: a vocabulary file is missing.
        ImportError: a package that reads the files is not installed.
        ConfigError: a file cannot be read or has an invalid value, or the family cannot be determined.
    """
    try:
        return _open(directory, space_before)
    except ValueError as error:  # begins with the name of a file, or with a reason for which all are to blame
        named = str(error).startswith(str(directory))
        raise ConfigError(str(error) if named else f"{directory}: {error}") from error


def _open(directory: Path, space_before: bool) -> tuple[Pieces, dict[str, str], Around | None]:
    config = _read_object(directory / "tokenizer_config.json")
    if "added_tokens_decoder" not in config:  # present in newer files, of which this one is only a copy
        config |= _read_object(directory / "special_tokens_map.json")
    whole = directory / WHOLE
    family = _family(directory, config, whole.is_file(), space_before)
    names = dict(family.names if family else BRACKETED)
    stated = {
        name: spelling
        for name in (*names, "bos", "eos")
        if config.get(f"{name}_token") and (spelling := _spelling(config, f"{name}_token"))
    }
    names |= stated
    if family is None:
        model = _read_object(directory / "config.json")
        found: LibraryPieces | PythonPieces
        if whole.is_file():
            found = _from_state(read_object(whole), whole, space_before)
        else:
            theirs = open_theirs(directory, str(config.get("tokenizer_class") or model.get("model_type")))
            stated |= {name: str(each) for name in (*names, "bos", "eos") if (each := _theirs(theirs, name))}
            backend = getattr(theirs, "backend_tokenizer", None)
            if backend is None:
                found = PythonPieces(theirs, space_before)
            else:
                state = json.loads(backend.to_str())
                set_unknown(state["model"], stated.get("unk"))
                found = _from_state(state, directory, space_before)
        return _found(found, stated, model)
    if family.library and whole.is_file():
        return _from_whole(whole, family, config, space_before), names, None
    pieces = _from_files(directory, family, names, config, space_before)
    return pieces, {**names, "cls": names["bos"]} if family.bos_first else names, None


def _family(
    directory: Path, config: Mapping[str, Any], has_whole: bool, space_before: bool
) -> TokenizerFamily | None:
    """The tokenizer's family; None if `tokenizer.json` alone determines it, or transformers."""
    stated = config.get("tokenizer_class") or ""
    if not isinstance(stated, str):
        raise ConfigError(f"tokenizer_config.json: tokenizer_class must be a string, got {quoted(stated)}")
    stated = stated.removesuffix("Fast")
    for family in TOKENIZER_FAMILIES:
        if stated in family.tokenizer_classes:
            return family
    if stated and has_whole:
        return None
    model_type = _read_object(directory / "config.json").get("model_type")
    if stated and stated not in _GENERIC:
        return None
    for family in TOKENIZER_FAMILIES:
        if model_type in family.model_types:
            return family
    if has_whole:
        return None
    if (directory / "vocab.txt").is_file() and (
        model_type is None or _is_wordpiece(directory, str(model_type), space_before)
    ):
        return BERT_TOKENIZER
    if isinstance(model_type, str) and _has_vocabulary(directory):
        return None
    files = dict.fromkeys(file for family in TOKENIZER_FAMILIES for file in family.files)
    if any((directory / file).is_file() for file in files):
        raise ValueError(
            f"{directory} has no {WHOLE}, and the family of its vocabulary files cannot be determined: "
            "neither tokenizer_config.json (tokenizer_class) nor config.json (model_type) names a known one"
        )
    raise FileNotFoundError(f"no tokenizer in {directory}: looked for {WHOLE}, {', '.join(files)}")


def _has_vocabulary(directory: Path) -> bool:
    """Whether there is a file that some class of transformers may read."""
    return any(any(directory.glob(name)) for name in ("*.model", "vocab.*", "*.tiktoken"))


def _is_wordpiece(directory: Path, model_type: str, space_before: bool) -> bool:
    """Whether a vocab.txt of another type is BERT's, as Chinese GPT-2, T5 and BART have it."""
    if (directory / "vocab.json").is_file() or any(directory.glob("*.model")):
        return False
    if model_type == "roformer" and space_before:
        told = f"{directory}: words of a roformer vocabulary are cut by jieba, which is not done here"
        raise ValueError(f"{told}; its vocab.txt is read by character (unit char)")
    vocab = read_vocab(directory / "vocab.txt")
    return all(piece in vocab for piece in BRACKETED.values())


def _theirs(tokenizer: Any, name: str) -> object:
    """A special piece of a tokenizer of transformers; None if it has none."""
    return getattr(tokenizer, f"{name}_token", None)


def _found(
    pieces: LibraryPieces | PythonPieces, stated: Mapping[str, str], model: Mapping[str, Any]
) -> tuple[LibraryPieces | PythonPieces, dict[str, str], Around | None]:
    """The special pieces of a vocabulary of no known family: those stated, and those found in it.

    Before and after a text stands what the tokenizer's own template puts there, which may be nothing; if it
    has no template, cls and sep. Padding without a piece of its own is a special one, which no text contains,
    if there is any.

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
    found |= stated
    if "pad" not in found and "eos" not in found and (special := pieces.special()):
        found["pad"] = special[0]
    around = pieces.around()
    if not any(around):
        return pieces, found, None
    kept = {name: each for name, each in found.items() if name in stated or name not in ("cls", "sep")}
    return pieces, kept, around


def _from_whole(
    path: Path, family: TokenizerFamily, config: Mapping[str, Any], space_before: bool
) -> LibraryPieces:
    state = read_object(path)
    wordpiece = family.files == BERT_TOKENIZER.files
    if wordpiece:
        set_options(state.get("normalizer"), config)
    pieces = _from_state(state, path, space_before)
    if wordpiece and isinstance(pieces.tokenizer.model, models.WordPiece):
        return WordPieces(pieces.tokenizer, family.saved_as)
    return pieces


def _from_state(state: dict[str, Any], path: Path, space_before: bool) -> LibraryPieces:
    """The tokenizer of a ``tokenizer.json`` with this content."""
    set_space_before(state, space_before)
    return LibraryPieces(library_tokenizer(state, path))


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
