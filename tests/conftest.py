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


SHARED_DATA = Path(__file__).parents[2] / "shared" / "data"  # next to the repository


@pytest.fixture(scope="session")
def real_data() -> Path:
    """A folder of real scans: GANLAB_REAL_DATA, or shared/data next to the repository."""
    folder = Path(os.environ.get("GANLAB_REAL_DATA", SHARED_DATA))
    if not folder.is_dir():
        pytest.skip(f"no real scans at {folder}: set GANLAB_REAL_DATA to a folder of them")
    return folder


@pytest.fixture(scope="session")
def real_t1() -> Path:
    """A T1-weighted scan of a real head: GANLAB_REAL_T1, or the one of shared/data next to the repository."""
    path = Path(os.environ.get("GANLAB_REAL_T1", SHARED_DATA / "t1_head_real.nii.gz"))
    if not path.is_file():
        pytest.skip(f"no real T1 scan at {path}: set GANLAB_REAL_T1 to one")
    return path


@pytest.fixture(scope="session")
def colin27() -> Path:
    """Colin27, the T1 of a real head with its face, from Debian's mricron-data."""
    from ganlab.translation.real_heads import COLIN27, HOW_TO_GET_COLIN27

    if not COLIN27.is_file():
        pytest.skip(f"no Colin27 at {COLIN27}: {HOW_TO_GET_COLIN27}")
    return COLIN27
