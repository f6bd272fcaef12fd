"""Load on a server: ten times what it can answer, for a minute. Nothing may be lost, and memory stays flat.

    python tests/serve/load.py MODEL [--seconds 60] [--times 10]

It starts ``pybert-crf serve MODEL``, measures how many requests a second it answers when a few clients ask
one after the other, then sends `times` as many, each at its time whether those before are answered or not.
Every request must be answered (200) or refused (429, 503, 504) by the server; afterwards it must answer as
before, with the same entities. Prints a table, and fails otherwise.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import re
import time
from collections import Counter
from pathlib import Path
from typing import Any

from serving import Client, Running, as_process

CLIENTS = 64  # that measure the capacity
REFUSED = (429, 503, 504)


def texts(count: int) -> list[str]:
    """Sentences of 10 to 80 characters."""
    draw = random.Random(1)
    alphabet = "张三李四在北京上海工作，他们昨天去了医院。"
    return ["".join(draw.choices(alphabet, k=draw.randint(10, 80))) for _ in range(count)]


async def ask(port: int, text: str) -> tuple[int, float, Any]:
    """Status, seconds and answer of one request on a connection of its own; status 0 if it was lost."""
    begin = time.perf_counter()
    body = json.dumps({"text": text}).encode()
    fields = [
        "Host: x",
        "Content-Type: application/json",
        "Connection: close",
        f"Content-Length: {len(body)}",
    ]
    head = "\r\n".join(["POST /v1/entities HTTP/1.1", *fields, "", ""])
    try:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            writer.write(head.encode() + body)
            whole = await reader.read()
        finally:
            writer.close()
        top, _, content = whole.partition(b"\r\n\r\n")
        return int(top.split()[1]), time.perf_counter() - begin, json.loads(content)
    except (OSError, IndexError, ValueError):
        return 0, time.perf_counter() - begin, None


async def capacity(port: int, seconds: float) -> float:
    """Requests a second that are answered to `CLIENTS` clients, each of which waits for its answer."""
    end, given = time.perf_counter() + seconds, iter(texts(1_000_000 // 20))
    statuses: Counter[int] = Counter()

    async def client() -> None:
        while time.perf_counter() < end:
            statuses[(await ask(port, next(given)))[0]] += 1

    await asyncio.gather(*(client() for _ in range(CLIENTS)))
    assert set(statuses) == {200}, statuses
    return statuses[200] / seconds


async def overload(port: int, rate: float, seconds: float) -> list[tuple[int, float, Any]]:
    """What becomes of `rate` requests a second."""
    given = texts(int(rate * seconds))
    begin = time.perf_counter()
    running = []
    for place, text in enumerate(given):
        late = begin + place / rate - time.perf_counter()
        if late > 0:
            await asyncio.sleep(late)
        running.append(asyncio.create_task(ask(port, text)))
    return await asyncio.gather(*running)


def memory(running: Running) -> float:
    """MB that the server holds, once it has given back what it does not use: by a batch, every 5 seconds."""
    time.sleep(5.5)
    asyncio.run(ask(running.client.port, texts(1)[0]))
    time.sleep(0.5)
    told = Path(f"/proc/{running.process.pid}/status").read_text()
    found = re.search(r"VmRSS:\s+(\d+)", told)
    assert found
    return int(found[1]) / 1024


def waiting(client: Client) -> float:
    """Texts that wait in the server."""
    found = re.search(r"pybert_crf_waiting_texts\{.*\} (\S+)", client.get("/metrics").body.decode())
    assert found
    return float(found[1])


def run(model: str, seconds: float, times: float) -> None:
    """Measure, overload, and check."""
    with as_process(model) as running:
        port = running.client.port
        first = asyncio.run(ask(port, texts(1)[0]))
        asyncio.run(capacity(port, 3.0))
        rate = asyncio.run(capacity(port, 10.0))
        levels = [memory(running)]
        answers: list[tuple[int, float, Any]] = []
        parts = 4
        for _ in range(parts):  # memory is looked at between them
            answers += asyncio.run(overload(port, times * rate, seconds / parts))
            levels.append(memory(running))
        begin = time.perf_counter()
        while waiting(running.client):
            time.sleep(0.05)
        after = asyncio.run(capacity(port, 10.0))
        recovered = time.perf_counter() - begin - 10.0
        again = asyncio.run(ask(port, texts(1)[0]))
        statuses = Counter(status for status, _, _ in answers)
        waits = sorted(spent for status, spent, _ in answers if status == 200)
        print(f"capacity               {rate:.0f} requests a second")
        print(f"sent                   {len(answers):,} in {seconds:g} s, {times:g} times the capacity")
        print(f"answered               {statuses[200]:,} ({statuses[200] / seconds:.0f} a second)")
        print(f"refused                { ({s: statuses[s] for s in REFUSED if statuses[s]}) }")
        print(f"lost                   {statuses[0]}")
        print(f"seconds to an answer   median {waits[len(waits) // 2]:.2f}, longest {waits[-1]:.2f}")
        print(f"memory, MB             {', '.join(f'{level:.0f}' for level in levels)}")
        print(f"afterwards             {after:.0f} requests a second; nothing waited after {recovered:.1f} s")
        assert set(statuses) <= {200, *REFUSED}, statuses
        assert again[0] == 200
        assert again[2] == first[2]
        assert levels[-1] < 1.1 * levels[parts // 2], levels
        assert running.stop() == 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("model")
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--times", type=float, default=10.0)
    given = parser.parse_args()
    run(given.model, given.seconds, given.times)
