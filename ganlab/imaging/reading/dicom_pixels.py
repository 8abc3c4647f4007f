"""DICOM pixels -> numbers, by GDCM through SimpleITK.

Plain pixels are decoded in this process. Compressed ones are decoded by a process of their own, because damaged
JPEG data bring GDCM's decoders down: run as a script, this file reads {"paths": [...], "shape": [f, r, c]} from
standard input, appends every file's float32 frames to the file named on the command line, and answers each with
a line, "1" for decoded and "0" (frames of zeros) for not.
"""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np

SECONDS = 300  # for one series of compressed pixels
BYTES = 8 * 1024**3  # of address space for the decoding process


class DecoderDied(RuntimeError):
    """The decoder crashed or ran out of time; `path` is the file that it was at."""

    def __init__(self, path: Path):
        super().__init__(f"the decoder died at {path}")
        self.path = path


def decoded(paths: list[Path], shape: tuple[int, int, int], compressed: bool) -> Iterator[np.ndarray | None]:
    """Each file's values, rescale slope and intercept applied: (frames, rows, columns), None if undecodable.

    shape: of every file, (frames, rows, columns).
    Raises DecoderDied, for compressed pixels.
    """
    if not compressed:
        with _quiet():
            for path in paths:
                yield _decoded(path, shape)
        return
    with tempfile.TemporaryDirectory(prefix="ganlab-") as folder:
        out = Path(folder) / "frames"
        request = json.dumps({"paths": [str(path.resolve()) for path in paths], "shape": shape})
        command = [sys.executable, "-P", __file__, str(out)]  # -P: this folder does not become an import path
        try:
            done = subprocess.run(
                command, input=request, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, timeout=SECONDS
            )
            answers, failed = done.stdout, done.returncode != 0
        except subprocess.TimeoutExpired as late:
            answers, failed = (late.stdout or b"").decode(), True
        answers = answers.split()
        if failed or len(answers) != len(paths):
            raise DecoderDied(paths[min(len(answers), len(paths) - 1)])
        with open(out, "rb") as file:
            for answer in answers:
                frames = np.fromfile(file, np.float32, int(np.prod(shape))).reshape(shape)
                yield frames if answer == "1" else None


def _decoded(path: Path, shape) -> np.ndarray | None:
    import SimpleITK as sitk

    reader = sitk.ImageFileReader()
    reader.SetImageIO("GDCMImageIO")
    reader.SetFileName(str(path))
    try:
        array = sitk.GetArrayFromImage(reader.Execute())
    except RuntimeError:  # the decoder's complaint
        return None
    return array.reshape(shape) if array.size == np.prod(shape) else None


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """GDCM does not talk on standard error."""
    import SimpleITK as sitk

    loud = sitk.ProcessObject.GetGlobalWarningDisplay()
    sitk.ProcessObject.SetGlobalWarningDisplay(False)
    try:
        yield
    finally:
        sitk.ProcessObject.SetGlobalWarningDisplay(loud)


def main() -> None:
    try:
        import resource
    except ImportError:  # Windows
        pass
    else:
        resource.setrlimit(resource.RLIMIT_AS, (BYTES, BYTES))
    request = json.load(sys.stdin)
    with open(sys.argv[1], "wb") as out, _quiet():
        for path in request["paths"]:
            frames = _decoded(Path(path), request["shape"])
            good = frames is not None
            (frames if good else np.zeros(request["shape"])).astype(np.float32).tofile(out)
            sys.stdout.write("1\n" if good else "0\n")
            sys.stdout.flush()


if __name__ == "__main__":
    main()
