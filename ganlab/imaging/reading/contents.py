"""What tells the contents of files apart, whatever their names."""

from __future__ import annotations

import zlib
from pathlib import Path

from ganlab.errors import InputError

DETACHED_HEADERS = (".nhdr", ".mhd", ".hdr")  # their voxels are in another file


def checksum(path: Path) -> int:
    """CRC-32 of the bytes of a volume or picture: of all files of a folder, and of a detached header's data file."""
    if path.is_dir():
        files = sorted(p for p in path.rglob("*") if p.is_file())
    elif path.name.lower().endswith(DETACHED_HEADERS):
        files = sorted(p for p in path.parent.glob("*") if p.name.split(".")[0] == path.name.split(".")[0])
    else:
        files = [path]
    total = 0
    try:
        for file in files:
            with open(file, "rb") as stream:
                while chunk := stream.read(1 << 20):
                    total = zlib.crc32(chunk, total)
    except OSError as error:
        raise InputError(f'"{path}" cannot be read ({error.strerror}); copy it again.') from None
    return total
