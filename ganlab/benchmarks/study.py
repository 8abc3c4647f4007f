"""Load test of the study server: many readers at once over HTTP while the server is killed and restarted.

Counts answers that were lost, stored twice or changed, and measures how fast they are acknowledged.
"""

from __future__ import annotations

import http.client
import json
import multiprocessing
import random
import socket
import statistics
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from ganlab.errors import InputError

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from ganlab.study.organise import CreatedStudy

HOST = "127.0.0.1"
TIMEOUT = 60.0  # s without an acknowledgement after which a reader gives up
PRELOAD = [  # imported once in the parent process that servers are forked from
    "ganlab.ui.pages.turing.study_server",
    "ganlab.ui.pages.turing.organise",
    "ganlab.study.reading.session",
    "ganlab.study.organise",
    "uvicorn",
    "alembic.command",
]


@dataclass
class ReaderClient:
    """A reader who answers immediately and remembers which answers were acknowledged (position -> answer)."""

    code: str
    port: int
    seed: int
    acknowledged: dict[int, dict] = field(default_factory=dict)
    seconds: list[float] = field(default_factory=list)
    sent_again: int = 0
    error: str = ""

    def read(self) -> None:
        """Answer the whole study; failed requests are sent again, as the page does."""
        rng = random.Random(self.seed)
        try:
            frame = self.ask({"do": "look"})
            if frame["stage"] == "consent":
                frame = self.ask({"do": "consent"})
            while frame["stage"] == "question":
                answer = {
                    "synthetic": rng.random() < 0.5,
                    "confidence": rng.randint(1, 6),
                    "ms": round(rng.uniform(1, 9e3), 1),
                }
                start = time.perf_counter()
                following = self.ask({"do": "answer", "token": frame["token"], "said": answer})
                self.seconds.append(time.perf_counter() - start)
                self.acknowledged[frame["position"]] = answer
                frame = following
        except (InputError, KeyError) as error:
            self.error = repr(error)

    def ask(self, request: dict) -> dict:
        """The server's reply. Raises InputError for an error, and if there is no reply in time."""
        body, until = json.dumps({"code": self.code, **request}), time.monotonic() + TIMEOUT
        while time.monotonic() < until:
            try:
                with closing(http.client.HTTPConnection(HOST, self.port, timeout=TIMEOUT)) as connection:
                    connection.request("POST", "/rate", body)
                    with connection.getresponse() as response:
                        reply = json.loads(response.read())
            except (OSError, http.client.HTTPException, ValueError):
                self.sent_again += 1
                time.sleep(0.02)
                continue
            if reply.get("again"):
                self.sent_again += 1
                time.sleep(0.02)
                continue
            if "error" in reply:
                raise InputError(reply["error"])
            return reply
        raise InputError(f"no acknowledgement for {TIMEOUT:g} s")


def _serve(url: str, port: int, secret: str) -> None:
    from ganlab.ui.pages.turing.study_server import StudyDatabase, serve

    serve(StudyDatabase(url), HOST, port, secret)


def free_port() -> int:
    """A TCP port that is free now."""
    with socket.socket() as free:
        free.bind((HOST, 0))
        return free.getsockname()[1]


