"""A training session to watch: play, pause, single steps, changes of settings during training, and going back in time.

A session is defined by its settings and a log of what was done at which step. A replay gives the same parameters bit
for bit (on a CPU), so a link needs nothing else. Snapshots make going back fast: the steps since the nearest earlier
snapshot are replayed.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import NamedTuple

from ganlab.errors import InputError
from ganlab.lazy import torch
from ganlab.toy.config import SHAPING, Config, as_dict, from_dict
from ganlab.toy.distributions import Distribution, from_drawing, get_distribution
from ganlab.toy.game import Game

HISTORY_BYTES = 64 * 2**20
MAX_SNAPSHOTS = 200
CHECK_EVERY = 25  # steps between checks for divergence


class LogEntry(NamedTuple):
    """An action before `step`: settings were changed ("set", values), or one player stepped alone ("d" or "g")."""

    step: int
    kind: str
    values: dict


class Moment(NamedTuple):
    """A snapshot of every game, with its settings."""

    step: int
    snapshots: list[dict]
    configs: tuple[Config, ...]


@dataclass
class Session:
    """One game, or two twins that differ in some settings, on the same data."""

    configs: tuple[Config, ...]  # of each game at the start
    data: Distribution | None = None  # the user's, in place of a named distribution
    drawn: torch.Tensor | None = None  # points (N, 2) that the user drew, in place of data
    log: list[LogEntry] = field(default_factory=list)  # what was done; initially, actions still to be replayed

    def __post_init__(self):
        if not 1 <= len(self.configs) <= 2:
            raise InputError(f"A session has one game or two twins, not {len(self.configs)}.")
        if self.drawn is not None:
            self.data = from_drawing(self.drawn)
        data = self.data or get_distribution(self.configs[0].data)
        self.games = [Game(config, data) for config in self.configs]
        self.playing = False
        self.trouble = ""
        self.pending, self.log = self.log, []
        self._history: list[Moment] = []
        self._every = 1  # steps between snapshots
        self.remember()

    @property
    def steps(self) -> int:
        return self.games[0].steps

    # Forward

    def advance(self, steps: int | None = None, seconds: float = 0.025) -> int:
        """Take `steps` steps, or as many as fit into `seconds`; returns the steps taken. After a divergence the last
        finite state is restored and `trouble` says so."""
        start, taken = time.perf_counter(), 0
        while not self.trouble and taken != steps:
            self._step()
            taken += 1
            if steps is None and time.perf_counter() - start >= seconds:
                break
        return taken

    def single(self, player: str) -> None:
        """A step of one player alone, "d" or "g"."""
        self.pending = [LogEntry(self.steps, player, {})]
        self._step()

    def _step(self) -> None:
        """One step, after the pending entries that are due."""
        players = "dg"
        while players == "dg" and self.pending and self.pending[0].step <= self.steps:
            entry = self.pending.pop(0)
            self.log.append(entry)
            if entry.kind == "set":
                self.apply(entry)
            else:
                players = entry.kind
        for game in self.games:
            game.step(players)
        if self.steps % CHECK_EVERY == 0 and not self._finite():
            self._undo_divergence()
        elif self.steps % self._every == 0:
            self.remember()

    def change(self, which: int | None = None, **values) -> None:
        """Change settings from the next step on, for one of the games or (None) for all.

        Raises InputError, with nothing changed, for invalid values and for settings that need a restart (SHAPING).
        """
        shaping = sorted(set(values) & set(SHAPING))
        if shaping:
            raise InputError(f"{', '.join(shaping).capitalize()} cannot change during training; start again with it.")
        entry = LogEntry(self.steps, "set", values if which is None else {"which": which, **values})
        self.apply(entry)
        self.log.append(entry)
        self.pending, self.trouble = [], ""

    def apply(self, entry: LogEntry) -> None:
        """Apply the settings of a "set" entry."""
        values = dict(entry.values)
        which = values.pop("which", None)
        games = self.games if which is None else [self.games[which]]
        configs = [from_dict({**as_dict(game.config), **values}) for game in games]
        for game, config in zip(games, configs, strict=True):
            game.configure(config)

    # Back in time

    def remember(self) -> None:
        """Take a snapshot; when there are too many, drop every other one."""
        configs = tuple(game.config for game in self.games)
        self._history.append(Moment(self.steps, [game.snapshot() for game in self.games], configs))
        if len(self._history) > min(MAX_SNAPSHOTS, max(8, HISTORY_BYTES // self._snapshot_bytes)):
            self._history = self._history[::2]  # evenly spaced, so that all of the run can be reached
            self._every *= 2

    def _finite(self) -> bool:
        return all(game.finite() for game in self.games)

    def _undo_divergence(self) -> None:
        diverged = self.steps
        self.playing = False
        self._restore(len(self._history) - 1)
        while len(self._history) > 1 and not self._finite():
            self._restore(len(self._history) - 2)
        self.log, self.pending = [entry for entry in self.log if entry.step < self.steps], []
        self.trouble = (
            f"The training diverged before step {diverged}: some weights were nan or infinite. Step {self.steps} was "
            "restored; lower the learning rates, or rewind further."
        )

    def _restore(self, k: int) -> None:
        """Restore a moment and drop all later ones."""
        moment = self._history[k]
        for game, snapshot, config in zip(self.games, moment.snapshots, moment.configs, strict=True):
            game.configure(config)
            game.restore(snapshot)
        del self._history[k + 1 :]

    def rewind(self, step: int) -> None:
        """Go back to exactly this step and forget everything after it; training then continues as a fork. Raises
        InputError."""
        if not 0 <= step <= self.steps:
            raise InputError(f"Step {step} is outside 0 to {self.steps}, the current step.")
        kept = [entry for entry in self.log if entry.step < step]
        k = max(i for i, moment in enumerate(self._history) if moment.step <= step)
        restored = self._history[k].step
        self._restore(k)
        self.trouble = ""
        self.log = [entry for entry in kept if entry.step < restored]
        self.pending = [entry for entry in kept if entry.step >= restored]
        self.advance(step - self.steps)
        self.pending = []

    @property
    def moments(self) -> list[int]:
        """The steps of the snapshots, in order."""
        return [moment.step for moment in self._history]

    def recall(self, k: int) -> list[Game]:
        """Copies of the games at moments[k]; their losses and gradients are those of the next step."""
        moment = self._history[k]
        games = [Game(config, self.games[0].data, self.games[0].device) for config in moment.configs]
        for game, snapshot in zip(games, moment.snapshots, strict=True):
            game.restore(snapshot)
            draws = game.draws(game.steps)
            with torch.no_grad():
                game.gradient_d(draws[0])
                game.gradient_g(draws[-1])
        return games

    @property
    def nbytes(self) -> int:
        """Memory of the session, most of it snapshots."""
        return sum(game.nbytes for game in self.games) + len(self._history) * self._snapshot_bytes

    @property
    def _snapshot_bytes(self) -> int:
        """Per player: parameters, the last step and two moments, in float32."""
        return sum(4 * 4 * (game.flat_g.numel() + game.flat_d.numel()) for game in self.games)

    def as_values(self) -> dict:
        """The session for JSON: settings at the start, the log (as "notes"), and what was drawn."""
        values = {"games": [as_dict(c) for c in self.configs], "notes": [list(e) for e in self.log + self.pending]}
        if self.drawn is not None:
            values["drawn"] = [[round(float(v), 3) for v in point] for point in self.drawn]
        return values
