"""Questions of the Generate page and their answers."""

import asyncio
import io
import json
import re

import numpy as np
import pytest
import torch
from PIL import Image

from ganlab.generation.networks import NetworkConfig
from ganlab.ui.live_protocol import explained
from ganlab.ui.pages.generate import architecture
from ganlab.ui.pages.generate import latent_space as latents
from ganlab.ui.pages.generate.image_cache import images_of
from ganlab.ui.pages.generate.latent_space import answer, explorer, generators
from ganlab.ui.pages.generate.page import asked_for

MODEL = "dcgan-digits"
POINTS = [{"seed": 0, "index": k, "label": 3} for k in range(4)]


def asked(**question):
    """Facts and arrays of an answer."""

    async def ask():
        return answer({"model": MODEL, **question})

    return asyncio.run(explained(ask()))


def test_gallery_shows_the_classes_in_turn_and_the_same_again():
    head, arrays = asked(what="gallery", seed=5, count=12)
    assert [point["label"] for point in head["points"]] == [*range(10), 0, 1]
    assert arrays["images"].shape == (12, 16, 16)
    again = asked(what="points", points=head["points"])[1]["images"]
    assert np.abs(again.astype(int) - arrays["images"]).max() <= 1  # of 65,535; another batch rounds otherwise


def test_gallery_is_what_the_command_beside_it_makes():
    from ganlab.generation.sampling import generate

    shown = asked(what="gallery", seed=5, count=6, label=7, psi=0.5)[1]["images"]
    made = generate(MODEL, 6, 5, "7", 0.5)
    np.testing.assert_allclose(shown / 65535 * 16, made.images, atol=1e-3)


def test_chosen_points_come_with_norm_and_verdict():
    head, arrays = asked(what="points", points=POINTS[:2])
    assert len(arrays["images"]) == 2
    assert all(7 < norm < 13 for norm in head["norms"])  # sqrt(100), give or take
    assert all(0 <= score <= 1 for score in head["scores"])


def test_direction_moves_the_image_and_back_again():
    still, there = (asked(what="points", points=[{**POINTS[0], "moves": m}])[1]["images"] for m in ({}, {"0": 4.0}))
    assert np.abs(there.astype(int) - still).mean() > 500
    e = explorer(MODEL)
    assert e.z({**POINTS[0], "moves": {"0": 4.0}}).sub(e.z(POINTS[0])).norm().item() == pytest.approx(4, rel=1e-4)


def test_both_ways_from_a_to_b_begin_and_end_there():
    head, arrays = asked(what="between", points=POINTS[:2], steps=9)
    ends = asked(what="points", points=POINTS[:2])[1]["images"]
    for way in ("slerp", "lerp"):
        assert np.abs(arrays[way][[0, -1]].astype(int) - ends).max() <= 2
    assert head["norms"]["lerp"][4] < 0.85 * head["norms"]["lerp"][0]
    assert head["norms"]["slerp"][4] > 0.95 * min(head["norms"]["slerp"][0], head["norms"]["slerp"][-1])


def test_sheet_has_the_four_at_its_corners():
    sheet = asked(what="sheet", points=POINTS, side=5)[1]["images"].reshape(5, 5, 16, 16)
    ends = asked(what="points", points=POINTS)[1]["images"]
    corners = np.stack([sheet[0, 0], sheet[0, -1], sheet[-1, 0], sheet[-1, -1]])
    assert np.abs(corners.astype(int) - ends).max() <= 2


def test_walk_begins_at_a_and_its_film_has_every_frame():
    _, walk = asked(what="walk", points=POINTS, frames=12)
    first = asked(what="points", points=POINTS[:1])[1]["images"]
    assert len(walk["images"]) == 12
    assert np.abs(walk["images"][:1].astype(int) - first).max() <= 2
    _, arrays = asked(what="walk", points=POINTS, frames=12, film="gif")
    assert Image.open(io.BytesIO(arrays["film"])).n_frames == 12


