"""Tagging over many machines: input is cut into parts, and each part becomes a shard of its own.

A part is read, tagged and written by one worker. Its shard appears whole or not at all, and is entered in the
manifest afterwards. So a part that is begun again, because its worker died or the run was stopped, gives the
same shard under the same name, and nothing is lost or twice. Ray only spreads the parts, and repeats them.
"""

from __future__ import annotations

from pybert_crf.cluster.job import Done, Job
from pybert_crf.cluster.run import Actors, Run, prepared

__all__ = ["Actors", "Done", "Job", "Run", "prepared"]
