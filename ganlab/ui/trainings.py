"""Image GANs that learn while a browser watches: each is pulled a frame at a time, and rests when nobody pulls."""

from __future__ import annotations

import asyncio
import base64
import copy
import json
import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ganlab.device import one_thread, resolve
from ganlab.errors import InputError
from ganlab.ui.latents import MAX_REQUEST, shares
from ganlab.ui.making import images_of
from ganlab.ui.wire import PRIVATE, Held, pack_images, read_question

PULL = "gradio_api/ganlab/training"  # also where training.js asks
BUDGET = 0.25  # s of training per frame
LOOK_EVERY = 0.8  # s between samples
KEEP_EVERY = 50  # steps between states to go back to
BINS = 24  # of the histograms of D(x)
MOST_FRAMES = 240  # of a film; then every other one is dropped
MOST, FORGET_AFTER = 60, 1800.0  # trainings held at once; s without a pull
COUNTS = {"digits": 1500, "nodules": 1024}  # images to learn from, where a visitor waits for them
COUNT = 600
GONE = "This training is no longer on the server: it was forgotten after half an hour of rest. Start again."


class Training:
    """A game on its way, with what the page shows of it."""

    own = None  # a visitor's images

    def __init__(self, config):
        self.lock = threading.Lock()
        self.pulled = time.monotonic()
        self.start(config)

    def start(self, config) -> None:
        """From chance, on images that may still be in the making."""
        from ganlab.generation.game import check_game
        from ganlab.generation.networks import check_network

        check_network(check_game(config).network)
        self.config, self.game, self.playing, self.trouble, self.fresh = config, None, False, "", True
        if self.own and self.own.kind.name == config.data:
            self.images, self.share = Future(), [1.0]
            self.images.set_result(self.own)
        else:
            self.images, self.share = images_of(config.data, COUNTS.get(config.data, COUNT))
        self.sheets: list[tuple[int, np.ndarray]] = []
        self.numbers: dict[str, float] = {}
        self.looked, self.good, self.error = 0.0, None, ""

    def ready(self) -> bool:
        """Whether the game can be played; makes it once its images are there."""
        from ganlab.generation.game import Game

        if self.game is None and self.images.done():
            self.game = Game(self.config, self.images.result(), resolve("auto"))
            self.keep()
            self.look()
        return self.game is not None

    def keep(self) -> None:
        """Remember this state, to go back to if the losses stop being numbers."""
        self.good = (copy.deepcopy(self.game.state()), self.game.number)

    def look(self) -> None:
        """Draw the sheet of the same noise."""
        from ganlab.generation.trainer import fixed_noise

        self.sheet = shares(self.game.sample(*fixed_noise(self.game.config)))
        self.looked = time.monotonic()
        if not self.sheets or self.sheets[-1][0] < self.game.number:
            self.sheets.append((self.game.number, self.sheet))
            if len(self.sheets) > MOST_FRAMES:
                self.sheets = self.sheets[::2]

    def advance(self, seconds: float, steps: int | None = None) -> None:
        """Play for so long, or so many steps. Where a loss is no number any more, go back and stand still."""
        from ganlab.generation.game import Trouble

        end = time.monotonic() + seconds
        try:
            while True:
                self.numbers = self.game.step()
                if self.game.number % KEEP_EVERY == 0:
                    self.keep()
                steps = None if steps is None else steps - 1
                if steps == 0 or (steps is None and time.monotonic() > end):
                    break
        except Trouble as trouble:
            at = self.game.number
            self.game.restore(copy.deepcopy(self.good[0]), self.good[1])
            self.playing = False
            self.trouble = (
                f"At step {at + 1} {trouble}. The state of step {self.good[1]} is back; lower a learning rate or turn "
                "a penalty on before going on."
            )
            self.look()

    def do(self, command: list) -> dict:
        """What a button asks for; returns what it asked to have. Raises InputError."""
        name, *rest = command
        if name == "play":
            self.playing, self.trouble = True, ""
        elif name == "pause":
            self.playing = False
        elif name == "step" and self.ready():
            self.playing, self.trouble = False, ""
            self.advance(0.0, 1)
            self.look()
        elif name == "film" and self.ready():
            form = str(rest[0]) if rest else "gif"
            return {"film": base64.b64encode(self.film(form)).decode(), "form": form}
        elif name == "save" and self.ready():
            from safetensors.torch import save

            from ganlab.checkpoints import as_config

            facts = {"config": json.dumps(as_config(self.game.config))}
            weights = {k: v.cpu().contiguous() for k, v in self.game.weights().items()}
            return {"saved": base64.b64encode(save(weights, facts)).decode()}
        return {}

    def film(self, form: str = "gif") -> bytes:
        """The sheets so far as a moving picture (see `films.film`)."""
        from ganlab.generation.export import grey
        from ganlab.generation.films import film
        from ganlab.generation.trainer import columns

        kind, size = self.game.images.kind, self.sheet.shape[1]
        window, wide, frames = next(iter(kind.windows.values())), columns(self.game.config), []
        for _, sheet in self.sheets:
            tiles = grey(kind.low + sheet / 65535 * (kind.high - kind.low), window)
            tiles = tiles.reshape(-1, wide, size, size).transpose(0, 2, 1, 3)
            frames.append(tiles.reshape(-1, wide * size))
        return film(np.stack(frames), 12, max(1, 448 // (wide * size)), form)

    def frame(self) -> tuple[dict, np.ndarray | None]:
        """Where the training stands, and the sheet of samples."""
        from ganlab.generation.trainer import columns

        head = {"playing": self.playing, "trouble": self.trouble, "fresh": self.fresh, "made": self.share[-1]}
        self.fresh = False
        if not self.ready():
            return head | {"step": 0}, None
        head |= {"step": self.game.number, "numbers": {k: [v] for k, v in self.numbers.items()}}
        said = self.game.probability()
        if said:
            counts = [np.histogram(v.numpy(), BINS, (0, 1))[0] / len(v) for v in said]
            head["bins"] = np.round(counts, 4).tolist()
        kind = self.game.images.kind
        head["columns"] = columns(self.game.config)
        head["kind"] = {"low": kind.low, "high": kind.high, "windows": kind.windows}
        return head, self.sheet


class Trainings(Held):
    """All of them; two threads take turns."""

    def __init__(self):
        super().__init__(MOST, FORGET_AFTER, GONE)
        self._pool = ThreadPoolExecutor(2, "training", one_thread)

    def open(self, config, holder: str) -> str:
        """The token of a new training."""
        return self.add(Training(config), holder)

    async def pull(self, request: dict) -> bytes:
        """uint32 length of a JSON header | header | uint16 sheet (N, size, size), if there is one. request: token, do
        (a list of commands, see Training.do)."""
        try:
            training = self.get(request.get("token"))
        except InputError as error:
            return pack_images({"error": str(error), "gone": True}, {})
        return await asyncio.get_running_loop().run_in_executor(self._pool, self._frame, training, request)

    def _frame(self, training: Training, request: dict) -> bytes:
        answer: dict = {}
        with training.lock:
            training.pulled = time.monotonic()
            try:
                for command in list(request.get("do") or ())[:8]:
                    answer |= training.do(list(command))
                if training.playing and training.ready():
                    training.advance(BUDGET)
                    if time.monotonic() - training.looked > LOOK_EVERY:
                        training.look()
            except InputError as error:
                answer["error"] = str(error)
            except (ValueError, TypeError, IndexError):
                answer["error"] = "That was no command of this page; reload it."
            head, sheet = training.frame()
        return pack_images(answer | head, {} if sheet is None else {"images": sheet})


def routes(trainings: Trainings) -> list[Route]:
    """POST /gradio_api/ganlab/training with a request as Trainings.pull takes it, in JSON."""

    async def answer(request: Request) -> Response:
        wanted = await read_question(request, MAX_REQUEST)
        if isinstance(wanted, Response):
            return wanted
        return Response(await trainings.pull(wanted), headers=PRIVATE)

    return [Route(f"/{PULL}", answer, methods=["POST"])]
