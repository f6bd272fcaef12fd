"""Tokenizers of transformers, for vocabulary files of types that have no family here and no tokenizer.json.

Most classes of transformers make a tokenizer of the `tokenizers` library from such files; a few tokenize in
Python. No code that a checkpoint brings along is run.
"""

from __future__ import annotations

import json
import tempfile
import warnings
from itertools import chain
from pathlib import Path
from typing import Any

from pybert_crf.files import replacing
from pybert_crf.reading import ConfigError, quoted, shortened
from pybert_crf.text.tokenizer.pieces import SPACE, SURROGATES

_CURE = "a tokenizer.json settles that, as by AutoTokenizer.from_pretrained(…).save_pretrained(…)"

_OPTIONAL = ("tokenizer_file", "tokenizer_config_file")


def open_theirs(directory: Path, model_type: str) -> Any:
    """The tokenizer that transformers opens from the files of a directory.

    Raises:
        ImportError: transformers, or a package that its class needs, is not installed.
        FileNotFoundError: a file of the class is missing.
        ConfigError: transformers cannot read the files.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            import transformers
    except ImportError as error:
        raise ImportError(
            f"the vocabulary of a {quoted(model_type)} tokenizer in {directory} is read by transformers: "
            f"pip install 'pybert-crf[transformers]'; or {_CURE}"
        ) from error
    auto: Any = transformers.AutoTokenizer
    logging: Any = transformers.utils.logging  # its functions have no types
    level = logging.get_verbosity()
    logging.set_verbosity_error()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tokenizer = auto.from_pretrained(directory, local_files_only=True, trust_remote_code=False)
    except Exception as error:  # what is missing, and what is damaged, is told in all kinds
        reason = shortened(" ".join(str(error).split()))
        wrong: type[Exception] = ImportError if isinstance(error, ImportError) else ConfigError
        told = f"{directory}: transformers does not read its {shortened(model_type)} tokenizer ({reason})"
        raise wrong(f"{told}; {_CURE}") from error
    finally:
        logging.set_verbosity(level)
    kind = type(tokenizer)
    needed = [name for key, name in kind.vocab_files_names.items() if key not in _OPTIONAL]
    absent = [name for name in needed if not (directory / name).is_file()]
    if absent:  # transformers would go on with an empty vocabulary
        raise FileNotFoundError(
            f"no {shortened(model_type)} tokenizer in {directory}: {kind.__name__} of transformers looks for "
            f"tokenizer.json or {' and '.join(absent)}"
        )
    return tokenizer


def set_unknown(model: dict[str, Any], unknown: str | None) -> None:
    """Make a unigram model take the unknown piece for what it does not know: RemBERT's class takes [CLS]."""
    pieces = [piece for piece, _ in model["vocab"]] if model.get("type") == "Unigram" else []
    if unknown in pieces:
        model["unk_id"] = pieces.index(unknown)


class PythonPieces:
    """The rules of a tokenizer of transformers that is written in Python.

    Args:
        tokenizer: of transformers.
        space_before: whether a unit is read as if a space preceded it, in vocabularies of sentencepiece.
    """

    def __init__(self, tokenizer: Any, space_before: bool) -> None:
        self.tokenizer, self._space_before = tokenizer, space_before
        special = [*tokenizer.all_special_tokens, *chain(*self.around())]  # M2M-100 lists no languages
        self._vocab: dict[str, int] = dict(tokenizer.get_vocab())
        self._vocab |= {str(piece): tokenizer.convert_tokens_to_ids(piece) for piece in special}

    def vocab(self) -> dict[str, int]:
        return self._vocab

    def ids(self, unit: str) -> list[int]:
        pieces: list[str] = self.tokenizer.tokenize(SURROGATES.sub("\ufffd", unit))
        if not self._space_before and pieces and pieces[0].startswith(SPACE):
            bare = pieces[0].removeprefix(SPACE)
            if bare in self._vocab or not bare:
                pieces = [bare, *pieces[1:]] if bare else pieces[1:]
        if pieces == [SPACE]:
            return []  # only the space before it remains
        ids: list[int] = self.tokenizer.convert_tokens_to_ids(pieces)
        return ids

    def around(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """The special pieces that stand before and after a text."""
        inside = self.tokenizer.convert_tokens_to_ids(self.tokenizer.tokenize("a"))
        whole = self.tokenizer.build_inputs_with_special_tokens(inside)
        at = next(i for i in range(len(whole) + 1) if whole[i : i + len(inside)] == inside)
        names = self.tokenizer.convert_ids_to_tokens
        return tuple(names(whole[:at])), tuple(names(whole[at + len(inside) :]))

    def special(self) -> list[str]:
        """The special pieces, by their ids."""
        return sorted(map(str, self.tokenizer.all_special_tokens), key=self._vocab.__getitem__)

    def save(self, directory: Path) -> dict[str, Any]:
        with tempfile.TemporaryDirectory() as made:
            self.tokenizer.save_pretrained(made)
            for file in sorted(Path(made).iterdir()):
                if file.name != "tokenizer_config.json":
                    with replacing(directory / file.name) as path:
                        path.write_bytes(file.read_bytes())
            config: dict[str, Any] = json.loads((Path(made) / "tokenizer_config.json").read_text("utf-8"))
        return config
