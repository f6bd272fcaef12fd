"""The CRF's contenders, their problems, and the proof that they agree."""
