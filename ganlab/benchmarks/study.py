"""Many readers at once over HTTP, and a server that is killed under them: what is lost, what is doubled, how fast."""

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

import numpy as np

from ganlab.errors import InputError

HOST = "127.0.0.1"
PATIENCE = 60.0  # s without an acknowledgement, after which a reader gives up
PRELOAD = [
    "ganlab.ui.pages.turing.study_server",
    "ganlab.ui.pages.turing.organise",
    "ganlab.study.reading.session",
    "ganlab.study.organise",
    "uvicorn",
    "alembic.command",
]


@dataclass
class Reader:
    """One who answers at once, and keeps what was acknowledged: position -> what was said."""

    code: str
    port: int
    seed: int
    acknowledged: dict[int, dict] = field(default_factory=dict)
    seconds: list[float] = field(default_factory=list)
    sent_again: int = 0
    error: str = ""

    def read(self) -> None:
        """Go through the study; failures of the line are tried again, as the page does."""
        rng = random.Random(self.seed)
        try:
            frame = self.ask({"do": "look"})
            if frame["stage"] == "consent":
                frame = self.ask({"do": "consent"})
            while frame["stage"] == "question":
                said = {
                    "synthetic": rng.random() < 0.5,
                    "confidence": rng.randint(1, 6),
                    "ms": round(rng.uniform(1, 9e3), 1),
                }
                begun = time.perf_counter()
                following = self.ask({"do": "answer", "token": frame["token"], "said": said})
                self.seconds.append(time.perf_counter() - begun)
                self.acknowledged[frame["position"]] = said
                frame = following
        except (InputError, KeyError) as error:
            self.error = repr(error)

    def ask(self, request: dict) -> dict:
        body, until = json.dumps({"code": self.code, **request}), time.monotonic() + PATIENCE
        while time.monotonic() < until:
            try:
                with closing(http.client.HTTPConnection(HOST, self.port, timeout=PATIENCE)) as line:
                    line.request("POST", "/rate", body)
                    with line.getresponse() as response:
                        found = json.loads(response.read())
            except (OSError, http.client.HTTPException, ValueError):
                self.sent_again += 1
                time.sleep(0.02)
                continue
            if found.get("again"):
                self.sent_again += 1
                time.sleep(0.02)
                continue
            if "error" in found:
                raise InputError(found["error"])
            return found
        raise InputError(f"no acknowledgement for {PATIENCE:g} s")


def _serve(url: str, port: int, secret: str) -> None:
    from ganlab.ui.pages.turing.study_server import StudyDatabase, serve

    serve(StudyDatabase(url), HOST, port, secret)


def free_port() -> int:
    with socket.socket() as free:
        free.bind((HOST, 0))
        return free.getsockname()[1]


def start(url: str, port: int, secret: str = "") -> multiprocessing.Process:
    """A server of its own process, quick to start since it forks from one that has imported all; it listens."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(PRELOAD)
    server = context.Process(target=_serve, args=(url, port, secret), daemon=True)
    server.start()
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until and server.is_alive():
        try:
            socket.create_connection((HOST, port), 1).close()
            return server
        except OSError:
            time.sleep(0.02)
    raise InputError("The server does not start.")


@contextmanager
def studied(readers: int, images: int, url: str | None) -> Iterator[tuple]:
    """(address of a database, engine, the study that was created in it, a free port); a new SQLite file unless url."""
    from ganlab.study.design.protocol import Protocol
    from ganlab.study.design.stimuli import Stimuli
    from ganlab.study.organise import create
    from ganlab.study.reading.archive import open_archive

    rng = np.random.default_rng(0)
    pictures = rng.integers(0, 256, (images, 56, 56)).astype(np.uint8)
    names = [f"image {k}" for k in range(images)]
    stimuli = Stimuli(pictures, np.arange(images) % 2 == 0, [""] * images, names, [None] * images)
    with tempfile.TemporaryDirectory(prefix="ganlab-") as folder:
        url = url or f"sqlite:///{folder}/studies.db"
        engine = open_archive(url)
        made = create(engine, Protocol(readers=readers, practice=0, catch=0, repeats=0), stimuli)
        yield url, engine, made, free_port()
        engine.dispose()


def run(readers: int, images: int, kills: int = 0, url: str | None = None, seed: int = 0) -> dict:
    """`readers` read `images` images each, all at once, while the server is killed (SIGKILL) and started again `kills`
    times, at random points of the way: {"acknowledged", "stored", "lost", "doubled", "changed", "unfinished", ...}."""
    from ganlab.study.reading import archive

    rng = random.Random(seed)
    with studied(readers, images, url) as (address, engine, made, port):
        server = start(address, port)
        everyone = [Reader(code, port, seed + k) for k, code in enumerate(made.invitations)]
        threads = [threading.Thread(target=reader.read, daemon=True) for reader in everyone]
        begun = time.perf_counter()
        for thread in threads:
            thread.start()
        for point in sorted(rng.sample(range(1, readers * images), kills)):
            while sum(len(reader.acknowledged) for reader in everyone) < point and any(t.is_alive() for t in threads):
                time.sleep(0.001)
            server.kill()
            server.join()
            server = start(address, port)
        for thread in threads:
            thread.join()
        took = time.perf_counter() - begun
        server.kill()
        server.join()
        with archive.reading(engine) as connection:
            rows = archive.answers_of(connection, made.study)
    found = {}
    for row in rows:
        found.setdefault((row["reader"], row["position"]), []).append(json.loads(row["said"]))
    told = {(k, position): said for k, reader in enumerate(everyone) for position, said in reader.acknowledged.items()}
    times = [second for reader in everyone for second in reader.seconds]
    return {
        "database": address.split(":")[0], "readers": readers, "images": images, "kills": kills,
        "acknowledged": len(told), "stored": len(rows),
        "lost": sum(place not in found for place in told),
        "doubled": sum(len(said) > 1 for said in found.values()) + len(rows) - len(found),
        "changed": sum(place in found and found[place][0] != said for place, said in told.items()),
        "unfinished": [reader.error for reader in everyone if reader.error],
        "sent_again": sum(reader.sent_again for reader in everyone),
        "seconds": took, "answers_per_second": len(told) / took,
        "median_ms": 1000 * statistics.median(times), "p95_ms": 1000 * float(np.percentile(times, 95)),
    }  # fmt: skip


def benchmark_study(kills: int = 100, url: str | None = None, seed: int = 0) -> dict:
    """50 readers of 40 images at once; and as many while the server is killed again and again."""
    return {"calm": run(50, 40, 0, url, seed), "killed": run(50, 40, kills, url, seed + 1)}


def format_benchmark(found: dict) -> str:
    lines = []
    for name, r in found.items():
        lines.append(
            f"{name}: {r['readers']} readers at once, {r['images']} images each, {r['database']}, server killed "
            f"{r['kills']} times: {r['acknowledged']} acknowledged, {r['stored']} stored, {r['lost']} lost, "
            f"{r['doubled']} doubled, {r['changed']} changed; {r['median_ms']:.0f} ms median, "
            f"{r['p95_ms']:.0f} ms p95 an answer, {r['answers_per_second']:.0f} answers/s."
        )
    return "\n".join(lines)
