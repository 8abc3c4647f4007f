"""Image GANs that learn while a browser watches: each is pulled a frame at a time, and rests when nobody pulls."""

from __future__ import annotations

import asyncio
import base64
import copy
import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ganlab.device import one_thread, resolve
from ganlab.errors import InputError
from ganlab.ui.live_protocol import PRIVATE, Held, pack_images, read_question
from ganlab.ui.pages.generate.image_cache import images_of
from ganlab.ui.pages.generate.latent_space import MAX_REQUEST, shares

PULL = "gradio_api/ganlab/training"  # also where training.js asks
BUDGET = 0.25  # s of training per frame
LOOK_EVERY = 0.8  # s between samples
KEEP_EVERY = 50  # steps between states to go back to, at first
MOST_STATES, STATE_BYTES = 8, 96 * 2**20  # of a training, then every other one goes; the first and the newest stay
MOST_SHEETS, SHEET_BYTES = 240, 32 * 2**20  # of a training and its film, as well
BINS = 24  # of the histograms of D(x)
MOST, FORGET_AFTER = 60, 1800.0  # trainings held at once; s without a pull
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
        from ganlab.generation.image_kinds import get_kind

        check_game(config)
        self.config, self.game, self.playing, self.trouble, self.fresh = config, None, False, "", True
        if self.own and self.own.kind.name == config.data:
            self.images, self.share = Future(), [1.0]
            self.images.set_result(self.own)
        else:
            self.images, self.share = images_of(config.data, config.count or get_kind(config.data).count)
        self.rules = [(0, config)]  # from which step on what was played
        self.kept: list[tuple[int, dict]] = []  # (step, state) to go back to
        self.every = KEEP_EVERY
        self.sheets: list[tuple[int, np.ndarray]] = []
        self.past: int | None = None  # the step that is looked at; None: where the game is
        self.numbers: dict[str, float] = {}
        self.looked, self.notice = 0.0, ""

    def ready(self) -> bool:
        """Whether the game can be played; makes it once its images are there."""
        from ganlab.generation.game import Game

        if self.game is None and self.images.done():
            self.game = Game(self.config, self.images.result(), resolve("auto"))
            self.keep()
        return self.game is not None

    def keep(self) -> None:
        """Remember this state, and its sheet. The newest is what a loss that is no number goes back to."""
        if self.kept and self.kept[-1][0] % self.every:
            self.kept.pop()  # it was the newest, no more
        newest = self.game.number, copy.deepcopy(self.game.state())
        self.kept.append(newest)
        size = sum(v.nbytes for part in newest[1].values() for v in part.values())
        while len(self.kept) > max(2, min(MOST_STATES, STATE_BYTES // size)):
            self.every *= 2
            self.kept = [kept for kept in self.kept if kept[0] % self.every == 0 or kept is newest]
        self.look()

    def look(self) -> None:
        """Draw the sheet of the same noise."""
        from ganlab.generation.trainer import fixed_noise

        newest = self.game.number, shares(self.game.sample(*fixed_noise(self.game.config)))
        self.sheets = [sheet for sheet in self.sheets if sheet[0] < self.game.number] + [newest]
        if len(self.sheets) > min(MOST_SHEETS, SHEET_BYTES // newest[1].nbytes):
            staying = {step for step, _ in self.kept} | {self.game.number}
            self.sheets = [sheet for k, sheet in enumerate(self.sheets) if k % 2 == 0 or sheet[0] in staying]
        self.looked = time.monotonic()

    def change(self, **rules) -> None:
        """Go on by other rules (see Game.change). Raises InputError."""
        self.game.change(**rules)
        self.notice = ""
        self._note_rules()
        self.look()

    def _note_rules(self) -> None:
        earlier = [rule for rule in self.rules if rule[0] < self.game.number]
        if not earlier or earlier[-1][1] != self.game.config:
            earlier.append((self.game.number, self.game.config))
        self.rules = earlier

    def back_to(self, step: int) -> None:
        """Be at the last kept state up to a step again, under the rules of now; what came after it is forgotten."""
        self.kept = [kept for kept in self.kept if kept[0] <= step]
        number, state = self.kept[-1]
        self.game.restore(state, number)
        self.numbers, self.past, self.trouble = {}, None, ""
        self._note_rules()
        self.look()

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
            self.back_to(at)
            self.playing = False
            self.trouble = (
                f"At step {at + 1} {trouble}. The state of step {self.game.number} is back; lower a learning rate or "
                "turn a penalty on before going on, or go further back."
            )

    def pause(self) -> None:
        """Stand still, and show where."""
        if self.playing and self.ready():
            self.look()
        self.playing = False

    def do(self, command: list) -> dict:
        """What a button asks for; returns what it asked to have. Raises InputError."""
        name, *rest = command
        if name == "play":
            self.playing, self.trouble, self.notice, self.past = True, "", "", None
        elif name == "pause":
            self.pause()
        elif name == "step" and self.ready():
            self.playing, self.trouble, self.notice, self.past = False, "", "", None
            self.advance(0.0, 1)
            self.look()
        elif name == "look" and self.ready():
            self.pause()
            self.past = None if rest[0] >= self.game.number else max(0, int(rest[0]))
        elif name == "back" and self.ready():
            self.back_to(max(0, int(rest[0])))
            self.playing = True
        elif name == "film" and self.ready():
            form = str(rest[0]) if rest else "gif"
            return {"film": base64.b64encode(self.film(form)).decode(), "form": form}
        elif name == "save" and self.ready():
            from safetensors.torch import save

            from ganlab.checkpoints import as_config, metadata

            weights = {k: v.cpu().contiguous() for k, v in self.game.weights().items()}
            return {"saved": base64.b64encode(save(weights, metadata(weights, as_config(self.game.config)))).decode()}
        return {}

    def film(self, form: str = "gif") -> bytes:
        """The sheets so far as a moving picture (see `films.film`)."""
        from ganlab.generation.export import grey
        from ganlab.generation.films import film
        from ganlab.generation.trainer import columns

        kind, size = self.game.images.kind, self.sheets[0][1].shape[1]
        window, wide, frames = kind.window, columns(self.game.config), []
        for _, sheet in self.sheets:
            tiles = grey(kind.low + sheet / 65535 * (kind.high - kind.low), window)
            tiles = tiles.reshape(-1, wide, size, size).transpose(0, 2, 1, 3)
            frames.append(tiles.reshape(-1, wide * size))
        return film(np.stack(frames), 12, max(1, 448 // (wide * size)), form)

    def frame(self) -> tuple[dict, np.ndarray | None]:
        """Where the training stands, and the sheet of samples that is looked at."""
        from ganlab.generation.trainer import columns

        head = {"playing": self.playing, "trouble": self.trouble, "notice": self.notice, "fresh": self.fresh}
        head |= {"made": self.share[-1]}
        self.fresh = False
        if not self.ready():
            return head | {"step": 0}, None
        at, sheet = next(s for s in reversed(self.sheets) if self.past is None or s[0] <= self.past)
        head |= {"step": self.game.number, "at": at, "numbers": {k: [v] for k, v in self.numbers.items()}}
        head |= {"moments": [step for step, _ in self.sheets], "kept": [step for step, _ in self.kept]}
        said = self.game.probability() if self.past is None else None
        if said:
            counts = [np.histogram(v.numpy(), BINS, (0, 1))[0] / len(v) for v in said]
            head["bins"] = np.round(counts, 4).tolist()
        kind = self.game.images.kind
        head["columns"] = columns(self.game.config)
        head["kind"] = {"low": kind.low, "high": kind.high, "windows": kind.windows}
        return head | self.origin(at), sheet

    def origin(self, at: int) -> dict:
        """How the sheet of a step was made: a command, and at which steps the rules changed on the way there."""
        from ganlab.generation.presets import command

        played = [rule for rule in self.rules if self.past is None or rule[0] < at] or self.rules[:1]
        return {"command": command(played[-1][1], at), "changed": [step for step, _ in played[1:]]}


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
            except (ValueError, TypeError, IndexError, OverflowError):
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
