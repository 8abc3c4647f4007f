"""What an installed ganlab needs: its files where paths.py looks for them, and dependencies that match the pins."""

import tomllib
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from ganlab import paths

ROOT = Path(__file__).parents[1]


def test_finds_shipped_files_in_a_checkout_and_in_an_installed_package(tmp_path, monkeypatch):
    assert paths.shipped("assets") == ROOT / "assets" and paths.shipped("pretrained") == ROOT / "pretrained"
    (tmp_path / "ganlab" / "assets").mkdir(parents=True)
    monkeypatch.setattr(paths, "PACKAGE", tmp_path / "ganlab")
    assert paths.shipped("assets") == tmp_path / "ganlab" / "assets"


def test_wheel_includes_assets_and_weights():
    build = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["hatch"]["build"]["targets"]
    assert build["wheel"]["include"] == ["/ganlab", "/assets", "/pretrained"]
    assert build["wheel"]["sources"] == {name: f"ganlab/{name}" for name in ("assets", "pretrained")}


def test_pinned_versions_are_within_the_ranges_of_the_package():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    ranges = {canonicalize_name(r.name): r for r in map(Requirement, project["dependencies"])}
    pins = [Requirement(line) for line in (ROOT / "requirements.txt").read_text(encoding="utf-8").splitlines()]
    assert {canonicalize_name(pin.name) for pin in pins} == ranges.keys()
    for pin in pins:
        (version,) = (specifier.version for specifier in pin.specifier)
        assert ranges[canonicalize_name(pin.name)].specifier.contains(version), pin
