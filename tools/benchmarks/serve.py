"""Clients that ask a served cell, some of them badly → statuses, latency by size, and the memory of the server.

python -m tools.benchmarks.serve [requests=10000] [clients=8] [model=FOLDER]

Without a model, a small cell of `mhp` is trained first. The server is MLflow's own command in processes of its own.
Sizes are 1 to 500 pairs, as many small as large on a logarithmic scale; a request in ten cannot be answered.
A request that gets no status 200 or 4xx as it should, and a server that is gone, are a failure (exit code 1).
"""

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import psutil
import requests

from relevance.cli import command_line, echo, run_command
from relevance.errors import UserError
from relevance.shop.generate import generate_pairs

START = 90  # seconds the server may take
MOST_PAIRS = 500
BAD_SHARE = 0.1
SIZES = (1, 10, 50, 200, MOST_PAIRS)  # upper ends of the table's rows
PAIR = {"task": "query_item", "left": "usb c cable", "right": "Volt USB-C cable 2 m"}


def records(*rows: object) -> bytes:
    return json.dumps({"dataframe_records": rows}).encode()


BAD = {
    "not JSON": b'{"dataframe_records": [',
    "bytes": b"\xff\xfe\x00",
    "empty": b"",
    "NaN": records({**PAIR, "left": float("nan")}),
    "a number": records({**PAIR, "left": 5}),
    "nested": records({**PAIR, "left": {"text": ["usb"]}}),
    "deep": b'{"dataframe_records": ' + b"[" * 200 + b"]" * 200 + b"}",
    "no right": records({"task": "query_item", "left": "lamp"}),
    "unknown task": records({**PAIR, "task": "query_itm"}),
    "list of lists": b'{"dataframe_records": [[1, 2, 3]]}',
    "another key": b'{"rows": []}',
    "10 MB": records({**PAIR, "left": "usb " * 2_500_000}),
    "1,001 rows": records(*[PAIR] * 1_001),
}


@dataclass
class Options:
    requests: int = 10_000
    clients: int = 8
    model: str | None = None


@dataclass(frozen=True)
class Reply:
    """What came of a request of `rows` pairs; of a bad one, what is bad about it."""

    rows: int
    bad: str
    status: int  # 0: no answer
    seconds: float

    @property
    def right(self) -> bool:
        return 400 <= self.status < 500 if self.bad else self.status == 200


@command_line(__doc__, Options)
def main(options: Options) -> None:
    with tempfile.TemporaryDirectory() as name, served(Path(options.model or trained(Path(name)))) as (url, server):
        ask(url, 200, options.clients, seed=1)  # what is loaded late, is loaded
        before, started = memory(server), time.perf_counter()
        replies = ask(url, options.requests, options.clients, seed=0)
        seconds = time.perf_counter() - started
        if server.poll() is not None:
            raise UserError(f"the server is gone (exit code {server.returncode})")
        after = memory(server)
    table(replies, seconds)
    print(f"memory of the server: {before:.0f} MB before, {after:.0f} MB after")
    if wrong := Counter((reply.bad or "good", reply.status) for reply in replies if not reply.right):
        raise UserError(f"answers that should have been others: {dict(wrong)}")


def trained(folder: Path) -> Path:
    """The MLflow model of a small cell."""
    words = ["model=ce", "routing=mhp", "data.rows=2400", "trainer.max_epochs=1", f"outputs={folder}/outputs"]
    command = [sys.executable, "-m", "relevance.run", *words, f"tracking_uri=sqlite:///{folder}/mlflow.db"]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return next(folder.glob("outputs/artifacts/models/*/artifacts"))


@contextmanager
def served(model: Path) -> Iterator[tuple[str, subprocess.Popen]]:
    """The address and the process of MLflow's server of `model`."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])  # it starts uvicorn by name
    words = [sys.executable, "-m", "mlflow", "models", "serve", "--env-manager", "local", "-m", str(model)]
    server = subprocess.Popen(
        [*words, "-p", str(port)],
        env={**os.environ, "PATH": path, "MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    address = f"http://127.0.0.1:{port}"
    try:
        _wait(address)
        yield f"{address}/invocations", server
    finally:
        os.killpg(server.pid, signal.SIGTERM)
        server.wait(timeout=20)


def _wait(address: str) -> None:
    for _ in range(2 * START):
        with suppress(requests.ConnectionError):
            if requests.get(f"{address}/ping", timeout=5).ok:
                return
        time.sleep(0.5)
    raise UserError(f"{address}: no answer within {START} s")


def memory(server: subprocess.Popen) -> float:
    """Resident MB of the server's processes."""
    process = psutil.Process(server.pid)
    return sum(part.memory_info().rss for part in (process, *process.children(recursive=True))) / 2**20


def ask(url: str, count: int, clients: int, seed: int) -> list[Reply]:
    """`count` requests, as many at a time as there are clients, each of them with a connection of its own."""
    pairs = generate_pairs(5_000, 1, 0.0).select(["task", "left", "right"]).to_pylist()
    rng = np.random.default_rng(seed)
    sizes = np.exp(rng.uniform(0, np.log(MOST_PAIRS + 1), count)).astype(int).clip(1, MOST_PAIRS)
    faults = np.where(rng.random(count) < BAD_SHARE, rng.choice(list(BAD), count), "")
    starts = rng.integers(0, len(pairs) - MOST_PAIRS, count)

    def post(size: int, bad: str, start: int) -> Reply:
        body, began = BAD[bad] if bad else records(*pairs[start : start + size]), time.perf_counter()
        try:
            answer = requests.post(url, body, headers={"Content-Type": "application/json"}, timeout=120)
            status = answer.status_code
            whole = bad or status != 200 or len(answer.json()["predictions"]) == size
        except requests.RequestException as error:
            echo(f"{bad or size}: {type(error).__name__}")
            status, whole = 0, True
        return Reply(size, str(bad), status if whole else 0, time.perf_counter() - began)

    with ThreadPoolExecutor(clients) as pool:
        return list(pool.map(post, sizes.tolist(), faults.tolist(), starts.tolist()))


def table(replies: list[Reply], seconds: float) -> None:
    good, bad = [r for r in replies if not r.bad], [r for r in replies if r.bad]
    pairs = sum(reply.rows for reply in good)
    print(f"{len(replies):,} requests, {pairs:,} pairs in {seconds:.0f} s: {pairs / seconds:,.0f} pairs/s")
    print(f"{'pairs':>12}{'requests':>10}{'p50 ms':>9}{'p95 ms':>9}{'p99 ms':>9}{'max ms':>9}")
    for low, high in zip((0, *SIZES[:-1]), SIZES, strict=True):
        _line(f"{low + 1} to {high}", [reply for reply in good if low < reply.rows <= high])
    _line("refused", bad)
    print("statuses:", ", ".join(f"{status or 'none'} {n:,}" for status, n in _counts(good)))
    print("statuses of bad requests:", ", ".join(f"{status or 'none'} {n:,}" for status, n in _counts(bad)))


def _line(title: str, replies: list[Reply]) -> None:
    times = [1000 * reply.seconds for reply in replies]
    figures = [*np.percentile(times, [50, 95, 99]), max(times)] if times else []
    print(f"{title:>12}{len(replies):>10,}{''.join(f'{ms:9.0f}' for ms in figures)}")


def _counts(replies: list[Reply]) -> list[tuple[int, int]]:
    return sorted(Counter(reply.status for reply in replies).items())


if __name__ == "__main__":
    run_command(main)
