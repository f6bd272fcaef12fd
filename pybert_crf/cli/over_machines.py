"""``pybert-crf predict --ray``: the answers of many machines, in shards with a manifest."""

from __future__ import annotations

import hashlib
import sys
import time
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pybert_crf
from pybert_crf.options import PredictOptions
from pybert_crf.taggers.opening import given_rules, prepared_tagger, tagger_place
from pybert_crf.text.context import neighbourhood

if TYPE_CHECKING:
    from pybert_crf.annotation.annotator import Annotator
    from pybert_crf.annotation.rules import Rules

_KINDS = {"auto": None, "json": "json", "datasets": "parquet"}
_DECIDING = [
    *("context", "split_sentences", "min_score", "types", "dtype", "int8", "errors", "max_line", "encoding"),
    *("text_column", "answer_column", "to", "shard_kb", "format"),
]
_PAUSE = 10.0  # seconds between two lines of progress


def predict_over_machines(options: PredictOptions) -> None:
    """Tag files with the workers of a Ray cluster; what is done before is left as it is.

    Raises:
        ValueError: options that do not go together; else see `cluster.prepared` and `cluster.Run.parts`.
    """
    from pybert_crf.cluster import Actors, prepared

    _check(options)
    options = replace(options, to=options.to or "jsonl")
    # Relative paths mean another file where a worker runs.
    if Path(options.model).exists():
        options = replace(options, model=str(Path(options.model).absolute()))
    job, layout = _laid_out(options)
    rules = given_rules(options)
    run = prepared(job, layout, _settings(options), overwrite=options.overwrite)
    total, before = len(layout.parts), len(run.manifest.done)
    kind = {"text": "text", "json": "JSON lines", "parquet": "Parquet"}[job.kind]
    told = f"input files of {kind}: {len(layout.files):,}" + (f" (column {job.column})" if job.column else "")
    _say(f"{told}; shards: {total:,}" + (f", of which {before:,} are done" if before else ""))
    gpus = options.actor_gpus
    if gpus is None:
        gpus = 1.0 if options.device.startswith("cuda") else 0.0
    actors = Actors(options.actors, options.actor_cpus, gpus)
    where, opened = partial(tagger_place, options.model), partial(_opened, options, rules)
    started = shown = time.monotonic()
    rows = 0
    try:
        for done in run.parts(str(options.ray), actors, where, opened):
            rows += done.rows
            now = time.monotonic()
            if now - shown > _PAUSE:
                shown = now
                pace = rows / (now - started)
                _say(f"{len(run.manifest.done):,} of {total:,} shards, {rows:,} rows, {pace:,.0f} rows/s")
    except KeyboardInterrupt:
        _say(f"stopped: {len(run.manifest.done):,} of {total:,} shards are done; the same command goes on")
        sys.exit(130)
    parts = run.manifest.done.values()
    counts = {name: sum(getattr(done, name) for done in parts) for name in ("rows", "entities", "errors")}
    _say(
        ", ".join(f"{count:,} {name}" for name, count in counts.items())
        + f" in {total:,} shards: {options.out}"
    )


def _laid_out(options: PredictOptions) -> tuple[Any, Any]:
    from pybert_crf.cluster.job import Job, model_digest
    from pybert_crf.cluster.layout import lay_out
    from pybert_crf.cluster.places import Place

    kind = _KINDS[options.format]
    load = options.shard_kb * 1024
    layout = lay_out(Place(options.file), kind, options.text_column, options.encoding, load)
    job = Job(
        folder=layout.folder.name,
        out=Place(str(options.out)).name,
        kind=layout.kind,
        to=str(options.to),
        column=layout.column,
        answers=options.answer_column,
        encoding=options.encoding,
        skip=options.errors == "skip",
        most=options.max_line,
        batch_tokens=options.batch_tokens,
        model=options.model,
        digest=model_digest(tagger_place(options.model)),
        version=pybert_crf.__version__,
    )
    return job, layout


def _opened(options: PredictOptions, rules: Rules | None) -> Annotator:
    tagger = prepared_tagger(options, rules)
    if tagger.context:
        told = f"the tagger reads {neighbourhood(tagger.context)}"
        raise ValueError(f"{told}, which --ray does not give it: --context 0 reads each sentence alone")
    return tagger


def _settings(options: PredictOptions) -> dict[str, Any]:
    """The options that answers depend on; of the rules the content."""
    known = options.to_dict()
    settings = {name: known[name] for name in _DECIDING}
    data = Path(options.rules).read_bytes() if options.rules else None
    return {**settings, "rules": data and hashlib.sha256(data).hexdigest()}


def _check(options: PredictOptions) -> None:
    if options.out is None or options.file == "-":
        raise ValueError("--ray needs FILE, a file or folder to read, and OUT, a folder to write")
    if options.format not in _KINDS:
        told = "reads text, JSON lines (--format json) and Parquet (--format datasets)"
        raise ValueError(f"--ray {told}, not --format {options.format}: convert the corpus first")
    if options.documents in ("file", "blank") or options.document_column is not None:
        raise ValueError("--ray reads each sentence alone: --documents and --document-column are not for it")
    if options.uncertain or options.whole_files:
        raise ValueError("--ray answers each line or row: --uncertain and --whole-files are not for it")
    if options.to not in (None, "jsonl", "parquet"):
        raise ValueError(f"--ray writes --to jsonl or parquet, not {options.to}")
    if options.actor_gpus and not options.device.startswith("cuda"):
        raise ValueError(f"--actor-gpus {options.actor_gpus:g} is for --device cuda, not {options.device}")
    if options.actor_gpus == 0 and options.device.startswith("cuda"):
        raise ValueError(
            "--device cuda needs --actor-gpus above 0: Ray hides GPUs that a worker does not take"
        )


def _say(told: str) -> None:
    print(told, file=sys.stderr, flush=True)
