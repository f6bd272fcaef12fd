"""Files and folders on a disk or on a remote file system, named by path or by address (``s3://bucket/folder``).

Arrow's own file systems are used where there is one for the address, those of fsspec otherwise.
"""

from __future__ import annotations

import io
import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, cast

from pybert_crf.files import TEMPORARY, replacing
from pybert_crf.reading import quoted, shortened

BEGUN = ".begun-"
"""How files are named that workers leave in an output folder if they die."""

EXTRA = "pip install 'pybert-crf[ray]'"
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://")
_BUFFER = 1 << 20


class State(NamedTuple):
    """What a file system says of a file: its size in bytes, and when it was changed (None: not told)."""

    size: int
    modified: str | None


class Place:
    """A file or folder.

    Args:
        name: a path, or the address of a remote file or folder.

    Attributes:
        name: the same, absolute; it means the same file on every machine if that can be reached there.

    Raises:
        ValueError: no file system is known for the address, or its package is missing.
    """

    def __init__(self, name: str) -> None:
        self.name = name if _SCHEME.match(name) else str(Path(name).expanduser().absolute())
        self._files, self._path = _file_system(self.name)

    def __truediv__(self, below: str) -> Place:
        """The file or folder of this name in this folder."""
        place = object.__new__(Place)
        address, query, rest = self.name.partition("?")
        place.name = f"{address.rstrip('/')}/{below}{query}{rest}" if _SCHEME.match(address) else ""
        place.name = place.name or str(Path(self.name) / below)
        place._files, place._path = self._files, f"{self._path.rstrip('/')}/{below}"
        return place

    @property
    def shown(self) -> str:
        """The name for messages and files, without the parts of an address that may be secret."""
        return _bare(self.name) if _SCHEME.match(self.name) else self.name

    def split(self) -> tuple[Place, str]:
        """The folder of a file, and the file's name in it."""
        address, query, rest = self.name.partition("?") if _SCHEME.match(self.name) else (self.name, "", "")
        folder, _, file = address.rstrip("/").rpartition("/")
        return Place(f"{folder or '/'}{query}{rest}"), file

    def state(self) -> State | None:
        """Of a file; None if there is none.

        Raises:
            OSError: the file system cannot be reached.
        """
        info = self._info()
        return None if not info.is_file else _state(info)

    def is_folder(self) -> bool:
        """Whether it is a folder."""
        import pyarrow.fs

        return bool(self._info().type == pyarrow.fs.FileType.Directory)

    def _info(self) -> Any:
        (info,) = self._files.get_file_info([self._path])
        return info

    def listing(self, *, below: bool = True) -> dict[str, State]:
        """The files of a folder, and with `below` of its folders, by their names relative to it, in order."""
        import pyarrow.fs

        chosen = pyarrow.fs.FileSelector(self._path, recursive=below, allow_not_found=True)
        start = self._path.rstrip("/")
        found = (info for info in self._files.get_file_info(chosen) if info.is_file)
        named = {_relative(info.path, start): _state(info) for info in found}
        return dict(sorted(named.items()))

    def make_folder(self) -> None:
        """Make the folder, and those above it, if it is not there."""
        self._files.create_dir(self._path, recursive=True)

    def open(self) -> BinaryIO:
        """The file, for reading; one can seek in it."""
        return cast(BinaryIO, io.BufferedReader(self._files.open_input_file(self._path), _BUFFER))

    @contextmanager
    def writing(self) -> Iterator[BinaryIO]:
        """A stream whose bytes are the file once the block has ended without an error: whole, or not at all.

        Raises:
            OSError: the file cannot be written.
        """
        import pyarrow.fs

        if isinstance(self._files, pyarrow.fs.LocalFileSystem):
            with replacing(self._path) as temporary, temporary.open("wb") as file:
                yield file
            return
        folder, _, _ = self._path.rpartition("/")
        hidden = f"{folder}/{TEMPORARY}{secrets.token_hex(8)}.tmp"
        try:
            with self._files.open_output_stream(hidden) as stream:
                yield stream
            with suppress(FileNotFoundError):  # not every file system renames over a file
                self._files.delete_file(self._path)
            self._files.move(hidden, self._path)
        except BaseException:
            with suppress(OSError):
                self._files.delete_file(hidden)
            raise

    def delete(self) -> None:
        """Delete the file; it may be gone already."""
        with suppress(FileNotFoundError):
            self._files.delete_file(self._path)


def _state(info: Any) -> State:
    return State(info.size, None if info.mtime is None else info.mtime.isoformat())


def _relative(path: str, folder: str) -> str:
    """The name of a file relative to a folder; fsspec may put a / before one of the two."""
    return path.lstrip("/").removeprefix(folder.lstrip("/")).lstrip("/")


def _file_system(name: str) -> tuple[Any, str]:
    """The file system of a name, and the path there."""
    try:
        import pyarrow
        import pyarrow.fs as systems
    except ImportError as error:
        raise ImportError(
            f"tagging over many machines needs the package pyarrow ({error}): {EXTRA}"
        ) from error
    if not _SCHEME.match(name):
        return systems.LocalFileSystem(), name
    try:
        return cast("tuple[Any, str]", systems.FileSystem.from_uri(name))
    except pyarrow.ArrowInvalid as error:
        if "Unrecognized filesystem type" not in str(error):
            raise ValueError(f"{_bare(name)}: not a valid address ({shortened(str(error))})") from error
    except OSError as error:
        raise OSError(f"{_bare(name)} cannot be opened: {shortened(str(error))}") from error
    try:
        import fsspec.core

        files, path = fsspec.core.url_to_fs(name)
    except (ImportError, ValueError) as error:  # the package of the protocol is missing; it is unknown
        raise ValueError(f"{_bare(name)}: no file system for this address: {quoted(str(error))}") from error
    return systems.PyFileSystem(systems.FSSpecHandler(files)), path


def _bare(name: str) -> str:
    """An address without what may be secret in it."""
    return re.sub(r"(?<=://)[^/@]*@", "", name.partition("?")[0])
