"""Unpack compressed bytes and archives in chunks, and never beyond what is asked for."""

from __future__ import annotations

import contextlib
import lzma
import struct
import tempfile
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath

from ganlab.errors import InputError
from ganlab.imaging.wording import megabytes

MAX_FILES = 20_000  # in a folder or an archive
MAX_UNPACKED = 2 * 1024**3  # bytes in an archive
CHUNK = 1 << 20
PEEK = 1 << 20  # bytes at the start of a file that contain any header


def head_of(path: Path, count: int = PEEK) -> tuple[bytes, bool]:
    """The first bytes of a file, unpacked if it is gzipped: (bytes, whether it was gzipped)."""
    with open(path, "rb") as file:
        gzipped = file.read(2) == b"\x1f\x8b"
        file.seek(0)
        if not gzipped:
            return file.read(count), False
        chunks = inflated(iter(lambda: file.read(min(CHUNK, count)), b""), min(CHUNK, count))
        return bytes(taken(chunks, count, to_the_end=False)), True


def inflated(chunks: Iterable[bytes], at_most: int = CHUNK) -> Iterator[bytes]:
    """Unpack gzip (with any number of members) or zlib in chunks of at most `at_most` bytes.

    Raises zlib.error for damaged data or a wrong checksum, EOFError when the stream ends early.
    """
    engine = zlib.decompressobj(47)  # 15 window bits + 32: gzip or zlib by its header
    for chunk in chunks:
        while chunk:
            if engine.eof:
                chunk = chunk.lstrip(b"\0")  # padding after the last member
                engine = zlib.decompressobj(47) if chunk else engine
            if chunk:
                yield engine.decompress(chunk, at_most)
                chunk = engine.unconsumed_tail or engine.unused_data
    while not engine.eof:
        piece = engine.decompress(b"", at_most)
        if not piece and not engine.eof:
            raise EOFError
        yield piece


def skipped(chunks: Iterable[bytes], count: int) -> Iterator[bytes]:
    """The chunks without their first `count` bytes."""
    for chunk in chunks:
        if len(chunk) > count:
            yield chunk[count:]
        count = max(count - len(chunk), 0)


def taken(chunks: Iterable[bytes], count: int, to_the_end: bool = True) -> bytearray:
    """The first `count` bytes, or fewer if there are fewer; memory grows only with what arrives.

    to_the_end: read up to CHUNK bytes more, so that a checksum behind the data is verified.
    Raises EOFError if all bytes arrived but their stream is truncated.
    """
    data, beyond = bytearray(), 0
    try:
        for chunk in chunks:
            beyond += max(len(data) + len(chunk) - count, 0)
            data += chunk[: count - len(data)]
            if beyond > CHUNK or (len(data) == count and not to_the_end):
                break
    except EOFError:
        if len(data) == count:
            raise
    return data


@contextlib.contextmanager
def unzipped(path: Path, name: str) -> Iterator[Path]:
    """A zip's files in a temporary folder, which is deleted afterwards.

    A member's path is never used, only its name: each folder of the zip becomes a numbered folder.
    """
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="ganlab-")))
        try:
            archive = stack.enter_context(zipfile.ZipFile(path))
            members = [member for member in archive.infolist() if not member.filename.endswith("/")]
            total = sum(member.file_size for member in members)
            if len(members) > MAX_FILES:
                raise InputError(f"{name} holds {len(members):,} files, more than the limit of {MAX_FILES:,}.")
            if total > MAX_UNPACKED:
                raise InputError(
                    f"{name} unpacks to {megabytes(total)}, more than the limit of {megabytes(MAX_UNPACKED)}: "
                    "zip only the series that you need."
                )
            if any(member.flag_bits & 1 for member in members):
                raise InputError(f"{name} is encrypted: unpack it with its password and zip it again without one.")
            parents: dict[str, int] = {}
            for member in members:
                inside = PurePosixPath(member.filename.replace("\\", "/"))
                parent = folder / str(parents.setdefault(str(inside.parent), len(parents)))
                parent.mkdir(exist_ok=True)
                if inside.name in ("", "..") or len(inside.name.encode()) > 200:
                    continue
                with archive.open(member) as source, open(parent / inside.name, "wb") as target:
                    while chunk := source.read(CHUNK):  # ZipExtFile ends at the declared size
                        target.write(chunk)
        except InputError:
            raise
        except NotImplementedError:
            raise InputError(
                f"{name} uses an unsupported compression: zip it again with the default settings."
            ) from None
        except (zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, ValueError, struct.error):
            raise InputError(f"{name} is a damaged zip archive: copy it again from its source.") from None
        yield folder
