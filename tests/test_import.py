"""The import graph: no upward imports, no cycles; and what an import must not load."""

import ast
import json
import subprocess
import sys
from collections import Counter
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FILES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
    for path in sorted((ROOT / "ganlab").rglob("*.py"))
}
TREES = {name: ast.parse(path.read_text(encoding="utf-8")) for name, path in FILES.items()}

GROUND = {  # files that all packages share
    "version", "errors", "lazy", "paths", "device", "settings", "processes", "checkpoints", "training", "filters",
    "objectives", "divergences", "packing",
}  # fmt: skip
ORDER = [  # each may import those before it, and itself
    GROUND,
    {"imaging"},
    {"phantoms"},
    {"toy", "generation", "translation", "study"},
    {"experiments"},
    {"training_plan"},
    {"api"},
    {"ui"},
    {"benchmarks"},
    {"cli"},
    {"__main__"},
]
RANK = {room: rank for rank, rooms in enumerate(ORDER) for room in rooms}


def imports(name):
    """Full names of the modules that a module imports, inside functions and for type checkers too."""
    package = name if FILES[name].name == "__init__.py" else name.rpartition(".")[0]
    for node in ast.walk(TREES[name]):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            parents = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            base = ".".join([*parents, *filter(None, [node.module])])
            yield from (full if (full := f"{base}.{alias.name}") in FILES else base for alias in node.names)


def room(name):
    return name.split(".")[1]


def test_packages_import_only_from_those_below_them():
    assert {room(name) for name in FILES if "." in name} == RANK.keys()  # a new package needs its place in ORDER
    arrows = [(name, other) for name in FILES if "." in name for other in imports(name) if other.startswith("ganlab.")]
    beside = [(n, o) for n, o in arrows if room(n) != room(o) and RANK[room(n)] == RANK[room(o)] > 0]
    upwards = [(n, o) for n, o in arrows if RANK[room(n)] < RANK[room(o)]]
    assert beside + upwards == []


def test_there_are_no_import_cycles():
    graph = {name: {other for other in imports(name) if other in FILES} for name in FILES}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(" <- ".join(error.args[1]))


def test_only_pages_import_gradio_and_imaging_imports_no_torch():
    libraries = {(room(name), other.split(".")[0]) for name in FILES if "." in name for other in imports(name)}
    assert {r for r, library in libraries if library == "gradio"} <= {"ui"}
    assert ("imaging", "torch") not in libraries


def test_a_page_imports_nothing_from_another_page():
    def page(name):
        return name.split(".")[3] if name.startswith("ganlab.ui.pages.") else None

    pairs = {(name, other) for name in FILES for other in imports(name) if page(name) and page(other)}
    assert {pair for pair in pairs if page(pair[0]) != page(pair[1])} == set()


def test_no_file_is_longer_than_400_lines():
    files = [path for folder in ("ganlab", "tests") for path in (ROOT / folder).rglob("*.py")]
    lengths = {str(path.relative_to(ROOT)): len(path.read_text(encoding="utf-8").splitlines()) for path in files}
    assert {name: length for name, length in lengths.items() if length > 400} == {}


def test_no_two_classes_share_a_name():
    names = Counter(n.name for tree in TREES.values() for n in ast.walk(tree) if isinstance(n, ast.ClassDef))
    assert [name for name, count in names.items() if count > 1] == []


def loaded_by(statement):
    """Names of the modules in a fresh interpreter after a statement."""
    script = f"import json, sys\n{statement}\nprint(json.dumps(sorted(sys.modules)))"
    run = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    return set(json.loads(run.stdout))


def test_import_ganlab_loads_nothing_heavy():
    assert not loaded_by("import ganlab") & {"torch", "gradio", "numpy", "nibabel", "SimpleITK", "skimage"}


def test_imaging_loads_no_torch():
    names = [name for name in FILES if name.startswith("ganlab.imaging")]
    assert {"ganlab.imaging.grid", "ganlab.imaging.metrics", "ganlab.imaging.reading.files"} <= set(names)
    assert not loaded_by(f"import {', '.join(names)}") & {"torch", "gradio", "SimpleITK", "skimage"}
