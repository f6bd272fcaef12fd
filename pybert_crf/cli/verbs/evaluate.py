"""``pybert-crf evaluate``: entity precision, recall and F1 of a saved tagger on a file."""

from __future__ import annotations

from pybert_crf.cli.verb import Verb
from pybert_crf.options import EvaluateOptions
from pybert_crf.taggers.opening import open_tagger


def work(options: EvaluateOptions) -> None:
    """Evaluate a saved tagger: per type, micro and macro, conlleval-style and strict."""
    from pybert_crf.cli.show import show_report
    from pybert_crf.evaluation import open_corpus, tag_corpus
    from pybert_crf.files import write_json, write_text
    from pybert_crf.text.corpora import Habits

    tagger, messages = open_tagger(options.model, options), []
    if options.context is not None:
        tagger.context = options.context
    if options.html is not None:
        from pybert_crf.taggers.tagger import Tagger

        if not isinstance(tagger, Tagger):
            raise ValueError("--html shows the CRF's transitions, which an exported tagger does not tell")

    def say(message: str) -> None:
        messages.append(message)
        print(message)

    corpus = open_corpus(tagger, options.file, Habits.of(options), say)
    tagged = tag_corpus(tagger, corpus, options.batch_tokens, scores=options.html is not None)
    report = tagged.report(tagger.words)
    show_report(report)
    if options.json is not None:
        write_json(options.json, report.to_dict())
    if options.html is not None:
        from pybert_crf.report import analyse, evaluation_page, transitions_of

        assert isinstance(tagger, Tagger)
        analysis, transitions = analyse(tagger, tagged), transitions_of(tagger)
        page = evaluation_page(corpus.path.name, messages, analysis, transitions, options.language)
        write_text(options.html, page)


VERB = Verb("evaluate", EvaluateOptions, work, "pybert-crf evaluate my-tagger test.txt")
