"""What `bench_crf.py` is made of: problems, contenders, the proof that they agree, timing, tables, chart."""

import os
import sys

# GCC's OpenMP, which torch brings along, reads this once, when torch is imported: how often a waiting thread
# looks for work before it sleeps. By default that is so long (up to 20 ms) that the threads of one contender
# take a core from the next. This (at most 1 ms) outlasts the gaps between the operations of one contender,
# so that it does not slow down those that use OpenMP, and is over when the next one begins.
if "torch" not in sys.modules:
    os.environ.setdefault("GOMP_SPINCOUNT", "10000")
