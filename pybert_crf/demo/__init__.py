"""The embedded default of `pybert-crf demo`: a made-up Chinese news corpus of people, places and firms."""