def test_a_minus_a_plus_c_is_c():
    head, arrays = asked(what="sum", points=[POINTS[0], POINTS[0], POINTS[2]])
    there = asked(what="points", points=[*head["points"], POINTS[2]])[1]["images"].astype(int)
    assert np.abs(there[0] - there[1]).max() < 200
    assert np.abs(arrays["images"][0].astype(int) - there[0]).max() < 200


def test_classes_blend_on_the_way_and_are_added_and_subtracted():
    mixed = [{**POINTS[0], "label": 7}, {**POINTS[1], "label": 1}, {**POINTS[2], "label": 1}]
    head, arrays = asked(what="between", points=mixed[:2], steps=5)
    ends = asked(what="points", points=mixed[:2])[1]["images"]
    assert np.abs(arrays["slerp"][[0, -1]].astype(int) - ends).max() <= 2
    assert [point.get("label") for point in head["points"][:5]] == [7, None, None, None, 1]
    middle = head["points"][2]["mix"]
    assert middle[7] == middle[1] == 0.5 and sum(middle) == 1
    assert asked(what="sum", points=mixed)[0]["points"][0]["label"] == 7  # seven - one + one


@pytest.mark.parametrize("question", [{"what": "between", "steps": 9}, {"what": "sheet", "side": 4}, {"what": "sum"}])
@pytest.mark.parametrize("psi", [1.0, 0.5])
def test_every_image_on_a_way_is_a_point_that_can_be_chosen(question, psi):
    mixed = [{**point, "label": label} for point, label in zip(POINTS, (7, 1, 4, 4), strict=True)]
    head, arrays = asked(**question, points=mixed, psi=psi)
    images = np.concatenate([arrays[name] for name in arrays]).astype(int)
    for k in range(0, len(images), 5):
        again = asked(what="points", points=[head["points"][k]], psi=psi)[1]["images"].astype(int)
        assert np.abs(again[0] - images[k]).max() < 200  # of 65,535: z is sent with four decimals


def test_one_number_of_z_can_be_moved_alone():
    e = explorer(MODEL)
    moved = e.z({**POINTS[0], "moves": {"z42": -1.5}}) - e.z(POINTS[0])
    assert moved[42].item() == pytest.approx(-1.5, abs=1e-6) and moved.count_nonzero() == 1


def test_verdict_is_lost_where_what_it_rests_on_is_smoothed_away():
    head, arrays = asked(what="verdict", points=POINTS[:1])
    assert arrays["map"].shape == (1, 16, 16) and head["reach"] > 0
    shares = arrays["map"][0] / 32767.5 - 1
    assert np.abs(shares).max() == pytest.approx(1, abs=1e-3)


def test_layers_end_with_the_image():
    head, arrays = asked(what="layers", points=POINTS[:1])
    assert [layer["shape"] for layer in head["layers"]] == [[64, 4, 4], [32, 8, 8], [1, 16, 16]]
    assert arrays["layer0"].shape == (16, 4, 4)


def test_neighbours_come_from_the_training_set_and_a_copy_would_show():
    from ganlab.generation.image_kinds import get_kind, load_images

    images_of("digits", 1500)[0].result()
    head, arrays = asked(what="neighbours", points=POINTS[:1])
    training = latents.shares(load_images(get_kind("digits")).images)
    assert all((training == image).all((1, 2)).any() for image in arrays["images"])
    assert head["distances"] == sorted(head["distances"])
    assert head["distances"][0] > 0 and head["usual"] > 0 and head["count"] == 1500


