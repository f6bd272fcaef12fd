"""The CRFs of other packages, each in the fastest form that its own API allows.

None is required: a package that is not installed is left out by name (`pip install 'pybert-crf[bench]'`).
"""

from __future__ import annotations

from crf_speed.contenders import Contender
from crf_speed.peer_algorithms import FlashSemiCRF, Torbi, TorchStruct
from crf_speed.peer_layers import Bert4torch, PytorchCRF, TorchCRF

PEERS: tuple[type[Contender], ...] = (PytorchCRF, TorchCRF, Bert4torch, TorchStruct, FlashSemiCRF, Torbi)
