"""Facts and arrays in one byte string: the format in which the server sends pictures to a canvas.

    uint32 length of the header | JSON header | arrays

The header holds the facts, and under "arrays" one {"name", "dtype", "shape", "offset"} per array. Everything is
little-endian. The arrays begin where the header ends, and header and arrays are padded to a multiple of 8 bytes, so
that a browser can view the bytes as typed arrays without a copy. assets/shared/live_client.js decodes it.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping

import numpy as np

DTYPES = ("int8", "uint8", "int16", "uint16", "int32", "uint32", "float32", "float64")  # JavaScript has arrays of these
ALIGNMENT = 8  # bytes
LENGTH = struct.Struct("<I")


def pack(facts: dict, arrays: Mapping[str, np.ndarray | bytes] | None = None) -> bytes:
    """Pack JSON-compatible facts with named arrays; bytes, such as a file's content, count as uint8.

    Raises TypeError for an array with a dtype not in DTYPES, ValueError for facts with nan or infinity.
    """
    described, parts, offset = [], [], 0
    for name, array in (arrays or {}).items():
        array = np.frombuffer(array, np.uint8) if isinstance(array, bytes) else np.asarray(array)
        if array.dtype.name not in DTYPES:
            raise TypeError(f'Array "{name}" is {array.dtype.name}; a browser reads {", ".join(DTYPES)}.')
        data = np.ascontiguousarray(array, array.dtype.newbyteorder("<")).tobytes()
        described.append({"name": name, "dtype": array.dtype.name, "shape": list(array.shape), "offset": offset})
        parts += [data, bytes(-len(data) % ALIGNMENT)]
        offset += len(data) + len(parts[-1])
    header = json.dumps({**facts, "arrays": described}, allow_nan=False).encode()
    header += b" " * (-(LENGTH.size + len(header)) % ALIGNMENT)
    return b"".join([LENGTH.pack(len(header)), header, *parts])


def unpack(packed: bytes) -> tuple[dict, dict[str, np.ndarray]]:
    """The facts and arrays that pack() was given."""
    (length,) = LENGTH.unpack_from(packed)
    start = LENGTH.size + length
    facts = json.loads(packed[LENGTH.size : start])
    arrays = {}
    for item in facts.pop("arrays"):
        dtype = np.dtype(item["dtype"]).newbyteorder("<")
        count = int(np.prod(item["shape"]))
        arrays[item["name"]] = np.frombuffer(packed, dtype, count, start + item["offset"]).reshape(item["shape"])
    return facts, arrays
