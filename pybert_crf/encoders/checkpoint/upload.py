"""Uploading a directory to a hub: Hugging Face's, or ModelScope by ``modelscope:owner/name``."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from pybert_crf.encoders.checkpoint.modelscope import PREFIX as MODELSCOPE

_NAME = re.compile(r"\w[\w.-]*/[\w.-]+", re.ASCII)
_NAME_HERE = re.compile(r"\w[\w.-]*(/[\w.-]+)?", re.ASCII)  # without an owner it is your own


def upload(directory: Path, name: str, *, private: bool, token: str | None, message: str) -> str:
    """Make the repository `name` if there is none, and upload all files of `directory`; the model's address.

    Raises:
        ValueError: `name` cannot be that of a model.
        ImportError: the package modelscope is not installed.
        OSError: the hub refuses, or cannot be reached; says why.
    """
    of_modelscope = name.startswith(MODELSCOPE)
    own = name.removeprefix(MODELSCOPE)
    if not (_NAME if of_modelscope else _NAME_HERE).fullmatch(own):
        raise ValueError(f"{name} is no name of a model: owner/name, or {MODELSCOPE}owner/name")
    send = _to_modelscope if of_modelscope else _to_hub
    try:
        return send(directory, own, private, token, message)
    except ImportError:
        raise
    except Exception as error:  # of the package, of its HTTP library, or of the operating system
        reason = (str(error).splitlines() or [""])[0][:200] or type(error).__name__
        raise OSError(f"{name} cannot be uploaded ({reason})") from error


def _to_hub(directory: Path, name: str, private: bool, token: str | None, message: str) -> str:
    import huggingface_hub

    api = huggingface_hub.HfApi(token=token)
    made = api.create_repo(name, private=private, exist_ok=True)
    api.upload_folder(repo_id=made.repo_id, folder_path=directory, commit_message=message)
    return str(made)


def _to_modelscope(directory: Path, name: str, private: bool, token: str | None, message: str) -> str:
    try:
        from modelscope.hub.api import HubApi
    except ImportError as error:
        raise ImportError(
            f"{MODELSCOPE}{name} needs the package modelscope: pip install 'pybert-crf[modelscope]'"
        ) from error
    api: Any = HubApi()
    if token is not None:
        api.login(token)
    api.create_repo(name, visibility="private" if private else "public", exist_ok=True)
    api.upload_folder(repo_id=name, folder_path=str(directory), commit_message=message)
    return f"{MODELSCOPE}{name}"
