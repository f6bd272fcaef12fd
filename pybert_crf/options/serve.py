"""The options of serving taggers by HTTP."""

from __future__ import annotations

from dataclasses import MISSING, dataclass

from pybert_crf.options.groups.rules import RuleOptions
from pybert_crf.options.inference import ComputeOptions
from pybert_crf.options.schema.base import Files
from pybert_crf.options.schema.option import (
    ABOVE_0,
    AT_LEAST_1,
    NOT_NEGATIVE,
    SHARE,
    Bound,
    documented,
    option,
)

_PORT = Bound("be in 0 .. 65535", lambda value: 0 <= value <= 65535)


@documented
@dataclass(frozen=True)
class ServeOptions(ComputeOptions, RuleOptions):
    """The options of ``pybert-crf serve``."""

    models: Files = option(
        MISSING,
        "Saved taggers (directory or hub name) or exported ones; NAME=MODEL gives one a name. The first "
        "answers requests that name none.",
        "保存的标注器（目录或 hub 名称）或导出的标注器；NAME=MODEL 指定名称。请求没有写名称时由第一个回答。",
        kw_only=False,
        argument=True,
        elsewhere="model model-name-or-path model-path model-name model-dir checkpoint",
    )
    min_score: float = option(
        0.0,
        "Leave out entities of a lower probability; a request may ask for more.",
        "概率更低的实体不输出；请求可以要求更高的值。",
        bound=SHARE,
        elsewhere="threshold min-confidence score-threshold confidence",
    )
    threads: int | None = option(
        None,
        "Threads that compute one batch, in each worker.",
        "每个工作进程中计算一批所用的线程数。",
        bound=AT_LEAST_1,
        default_text="the processors, divided among the workers",
        elsewhere="num-threads cpu-threads intra-op-threads",
    )
    host: str = option(
        "127.0.0.1",
        "Address to listen at; 0.0.0.0 for all of the machine's, which others can reach.",
        "监听的地址；0.0.0.0 为本机所有地址，其他机器可以访问。",
        elsewhere="bind address listen",
    )
    port: int = option(
        8000,
        "Port to listen at; 0 for a free one, which is printed.",
        "监听的端口；0 表示任选一个空闲端口并打印出来。",
        bound=_PORT,
    )
    workers: int = option(
        1,
        "Processes, each with its own copy of the models; one that ends is started again.",
        "进程数，每个进程各有一份模型；意外结束的进程会重新启动。",
        bound=AT_LEAST_1,
        elsewhere="num-workers processes replicas",
    )
    timeout: float = option(
        30.0,
        "Seconds for a request: to be read (else 408), and to be answered (else 504); one that would wait "
        "longer is refused at once (429).",
        "一个请求的秒数：读完请求的时限（否则 408）和回答的时限（否则 504）；"
        "预计等待更久的请求立即拒绝（429）。",
        bound=ABOVE_0,
        elsewhere="request-timeout max-time",
    )
    max_body: int = option(
        4_000_000,
        "Bytes of a request's body; more is answered with 413.",
        "请求体的最大字节数；超出时回答 413。",
        bound=AT_LEAST_1,
        elsewhere="max-request-size body-limit max-size",
    )
    max_text: int = option(
        20_000,
        "Characters of a text; more is answered with 413.",
        "一个文本的最大字符数；超出时回答 413。",
        bound=AT_LEAST_1,
        elsewhere="max-length max-text-length max-characters",
    )
    max_texts: int = option(
        256,
        "Texts of a request; more is answered with 413.",
        "一个请求中最多的文本数；超出时回答 413。",
        bound=AT_LEAST_1,
        elsewhere="max-batch-size max-batch max-client-batch-size",
    )
    max_numbers: int = option(
        200_000,
        "Numbers of an answer (marginals: units times labels; k-best: units times k); more is answered with "
        "413.",
        "一个回答中最多的数（边缘概率：单位数乘标签数；k-best：单位数乘 k）；超出时回答 413。",
        bound=AT_LEAST_1,
    )
    max_k: int = option(
        20,
        "Readings that k-best gives at the most; more is answered with 422.",
        "k-best 最多给出的读法数；超出时回答 422。",
        bound=AT_LEAST_1,
    )
    queue: int = option(
        1024,
        "Texts that may wait for a model; more are answered with 429.",
        "等待同一个模型的最多文本数；超出时回答 429。",
        bound=AT_LEAST_1,
        elsewhere="max-queue queue-size max-queue-size backlog",
    )
    concurrency: int = option(
        1000,
        "Requests that a worker reads and answers at once; more are answered with 429.",
        "一个工作进程同时处理的最多请求数；超出时回答 429。",
        bound=AT_LEAST_1,
        elsewhere="limit-concurrency max-concurrency max-concurrent-requests",
    )
    drain: float = option(
        0.0,
        "Seconds after SIGTERM in which /ready says 503 and requests are still taken, so that a load "
        "balancer notices; then those that run are finished.",
        "收到 SIGTERM 后的秒数：其间 /ready 回答 503 但仍接受请求，让负载均衡器有时间察觉；"
        "之后完成正在处理的请求。",
        bound=NOT_NEGATIVE,
        elsewhere="graceful-delay shutdown-delay grace-period",
    )
    api_key_file: str | None = option(
        None,
        "File of API keys, one a line, of which requests must send one; without it, the key in the "
        "environment variable PYBERT_CRF_API_KEY, if it is set.",
        "存放 API 密钥的文件，一行一个，请求须带上其中之一；"
        "不给时用环境变量 PYBERT_CRF_API_KEY（若已设置）。",
        elsewhere="api-key token auth-token",
    )
    allow_origin: Files = option(
        (),
        "Origin of other pages that may ask from a browser, such as https://example.org (repeatable). "
        "Default: none.",
        "允许从浏览器跨源访问的网页来源，如 https://example.org（可重复给出）。默认不允许。",
        elsewhere="cors cors-origin cors-allow-origin allowed-origins",
    )

    def __post_init__(self) -> None:
        self._as_tuples("models", "allow_origin")
        super().__post_init__()
        self._check("models", bool(self.models), "name at least one")
        self._check("max_texts", self.max_texts <= self.queue, f"be at most queue ({self.queue})")