def start(url: str, port: int, secret: str = "") -> multiprocessing.Process:
    """A server in its own process, listening. It starts quickly because it forks from a process that has imported
    everything. Raises InputError if it does not start."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(PRELOAD)
    server = context.Process(target=_serve, args=(url, port, secret), daemon=True)
    server.start()
    until = time.monotonic() + TIMEOUT
    while time.monotonic() < until and server.is_alive():
        try:
            socket.create_connection((HOST, port), 1).close()
            return server
        except OSError:
            time.sleep(0.02)
    raise InputError("The server did not start.")


@contextmanager
def new_study(readers: int, images: int, url: str | None) -> Iterator[tuple[str, Engine, CreatedStudy]]:
    """(address of the database, engine, the study created in it); in a temporary SQLite file unless url is given."""
    from ganlab.study.design.protocol import Protocol
    from ganlab.study.design.stimuli import Stimuli
    from ganlab.study.organise import create
    from ganlab.study.reading.archive import open_archive

    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (images, 56, 56)).astype(np.uint8)
    names = [f"image {k}" for k in range(images)]
    stimuli = Stimuli(pixels, np.arange(images) % 2 == 0, [""] * images, names, [None] * images)
    with tempfile.TemporaryDirectory(prefix="ganlab-") as folder:
        url = url or f"sqlite:///{folder}/studies.db"
        engine = open_archive(url)
        created = create(engine, Protocol(readers=readers, practice=0, catch=0, repeats=0), stimuli)
        yield url, engine, created
        engine.dispose()


def run(readers: int, images: int, kills: int = 0, url: str | None = None, seed: int = 0) -> dict:
    """Let readers answer all images at the same time while the server is killed (SIGKILL) and restarted at random
    points.

    Returns the numbers of answers acknowledged, stored, lost, doubled and changed, readers who could not finish, and
    times per answer.
    """
    from ganlab.study.reading.archive import answers_of
    from ganlab.study.reading.database import reading

    rng, port = random.Random(seed), free_port()
    with new_study(readers, images, url) as (address, engine, created):
        clients = [ReaderClient(code, port, seed + k) for k, code in enumerate(created.invitations)]
        seconds = read_all(clients, address, sorted(rng.sample(range(1, readers * images), kills)))
        with reading(engine) as connection:
            rows = answers_of(connection, created.study)
    times = [second for client in clients for second in client.seconds]
    counts = compare(clients, rows)
    return {
        "database": address.split(":")[0], "readers": readers, "images": images, "kills": kills, **counts,
        "unfinished": [client.error for client in clients if client.error],
        "sent_again": sum(client.sent_again for client in clients),
        "seconds": seconds, "answers_per_second": counts["acknowledged"] / seconds,
        "median_ms": 1000 * statistics.median(times), "p95_ms": 1000 * float(np.percentile(times, 95)),
    }  # fmt: skip


def read_all(clients: list[ReaderClient], address: str, kill_after: list[int]) -> float:
    """Run all readers against a server, and kill and restart it after each number of acknowledged answers in
    `kill_after`. Returns seconds."""
    port = clients[0].port
    server = start(address, port)
    threads = [threading.Thread(target=client.read, daemon=True) for client in clients]
    begun = time.perf_counter()
    for thread in threads:
        thread.start()
    for count in kill_after:
        while sum(len(client.acknowledged) for client in clients) < count and any(t.is_alive() for t in threads):
            time.sleep(0.001)
        server.kill()
        server.join()
        server = start(address, port)
    for thread in threads:
        thread.join()
    seconds = time.perf_counter() - begun
    server.kill()
    server.join()
    return seconds


def compare(clients: list[ReaderClient], rows: list[dict]) -> dict[str, int]:
    """Acknowledged against stored answers."""
    stored: dict[tuple[int, int], list[dict]] = {}
    for row in rows:
        stored.setdefault((row["reader"], row["position"]), []).append(json.loads(row["said"]))
    acknowledged = {
        (k, position): answer for k, client in enumerate(clients) for position, answer in client.acknowledged.items()
    }
    return {
        "acknowledged": len(acknowledged),
        "stored": len(rows),
        "lost": sum(key not in stored for key in acknowledged),
        "doubled": len(rows) - len(stored),
        "changed": sum(key in stored and stored[key][0] != answer for key, answer in acknowledged.items()),
    }


def benchmark_study(kills: int = 100, url: str | None = None, seed: int = 0) -> dict:
    """50 readers of 40 images each at the same time; once without interruption, once with the server killed
    repeatedly."""
    return {"calm": run(50, 40, 0, url, seed), "killed": run(50, 40, kills, url, seed + 1)}


def format_benchmark(found: dict) -> str:
    """A sentence for each run."""
    lines = []
    for name, r in found.items():
        lines.append(
            f"{name}: {r['readers']} readers at once, {r['images']} images each, {r['database']}, server killed "
            f"{r['kills']} times: {r['acknowledged']} acknowledged, {r['stored']} stored, {r['lost']} lost, "
            f"{r['doubled']} duplicated, {r['changed']} changed; {r['median_ms']:.0f} ms median, "
            f"{r['p95_ms']:.0f} ms p95 per answer, {r['answers_per_second']:.0f} answers/s."
        )
    return "\n".join(lines)
