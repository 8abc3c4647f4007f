"""Sessions in links and files. A link carries settings and log, a file also parameters and the user's data."""

from __future__ import annotations

import base64
import binascii
import json
import zlib
from pathlib import Path

from ganlab.checkpoints import load_tensors, save_tensors
from ganlab.errors import InputError
from ganlab.lazy import Tensor, torch
from ganlab.toy.config import SHAPING, as_dict, from_dict
from ganlab.toy.distributions import Distribution, Picture, Points, from_drawing
from ganlab.toy.game import KEPT, Game
from ganlab.toy.optimisers import State
from ganlab.toy.session import LogEntry, Session

MAX_LINK, MAX_JSON = 100_000, 1_000_000  # characters of a link, and of the JSON inside
MAX_LABEL = 100


def link_text(session: Session) -> str:
    """The session as text for a link: letters, digits, - and _. Raises InputError for data from a file."""
    if session.data is not None and session.drawn is None:
        raise InputError("A link cannot contain uploaded data; save the session instead.")
    text = json.dumps(session.as_values(), separators=(",", ":"))
    packed = base64.urlsafe_b64encode(zlib.compress(text.encode(), 9))
    if len(packed) > MAX_LINK:
        raise InputError(f"The link would have {len(packed):,} characters, more than {MAX_LINK:,}; save instead.")
    return packed.decode().rstrip("=")


def from_link(text: str) -> Session:
    """The session encoded by link_text(), at step 0, with its log still to be replayed. Raises InputError for other
    text."""
    wrong = InputError("The link is damaged: this page did not make it. Copy it again, or start again.")
    if not text or len(text) > MAX_LINK:
        raise wrong
    try:
        inflate = zlib.decompressobj()
        raw = inflate.decompress(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)), MAX_JSON)
        if inflate.unconsumed_tail or not inflate.eof:
            raise wrong
        values = json.loads(raw)
    except (ValueError, binascii.Error, zlib.error, RecursionError) as error:
        raise wrong from error
    return session_of(values, wrong)


def session_of(values: dict, wrong: InputError, data: Distribution | None = None) -> Session:
    """The session described by Session.as_values(), at step 0, with its log still to be replayed; data: from a file.
    Raises `wrong`, or an InputError about a setting, for anything else."""
    try:
        games = [dict(game) for game in values["games"]]
        log = [LogEntry(int(step), str(kind), dict(changed)) for step, kind, changed in values.get("notes", [])]
        drawn = torch.tensor(values["drawn"], dtype=torch.float32) if "drawn" in values else None
    except (ValueError, TypeError, KeyError, AttributeError, OverflowError) as error:
        raise wrong from error
    in_order = log == sorted(log, key=lambda entry: entry.step)
    if not in_order or any(entry.kind not in ("set", "d", "g") or entry.step < 0 for entry in log):
        raise wrong
    configs = tuple(from_dict(game) for game in games)
    for entry in log:
        changed = {name: value for name, value in entry.values.items() if name != "which"}
        if entry.values.get("which") not in (None, *range(len(configs))) or set(changed) & set(SHAPING):
            raise wrong
        for config in configs:
            from_dict({**as_dict(config), **changed})
    return Session(configs, data, drawn, log)


def save(session: Session, path: Path) -> None:
    """Write settings, log, parameters and the user's data to a safetensors file."""
    tensors, counts = {}, []
    for k, game in enumerate(session.games):
        snapshot = game.snapshot()
        tensors |= {f"{k}.{name}": snapshot[name] for name in KEPT}
        for player, state in zip("gd", snapshot["states"], strict=True):
            tensors |= {f"{k}.first_{player}": state.first, f"{k}.second_{player}": state.second}
        tensors |= {f"{k}.right_{i}": right for i, right in enumerate(snapshot["right"])}
        counts.append([state.count for state in snapshot["states"]])
    if isinstance(session.data, Points) and session.drawn is None:
        tensors |= {"points": session.data.points, "labels": session.data.labels}
    elif isinstance(session.data, Picture):
        tensors["picture"] = session.data.weights
    save_tensors(path, tensors, {"score": session.as_values(), "steps": session.steps, "counts": counts})


def load(path: Path) -> Session:
    """The session written by save(), at its last step; rewinding replays its log from the start. Raises InputError."""
    wrong = InputError(f'"{Path(path).name}" is not a saved session; save it again.')
    tensors, meta = load_tensors(path)
    try:
        session = session_of(meta["score"], wrong, saved_data(tensors, wrong))
        steps = int(meta["steps"])
        while session.pending and session.pending[0].step < steps:
            entry = session.pending.pop(0)
            session.log.append(entry)
            if entry.kind == "set":
                session.apply(entry)
        for k, game in enumerate(session.games):
            game.restore({**saved_snapshot(tensors, k, game, meta["counts"][k], wrong), "steps": steps})
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise wrong from error
    if steps:
        session.remember()
    return session


def saved_data(tensors: dict[str, Tensor], wrong: InputError) -> Distribution | None:
    """The user's data in a file, if it holds any. Raises `wrong`."""
    if "points" in tensors:
        points, labels = from_drawing(tensors["points"]).points, tensors["labels"].long()
        if labels.shape != points.shape[:1] or not 0 <= int(labels.min()) <= int(labels.max()) < MAX_LABEL:
            raise wrong
        return Points(points, labels)
    if "picture" not in tensors:
        return None
    weights = tensors["picture"]
    if weights.ndim != 2 or not float(weights.min()) >= 0 or not 0.99 < float(weights.sum()) < 1.01:
        raise wrong
    return Picture(weights)


def saved_snapshot(tensors: dict[str, Tensor], k: int, game: Game, counts: list[int], wrong: InputError) -> dict:
    """The snapshot of game k in a file, without its step. Raises `wrong`."""
    kept = {name: tensors[f"{k}.{name}"] for name in KEPT}
    if any(kept[name].shape != getattr(game, name).shape for name in KEPT):
        raise wrong
    moments = [(tensors[f"{k}.first_{player}"], tensors[f"{k}.second_{player}"]) for player in "gd"]
    states = tuple(State(*moment, int(count)) for moment, count in zip(moments, counts, strict=True))
    return {**kept, "states": states, "right": [tensors[f"{k}.right_{i}"] for i in range(len(game.right))]}
