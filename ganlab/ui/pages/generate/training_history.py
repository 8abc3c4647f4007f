"""The history of a training that a visitor watches: states to go back to, and sheets of samples."""

from __future__ import annotations

import numpy as np

from ganlab.lazy import Tensor

KEEP_EVERY = 50  # steps between states, at first
MAX_STATES, STATE_BYTES = 8, 96 * 2**20  # per training
MAX_SHEETS, SHEET_BYTES = 240, 32 * 2**20  # per training, and therefore for its film

State = dict[str, dict[str, Tensor]]


class History:
    """States and sheets by step. When there are too many, every other one is dropped; the first and the newest stay."""

    def __init__(self):
        self.every = KEEP_EVERY
        self.states: list[tuple[int, State]] = []
        self.sheets: list[tuple[int, np.ndarray]] = []  # uint16 (N, size, size)

    @staticmethod
    def due(step: int) -> bool:
        """Whether the state of this step should be added."""
        return step % KEEP_EVERY == 0

    def add_state(self, step: int, state: State) -> None:
        if self.states and self.states[-1][0] % self.every:
            self.states.pop()  # it was kept only as the newest
        newest = (step, state)
        self.states.append(newest)
        room = max(2, min(MAX_STATES, STATE_BYTES // _nbytes(state)))
        while len(self.states) > room:
            self.every *= 2
            self.states = [entry for entry in self.states if entry[0] % self.every == 0 or entry is newest]

    def add_sheet(self, step: int, sheet: np.ndarray) -> None:
        """Replaces a sheet of the same step, and all that came after it."""
        self.sheets = [entry for entry in self.sheets if entry[0] < step] + [(step, sheet)]
        if len(self.sheets) > min(MAX_SHEETS, SHEET_BYTES // sheet.nbytes):
            staying = {*self.state_steps, step}
            self.sheets = [entry for k, entry in enumerate(self.sheets) if k % 2 == 0 or entry[0] in staying]

    def rewind(self, step: int) -> tuple[int, State]:
        """The last state up to a step, with its step; later states are dropped."""
        self.states = [entry for entry in self.states if entry[0] <= step]
        return self.states[-1]

    def sheet_at(self, step: int | None) -> tuple[int, np.ndarray]:
        """The last sheet up to a step (None: of all), with its step."""
        return next(entry for entry in reversed(self.sheets) if step is None or entry[0] <= step)

    @property
    def state_steps(self) -> list[int]:
        return [step for step, _ in self.states]

    @property
    def sheet_steps(self) -> list[int]:
        return [step for step, _ in self.sheets]

    @property
    def nbytes(self) -> int:
        return sum(_nbytes(state) for _, state in self.states) + sum(sheet.nbytes for _, sheet in self.sheets)


def _nbytes(state: State) -> int:
    return sum(tensor.nbytes for part in state.values() for tensor in part.values())
