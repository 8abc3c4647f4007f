"""Export a session as one Python file that needs only torch and numpy: its settings, the engine's own modules, the
run."""

from __future__ import annotations

import ast
import pprint
from dataclasses import fields
from pathlib import Path
from typing import get_type_hints

from ganlab.errors import InputError
from ganlab.settings import setting
from ganlab.toy.config import Config, Network
from ganlab.toy.session import Session

ROOT = Path(__file__).parents[1]
MODULES = (
    "errors",
    "objectives",
    "divergences",
    "toy/distributions",
    "toy/networks",
    "toy/optimisers",
    "toy/draws",
    "toy/players",
    "toy/game",
)
IMPORTS = (
    "import torch",  # lazy in the modules
    "import torch.nn.functional as F",
    "from dataclasses import dataclass, replace",
    "from torch import Tensor",
)

HEAD = '''"""{title}

Made by ganlab. Needs torch and numpy; matplotlib draws the result where it is installed. Run it with

    python {name}

It repeats the run that it was exported from: same draws, same steps, and on a CPU the same parameters bit for bit.
First come the settings of each game, and what was changed at which step; then the engine; at the end the run.
"""

from __future__ import annotations

{imports}


{configs}


# Settings of each game at the start, and what was done before which step.

GAMES = {games}
NOTES = {notes}  # step, "set" or the player that steps alone, values
DRAWN = {drawn}  # points, in place of a named distribution
STEPS = {steps}
'''

TAIL = '''

def play(steps: int) -> list[Game]:
    """Train all games; they share the data."""
    torch.set_num_threads(1)
    data = from_drawing(torch.tensor(DRAWN)) if DRAWN else get_distribution(GAMES[0].data)
    games = [Game(config, data) for config in GAMES]
    for step in range(steps):
        players = "dg"
        for _, kind, values in [note for note in NOTES if note[0] == step]:
            if kind != "set":
                players = kind
                continue
            which = values.get("which")
            changed = {{name: value for name, value in values.items() if name != "which"}}
            for game in games if which is None else [games[which]]:
                game.configure(replace(game.config, **changed))
        for game in games:
            game.step(players)
    return games


def draw(games: list[Game], path: str) -> None:
    """Real data in blue, generated in orange."""
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(len(games), games[0].config.runs, squeeze=False, figsize=(4 * games[0].config.runs, 4))
    for row, game in zip(axes, games, strict=True):
        real, _ = game.data.sample(1000, stream(0, 1))
        for axis, fake in zip(row, game.generate(*game.noise(1000)), strict=True):
            for points, colour, label in ((real, "#0072B2", "real"), (fake, "#E69F00", "generated")):
                look = {{"color": colour, "label": label}}
                if game.data.dim == 1:
                    axis.hist(points[:, 0].tolist(), 60, (-VIEW, VIEW), density=True, alpha=0.6, **look)
                else:
                    axis.scatter(*points.T.tolist(), s=3, **look)
                    axis.set(xlim=(-VIEW, VIEW), ylim=(-VIEW, VIEW), aspect="equal")
        row[0].legend()
    figure.savefig(path, dpi=120)


if __name__ == "__main__":
    trained = play(STEPS)
    for game in trained:
        total = float(game.flat_g.double().sum() + game.flat_d.double().sum())
        print(f"step {{game.steps}}, sum of parameters {{total!r}}")
        if game.data.modes is not None:
            hits = coverage(game.generate(*game.noise(4000)), game.data.modes, game.data.spread, game.data.weights)
            print(f"modes covered {{hits.covered.sum(-1).tolist()}} of {{len(game.data.modes)}}")
    try:
        draw(trained, "{stem}.png")
    except ImportError:
        print("matplotlib is not installed: no picture.")
'''


def export_script(session: Session, name: str = "gan.py") -> str:
    """The source of a file called `name`. Raises InputError for data from a file, which a script cannot contain."""
    if session.data is not None and session.drawn is None:
        raise InputError("A script cannot contain uploaded data; save the session instead.")
    imports, bodies = set(IMPORTS), []
    for module in MODULES:
        outside, body = _split((ROOT / f"{module}.py").read_text(encoding="utf-8"))
        imports |= outside
        bodies.append(f"\n\n# {'-' * 100}\n# {module}.py\n\n{body.strip()}\n")
    values, first = session.as_values(), session.configs[0]
    head = HEAD.format(
        title=f"A GAN on {first.data}, objective {first.objective}, seed {first.seed}.",
        name=name,
        imports="\n".join(sorted(imports)),
        configs="\n\n\n".join(_plain_dataclass(cls) for cls in (Network, Config)),
        games=pprint.pformat(list(session.configs), width=110),
        notes=pprint.pformat([note for note in values["notes"] if note[0] < session.steps], width=110),
        drawn=pprint.pformat(values.get("drawn"), width=110, compact=True),
        steps=session.steps,
    )
    return head + "".join(bodies) + TAIL.format(stem=Path(name).stem)


def _plain_dataclass(cls: type) -> str:
    """The source of a config as a plain dataclass, its titles as comments; the values were checked before."""
    kinds = get_type_hints(cls)
    lines = [f"    {f.name}: {kinds[f.name].__name__}  # {setting(cls, f.name).title}" for f in fields(cls)]
    return "\n".join(["@dataclass(frozen=True)", f"class {cls.__name__}:", *lines])


def _split(source: str) -> tuple[set[str], str]:
    """A module's imports from outside ganlab, and its source without imports and with its docstring as a comment."""
    lines, imports = source.splitlines(), set()
    tree = ast.parse(source)
    for node in tree.body:
        span = range(node.lineno - 1, node.end_lineno)
        if isinstance(node, ast.Import | ast.ImportFrom):
            origin = node.module if isinstance(node, ast.ImportFrom) else ""
            if origin != "__future__" and not (origin or "").startswith("ganlab"):
                imports.add(ast.unparse(node))
            for i in span:
                lines[i] = ""
    docstring = tree.body[0]
    for i in range(docstring.lineno - 1, docstring.end_lineno):
        lines[i] = f"# {lines[i]}".replace('"""', "").rstrip()
    return imports, "\n".join(lines)
