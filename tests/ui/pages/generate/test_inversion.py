"""The Inversion sub-tab: searches, results, residuals."""

import re
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from ganlab.errors import Cancelled, InputError
from ganlab.ui.pages.generate import inversion
from ganlab.ui.sessions import Store

MODEL = "dcgan-digits"
VISITOR = SimpleNamespace(session_hash="visitor")


def upload(folder, height=80, width=100):
    path = folder / "mine.png"
    Image.fromarray(np.tile(np.linspace(0, 255, width).astype(np.uint8), (height, 1))).save(path)
    return str(path)


@pytest.mark.slow
def test_the_ball_stays_in_the_residual():
    html = inversion.result_html(MODEL, 1, None, True)
    inside, outside = map(float, re.search(r"in the ball ([\d.]+), outside ([\d.]+)", html).groups())
    assert inside > 10 * outside
    assert html.count("<img") == 3 and "found as" in html


def test_the_next_visitor_does_not_wait(monkeypatch):
    monkeypatch.setattr(inversion, "_results", {(MODEL, 3, False): "known"})
    assert inversion.result_html(MODEL, 3, None, False) == "known"


def test_a_search_can_be_cancelled():
    def stop(share):
        raise Cancelled

    with pytest.raises(Cancelled):
        inversion.result_html(MODEL, 5, None, False, progress=stop)
    assert (MODEL, 5, False) not in inversion._results


def test_the_cancel_button_ends_the_visitors_search():
    store = Store()
    steps = inversion.search(store, MODEL, inversion.HELD_OUT, 6, None, 1, False, VISITOR, lambda share, desc: None)
    next(steps)
    inversion.cancel(store, VISITOR)
    alert, result, _ = next(steps)
    assert "Cancelled" in alert and "<img" not in str(result)


def test_a_search_without_an_upload_asks_for_one():
    steps = inversion.search(Store(), MODEL, inversion.UPLOAD, 1, None, 1, False, VISITOR)
    next(steps)
    assert "Choose a picture or a scan first" in next(steps)[0]


def test_an_upload_replaces_the_choice_of_held_out_images(tmp_path):
    path = upload(tmp_path)
    number, file, level, alert = inversion.choose_source(Store(), MODEL, inversion.UPLOAD, path, VISITOR)
    assert (number["visible"], file["visible"], level["visible"], alert) == (False, True, False, "")
    (tmp_path / "broken.png").write_bytes(b"no")
    *_, alert = inversion.choose_source(Store(), MODEL, inversion.UPLOAD, str(tmp_path / "broken.png"), VISITOR)
    assert "broken.png" in alert and "not a picture that can be read" in alert


def test_an_uploaded_picture_is_resized_to_the_models_images(tmp_path):
    image = inversion.image_of(MODEL, 1, upload(tmp_path), False)
    assert image.shape == (1, 16, 16) and image[0, :, 0].max() < image[0, :, -1].min()
    assert "<img" in inversion.preview(MODEL, inversion.UPLOAD, 1, upload(tmp_path), 1, True)
    (tmp_path / "broken.png").write_bytes(b"no")
    with pytest.raises(InputError, match=r'"broken\.png" is not a picture that can be read'):
        inversion.image_of(MODEL, 1, str(tmp_path / "broken.png"), False)


def test_residual_colours_are_white_at_zero_and_differ_at_the_ends():
    colours = inversion.signed_colours(np.array([[-1.0, 0.0, 1.0, 5.0]]))[0]
    assert colours.tolist() == [[0, 114, 178], [255, 255, 255], [213, 94, 0], [213, 94, 0]]
