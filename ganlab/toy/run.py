"""One training run, from settings to measures, for the command line."""

from __future__ import annotations

import math
import time
from collections.abc import Callable

from ganlab.device import one_thread, resolve
from ganlab.errors import InputError
from ganlab.toy.config import from_dict
from ganlab.toy.game import Game
from ganlab.toy.measure import Ruler, measure, value_and_bound

CHECK_EVERY = 50  # steps between checks for divergence and reports of progress


def run(values: dict, steps: int, device: str = "cpu", progress: Callable[[float], None] | None = None) -> dict:
    """Train for `steps` steps and measure: a number per measure for one run, a list for several.

    Raises InputError for invalid settings, and if training diverges.
    """
    device = resolve(device)
    one_thread()
    config = from_dict(values)
    game = Game(config, device=device)
    start = time.perf_counter()
    while game.steps < steps:
        game.step()
        if game.steps % CHECK_EVERY == 0 or game.steps == steps:
            if not game.finite():
                raise InputError(
                    f"The training diverged by step {game.steps}: some weights are nan or infinite. "
                    f"Lower the learning rates ({config.rate_g:g} and {config.rate_d:g})."
                )
            if progress:
                progress(game.steps / steps)
    seconds = time.perf_counter() - start
    ruler = Ruler(game.data)
    results = measure(game, ruler)
    results.pop("shares", None)
    value, bound = value_and_bound(game, ruler)
    results |= {"value": value.tolist(), "js_bound": bound.tolist()}
    results = {k: [None if isinstance(x, float) and math.isnan(x) else x for x in v] for k, v in results.items()}
    if config.runs == 1:
        results = {k: v[0] for k, v in results.items()}
    modes = {} if game.data.modes is None else {"modes_total": len(game.data.modes)}
    return {
        "data": config.data,
        "objective": config.objective,
        "steps": steps,
        **results,
        **modes,
        "floors": ruler.floors,
        "steps_per_second": round(steps / seconds, 1),
    }


def format_run(result: dict) -> str:
    """Text with one line per measure, and its floor if it has one."""

    def shown(x) -> str:
        if isinstance(x, list):
            return "  ".join(shown(v) for v in x)
        return "-" if x is None else f"{x:.4f}" if isinstance(x, float) else str(x)

    lines = []
    for name, value in result.items():
        if name != "floors":
            floor = result["floors"].get(name)
            lines.append(f"{name}: {shown(value)}" + (f"  (floor {floor:.4f})" if floor is not None else ""))
    return "\n".join(lines)
