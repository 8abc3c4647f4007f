"""The user's own points and pictures, and error messages for other files."""

import numpy as np
import pytest
import torch
from PIL import Image

from ganlab.errors import InputError
from ganlab.toy.distributions import MAX_POINTS, Picture, Points
from ganlab.toy.files import read_own

POINTS = [(i % 7, (i * i) % 11) for i in range(40)]


@pytest.fixture
def write(tmp_path):
    def write(name, text):
        path = tmp_path / name
        path.write_text(text, encoding="utf-8")
        return path

    return write


@pytest.mark.parametrize("separator", [",", ";", "\t", " ", ", "])
@pytest.mark.parametrize("heading", ["", "x{}y\n"])
def test_tables_of_every_kind(write, separator, heading):
    lines = "\n".join(f"{x}{separator}{y}" for x, y in POINTS)
    data = read_own(write("points.csv", heading.format(separator) + lines + "\n\n"))
    assert isinstance(data, Points)
    assert len(data.points) == len(POINTS)
    span = data.points.amax(0) - data.points.amin(0)
    torch.testing.assert_close(span, torch.tensor([1.6, 2.4]), atol=1e-5, rtol=0)  # the aspect ratio is kept


def test_a_third_column_is_the_class(write):
    data = read_own(write("points.txt", "\n".join(f"{x} {y} {x % 3}" for x, y in POINTS)))
    assert data.classes == 3


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "has no points"),
        ("x,y\n", "has no points"),
        ("1,2\n3,4\n5,6\n", "has 3 points; give 10 to"),
        ("1,2\nfour,five\n", 'Line 2 .* is "four, five"'),
        ("1,2,3,4\n" * 20, "Line 1 .* has 4 numbers"),
        ("1,2\n" * 20 + "1,2,3\n", "Line 21 .* has 3 numbers"),
        ("1,2\n" * 20 + "nan,2\n", "not finite, first in point 21"),
        ("1,2\n" * 20 + "1,inf\n", "not finite"),
        ("1,2\n" * 20, "All 20 points are the same"),
        ("".join(f"{i},{i},{-i}\n" for i in range(20)), "classes that are not whole numbers"),
        ("\x00\x01\x02" * 50, "has no points|is not a table|give two numbers"),
    ],
)
def test_refuses_tables_and_names_the_line(write, text, sentence):
    with pytest.raises(InputError, match=sentence):
        read_own(write("points.csv", text))


def test_two_million_points_are_refused_without_reading_them_all(write):
    path = write("many.csv", "1,2\n" * (MAX_POINTS + 50))
    with pytest.raises(InputError, match="more than 200,000 points"):
        read_own(path)
    with pytest.raises(InputError, match="MB, more than 64"):
        read_own(write("huge.csv", "1.00000001,2.00000001\n" * 3_200_000))


def test_bright_pixels_are_dense(tmp_path):
    pixels = np.zeros((40, 60), np.uint8)
    pixels[:, :20] = 255
    Image.fromarray(pixels).save(tmp_path / "left.png")
    data = read_own(tmp_path / "left.png")
    assert isinstance(data, Picture)
    points = data.sample(500, torch.Generator().manual_seed(0))[0]
    assert float(points[:, 0].max()) < 0  # the bright third is on the left


def test_transparent_pixels_are_empty(tmp_path):
    pixels = np.full((30, 30, 4), 255, np.uint8)
    pixels[:15, :, 3] = 0
    Image.fromarray(pixels, "RGBA").save(tmp_path / "half.png")
    points = read_own(tmp_path / "half.png").sample(500, torch.Generator().manual_seed(0))[0]
    assert float(points[:, 1].max()) < 0.1  # the upper half is empty


def test_refuses_files_that_are_not_pictures(tmp_path, write):
    with pytest.raises(InputError, match="not a picture that can be read"):
        read_own(write("words.png", "these are words"))
    Image.new("L", (20, 20)).save(tmp_path / "black.png")
    with pytest.raises(InputError, match="all black"):
        read_own(tmp_path / "black.png")
    with pytest.raises(InputError, match="neither a table nor a picture"):
        read_own(write("points.xlsx", "1,2"))
