"""``pybert-crf convert``: a corpus in another format or tag scheme."""

from __future__ import annotations

from dataclasses import replace

from pybert_crf.cli.verb import Verb
from pybert_crf.options import ConvertOptions


def work(options: ConvertOptions) -> None:
    """Convert a corpus to another format or tag scheme; say what is lost."""
    from pybert_crf.text.corpora import Habits, open_corpus
    from pybert_crf.text.corpora.conversion import format_of, write_corpus
    from pybert_crf.text.tagging.schemes import PLAIN, scheme_named

    # `--scheme` is that of the output, but plain tags are so in both.
    scheme = None if options.scheme is None else scheme_named(options.scheme)
    plain = PLAIN if scheme == PLAIN else None
    corpus = open_corpus(options.file, habits=replace(Habits.of(options), scheme=plain))
    for note in corpus.notes:
        print(note)
    to = format_of(options.out) if options.to == "auto" else options.to
    sizes, losses = write_corpus(corpus, options.out, to, scheme, options.unit)
    for loss in losses:
        print(f"lost: {loss}")
    entities = sum(sizes.entities.values())
    print(f"{options.out}: {sizes.sentences:,} sentences, {entities:,} entities, as {to}")


VERB = Verb("convert", ConvertOptions, work, "pybert-crf convert doccano.jsonl train.txt --scheme BMES")
