"""Pictures as viewers show them: upright, all pages, the lowest value black unless the file says otherwise."""

import struct

import numpy as np
import pytest
from PIL import Image

from ganlab.errors import InputError
from ganlab.imaging.reading.pictures import read_picture, read_pictures

RAMP = np.linspace(0, 1, 12 * 20).reshape(12, 20)


def raw_tiff(path, values, photometric=1):
    """An uncompressed TIFF of one page, byte by byte: Pillow does not write all of these."""
    height, width = values.shape
    form = {"u": 1, "i": 2, "f": 3}[values.dtype.kind]
    tags = [(256, 4, width), (257, 4, height), (258, 3, 8 * values.itemsize), (259, 3, 1), (262, 3, photometric)]
    tags += [(273, 4, 8), (277, 3, 1), (278, 4, height), (279, 4, values.nbytes), (339, 3, form)]
    entries = b"".join(struct.pack("<HHII", tag, kind, 1, value) for tag, kind, value in tags)
    directory = struct.pack("<H", len(tags)) + entries + struct.pack("<I", 0)
    path.write_bytes(b"II*\0" + struct.pack("<I", 8 + values.nbytes) + values.tobytes() + directory)
    return path


@pytest.mark.parametrize("ending", ["jpg", "png", "tif", "webp"])
def test_turned_as_the_camera_says(tmp_path, ending):
    exif = Image.Exif()
    exif[274] = 6  # shown turned by 90 degrees clockwise
    upright = (RAMP * 255).astype(np.uint8)
    lying = Image.fromarray(upright).transpose(Image.Transpose.ROTATE_90)
    how = {"compression": "tiff_lzw"} if ending == "tif" else {"quality": 95}
    lying.save(tmp_path / f"a.{ending}", exif=exif, **how)
    np.testing.assert_allclose(read_picture(tmp_path / f"a.{ending}").grey, RAMP, atol=0.03)


def test_a_picture_whose_rows_would_be_mixed_up_is_refused(tmp_path):
    exif = Image.Exif()
    exif[274] = 6
    lying = Image.fromarray((RAMP * 255).astype(np.uint8)).transpose(Image.Transpose.ROTATE_90)
    lying.save(tmp_path / "a.tif", exif=exif)  # uncompressed
    with pytest.raises(InputError, match="save it again as PNG"):
        read_picture(tmp_path / "a.tif")


@pytest.mark.parametrize(
    ("kind", "depth"), [(np.uint16, "16-bit"), (np.int32, "signed 32-bit"), (np.float32, "floating-point")]
)
def test_deep_pictures_keep_their_values(tmp_path, kind, depth):
    values = (RAMP * 3000 - (1000 if kind != np.uint16 else 0)).astype(kind)
    picture = read_picture(raw_tiff(tmp_path / "a.tif", values))
    assert picture.depth == depth and picture.deep
    np.testing.assert_array_equal(picture.grey, values.astype(np.float32))


def test_signed_16_bit_hu_are_not_clipped(tmp_path):
    values = (RAMP * 3000 - 1000).astype(np.int16)
    picture = read_picture(raw_tiff(tmp_path / "a.tif", values))
    assert picture.depth == "signed 16-bit"
    np.testing.assert_array_equal(picture.grey, values)


@pytest.mark.parametrize("kind", [np.uint8, np.uint16, np.float32])
def test_where_white_is_zero_the_lowest_value_is_white(tmp_path, kind):
    picture = read_picture(raw_tiff(tmp_path / "a.tif", (RAMP * 200).astype(kind), photometric=0))
    assert picture.grey[0, 0] > picture.grey[-1, -1]


@pytest.mark.parametrize("ending", ["tif", "gif", "webp"])
def test_a_stack_gives_all_of_its_pages(tmp_path, ending):
    first, *others = (Image.fromarray((RAMP * k * 20 + 5).astype(np.uint8)) for k in range(6))
    first.save(tmp_path / f"a.{ending}", save_all=True, append_images=others)
    pages = list(read_pictures(tmp_path / f"a.{ending}"))
    assert [round(float(page.grey.max()) * 255 / 20) for page in pages] == pytest.approx(list(range(6)), abs=1)
    with pytest.raises(InputError, match="stack of several pictures"):
        read_picture(tmp_path / f"a.{ending}")


def test_a_stack_of_empty_pages_is_refused(tmp_path):
    blank = Image.fromarray(np.full((12, 20), 7, np.uint8))
    blank.save(tmp_path / "a.tif", save_all=True, append_images=[blank])
    with pytest.raises(InputError, match="single grey value"):
        list(read_pictures(tmp_path / "a.tif"))
