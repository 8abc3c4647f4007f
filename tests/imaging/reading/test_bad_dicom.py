"""DICOM that is truncated, damaged, hostile, or not a volume."""

import re
import struct

import numpy as np
import pytest

from tests.imaging.reading import samples
from tests.imaging.reading.refusals import refused, save, sound_or_refused


def _series(**options):
    return samples.dicom_series(**options)


DICOM = {
    "one slice": (lambda: _series()[:1], "one slice and not a volume"),
    "three scouts": (
        lambda: [
            samples.dicom(samples.scan()[..., 0].T, orientation=o, instance=k)
            for k, o in enumerate([(1, 0, 0, 0, 1, 0), (0, 1, 0, 0, 0, -1), (1, 0, 0, 0, 0, -1)])
        ],
        "one slice and not a volume",
    ),
    "colour": (lambda: _series(samples=3), "colour picture"),
    "mosaic": (lambda: _series(image_type="ORIGINAL\\PRIMARY\\M\\ND\\MOSAIC"), "mosaic.*dcm2niix"),
    "no place": (lambda: [samples.dicom(samples.scan()[..., 0].T, None)], "does not say where it is"),
    "crooked": (
        lambda: [samples.dicom(samples.scan()[..., k].T, (0, 0, 6 * k), (1, 0, 0, 0.5, 1, 0)) for k in range(9)],
        "right angles",
    ),
    "place of NaN": (
        lambda: [samples.dicom(samples.scan()[..., k].T, (0, 0, np.nan)) for k in range(9)],
        "does not say where",
    ),
    "spacing 0": (
        lambda: [samples.dicom(samples.scan()[..., k].T, (0, 0, 6 * k), spacing=(0, 5)) for k in range(9)],
        "does not say where",
    ),
    "all at one place": (
        lambda: [samples.dicom(samples.scan()[..., k].T, instance=k) for k in range(9)],
        "one slice",
    ),
    "most missing": (lambda: [_series()[0], _series()[9]], "54.0 mm apart, more than the limit of 20 mm"),
    "on a curve": (
        lambda: [samples.dicom(samples.scan()[..., k].T, (k * k, 0, 6 * k)) for k in range(9)],
        "off a straight line",
    ),
    "constant": (lambda: _series(array=np.full(samples.SHAPE, 5, np.int16)), "constant"),
    "frames without places": (
        lambda: [samples.dicom(samples.scan().T)],
        "multi-frame file that does not say",
    ),
    "frames missing a place": (lambda: [samples.enhanced_dicom()[:-3360] + bytes(3000)], "truncated"),
    "deflated": (lambda: _series(syntax="1.2.840.10008.1.2.1.99"), "transfer syntax"),
    "big-endian": (lambda: _series(syntax="1.2.840.10008.1.2.2"), "transfer syntax"),
    "few slices": (lambda: _series()[:5], "covers 60x56x30 mm"),
    "no pixels": (lambda: [c[: c.index(b"\xe0\x7f\x10\0")] for c in _series()], "none of its files has pixels"),
}


@pytest.mark.parametrize("case", DICOM)
def test_refuses_dicom_that_is_not_a_volume(tmp_path, case):
    content, expected = DICOM[case]
    refused(samples.write_all(tmp_path / "study", content()), expected)


def test_damaged_jpeg_does_not_crash_the_program(tmp_path):
    """A precision of 209 bits makes GDCM's JPEG decoder read beyond its memory."""
    import SimpleITK as sitk

    writer = sitk.ImageFileWriter()
    writer.SetImageIO("GDCMImageIO")
    writer.KeepOriginalImageUIDOn()
    writer.UseCompressionOn()
    writer.SetCompressor("JPEG")
    for k in range(10):
        image = sitk.GetImageFromArray(samples.scan()[None, :, :, k].transpose(0, 2, 1))
        image.SetSpacing((5, 4, 6))
        for tag, value in {
            "0020|0032": f"0\\0\\{6 * k}",
            "0020|0037": "1\\0\\0\\0\\1\\0",
            "0020|000e": "1.2.3",
            "0008|0060": "MR",
        }.items():
            image.SetMetaData(tag, value)
        writer.SetFileName(tmp_path / f"{k}.dcm")
        writer.Execute(image)
    path = tmp_path / "4.dcm"
    content = bytearray(path.read_bytes())
    frame = content.index(b"\xff\xc3\0")
    content[frame + 4] = 209
    path.write_bytes(content)
    outcomes = {"read": 0, "refused": 0}
    sound_or_refused(tmp_path, outcomes)
    assert sum(outcomes.values()) == 1


@pytest.mark.parametrize("cut", [132, 140, 200, 350, 500, 700, 800])
def test_refuses_truncated_dicom(tmp_path, cut):
    refused(
        samples.write_all(tmp_path / "s", [c[:cut] for c in samples.dicom_series()]),
        "no DICOM picture that can be used",
    )


def test_random_damage_to_one_slice_leaves_a_sound_volume(tmp_path):
    whole = samples.dicom_series()
    outcomes = {"read": 0, "refused": 0}
    for seed in range(30):
        rng = np.random.default_rng(seed)
        damaged = bytearray(whole[4])
        for at in rng.integers(0, len(damaged) - 300, rng.integers(1, 5)):
            damaged[at] = rng.integers(256)
        sound_or_refused(samples.write_all(tmp_path / "s", [*whole[:4], bytes(damaged), *whole[5:]]), outcomes)
    assert outcomes["read"] > 25


def test_refuses_dicom_that_declares_gigabytes(tmp_path):
    whole = samples.dicom_series()[0]
    for at in [m.end() - 4 for m in re.finditer(rb"OW\0\0....|OB\0\0....", whole, re.DOTALL)]:
        promising = whole[:at] + b"\xf0\xff\xff\xff" + whole[at + 4 :]
        refused(save(tmp_path, promising), "promises 4294967280 bytes", largest=20_000_000)
    wide = whole.replace(struct.pack("<HH2sH", 0x28, 0x10, b"US", 2) + b"\x0e\0", b"\x28\0\x10\0US\2\0\xff\xff")
    refused(save(tmp_path, wide), "is truncated: it promises", largest=20_000_000)
