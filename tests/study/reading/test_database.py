"""Where answers are stored: for the host's eyes alone."""

import os
import stat

import pytest

from ganlab.study.reading import archive

pytestmark = pytest.mark.skipif(os.name == "nt", reason="file modes are those of POSIX")


def mode(path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_new_database_and_its_folder_are_private(tmp_path):
    before = os.umask(0)
    try:
        engine = archive.open_archive(f"sqlite:///{tmp_path}/studies/studies.db")
        with engine.connect():  # the files of the log exist while a connection is open
            files = list((tmp_path / "studies").iterdir())
            assert {mode(path) for path in files} == {0o600} and len(files) >= 1
        engine.dispose()
    finally:
        os.umask(before)
    assert mode(tmp_path / "studies") == 0o700


def test_a_database_that_others_could_read_is_closed_to_them(tmp_path):
    archive.open_archive(f"sqlite:///{tmp_path}/studies.db").dispose()
    (tmp_path / "studies.db").chmod(0o644)
    archive.open_archive(f"sqlite:///{tmp_path}/studies.db").dispose()
    assert mode(tmp_path / "studies.db") == 0o600
