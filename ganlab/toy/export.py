"""A session as one Python file that needs nothing of ours: the engine's own modules, then the score, then the run."""

from __future__ import annotations

import ast
import pprint
from pathlib import Path

from ganlab.errors import InputError
from ganlab.toy.session import Session

ROOT = Path(__file__).parents[1]
MODULES = (
    "errors", "objectives", "divergences",
    "toy/distributions", "toy/networks", "toy/optimisers", "toy/config", "toy/game",
)  # fmt: skip

TORCH = ("import torch", "import torch.nn.functional as F", "from torch import Tensor")  # lazy in the modules

HEAD = '''"""{title}

Made by ganlab. Needs torch and numpy; matplotlib draws the result where it is installed. Run it with

    python {name}

It repeats the run that it was exported from: same draws, same steps, on a CPU the same parameters bit for bit. SCORE at
the end holds the settings and what was changed at which step; what comes before is the engine.
"""

from __future__ import annotations
'''

TAIL = '''

# The score: settings of each game at the start, and what was done before which step.

SCORE = {score}
STEPS = {steps}


def play(score: dict, steps: int) -> list[Game]:
    """Train every game of a score; they share the data."""
    torch.set_num_threads(1)
    configs = [from_dict(settings) for settings in score["games"]]
    data = from_drawing(torch.tensor(score["drawn"])) if "drawn" in score else get_distribution(configs[0].data)
    games = [Game(config, data) for config in configs]
    for step in range(steps):
        turns = "dg"
        for _, kind, values in [note for note in score["notes"] if note[0] == step]:
            if kind != "set":
                turns = kind
                continue
            which = values.get("which")
            values = {{k: v for k, v in values.items() if k != "which"}}
            for game in games if which is None else [games[which]]:
                game.configure(from_dict({{**as_dict(game.config), **values}}))
        for game in games:
            game.step(turns)
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
    trained = play(SCORE, STEPS)
    for game in trained:
        total = float(game.flat_g.double().sum() + game.flat_d.double().sum())
        print(f"step {{game.steps}}, sum of parameters {{total!r}}")
        if game.data.modes is not None:
            found = coverage(game.generate(*game.noise(4000)), game.data.modes, game.data.spread, game.data.weights)
            print(f"modes covered {{found.covered.sum(-1).tolist()}} of {{len(game.data.modes)}}")
    try:
        draw(trained, "{stem}.png")
    except ImportError:
        print("matplotlib is not installed: no picture.")
'''


def export_script(session: Session, name: str = "gan.py") -> str:
    """The source of a file called `name`. Raises InputError for data from a file, which no script can carry."""
    if session.data is not None and session.drawn is None:
        raise InputError("Data from a file does not fit a script; save the session instead.")
    imports, bodies = set(TORCH), []
    for module in MODULES:
        source = (ROOT / f"{module}.py").read_text(encoding="utf-8")
        found, body = _split(source)
        imports |= found
        bodies.append(f"\n\n# {'-' * 100}\n# {module}.py\n\n{body.strip()}\n")
    score = session.written()
    score["notes"] = [note for note in score["notes"] if note[0] < session.steps]
    first = session.configs[0]
    head = HEAD.format(title=f"A GAN on {first.data}, objective {first.objective}, seed {first.seed}.", name=name)
    tail = TAIL.format(score=pprint.pformat(score, width=110), steps=session.steps, stem=Path(name).stem)
    return head + "\n" + "\n".join(sorted(imports)) + "".join(bodies) + tail


def _split(source: str) -> tuple[set[str], str]:
    """A module's imports from elsewhere, and the rest as it stands: without imports, its docstring as a comment."""
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
