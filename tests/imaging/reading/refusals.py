"""Checks that damaged, unusual or hostile files give a one-sentence error, within limits of time and memory."""

import re
import resource
import time
import tracemalloc

import numpy as np
import pytest

from ganlab.errors import InputError
from ganlab.imaging.reading.files import read_volume
from tests.imaging.reading import samples

PICTURE = b"\x89PNG\r\n\x1a\n" + bytes(100)
ONE = {"affine": np.diag([5.0, 4.0, 6.0, 1.0])}
WRITERS = {
    "nifti": samples.nifti,
    "nifti2": lambda **options: samples.nifti(version=2, **options),
    "nifti-big": lambda **options: samples.nifti(big=True, **options),
    "mgh": samples.mgh,
    "nrrd": samples.nrrd,
    "metaimage": samples.metaimage,
}


def one_sentence(message: str) -> bool:
    assert message.startswith('"') and message.endswith("."), message
    assert message.isprintable() and "Traceback" not in message, message
    assert not re.search(r"\.\s+[A-Z]|\.\.|::| ,|  ", message), message
    assert len(message) < 400, message
    return True


def refused(path, expected: str = "", largest: int = 80_000_000, seconds: float = 10.0) -> str:
    """The sentence for a path, which must take at most `largest` bytes and `seconds` of the processor."""
    resident = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    tracemalloc.start()
    start = time.process_time()
    try:
        with pytest.raises(InputError) as caught:
            read_volume(path, "t1")
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert time.process_time() - start < seconds
    assert peak < largest
    assert (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - resident) * 1024 < 4 * largest  # also C++
    message = str(caught.value)
    assert one_sentence(message)
    assert re.search(expected, message), message
    return message


def save(tmp_path, content: bytes, name="scan.bin"):
    path = tmp_path / name
    path.write_bytes(content)
    return path


def sound_or_refused(path, outcomes):
    sentence = ""
    try:
        volume = read_volume(path, "t1")
    except InputError as error:
        sentence = str(error)
    if sentence:
        assert one_sentence(sentence)
        outcomes["refused"] += 1
    else:
        assert volume.array.dtype == np.float32 and np.isfinite(volume.array).all()
        assert np.ptp(volume.array) > 0 and min(volume.shape) > 1
        assert np.isfinite(volume.affine).all() and abs(np.linalg.det(volume.affine)) > 0
        assert all(note.endswith(".") and note.isprintable() for note in volume.notices)
        outcomes["read"] += 1
