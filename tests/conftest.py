"""What all tests share: hypothesis' profile, the order of tests, and fixtures."""

import os
import sys
from pathlib import Path

import hypothesis
import pytest

if sys.platform != "linux":
    # these measure memory by Linux accounting
    collect_ignore = [
        f"imaging/reading/test_{name}.py" for name in ("bad_dicom", "bad_headers", "damaged_files", "not_volumes")
    ]

hypothesis.settings.register_profile("ganlab", derandomize=True, deadline=None)
hypothesis.settings.load_profile("ganlab")


def pytest_configure(config):
    if hasattr(config, "workerinput"):  # one thread per process under xdist
        os.environ["OMP_NUM_THREADS"] = "1"


@pytest.hookimpl(tryfirst=True)  # before -m selects
def pytest_collection_modifyitems(items):
    """Mark tests as quick that are neither slow nor in a browser. Browser tests run last: they leave an event loop
    running in this thread."""
    for item in items:
        if "browser" not in item.path.parts and not item.get_closest_marker("slow"):
            item.add_marker("quick")
    items.sort(key=lambda item: "browser" in item.path.parts)


@pytest.fixture(scope="session")
def real_t1() -> Path:
    """A T1-weighted scan of a real head: GANLAB_REAL_T1, or shared/data next to the repository."""
    beside = Path(__file__).parents[2] / "shared" / "data" / "t1_head_real.nii.gz"
    path = Path(os.environ.get("GANLAB_REAL_T1", beside))
    if not path.is_file():
        pytest.skip(f"no real T1 scan at {path}: set GANLAB_REAL_T1 to one")
    return path
