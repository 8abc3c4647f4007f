"""Image GANs that train while a browser watches: each advances when a frame is requested, and is idle otherwise.

A question is {"token", "do": [[command, arguments ...], ...]}; COMMANDS lists the commands.
"""

from __future__ import annotations

import copy
import time
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial

import numpy as np
from starlette.routing import Route

from ganlab.device import one_thread, resolve
from ganlab.errors import InputError
from ganlab.generation.image_cache import images_of
from ganlab.ui.live_protocol import Answer, in_threads, live_route, obey
from ganlab.ui.pages.generate.latent_space import MAX_REQUEST, to_uint16
from ganlab.ui.pages.generate.training_history import History
from ganlab.ui.session_store import Limits, SessionStore

PATH = "gradio_api/ganlab/training"  # also in training.js
LIMITS = Limits("training", "Reload the page to start again.", count=60, idle=1800.0, megabytes=2048)
TRAIN_SECONDS = 0.25  # per frame
LOOK_SECONDS = 0.8  # between sheets of samples
BINS = 24  # of the histograms of D(x)
FILM_FPS, FILM_SIDE = 12, 448  # frames per second; approximate px of the film


class Training:
    """A game in training, and the state of its page."""

    own = None  # the visitor's images

    def __init__(self, config):
        self.start(config)

    def start(self, config) -> None:
        """Start from random weights, on images that may not be ready yet."""
        from ganlab.generation.image_kinds import get_kind

        self.config, self.game, self.playing, self.trouble, self.fresh = config, None, False, "", True
        if self.own and self.own.kind.name == config.data:
            self.images, self.share = Future(), [1.0]
            self.images.set_result(self.own)
        else:
            self.images, self.share = images_of(config.data, config.count or get_kind(config.data).count)
        self.rules = [(0, config)]  # (step, config from that step on)
        self.history = History()
        self.past: int | None = None  # the step that is shown; None for the current one
        self.numbers: dict[str, float] = {}
        self.looked, self.notice = 0.0, ""

    def ready(self) -> bool:
        """Whether the game can be played; creates it once its images are ready."""
        from ganlab.generation.game import ImageGame

        if self.game is None and self.images.done():
            self.game = ImageGame(self.config, self.images.result(), resolve("auto"))
            self.keep()
        return self.game is not None

    @property
    def nbytes(self) -> int:
        own = self.own.images.nbytes if self.own else 0
        weights = sum(t.nbytes for part in self.game.state().values() for t in part.values()) if self.game else 0
        return own + weights + self.history.nbytes

    def keep(self) -> None:
        """Store this state and its sheet. The newest state is restored after a NaN loss."""
        self.history.add_state(self.game.step, copy.deepcopy(self.game.state()))
        self.look()

    def look(self) -> None:
        """Draw a sheet of samples, always from the same noise."""
        from ganlab.generation.trainer import fixed_noise

        self.history.add_sheet(self.game.step, to_uint16(self.game.sample(*fixed_noise(self.game.config))))
        self.looked = time.monotonic()

    def change(self, **rules) -> None:
        """Continue with other settings (see ImageGame.change). Raises InputError."""
        self.game.change(**rules)
        self.notice = ""
        self._note_rules()
        self.look()

    def _note_rules(self) -> None:
        earlier = [rule for rule in self.rules if rule[0] < self.game.step]
        if not earlier or earlier[-1][1] != self.game.config:
            earlier.append((self.game.step, self.game.config))
        self.rules = earlier

    def rewind(self, step: int) -> None:
        """Restore the last kept state up to a step, with the current settings; everything after it is dropped."""
        kept_step, state = self.history.rewind(step)
        self.game.restore(state, kept_step)
        self.numbers, self.past, self.trouble = {}, None, ""
        self._note_rules()
        self.look()

    def advance(self, seconds: float, steps: int | None = None) -> None:
        """Train for `seconds`, or `steps` steps. After a NaN loss, restore the newest state and stop."""
        from ganlab.generation.game import Diverged

        end = time.monotonic() + seconds
        try:
            while True:
                self.numbers = self.game.take_step()
                if self.history.due(self.game.step):
                    self.keep()
                steps = None if steps is None else steps - 1
                if steps == 0 or (steps is None and time.monotonic() > end):
                    break
        except Diverged as trouble:
            at = self.game.step
            self.rewind(at)
            self.playing = False
            self.trouble = (
                f"At step {at + 1} {trouble}. The state of step {self.game.step} was restored; lower a learning rate "
                "or add a penalty before going on, or rewind further."
            )

    def stop(self) -> None:
        """Pause, and show the samples of this step."""
        if self.playing and self.ready():
            self.look()
        self.playing = False


