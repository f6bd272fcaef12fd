"""The accelerator of a run: device, precision, processes and trackers, which are left to Accelerate."""

from __future__ import annotations

import atexit
import gc
import os
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import torch

from pybert_crf.options import PretrainOptions, RunOptions, TrainOptions

if TYPE_CHECKING:
    from accelerate import Accelerator

PROJECT = "pybert-crf"
"""The project, or experiment, under which trackers keep runs; of TensorBoard the folder in OUT."""


def build_accelerator(options: TrainOptions | PretrainOptions) -> Accelerator:
    """A new accelerator with precision, timeout and tracker of `options`; all random generators are seeded.

    Raises:
        ImportError: the package of the tracker is not installed.
        ValueError: ``accelerate launch --use_fsdp`` asks for sharded weights.
    """
    from accelerate import Accelerator, InitProcessGroupKwargs, tracking
    from accelerate.state import AcceleratorState
    from accelerate.utils import set_seed

    if os.environ.get("ACCELERATE_USE_FSDP", "false").lower() == "true":
        raise ValueError(
            "FSDP is not supported: weights would be evaluated and saved in parts. For an encoder that does "
            "not fit, see --lora-rank, --dtype bfloat16, --checkpointing and --freeze"
        )
    if options.track and options.track not in [each.value for each in tracking.get_available_trackers()]:
        raise ImportError(f"track: {options.track} is not installed: pip install {options.track}")
    AcceleratorState._reset_state()  # a second run in the same process may want another precision
    accelerator = Accelerator(
        mixed_precision=options.precision,
        # Without `cpu`, Accelerate treats each process of a torchrun on CPUs as a run of its own.
        cpu=not torch.accelerator.is_available(),
        log_with=options.track,
        project_dir=options.out,
        kwargs_handlers=[InitProcessGroupKwargs(timeout=timedelta(seconds=options.timeout))],
    )
    if accelerator.num_processes > 1:
        atexit.register(_leave_processes)
    set_seed(options.seed)
    return accelerator


def start_trackers(accelerator: Accelerator, options: RunOptions) -> None:
    """Tell the trackers that a run begins, and its options; those that are lists or None as text."""
    plain = (bool, int, float, str)
    config: dict[str, Any] = {k: v if isinstance(v, plain) else str(v) for k, v in options.to_dict().items()}
    if accelerator.log_with:
        accelerator.init_trackers(PROJECT, config)


def _leave_processes() -> None:
    """End the group of processes, and gloo's threads, before Python ends.

    A thread of gloo that frees a tensor while Python ends aborts the process. The threads end with the last
    reference to the group, which `DistributedDataParallel` holds in a cycle. A run does not do this itself,
    because another may follow in the same processes.
    """
    if torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()
        gc.collect()
