"""Finding a checkpoint: a local directory, or a model of the Hugging Face hub, downloaded if necessary."""

from __future__ import annotations

import re
from pathlib import Path

from pybert_crf.encoders.checkpoint.config_json import CONFIG_FILES
from pybert_crf.encoders.checkpoint.tensors import WEIGHT_FILES

CONFIG_AND_TOKENIZER = (
    *CONFIG_FILES,
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.txt",
    "vocab.json",
    "merges.txt",
    "sentencepiece.bpe.model",
    "spiece.model",
    "spm.model",
)
# Many repositories have the weights in both formats: only one is downloaded, safetensors if available.
_WEIGHTS = (
    re.compile(r"model(-\d+-of-\d+)?\.safetensors|model\.safetensors\.index\.json"),
    re.compile(r"pytorch_model(-\d+-of-\d+)?\.bin|pytorch_model\.bin\.index\.json"),
)


def resolve(name_or_dir: str | Path, *, revision: str | None = None, local_files_only: bool = False) -> Path:
    """Return the directory of a checkpoint: ``name_or_dir`` itself, or the hub's model of that name.

    A model of the hub is downloaded once (configuration, weights in one format, tokenizer) into the cache
    of ``huggingface_hub``, whose environment variables (``HF_HOME``, ``HF_HUB_OFFLINE``, ``HF_TOKEN`` …)
    apply. With ``local_files_only``, or if the hub cannot be reached, only the cache is searched.
    ``revision`` (branch, tag or commit) applies to the hub only.

    Raises ``FileNotFoundError`` naming what was looked for and what is missing.
    """
    directory = Path(name_or_dir).expanduser()
    if not directory.is_dir():
        directory = _from_hub(str(name_or_dir), revision, local_files_only)
    missing = [] if any((directory / name).is_file() for name in CONFIG_FILES) else ["config.json"]
    if not any((directory / name).is_file() for name in WEIGHT_FILES):
        missing.append(f"weights ({' or '.join(WEIGHT_FILES)})")
    if missing:
        raise FileNotFoundError(f"{directory} is not a checkpoint: it has no {' and no '.join(missing)}")
    return directory


def _from_hub(name: str, revision: str | None, local_files_only: bool) -> Path:
    """Return the snapshot of a hub's model, downloaded if the cache does not hold it."""
    # Imported here because a checkpoint in a local directory does not need it.
    import huggingface_hub
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
                files = _needed(huggingface_hub.list_repo_files(name, revision=revision))
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
        reason = "" if unreachable is None else f", and the hub cannot be reached: {unreachable}"
        raise FileNotFoundError(f"{wanted} is neither a directory nor in the local cache{reason}") from error


def _needed(files: list[str]) -> list[str]:
    """Return the files of a repository that are to be downloaded."""
    chosen = [name for name in files if name in CONFIG_AND_TOKENIZER]
    for pattern in _WEIGHTS:
        weights = [name for name in files if pattern.fullmatch(name)]
        if weights:
            return chosen + weights
    return chosen
