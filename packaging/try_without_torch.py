"""Try an installed wheel where there is NumPy and no torch: the compiled CRF against all paths enumerated."""

from __future__ import annotations

import itertools

import numpy as np

import pybert_crf
from pybert_crf.crf import on_numpy

rng = np.random.default_rng(0)
for tags, time in ((1, 4), (2, 6), (3, 5), (9, 3)):
    emissions, transitions = rng.normal(size=(time, tags)), rng.normal(size=(tags, tags))
    paths = list(itertools.product(range(tags), repeat=time))
    scores = [
        sum(emissions[t, tag] for t, tag in enumerate(path))
        + sum(transitions[pair] for pair in itertools.pairwise(path))
        for path in paths
    ]
    np.testing.assert_allclose(
        on_numpy.log_partition(emissions, transitions), np.log(np.sum(np.exp(scores))), rtol=1e-9
    )
    best, score = on_numpy.viterbi(emissions, transitions)
    np.testing.assert_allclose(score, max(scores), rtol=1e-9)
    assert tuple(np.ravel(best)) == paths[int(np.argmax(scores))]
print(f"pybert-crf {pybert_crf.__version__}: log Z and the best path are those of all paths")
