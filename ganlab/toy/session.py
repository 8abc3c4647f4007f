"""A training that somebody watches: play, pause, single steps, changes on the way, and going back in time.

A session is its score: the settings, and what was done at which step. Replayed, it gives the same parameters bit for
bit (on a CPU), and that is what a link carries. Snapshots along the way make going back fast; from the nearest earlier
one the steps are played again.
"""

from __future__ import annotations

import base64
import binascii
import json
import time
import zlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from ganlab.checkpoints import load_tensors, save_tensors
from ganlab.errors import InputError
from ganlab.lazy import torch
from ganlab.toy.config import SHAPING, Config, as_dict, from_dict
from ganlab.toy.distributions import Distribution, Picture, Points, from_drawing, get_distribution
from ganlab.toy.game import Game
from ganlab.toy.optimisers import State

HISTORY_BYTES = 64 * 2**20
MAX_SNAPSHOTS = 200
CHECK = 25  # steps between looks at whether all parameters are numbers
MAX_LINK, MAX_SCORE = 100_000, 1_000_000  # characters of a link, and of what it unpacks to


class Note(NamedTuple):
    """At `step`, before it is taken: other settings ("set", values), or a step of one player ("d" or "g")."""

    step: int
    kind: str
    values: dict


@dataclass
class Session:
    """One game, or two twins that differ in some settings, on the same data.

    configs: of each game at the start. drawn: the user's points (N, 2), in place of a named distribution. score: what
    was done so far and, in a session from a link, what is still to be done.
    """

    configs: tuple[Config, ...]
    data: Distribution | None = None
    drawn: torch.Tensor | None = None
    score: list[Note] = field(default_factory=list)

    def __post_init__(self):
        if not 1 <= len(self.configs) <= 2:
            raise InputError(f"A session has one game or two twins, not {len(self.configs)}.")
        if self.drawn is not None:
            self.data = from_drawing(self.drawn)
        data = self.data or get_distribution(self.configs[0].data)
        self.games = [Game(config, data) for config in self.configs]
        self.playing = False
        self.trouble = ""
        self._ahead, self.score = self.score, []
        self._history: list[tuple[list[dict], tuple[Config, ...], int]] = []
        self._every = 1
        self._keep()

    @property
    def steps(self) -> int:
        return self.games[0].steps

    # Going on

    def advance(self, steps: int | None = None, seconds: float = 0.025) -> int:
        """Take so many steps, or as many as fit the time; stops where the parameters are no longer numbers, goes back
        to where they were, and says so in `trouble`. Returns the steps taken."""
        start, taken = time.perf_counter(), 0
        while not self.trouble and taken != steps:
            self._step()
            taken += 1
            if steps is None and time.perf_counter() - start >= seconds:
                break
        return taken

    def single(self, turns: str) -> None:
        """A step of one player alone, "d" or "g"."""
        self._ahead = [Note(self.steps, turns, {})]
        self._step()

    def _step(self) -> None:
        """One step, as the score has it where it says something about it."""
        turns = "dg"
        while turns == "dg" and self._ahead and self._ahead[0].step <= self.steps:
            note = self._ahead.pop(0)
            self.score.append(note)
            if note.kind == "set":
                self._apply(note)
            else:
                turns = note.kind
        for game in self.games:
            game.step(turns)
        self._remember()

    def change(self, which: int | None = None, **values) -> None:
        """Other settings from the next step on, for one of the games or (None) for all.

        Raises InputError for wrong values, with nothing changed, and for settings that need a new start (SHAPING).
        """
        shaping = sorted(set(values) & set(SHAPING))
        if shaping:
            raise InputError(f"{', '.join(shaping).capitalize()} cannot change while it runs; start again with it.")
        note = Note(self.steps, "set", values if which is None else {"which": which, **values})
        self._apply(note)
        self.score.append(note)
        self._ahead, self.trouble = [], ""

    def _apply(self, note: Note) -> None:
        values = dict(note.values)
        which = values.pop("which", None)
        chosen = self.games if which is None else [self.games[which]]
        configs = [from_dict({**as_dict(game.config), **values}) for game in chosen]
        for game, config in zip(chosen, configs, strict=True):
            game.configure(config)

    # Going back

    def _keep(self) -> None:
        configs = tuple(game.config for game in self.games)
        self._history.append(([game.snapshot() for game in self.games], configs, self.steps))
        if len(self._history) > min(MAX_SNAPSHOTS, max(8, HISTORY_BYTES // self._snapshot_bytes)):
            self._history = self._history[::2]  # the whole run stays within reach, at twice the distance
            self._every *= 2

    def _remember(self) -> None:
        if self.steps % CHECK == 0 and not all(game.finite() for game in self.games):
            at = self.steps
            self.playing = False
            self._restore(len(self._history) - 1)
            while len(self._history) > 1 and not all(game.finite() for game in self.games):
                self._restore(len(self._history) - 2)
            self.score, self._ahead = [n for n in self.score if n.step < self.steps], []
            self.trouble = (
                f"The training diverged before step {at}: some weights are no longer numbers. It is back at step "
                f"{self.steps}; lower the learning rates, or go further back."
            )
        elif self.steps % self._every == 0:
            self._keep()

    def _restore(self, k: int) -> None:
        snapshots, configs, _ = self._history[k]
        for game, snapshot, config in zip(self.games, snapshots, configs, strict=True):
            game.configure(config)
            game.restore(snapshot)
        del self._history[k + 1 :]

    def rewind(self, step: int) -> None:
        """Be at an earlier step again, exactly; what was done after it is forgotten, so going on is a fork."""
        if not 0 <= step <= self.steps:
            raise InputError(f"Step {step} is not from 0 to {self.steps}, where the training is.")
        kept = [n for n in self.score if n.step < step]
        k = max(i for i, (_, _, at) in enumerate(self._history) if at <= step)
        at = self._history[k][2]
        self._restore(k)
        self.trouble = ""
        self.score = [n for n in kept if n.step < at]
        self._ahead = [n for n in kept if n.step >= at]
        self.advance(step - self.steps)
        self._ahead = []

    @property
    def nbytes(self) -> int:
        """What the session takes in memory, most of it snapshots."""
        return sum(game.nbytes for game in self.games) + len(self._history) * self._snapshot_bytes

    @property
    def _snapshot_bytes(self) -> int:
        """Per player: parameters, the last step and two moments, in float32."""
        return sum(4 * 4 * (game.flat_g.numel() + game.flat_d.numel()) for game in self.games)

    @property
    def moments(self) -> list[int]:
        """The steps whose snapshots are kept, in order."""
        return [at for _, _, at in self._history]

    def recall(self, k: int) -> list[Game]:
        """The games as they were at moments[k], apart from those that go on; their losses and gradients are those of
        the step that comes then."""
        snapshots, configs, _ = self._history[k]
        games = [Game(config, self.games[0].data, self.games[0].device) for config in configs]
        for game, snapshot in zip(games, snapshots, strict=True):
            game.restore(snapshot)
            draws = game.draws(game.steps)
            with torch.no_grad():
                game.gradient_d(draws[0])
                game.gradient_g(draws[-1])
        return games

    # Travelling

    def written(self) -> dict:
        """The score as plain values: settings at the start, what was done when, and what was drawn."""
        score = {"games": [as_dict(c) for c in self.configs], "notes": [list(n) for n in self.score + self._ahead]}
        if self.drawn is not None:
            score["drawn"] = [[round(float(v), 3) for v in point] for point in self.drawn]
        return score

    def link(self) -> str:
        """The session's score as text for a link: letters, digits, - and _."""
        if self.data is not None and self.drawn is None:
            raise InputError("Data from a file does not fit a link; save the session instead.")
        text = json.dumps(self.written(), separators=(",", ":"))
        packed = base64.urlsafe_b64encode(zlib.compress(text.encode(), 9))
        if len(packed) > MAX_LINK:
            raise InputError(f"The link would have {len(packed):,} characters, more than {MAX_LINK:,}; save instead.")
        return packed.decode().rstrip("=")


def save(session: Session, path: Path) -> None:
    """Write score, parameters and the user's data to a safetensors file."""
    tensors, counts = {}, []
    for k, game in enumerate(session.games):
        kept = game.snapshot()
        tensors |= {f"{k}.{name}": kept[name] for name in ("flat_g", "flat_d", "last_g", "last_d")}
        for who, state in zip("gd", kept["states"], strict=True):
            tensors |= {f"{k}.first_{who}": state.first, f"{k}.second_{who}": state.second}
        tensors |= {f"{k}.right_{i}": right for i, right in enumerate(kept["right"])}
        counts.append([state.count for state in kept["states"]])
    if isinstance(session.data, Points) and session.drawn is None:
        tensors |= {"points": session.data.points, "labels": session.data.labels}
    elif isinstance(session.data, Picture):
        tensors["picture"] = session.data.weights
    save_tensors(path, tensors, {"score": session.written(), "steps": session.steps, "counts": counts})


def load(path: Path) -> Session:
    """The session that save() wrote, where it was; rewinding plays its score from the start. Raises InputError."""
    wrong = InputError(f'"{Path(path).name}" is not a session that this program saved; save it again.')
    tensors, meta = load_tensors(path)
    data = None
    try:
        if "points" in tensors:
            data = Points(from_drawing(tensors["points"]).points, tensors["labels"].long())
            if (
                data.labels.shape != data.points.shape[:1]
                or not 0 <= int(data.labels.min()) <= int(data.labels.max()) < 100
            ):
                raise wrong
        elif "picture" in tensors:
            data = Picture(tensors["picture"])
            if (
                data.weights.ndim != 2
                or not float(data.weights.min()) >= 0
                or not 0.99 < float(data.weights.sum()) < 1.01
            ):
                raise wrong
        session = from_score(meta["score"], wrong, data)
        steps, counts = int(meta["steps"]), meta["counts"]
        while session._ahead and session._ahead[0].step < steps:
            note = session._ahead.pop(0)
            session.score.append(note)
            if note.kind == "set":
                session._apply(note)
        for k, game in enumerate(session.games):
            kept = {name: tensors[f"{k}.{name}"] for name in ("flat_g", "flat_d", "last_g", "last_d")}
            moments = [(tensors[f"{k}.first_{w}"], tensors[f"{k}.second_{w}"]) for w in "gd"]
            states = tuple(State(*m, int(n)) for m, n in zip(moments, counts[k], strict=True))
            right = [tensors[f"{k}.right_{i}"] for i in range(len(game.right))]
            if any(kept[n].shape != game.flat_g.shape for n in ("flat_g", "last_g")) or any(
                kept[n].shape != game.flat_d.shape for n in ("flat_d", "last_d")
            ):
                raise wrong
            game.restore({**kept, "states": states, "right": right, "steps": steps})
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise wrong from error
    if steps:
        session._keep()
    return session


def from_link(text: str) -> Session:
    """The session of Session.link(), at step 0, with its score still to be played. Raises InputError for other text."""
    wrong = InputError("The link is damaged: it is not one that this page made. Ask for it again, or start afresh.")
    if not text or len(text) > MAX_LINK:
        raise wrong
    try:
        inflate = zlib.decompressobj()
        raw = inflate.decompress(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)), MAX_SCORE)
        if inflate.unconsumed_tail or not inflate.eof:
            raise wrong
        score = json.loads(raw)
    except (ValueError, binascii.Error, zlib.error, RecursionError) as error:
        raise wrong from error
    return from_score(score, wrong)


def from_score(score: dict, wrong: InputError, data: Distribution | None = None) -> Session:
    """The session of Session.written(), at step 0, its score still to be played; data: what it was given from a file.
    Raises `wrong`, or a sentence about a setting, for anything else."""
    try:
        games = [dict(g) for g in score["games"]]
        notes = [Note(int(step), str(kind), dict(values)) for step, kind, values in score.get("notes", [])]
        drawn = torch.tensor(score["drawn"], dtype=torch.float32) if "drawn" in score else None
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise wrong from error
    if any(n.kind not in ("set", "d", "g") or n.step < 0 for n in notes) or notes != sorted(
        notes, key=lambda n: n.step
    ):
        raise wrong
    configs = tuple(from_dict(g) for g in games)
    for note in notes:
        values = {k: v for k, v in note.values.items() if k != "which"}
        if note.values.get("which") not in (None, *range(len(configs))) or set(values) & set(SHAPING):
            raise wrong
        for config in configs:
            from_dict({**as_dict(config), **values})
    return Session(configs, data, drawn, notes)