@pytest.mark.parametrize(
    ("question", "words"),
    [
        ({"what": "gallery", "seed": 0, "count": 145}, "Count 145 is not a whole number from 1 to 144"),
        ({"what": "gallery", "seed": -1, "count": 4}, "Seed -1"),
        ({"what": "gallery", "seed": 0, "count": 4, "label": 10}, "Class 10 is not known"),
        ({"what": "points", "points": []}, "1 to 16 points"),
        ({"what": "points", "points": [{**POINTS[0], "label": float("inf")}]}, "not a request of this page"),
        ({"what": "points", "points": [{**POINTS[0], "mix": [0.5] * 10}]}, "shares of 10 classes that add up to 1"),
        ({"what": "points", "points": [{**POINTS[0], "moves": {"z100": 1}}]}, "A step of 1 along direction z100"),
        ({"what": "points", "points": POINTS, "psi": 2}, "truncation 2"),
        ({"what": "points", "points": [{"seed": 0, "index": 10_001}]}, "Index 10001"),
        ({"what": "points", "points": [{"z": [0.0] * 99}]}, "100 numbers"),
        ({"what": "points", "points": [{"z": [float("nan")] * 100}]}, "100 numbers"),
        ({"what": "points", "points": [{**POINTS[0], "moves": {"8": 1}}]}, "direction 8"),
        ({"what": "points", "points": [{**POINTS[0], "moves": {"0": 9}}]}, "9 along direction 0"),
        ({"what": "between", "points": POINTS[:1], "steps": 9}, "2 to 16 points"),
        ({"what": "sheet", "points": POINTS, "side": 13}, "Side 13"),
        ({"what": "nothing"}, "not a request"),
        ({"what": "points", "points": [7]}, "not a request"),
        ({"what": "points", "points": [{"seed": 0, "index": 0, "label": "x"}]}, "not a request"),
        ({"what": "gallery", "seed": 0, "count": 4, "model": "mr2ct-unet"}, "no generator"),
        ({"what": "gallery", "seed": 0, "count": 4, "model": "../secret"}, "no generator"),
    ],
)
def test_what_cannot_be_answered_is_said(question, words):
    head, arrays = asked(**question)
    assert words in head["error"]
    assert not arrays


def test_every_pretrained_generator_can_be_explored():
    for name in generators():
        facts = explorer(name).facts()
        assert facts["directions"] == sorted(facts["directions"], reverse=True)
        assert len(facts["directions"]) == latents.DIRECTIONS


def test_link_is_read_where_it_can_be_understood():
    e = explorer(MODEL)
    assert asked_for({"seed": "12", "psi": "0.5", "label": "3"}, e) == {"seed": 12, "psi": 0.5, "label": "3"}
    assert asked_for({"seed": "-1", "psi": "nan"}, e) == {}
    assert asked_for({"seed": "99999999999", "psi": "7"}, e) == {}
    point = {**POINTS[1], "moves": {"2": 1.5}}
    assert asked_for({"point": json.dumps(point)}, e)["point"] == point
    for nonsense in ("", "{", "[]", "7", '{"z": [1]}', '{"seed": 0, "index": -1}', '{"seed": 0, "index": 0, "mix": 3}'):
        assert "point" not in asked_for({"point": nonsense}, e)


def test_both_networks_are_drawn_with_the_shapes_that_they_have():
    html = architecture.networks_html("dcgan-digits")
    drawn = re.findall(r"<text [^>]*>([^<]+)</text>", html)
    assert {"z: 100 + 100 of the class", "200", "image", "1 x 16 x 16", "D(x)"} <= set(drawn)
    e = latents.explorer("dcgan-digits")
    z, label = torch.zeros(1, 100), torch.zeros(1, dtype=torch.int64)
    for maps in (e.net.features(z, label), e.judge.features(torch.zeros(1, 1, 16, 16), label)):
        assert {" x ".join(map(str, x.shape[1:])) for x in maps} <= set(drawn)
    assert html.count("<svg") == 2 and "<figcaption><b>D</b>" in html


@pytest.mark.parametrize("changes", [{}, {"kind": "fc"}, {"strided": False, "norm": "none", "squash": False}])
def test_words_between_the_maps_follow_the_recipe(changes):
    config = NetworkConfig(size=16, **changes)
    up, down = architecture.layers_up(config), architecture.layers_down(config)
    assert ("convolution" in up) == ("convolution" in down) == (config.kind != "fc")
    assert ("fractionally strided" in up) == (config.strided and config.kind == "dcgan")
    assert ("batch normalisation" in up) == (config.norm == "batch" and config.kind == "dcgan")
    assert ("tanh at the end" in up) == config.squash
