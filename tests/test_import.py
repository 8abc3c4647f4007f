"""The house's one-way arrows: what may import what, and what an import must not load."""

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FILES = sorted((ROOT / "ganlab").rglob("*.py"))

GROUND = {
    "errors", "lazy", "device", "checkpoints", "filters", "objectives", "divergences", "processes", "settings",
    "training",
}  # fmt: skip
MAY_IMPORT = {
    "__init__": set(),
    "errors": set(),
    "lazy": set(),
    **dict.fromkeys(GROUND - {"errors", "lazy"}, GROUND),
    "imaging": {"imaging", "errors", "device"},
    "phantoms": {"phantoms", "imaging"} | GROUND,
    **{room: {room, "phantoms", "imaging"} | GROUND for room in ("toy", "generation", "translation", "study")},
    "experiments": {"experiments", "generation", "translation", "phantoms", "imaging"} | GROUND,
    "ui": {"ui", "toy", "generation", "translation", "study", "phantoms", "imaging"} | GROUND,
}
TOP = {"cli", "benchmarks", "__main__"}  # may import everything


def imports(path):
    """Absolute dotted names of everything a file imports, inside functions too."""
    package = path.relative_to(ROOT).with_suffix("").parts[:-1]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else ()
            module = ".".join((*base, *filter(None, [node.module])))
            yield from (f"{module}.{alias.name}" for alias in node.names)


def room(name):
    """ganlab.imaging.grid -> imaging; ganlab -> __init__; ganlab.__version__ -> __init__."""
    parts = name.split(".")[1:2]
    known = MAY_IMPORT.keys() | TOP
    return parts[0] if parts and parts[0] in known else "__init__"


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_arrows_point_one_way(path):
    parts = path.relative_to(ROOT / "ganlab").with_suffix("").parts
    if parts[0] in TOP:
        return
    assert parts[0] in MAY_IMPORT, "a new room needs its line in MAY_IMPORT"
    for name in imports(path):
        library = name.split(".")[0]
        if library == "ganlab":
            assert room(name) in MAY_IMPORT[parts[0]] | {"__init__"}, f"imports {name}"
        if parts[0] != "ui":
            assert library != "gradio"
        if parts[0] == "imaging":
            assert library != "torch"
            assert not name.startswith("ganlab.phantoms")


def loaded_by(statement):
    """Names of the modules in a fresh interpreter after a statement."""
    script = f"import json, sys\n{statement}\nprint(json.dumps(sorted(sys.modules)))"
    run = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    return set(json.loads(run.stdout))


def test_import_ganlab_loads_nothing_heavy():
    assert not loaded_by("import ganlab") & {"torch", "gradio", "numpy", "nibabel", "SimpleITK", "skimage"}


def test_imaging_loads_no_torch():
    modules = [path.stem for path in (ROOT / "ganlab" / "imaging").glob("[!_]*.py")]
    assert {"grid", "metrics", "registration", "volume"} <= set(modules)
    loaded = loaded_by(
        "; ".join(["import ganlab.imaging.reading.files", *(f"import ganlab.imaging.{m}" for m in modules)])
    )
    assert not loaded & {"torch", "gradio", "SimpleITK", "skimage"}
