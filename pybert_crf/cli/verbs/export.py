"""``pybert-crf export``: a saved tagger as one file for onnxruntime or torch."""

from __future__ import annotations

from pybert_crf.cli.verb import Verb
from pybert_crf.options import ExportOptions


def work(options: ExportOptions) -> None:
    """Export a saved tagger to ONNX, or by torch.export, and check that it computes the same."""
    from pybert_crf.export import export_tagger
    from pybert_crf.taggers.tagger import Tagger

    done = export_tagger(
        Tagger.from_pretrained(options.model),
        options.out,
        options.format,
        int8=options.int8,
        overwrite=options.overwrite,
        say=print,
    )
    print(f"{done.model}: {done.size / 1e6:,.1f} MB; beside it {', '.join(done.beside)}")


VERB = Verb("export", ExportOptions, work, "pybert-crf export my-tagger exported --int8")
