"""A small study, readers who go through it, and simulated readings."""

import dataclasses
import itertools

import numpy as np
import pytest

from ganlab.study import organise
from ganlab.study.analysis.analyse import analyse
from ganlab.study.design.build import build
from ganlab.study.design.order import plan
from ganlab.study.design.protocol import CATCH, TEST, Protocol
from ganlab.study.design.seal import canonical_json
from ganlab.study.design.simulation import SimulatedStudy, simulate
from ganlab.study.design.stimuli import Stimuli
from ganlab.study.design.truth import LesionMark
from ganlab.study.reading import archive, session
from ganlab.study.reading.answers import check_answer


def made_stimuli(count=40, side=24, seed=0):
    rng = np.random.default_rng(seed)
    lesions = [LesionMark(8.0, 9.0, 4.0) if k % 3 == 0 else None for k in range(count)]
    images = rng.integers(0, 256, (count, side, side)).astype(np.uint8)
    return Stimuli(images, np.arange(count) % 2 == 0, ["a" if k % 4 < 2 else "b" for k in range(count)],
                   [f"file {k}" for k in range(count)], lesions)  # fmt: skip


@pytest.fixture(scope="session")
def readings():
    """Four simulated readers who can tell the images apart, with 60 cases and 12 repeats each."""
    return simulate(SimulatedStudy(4, 60, dprime=1.0, repeats=0.2, seed=3))


@pytest.fixture(scope="session")
def found(readings):
    """The analysis of the simulated readings."""
    return analyse(readings)


@pytest.fixture
def same_dice(monkeypatch):
    """Seeds of new studies are 0, 1, 2, ..."""
    seeds = itertools.count()
    monkeypatch.setattr("ganlab.study.design.build.secrets.randbits", lambda bits: next(seeds))


def built(images=40, stimuli=None, **how):
    return build(Protocol(**how), stimuli or made_stimuli(images))[0]


def rows_of(sealed, readers, say, most=None):
    """Stored answers of readers who each answer `say(trial, cases, position)`."""
    cases, rows = sealed.by_code(), []
    for reader in readers:
        for position, trial in enumerate(plan(sealed, reader)[:most]):
            said = canonical_json(check_answer(trial, say(trial, cases, position), (24, 24)))
            rows.append(
                {"study": "ABCDEF", "reader": reader, "position": position, "said": said, "at": "", "previous": "",
                 "hash": ""}
            )  # fmt: skip
    return rows


def truly(trial, cases, position=0):
    """The correct answer."""
    truth = [cases[code].synthetic for code in trial.codes]
    lesion = cases[trial.codes[0]].lesion
    right = [cases[code].role == CATCH if trial.catch else cases[code].synthetic for code in trial.codes]
    return {
        "synthetic": truth[0], "chosen": int(right[-1]), "realism": 1 if truth[0] else 6, "ms": 1500 + position,
        "marked": [k for k, synthetic in enumerate(truth) if synthetic],
        "confidence": (6 if lesion else 1) if trial.asks == "diagnose" else 6,
        "place": [lesion.x, lesion.y] if trial.asks == "diagnose" and lesion else None,
    }  # fmt: skip


def falsely(trial, cases, position=0):
    """The wrong answer."""
    correct = truly(trial, cases, position)
    return correct | {
        "synthetic": not correct["synthetic"], "chosen": 1 - correct["chosen"], "realism": 7 - correct["realism"],
        "marked": sorted(set(range(len(trial.codes))) - set(correct["marked"])),
        "confidence": 7 - correct["confidence"] if trial.asks == "diagnose" else 6, "place": [20.0, 20.0],
    }  # fmt: skip


def with_opposite_truth(sealed):
    """The study with the truth of every test image inverted."""
    cases = tuple(dataclasses.replace(case, synthetic=case.synthetic != (case.role == TEST)) for case in sealed.cases)
    return dataclasses.replace(sealed, cases=cases)


@pytest.fixture
def engine(tmp_path):
    database = archive.open_archive(f"sqlite:///{tmp_path}/studies.db")
    yield database
    database.dispose()


@pytest.fixture
def new_study(engine):
    """new_study(**protocol): a stored study, with `row()` and `ask(reader, **request)`."""

    def make(stimuli=None, **protocol):
        return Running(engine, organise.create(engine, Protocol(**protocol), stimuli or made_stimuli()))

    return make


@dataclasses.dataclass
class Running:
    engine: object
    created: organise.CreatedStudy

    def row(self):
        return organise.open_study(self.engine, self.created.study, self.created.secret)

    def ask(self, reader=0, **request):
        return session.handle(self.engine, {"code": self.created.invitations[reader], **request})

    def sealed(self):
        return archive.unsealed(self.row()["sealed"])

    def read(self, reader=0, most=None, said=None):
        """Answer to the end, or `most` questions; returns the last frame."""
        frame = self.ask(reader)
        if frame["stage"] == "consent":
            frame = self.ask(reader, do="consent", experience=(frame["groups"] or [""])[0])
        while frame["stage"] == "question" and (most is None or most > 0):
            words = (said or anything)(frame)
            frame = self.ask(reader, do="answer", token=frame["token"], said=words)
            assert "error" not in frame
            most = None if most is None else most - 1
        return frame

    def close(self):
        organise.lock(self.engine, self.row())
        organise.unblind(self.engine, self.row())


def anything(frame):
    """A valid answer to any question, which varies with the position."""
    k = frame["position"]
    return {
        "synthetic": k % 2 == 0, "confidence": 1 + k % 6, "chosen": k % 2, "realism": 1 + k % 6, "marked": [0],
        "place": [3.0, 4.0], "ms": 1000.0 + k,
    }  # fmt: skip