# Commands of a page: each returns the facts and arrays it was asked for, if any, and may raise InputError. All
# except play and pause wait until the game is ready.


def play(training: Training) -> None:
    training.playing, training.trouble, training.notice, training.past = True, "", "", None


def pause(training: Training) -> None:
    training.stop()


def step(training: Training) -> None:
    if training.ready():
        training.playing, training.trouble, training.notice, training.past = False, "", "", None
        training.advance(0.0, 1)
        training.look()


def look(training: Training, at: int) -> None:
    """Show the last sheet up to a step; at the last step, that is the current one."""
    if training.ready():
        training.stop()
        training.past = None if at >= training.game.step else max(0, int(at))


def back(training: Training, at: int) -> None:
    """Continue from the last kept state up to a step."""
    if training.ready():
        training.rewind(max(0, int(at)))
        training.playing = True


def film(training: Training, form: str = "gif") -> Answer | None:
    """The sheets so far as a film, "gif" or "mp4" (see `films.film`)."""
    from ganlab.generation.export import grey
    from ganlab.generation.films import film as encode
    from ganlab.generation.trainer import columns

    if not training.ready():
        return None
    kind, sheets = training.game.images.kind, training.history.sheets
    window, wide, size = kind.window, columns(training.game.config), sheets[0][1].shape[1]
    frames = []
    for _, sheet in sheets:
        tiles = grey(kind.low + sheet / 65535 * (kind.high - kind.low), window)
        tiles = tiles.reshape(-1, wide, size, size).transpose(0, 2, 1, 3)
        frames.append(tiles.reshape(-1, wide * size))
    encoded = encode(np.stack(frames), FILM_FPS, max(1, FILM_SIDE // (wide * size)), str(form))
    return {"form": str(form)}, {"film": encoded}


def weights(training: Training) -> Answer | None:
    """The generator's weights, as a safetensors file."""
    from safetensors.torch import save

    from ganlab.checkpoints import as_config, metadata

    if not training.ready():
        return None
    tensors = {name: value.cpu().contiguous() for name, value in training.game.weights().items()}
    return {}, {"saved": save(tensors, metadata(tensors, as_config(training.game.config)))}


COMMANDS = {"play": play, "pause": pause, "step": step, "look": look, "back": back, "film": film, "save": weights}


# Frames


def frame(training: Training) -> Answer:
    """The state of the training, and the sheet "images" (N, size, size) uint16 that is shown, if there is one."""
    from ganlab.generation.trainer import columns

    facts = {name: getattr(training, name) for name in ("playing", "trouble", "notice", "fresh")}
    facts |= {"made": training.share[-1]}
    training.fresh = False
    if not training.ready():
        return facts | {"step": 0}, {}
    game, history = training.game, training.history
    at, sheet = history.sheet_at(training.past)
    facts |= {"step": game.step, "at": at, "numbers": {name: [value] for name, value in training.numbers.items()}}
    facts |= {"moments": history.sheet_steps, "kept": history.state_steps}
    outputs = game.probability() if training.past is None else None
    if outputs:
        shares_by_bin = [np.histogram(p.numpy(), BINS, (0, 1))[0] / len(p) for p in outputs]
        facts["bins"] = np.round(shares_by_bin, 4).tolist()
    kind = game.images.kind
    facts["columns"] = columns(game.config)
    facts["kind"] = {"low": kind.low, "high": kind.high, "windows": kind.windows}
    return facts | origin(training, at), {"images": sheet}


def origin(training: Training, at: int) -> dict:
    """How the sheet of a step was made: a command, and the steps at which settings were changed."""
    from ganlab.generation.presets import command

    rules = [rule for rule in training.rules if training.past is None or rule[0] < at] or training.rules[:1]
    return {"command": command(rules[-1][1], at), "changed": [step for step, _ in rules[1:]]}


def next_frame(trainings: SessionStore[Training], question: dict) -> Answer:
    """Carry out the commands, train for a moment if it plays, and describe the training's state in facts["frame"]."""
    with trainings.use(question.get("token")) as training:
        facts, arrays = obey(question.get("do"), COMMANDS, training)
        try:
            if training.playing and training.ready():
                training.advance(TRAIN_SECONDS)
                if time.monotonic() - training.looked > LOOK_SECONDS:
                    training.look()
        except InputError as error:
            facts["error"] = str(error)
        facts["frame"], frame_arrays = frame(training)
        return facts, {**frame_arrays, **arrays}


def routes(trainings: SessionStore[Training]) -> list[Route]:
    """POST PATH; two threads take turns in training."""
    pool = ThreadPoolExecutor(2, "training", one_thread)
    return [live_route(PATH, in_threads(pool, partial(next_frame, trainings)), MAX_REQUEST)]
