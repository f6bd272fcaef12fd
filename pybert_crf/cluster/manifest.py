"""The manifest of an output folder: whose answers these are, and which parts are done."""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict
from typing import Any

from pybert_crf.cluster.job import Done, Job
from pybert_crf.cluster.layout import Layout
from pybert_crf.cluster.places import BEGUN, Place, State
from pybert_crf.files import TEMPORARY
from pybert_crf.reading import MAX_BYTES, quoted

NAME = "_manifest.json"
"""Its file in the output folder. Spark and Arrow leave out files named so when they read the folder."""

_FORMAT = "pybert-crf answers 1"
_PATIENCE = 20  # the manifest is written again after this many times what writing it took
_MEANT = {"format", "version", "model", "input", "files", "settings", "parts"}


class Manifest:
    """The parts that are done, kept in `NAME`, which is renewed after them.

    Args:
        job, layout: what is to be done.
        settings: all other options that answers depend on, by name.

    Attributes:
        done: by number.
    """

    def __init__(self, job: Job, layout: Layout, settings: Mapping[str, Any]) -> None:
        self._out = Place(job.out)
        self._place = self._out / NAME
        self._run = secrets.token_hex(8)
        self._ending = job.to
        self._shards = [part.shard(job.to) for part in layout.parts]
        self._head = {
            "format": _FORMAT,
            "version": job.version,
            "model": {"name": job.model, "sha256": job.digest},
            "input": layout.folder.shown,
            "files": [[name, *state] for name, state in layout.files.items()],
            "settings": dict(settings),
            "parts": [[list(piece[:3]) for piece in part.pieces] for part in layout.parts],
        }
        self.done: dict[int, Done] = {}
        self._due = 0.0

    def begin(self, *, overwrite: bool) -> None:
        """Take over what an earlier run of the same job has done, or begin in an empty folder.

        Raises:
            ValueError: the folder holds the answers of another model, input or setting, without `overwrite`;
                or files that no manifest tells of.
            OSError: the folder cannot be read or written.
        """
        self._out.make_folder()
        found = self._out.listing(below=False)
        self._delete_leavings(found)
        before = self._read()
        if before is None:
            strange = [name for name in found if not name.startswith(".")]
            if strange:
                told = f"holds {quoted(min(strange))} and no {NAME}, which tells what its files are"
                raise ValueError(f"{self._out.shown} {told}: give an empty or a new folder")
        elif difference := _difference(before, self._head):
            if not overwrite:
                told = f"holds the answers of another run: {difference}"
                raise ValueError(
                    f"{self._out.shown} {told}; --overwrite deletes them, or give another folder"
                )
            self._clear(before, found)
        else:
            self._take_over(before, found)
        self._write()

    def _delete_leavings(self, found: Iterable[str]) -> None:
        """Delete what workers that died left in the folder."""
        for name in found:
            if name.startswith((TEMPORARY, BEGUN)):
                (self._out / name).delete()

    def _clear(self, before: Mapping[str, Any], found: Mapping[str, State]) -> None:
        self._place.delete()
        for name in found:
            if name.startswith("part-") and name.endswith((".jsonl", ".parquet")):
                (self._out / name).delete()

    def _take_over(self, before: Mapping[str, Any], found: Mapping[str, State]) -> None:
        """The parts that an earlier run has done, whose shards are there as it left them."""
        for entry in before["done"]:
            done = Done(**entry)
            if done.shard in found and found[done.shard].size == done.size:
                self.done[done.number] = done

    def _read(self) -> dict[str, Any] | None:
        state = self._place.state()
        if state is None:
            return None
        try:
            with self._place.open() as file:
                value = json.loads(file.read(16 * MAX_BYTES))
        except (ValueError, RecursionError) as error:
            raise ValueError(f"{self._place.shown}: not JSON: {error}; give another folder") from error
        if (
            not isinstance(value, dict)
            or value.get("format") != _FORMAT
            or not {*_MEANT, "done"} <= value.keys()
        ):
            raise ValueError(f"{self._place.shown}: no manifest of this version; give another folder")
        return value

    def add(self, done: Done) -> None:
        """Enter a part whose shard is written.

        Raises:
            ValueError: the shard is not there, or another run writes into the folder.
        """
        state = (self._out / done.shard).state()
        if state is None or state.size != done.size:
            told = f"{done.shard} was written by a worker, but {self._out.shown} here does not have it"
            raise ValueError(f"{told}: the folder must be one that all machines share, or an address")
        self.done[done.number] = done
        if time.monotonic() >= self._due:
            self._save_own()

    def _save_own(self) -> None:
        if not self.save():
            raise ValueError(f"{self._out.shown}: another run has begun to write into it; this one stops")

    def save(self) -> bool:
        """Write the manifest, unless another run has taken the folder over; whether it is written."""
        now = self._read()
        ours = now is not None and now["run"] == self._run
        if ours:
            self._write()
        return ours

    def finish(self) -> None:
        """Check the folder if all parts are done, and write the manifest a last time.

        Raises:
            ValueError: a shard is missing or has changed, there is one of no part, or another run writes into
                the folder.
        """
        if len(self.done) == len(self._shards):
            here = {name: state.size for name, state in self._out.listing(below=False).items()}
            self._delete_leavings(here)
            for done in self.done.values():
                if here.get(done.shard) != done.size:
                    raise ValueError(f"{self._out.shown}: {done.shard} is gone, or not as it was written")
            known = {NAME, *self._shards}
            if strange := [name for name in sorted(here) if name not in known and not name.startswith(".")]:
                raise ValueError(f"{self._out.shown}: {quoted(strange[0])} does not belong to the answers")
        self._save_own()

    def _write(self) -> None:
        started = time.monotonic()
        entries = [asdict(self.done[index]) for index in sorted(self.done)]
        total = {name: sum(entry[name] for entry in entries) for name in ("rows", "entities", "errors")}
        state = {"complete": len(entries) == len(self._shards), "parts_done": len(entries), **total}
        value = {**self._head, "run": self._run, **state, "done": entries}
        with self._place.writing() as file:
            file.write("".join(_lines(value)).encode())
        ended = time.monotonic()
        self._due = ended + _PATIENCE * (ended - started)


