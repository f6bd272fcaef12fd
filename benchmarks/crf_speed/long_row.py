"""The serial chain's latency: one row, so long that each step's wait for the one before is all its time."""

from __future__ import annotations

import statistics
from typing import Any

import torch

from crf_speed.contenders import Contender
from crf_speed.device import Call, graph_of, megahertz, stream_times, synchronize
from crf_speed.problem import problem

LENGTHS = (1_000, 20_000)
TAGS = 7
OPERATIONS = ("loss", "loss_backward", "viterbi")

# The least that a position of a row can cost, in clock cycles: the latencies, added up, of the operations
# between a position's message and the next one's, each of which waits for the one before. Counted in the
# source (csrc/chain/propagate.hpp, scaled.hpp, viterbi.hpp) for a group of 8 lanes, with 30 cycles for a trip
# through shared memory (store, barrier, load), 35 for a load that the first cache has, 8 for an operation in
# float64 and 4 in float32; count and latencies are to be checked against the machine code on a GPU.
#   loss: half a step a position, since the row's two sweeps go on at once. A step is a trip, two fused
#     multiply-adds, two additions and a product: (30 + 5 * 8) / 2.
#   loss_backward: the same once more, for the gradient's sweeps.
#   viterbi: forwards a trip, two additions (score, emission) and four maxima, 30 + 6 * 4; backwards two
#     loads, the second at an address that the first gives, an addition and some 20 for the vote:
#     2 * 35 + 4 + 20.
CYCLES_A_POSITION: dict[str, float | None] = {"loss": 35.0, "loss_backward": 70.0, "viterbi": 148.0}
OVER_COUNTED = 2.0  # how many times that the whole may take


def time_positions(
    kind: type[Contender], lengths: tuple[int, int], device: torch.device, seconds: float
) -> list[dict[str, Any]]:
    """A row for each operation: nanoseconds of a call at both lengths, of a position, and its clock cycles.

    A position's are those of the longer row less those of the shorter: no launch, no warming up. By graphs
    on a GPU, so that nothing of the host is in them.
    """
    rows = []
    calls = [kind(problem((1, length, TAGS)).on(device)) for length in lengths]
    for operation in OPERATIONS:
        replays = [_replay(each.run(operation), device) for each in calls]
        short, long = (_nanoseconds(replay, device, seconds) for replay in replays)
        position = (long - short) / (lengths[1] - lengths[0])
        clock = _clock(replays[1], long, device)
        rows.append(
            {
                "contender": kind.name,
                "operation": operation,
                "lengths": lengths,
                "nanoseconds of a call": (short, long),
                "nanoseconds of a position": position,
                "SM MHz": clock,
                "cycles of a position": None if clock is None else position * clock / 1e3,
                "cycles counted": CYCLES_A_POSITION[operation],
            }
        )
    return rows


def over_counted(row: dict[str, Any]) -> float | None:
    """How many times the counted cycles a position takes; None if either is unknown."""
    measured, counted = row["cycles of a position"], row["cycles counted"]
    return measured / counted if measured is not None and counted is not None else None


def _replay(call: Call, device: torch.device) -> Call:
    return graph_of(call) if device.type == "cuda" else call


def _nanoseconds(call: Call, device: torch.device, seconds: float) -> float:
    call()
    synchronize(device)
    first = statistics.median(stream_times(call, device, seconds, seconds))  # once a round
    return statistics.median(stream_times(call, device, first, seconds)) * 1e9


def _clock(call: Call, nanoseconds: float, device: torch.device) -> float | None:
    """In MHz, while the call is repeated for about half a second."""
    if device.type != "cuda":
        return None

    def busy() -> None:
        for _ in range(max(1, int(5e8 / nanoseconds))):
            call()

    return megahertz(device, busy)
