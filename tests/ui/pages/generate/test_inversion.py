"""The Inversion room: what is searched for, what is found, what is left."""

import re

import numpy as np
import pytest
from PIL import Image

from ganlab.errors import Cancelled, InputError
from ganlab.ui.pages.generate import inversion as inverting

MODEL = "dcgan-digits"


def test_the_ball_stays_in_the_residual():
    html = inverting.found_html(MODEL, 1, True)
    inside, outside = map(float, re.search(r"in the ball ([\d.]+), outside ([\d.]+)", html).groups())
    assert inside > 10 * outside
    assert html.count("<img") == 3 and "found as" in html


def test_the_next_visitor_does_not_wait(monkeypatch):
    monkeypatch.setattr(inverting, "_known", {(MODEL, 3, False): "known"})
    assert inverting.found_html(MODEL, 3, False) == "known"


def test_search_can_be_cancelled():
    def stop(share):
        raise Cancelled

    with pytest.raises(Cancelled):
        inverting.found_html(MODEL, 5, False, progress=stop)
    assert (MODEL, 5, False) not in inverting._known


def test_own_picture_is_brought_to_size(tmp_path):
    Image.fromarray(np.tile(np.arange(100, dtype=np.uint8), (80, 1))).save(tmp_path / "mine.png")
    image = inverting.image_of(MODEL, 1, False, str(tmp_path / "mine.png"))
    assert image.shape == (1, 16, 16) and image[0, :, 0].max() < image[0, :, -1].min()
    (tmp_path / "broken.png").write_bytes(b"no")
    with pytest.raises(InputError, match=r'"broken\.png" is not a picture that can be read'):
        inverting.image_of(MODEL, 1, False, str(tmp_path / "broken.png"))


def test_residual_colours_are_white_at_nothing_and_apart_at_the_ends():
    colours = inverting.coloured(np.array([[-1.0, 0.0, 1.0, 5.0]]))[0]
    assert colours.tolist() == [[0, 114, 178], [255, 255, 255], [213, 94, 0], [213, 94, 0]]
