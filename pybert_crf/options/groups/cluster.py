"""The options of tagging over many machines."""

from __future__ import annotations

from dataclasses import dataclass

from pybert_crf.options.schema.base import Options
from pybert_crf.options.schema.option import ABOVE_0, AT_LEAST_1, NOT_NEGATIVE, documented, option


@documented
@dataclass(frozen=True, kw_only=True)
class ClusterOptions(Options):
    """How `predict` spreads its work over machines."""

    ray: str | None = option(
        None,
        "Spread the work over a Ray cluster: the address of its head (HOST:6379), auto on one of its "
        "machines, or local for all cores of this one. FILE is then a file or folder of text, JSON lines or "
        "Parquet, also a remote one (s3://…), and OUT a folder.",
        "把工作分到 Ray 集群上：集群头节点的地址（HOST:6379）；在集群的机器上用 auto；"
        "local 为本机的全部核。这时 FILE 是文本、JSON Lines 或 Parquet 的文件或文件夹，"
        "也可以在远程（s3://…）；OUT 是文件夹。",
        elsewhere="ray-address address cluster",
    )
    answer_column: str = option(
        "entities",
        "With --ray, or --to table: the column or field of the entities; in CSV and TSV they are JSON.",
        "配合 --ray 或 --to table：存放实体的列或字段名；在 CSV 和 TSV 中为 JSON。",
        elsewhere="output-column entities-column entity-column prediction-column",
    )
    actors: int | None = option(
        None,
        "With --ray: how many workers, each of which loads the model once.",
        "配合 --ray：工作进程数，每个进程只加载一次模型。",
        bound=AT_LEAST_1,
        default_text="as many as there is room for",
        elsewhere="num-actors concurrency num-workers workers",
    )
    actor_cpus: float = option(
        1.0,
        "With --ray: CPUs of each worker.",
        "配合 --ray：每个工作进程的 CPU 数。",
        bound=ABOVE_0,
        elsewhere="num-cpus cpus-per-actor",
    )
    actor_gpus: float | None = option(
        None,
        "With --ray: GPUs of each worker; below 1, several share one.",
        "配合 --ray：每个工作进程的 GPU 数；小于 1 时几个进程共用一块。",
        bound=NOT_NEGATIVE,
        default_text="1 with --device cuda, else 0",
        elsewhere="num-gpus gpus-per-actor",
    )
    shard_kb: int = option(
        4096,
        "With --ray: kilobytes of input of each shard; what is lost when a worker dies is done again.",
        "配合 --ray：每个分片对应的输入大小（KB）；工作进程中断时，重做的就是这么多。",
        bound=AT_LEAST_1,
        elsewhere="shard-size block-size partition-size",
    )
    overwrite: bool = option(
        False,
        "With --ray: delete the answers of another model, input or setting in OUT.",
        "配合 --ray：删除 OUT 中由其他模型、输入或设置得到的结果。",
        elsewhere="overwrite-output-dir force",
    )
