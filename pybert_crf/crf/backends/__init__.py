"""The backends, one file or folder each; :mod:`pybert_crf.crf.backends.base` says what a backend is."""