def _lines(value: Mapping[str, Any]) -> Iterator[str]:
    """An object as JSON, in which each member of a long list has a line of its own."""
    for number, (name, member) in enumerate(value.items()):
        yield f"{',' if number else '{'}\n  {json.dumps(name)}: "
        if isinstance(member, list) and member:
            yield (
                "[\n    " + ",\n    ".join(json.dumps(each, ensure_ascii=False) for each in member) + "\n  ]"
            )
        else:
            yield json.dumps(member, ensure_ascii=False)
    yield "\n}\n"


def _difference(before: Mapping[str, Any], now: Mapping[str, Any]) -> str | None:
    """In what two heads of manifests differ, for the user; None if they are of the same job."""
    if before["version"] != now["version"]:
        return f"of pybert-crf {before['version']}, this is {now['version']}"
    if before["model"]["sha256"] != now["model"]["sha256"]:
        return (
            f"of the model {before['model']['name']} as it was then, not {now['model']['name']} as it is now"
        )
    if before["input"] != now["input"]:
        return f"of the input {before['input']}, not {now['input']}"
    if before["files"] != now["files"]:
        return _changed(before["files"], now["files"])
    old, new = before["settings"], now["settings"]
    for name in sorted({*old, *new}):
        if old.get(name) != new.get(name):
            return f"{name} was {quoted(old.get(name))}, and is {quoted(new.get(name))} now"
    return None if before["parts"] == now["parts"] else "of an input that was cut into other parts"


def _changed(before: list[list[Any]], now: list[list[Any]]) -> str:
    old, new = ({name: state for name, *state in files} for files in (before, now))
    for name in sorted({*old, *new}):
        if old.get(name) != new.get(name):
            told = "is new" if name not in old else "is gone" if name not in new else "has changed"
            return f"the input file {name} {told} since"
    return "the input files come in another order"
