"""Truncated, damaged and hostile files: each ends in one sentence or in a sound volume, within limits of memory."""

import gzip
import struct
import zipfile
import zlib

import numpy as np
import pytest

from ganlab.imaging.reading.files import MAX_VOXELS
from ganlab.imaging.reading.unpacking import MAX_FILES
from tests.imaging.reading import samples
from tests.imaging.reading.refusals import WRITERS, refused, save, sound_or_refused


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("writer", WRITERS)
def test_refuses_a_truncated_file(tmp_path, writer, packed):
    content = WRITERS[writer](packed=packed)
    # the last 20 bytes of MGH are a footer that may be absent
    cuts = [*range(0, 700, 37), *np.linspace(700, len(content) - 21, 12).astype(int)]
    for cut in (cut for cut in cuts if cut < len(content)):
        refused(save(tmp_path, content[:cut]), largest=20_000_000)


@pytest.mark.parametrize("share", np.linspace(0.02, 0.999, 12))
def test_refuses_a_truncated_zip(tmp_path, share):
    whole = samples.zipped({f"{k}.dcm": c for k, c in enumerate(samples.dicom_series())})
    refused(save(tmp_path, whole[: int(share * len(whole))]), "damaged zip archive|not an image volume")


def _bases():
    series = {f"{k}.dcm": content for k, content in enumerate(samples.dicom_series())}
    return {
        **{name: writer() for name, writer in WRITERS.items()},
        **{f"{name} packed": WRITERS[name](packed=True) for name in ("nifti", "mgh", "nrrd", "metaimage")},
        "enhanced dicom": samples.enhanced_dicom(),
        "zip of nifti": samples.zipped({"a/scan.nii": samples.nifti()}),
        "zip of dicom": samples.zipped(series, zipfile.ZIP_STORED),
    }


@pytest.mark.parametrize("base", _bases())
def test_random_damage_gives_a_sentence_or_a_sound_volume(tmp_path, base):
    whole = _bases()[base]
    outcomes = {"read": 0, "refused": 0}
    for seed in range(60):
        rng = np.random.default_rng(seed)
        damaged = bytearray(whole)
        reach = min(len(whole), 700) if seed % 4 else len(whole)
        for at in rng.integers(0, reach, rng.integers(1, 6)):
            damaged[at] = rng.choice([0, 1, 127, 128, 255, rng.integers(256)])
        sound_or_refused(save(tmp_path, damaged), outcomes)
    assert sum(outcomes.values()) == 60 and outcomes["refused"] > 0


MEGABYTES_16 = gzip.compress(bytes(1 << 24), 1)


def test_a_gzip_bomb_is_unpacked_only_to_the_declared_size(tmp_path):
    bomb = gzip.compress(samples.nifti(np.zeros(samples.SHAPE, np.int16)), 1) + MEGABYTES_16 * 64  # 1 GB of zeros
    refused(save(tmp_path, bomb), "constant", largest=20_000_000, seconds=2)
    refused(save(tmp_path, MEGABYTES_16 * 64), "is not an image volume", largest=20_000_000, seconds=2)


@pytest.mark.parametrize("writer", WRITERS)
def test_a_large_declared_size_takes_no_memory(tmp_path, writer):
    if "nifti" in writer:
        content = WRITERS[writer](dim=[3, 512, 512, 512, 1, 1, 1, 1])
    elif writer == "mgh":
        content = WRITERS[writer](dims=[512, 512, 512, 1])
    else:
        content = WRITERS[writer](**{{"nrrd": "sizes", "metaimage": "DimSize"}[writer]: "512 512 512"})
    for packed in (content, gzip.compress(content)):
        refused(
            save(tmp_path, packed), "promises 512x512x512 .* holds only 3,360|holds only 6,7[24]0", largest=20_000_000
        )
    assert MAX_VOXELS == 512**3  # so that the size itself is allowed


def test_deflated_voxels_are_unpacked_only_to_the_declared_size(tmp_path):
    head = samples.nrrd(np.zeros(samples.SHAPE, np.int16), packed=True, sizes="12 14 10")
    head = head[: head.index(b"\n\n") + 2]
    refused(save(tmp_path, head + MEGABYTES_16 * 64), "constant", largest=20_000_000, seconds=2)
    head = samples.metaimage(packed=True)
    head = head[: head.index(b"LOCAL\n") + 6]
    refused(save(tmp_path, head + zlib.compress(bytes(1 << 27), 1)), "constant", largest=20_000_000, seconds=2)


def test_a_gzip_bomb_before_the_voxels_takes_no_memory(tmp_path):
    bomb = gzip.compress(samples.nifti(vox_offset=60e6)[:352], 1) + MEGABYTES_16
    refused(save(tmp_path, bomb), "holds only 0 bytes", largest=20_000_000, seconds=2)


def _claiming(content: bytes, size: int) -> bytes:
    """A zip whose directory gives its first member another unpacked size."""
    at = content.index(b"PK\x01\x02")
    return content[: at + 24] + struct.pack("<I", size) + content[at + 28 :]


def test_refuses_zip_bombs(tmp_path):
    refused(
        save(tmp_path, _claiming(samples.zipped({"a.nii": b"x"}), 0xFFFFFFF0)),
        "unpacks to 4,295.0 MB, more than the limit",
    )
    lying = _claiming(samples.zipped({"a.nii": bytes(1 << 24)}), 100)
    refused(save(tmp_path, lying), "damaged zip", largest=20_000_000)
    many = samples.zipped(dict.fromkeys(map(str, range(MAX_FILES + 1)), b""), zipfile.ZIP_STORED)
    refused(save(tmp_path, many), "holds 20,001 files, more than the limit of 20,000", largest=100_000_000, seconds=20)
