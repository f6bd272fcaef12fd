"""Finding a checkpoint: a local directory, or a model of a hub, downloaded if necessary."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable
from pathlib import Path

from pybert_crf.encoders.checkpoint.config_json import CONFIG_FILES
from pybert_crf.encoders.checkpoint.modelscope import PREFIX as MODELSCOPE
from pybert_crf.encoders.checkpoint.modelscope import from_modelscope
from pybert_crf.encoders.checkpoint.tensors import ADAPTER_CONFIG, ADAPTER_WEIGHTS, WEIGHT_FILES

CONFIG_AND_TOKENIZER = (
    *CONFIG_FILES,
    ADAPTER_CONFIG,
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.txt",
    "vocab.json",
    "merges.txt",
    "sentencepiece.bpe.model",
    "spiece.model",
    "sentencepiece.model",
    "tokenizer.model",
    "spm.model",
)
# Many repositories have the weights in both formats: only one is downloaded, safetensors if available.
_WEIGHTS = (
    re.compile(r"model(-\d+-of-\d+)?\.safetensors|model\.safetensors\.index\.json"),
    re.compile(r"pytorch_model(-\d+-of-\d+)?\.bin|pytorch_model\.bin\.index\.json"),
    re.compile(re.escape(ADAPTER_WEIGHTS)),
)

# "name" or "owner/name", as on both hubs; everything else is a path.
_HUB_NAME = re.compile(r"\w[\w.-]*(/[\w.-]+)?", re.ASCII)

PATIENCE = 5.0
"""Seconds in which the hub must answer."""


def resolve(name_or_dir: str | Path, *, revision: str | None = None, local_files_only: bool = False) -> Path:
    """Return the directory of a checkpoint: ``name_or_dir`` itself, or a hub's model of that name.

    A model of the Hugging Face hub is downloaded once (configuration, weights in one format, tokenizer) into
    the cache of ``huggingface_hub``, whose environment variables (``HF_ENDPOINT``, ``HF_HOME``,
    ``HF_HUB_OFFLINE``, ``HF_TOKEN`` …) apply. With ``local_files_only``, or if the hub does not answer within
    `PATIENCE` seconds, only the cache is searched. ``modelscope:owner/name`` is a model of ModelScope, which
    needs the package `modelscope`. ``revision`` (branch, tag or commit) applies to hubs only. No hub is asked
    for what cannot be a name there, such as a path that begins with ``.``, ``/`` or ``~``.

    Raises ``FileNotFoundError`` naming what was looked for and what is missing.
    """
    name = str(name_or_dir)
    directory = Path(name_or_dir).expanduser()
    if name.startswith(MODELSCOPE):
        directory = from_modelscope(name, revision, local_files_only, CONFIG_AND_TOKENIZER)
    elif not directory.is_dir():
        if directory.exists():
            raise FileNotFoundError(f"{name} is a file, not the directory of a checkpoint")
        if not _HUB_NAME.fullmatch(name):
            raise FileNotFoundError(f"{name} is neither a directory nor a valid name of a model")
        directory = _from_hub(name, revision, local_files_only)
    missing = [] if any((directory / name).is_file() for name in CONFIG_FILES) else ["config.json"]
    if not any((directory / name).is_file() for name in (*WEIGHT_FILES, ADAPTER_WEIGHTS)):
        missing.append(f"weights ({' or '.join(WEIGHT_FILES)})")
    if missing:
        raise FileNotFoundError(f"{directory} is not a checkpoint: it has no {' and no '.join(missing)}")
    return directory


def _from_hub(name: str, revision: str | None, local_files_only: bool) -> Path:
    """Return the snapshot of a hub's model, downloaded if the cache does not hold it."""
    # Imported here because a checkpoint in a local directory does not need it.
    import huggingface_hub
    from huggingface_hub import constants
    from huggingface_hub.errors import (
        GatedRepoError,
        HFValidationError,
        LocalEntryNotFoundError,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    wanted = name if revision is None else f"{name} at revision {revision}"
    # Offline only a configuration is required of the cache; `resolve` checks that the weights are there.
    files = list(CONFIG_FILES)
    unreachable: Exception | None = None
    try:
        if not local_files_only:
            try:
                files = _needed(_within(PATIENCE, lambda: _list_files(name, revision)))
            except (HFValidationError, RepositoryNotFoundError, RevisionNotFoundError):
                raise
            except Exception as error:  # offline: the exception depends on the HTTP library
                unreachable = error
        offline = local_files_only or unreachable is not None
        directory = huggingface_hub.snapshot_download(
            name, revision=revision, allow_patterns=files, local_files_only=offline
        )
        return Path(directory)
    except HFValidationError as error:
        raise FileNotFoundError(f"{name} is neither a directory nor a valid name of a model") from error
    except GatedRepoError as error:
        raise FileNotFoundError(f"{wanted} is gated: request access on the hub, then set HF_TOKEN") from error
    except RevisionNotFoundError as error:
        raise FileNotFoundError(f"the hub's model {name} has no revision {revision}") from error
    except RepositoryNotFoundError as error:
        raise FileNotFoundError(f"{name} is neither a directory nor a (public) model of the hub") from error
    except LocalEntryNotFoundError as error:
        message = f"{wanted} is neither a directory nor in the local cache"
        if unreachable is not None:
            reason = (str(unreachable).splitlines() or [""])[0][:200] or type(unreachable).__name__
            message += (
                f", and the hub {constants.ENDPOINT} cannot be reached ({reason}): "
                "set HF_ENDPOINT to a mirror, or download the model elsewhere and name its directory"
            )
        raise FileNotFoundError(message) from error


def _list_files(name: str, revision: str | None) -> list[str]:
    """Ask the hub for the names of a model's files."""
    import huggingface_hub

    files = huggingface_hub.model_info(name, revision=revision, timeout=PATIENCE).siblings
    return [file.rfilename for file in files or ()]


def _within(seconds: float, ask: Callable[[], list[str]]) -> list[str]:
    """Return or raise what ``ask`` does; raise ``TimeoutError`` if that takes longer.

    The timeouts of HTTP libraries hold for each step and address, and not for the look-up of a host's name.
    """
    answers: list[list[str]] = []
    errors: list[Exception] = []

    def work() -> None:
        try:
            answers.append(ask())
        except Exception as error:
            errors.append(error)

    thread = threading.Thread(target=work, daemon=True)  # does not keep the process from ending
    thread.start()
    thread.join(seconds)
    if errors:
        raise errors[0]
    if not answers:
        raise TimeoutError(f"no answer in {seconds:g} seconds")
    return answers[0]


def _needed(files: list[str]) -> list[str]:
    """Return the files of a repository that are to be downloaded."""
    chosen = [name for name in files if name in CONFIG_AND_TOKENIZER]
    for pattern in _WEIGHTS:
        weights = [name for name in files if pattern.fullmatch(name)]
        if weights:
            return chosen + weights
    return chosen
