"""Decode DICOM pixels with GDCM through SimpleITK.

Uncompressed pixels are decoded in this process. Compressed ones are decoded in a separate process, because damaged
JPEG data crash GDCM's decoders: run as a script, this file reads {"paths": [...], "shape": [f, r, c]} from standard
input, appends each file's float32 frames to the file named on the command line, and answers with one line for each
file, "1" if it was decoded and "0" (with frames of zeros) if not.
"""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

SECONDS = 300  # for one series of compressed pixels
BYTES = 8 * 1024**3  # of address space for the decoding process


class DecoderDied(RuntimeError):
    """The decoder crashed or ran out of time on the file `path`."""

    def __init__(self, path: Path):
        super().__init__(f"the decoder died at {path}")
        self.path = path


def decoded(paths: list[Path], shape: tuple[int, int, int], compressed: bool) -> Iterator[np.ndarray | None]:
    """Each file's values (frames, rows, columns), rescale slope and intercept applied; None if undecodable.

    shape: (frames, rows, columns), the same for every file.
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
            output, failed = done.stdout, done.returncode != 0
        except subprocess.TimeoutExpired as late:
            output, failed = (late.stdout or b"").decode(), True
        answers = output.split()
        if failed or len(answers) != len(paths):
            raise DecoderDied(paths[min(len(answers), len(paths) - 1)])
        with open(out, "rb") as file:
            for answer in answers:
                frames = np.fromfile(file, np.float32, int(np.prod(shape))).reshape(shape)
                yield frames if answer == "1" else None


def _decoded(path: Path, shape: Sequence[int]) -> np.ndarray | None:
    import SimpleITK as sitk

    reader = sitk.ImageFileReader()
    reader.SetImageIO("GDCMImageIO")
    reader.SetFileName(str(path))
    try:
        array = sitk.GetArrayFromImage(reader.Execute())
    except RuntimeError:  # GDCM cannot decode it
        return None
    return array.reshape(shape) if array.size == np.prod(shape) else None


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep GDCM's warnings off standard error."""
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
            (np.zeros(request["shape"]) if frames is None else frames).astype(np.float32).tofile(out)
            sys.stdout.write("0\n" if frames is None else "1\n")
            sys.stdout.flush()


if __name__ == "__main__":
    main()
