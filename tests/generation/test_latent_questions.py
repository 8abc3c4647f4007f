"""Questions about a generator's latent space, and their answers."""

import io

import numpy as np
import pytest
from PIL import Image

from ganlab.errors import InputError
from ganlab.generation.explorer import DIRECTIONS, get_explorer
from ganlab.generation.image_cache import images_of
from ganlab.generation.image_kinds import get_kind, load_images
from ganlab.generation.latent_questions import answer
from ganlab.generation.sampling import generate
from ganlab.generation.shipped import generator_names

MODEL = "dcgan-digits"
POINTS = [{"seed": 0, "index": k, "label": 3} for k in range(4)]


def asked(**question):
    """Facts, and images (N, size, size) in -1..1 or files."""
    facts, images = answer({"model": MODEL, **question})
    return facts, {name: x if isinstance(x, bytes) else x[:, 0].numpy() for name, x in images.items()}


def test_a_gallery_alternates_between_classes_and_is_reproducible():
    head, arrays = asked(what="gallery", seed=5, count=12)
    assert [point["label"] for point in head["points"]] == [*range(10), 0, 1]
    assert arrays["images"].shape == (12, 16, 16)
    again = asked(what="points", points=head["points"])[1]["images"]
    assert np.abs(again - arrays["images"]).max() < 1e-4  # another batch size rounds differently


def test_a_gallery_equals_the_output_of_the_generate_command():
    shown = asked(what="gallery", seed=5, count=6, label=7, psi=0.5)[1]["images"]
    samples = generate(MODEL, 6, 5, "7", 0.5)
    np.testing.assert_allclose((shown + 1) * 8, samples.images, atol=1e-3)


def test_points_have_norms_and_scores():
    head, arrays = asked(what="points", points=POINTS[:2])
    assert len(arrays["images"]) == 2
    assert all(7 < norm < 13 for norm in head["norms"])  # sqrt(100), give or take
    assert all(0 <= score <= 1 for score in head["scores"])


def test_a_move_along_a_direction_changes_the_image():
    original, moved = (asked(what="points", points=[{**POINTS[0], "moves": m}])[1]["images"] for m in ({}, {"0": 4.0}))
    assert np.abs(moved - original).mean() > 0.015
    e = get_explorer(MODEL)
    assert e.z({**POINTS[0], "moves": {"0": 4.0}}).sub(e.z(POINTS[0])).norm().item() == pytest.approx(4, rel=1e-4)


def test_both_paths_from_a_to_b_contain_their_ends():
    head, arrays = asked(what="between", points=POINTS[:2], steps=9)
    ends = asked(what="points", points=POINTS[:2])[1]["images"]
    for path in ("slerp", "lerp"):
        assert np.abs(arrays[path][[0, -1]] - ends).max() < 1e-4
    assert head["norms"]["lerp"][4] < 0.85 * head["norms"]["lerp"][0]
    assert head["norms"]["slerp"][4] > 0.95 * min(head["norms"]["slerp"][0], head["norms"]["slerp"][-1])


def test_a_sheet_has_the_four_points_at_its_corners():
    sheet = asked(what="sheet", points=POINTS, side=5)[1]["images"].reshape(5, 5, 16, 16)
    ends = asked(what="points", points=POINTS)[1]["images"]
    corners = np.stack([sheet[0, 0], sheet[0, -1], sheet[-1, 0], sheet[-1, -1]])
    assert np.abs(corners - ends).max() < 1e-4


def test_a_walk_starts_at_a_and_its_film_has_every_frame():
    _, walk = asked(what="walk", points=POINTS, frames=12)
    first = asked(what="points", points=POINTS[:1])[1]["images"]
    assert len(walk["images"]) == 12
    assert np.abs(walk["images"][:1] - first).max() < 1e-4
    _, arrays = asked(what="walk", points=POINTS, frames=12, film="gif")
    assert Image.open(io.BytesIO(arrays["film"])).n_frames == 12


def test_a_minus_a_plus_c_is_c():
    head, arrays = asked(what="sum", points=[POINTS[0], POINTS[0], POINTS[2]])
    images = asked(what="points", points=[*head["points"], POINTS[2]])[1]["images"]
    assert np.abs(images[0] - images[1]).max() < 6e-3
    assert np.abs(arrays["images"][0] - images[0]).max() < 6e-3


def test_classes_are_blended_added_and_subtracted():
    mixed = [{**POINTS[0], "label": 7}, {**POINTS[1], "label": 1}, {**POINTS[2], "label": 1}]
    head, arrays = asked(what="between", points=mixed[:2], steps=5)
    ends = asked(what="points", points=mixed[:2])[1]["images"]
    assert np.abs(arrays["slerp"][[0, -1]] - ends).max() < 1e-4
    assert [point.get("label") for point in head["points"][:5]] == [7, None, None, None, 1]
    middle = head["points"][2]["mix"]
    assert middle[7] == middle[1] == 0.5 and sum(middle) == 1
    assert asked(what="sum", points=mixed)[0]["points"][0]["label"] == 7  # seven - one + one


@pytest.mark.parametrize("question", [{"what": "between", "steps": 9}, {"what": "sheet", "side": 4}, {"what": "sum"}])
@pytest.mark.parametrize("psi", [1.0, 0.5])
def test_every_image_on_a_path_can_be_asked_for_as_a_point(question, psi):
    mixed = [{**point, "label": label} for point, label in zip(POINTS, (7, 1, 4, 4), strict=True)]
    head, arrays = asked(**question, points=mixed, psi=psi)
    images = np.concatenate([arrays[name] for name in arrays])
    for k in range(0, len(images), 5):
        again = asked(what="points", points=[head["points"][k]], psi=psi)[1]["images"]
        assert np.abs(again[0] - images[k]).max() < 6e-3  # z has four decimals


def test_one_coordinate_of_z_can_be_moved_alone():
    e = get_explorer(MODEL)
    moved = e.z({**POINTS[0], "moves": {"z42": -1.5}}) - e.z(POINTS[0])
    assert moved[42].item() == pytest.approx(-1.5, abs=1e-6) and moved.count_nonzero() == 1


def test_the_occlusion_map_is_scaled_to_its_largest_value():
    head, arrays = asked(what="verdict", points=POINTS[:1])
    assert arrays["map"].shape == (1, 16, 16) and head["reach"] > 0
    assert np.abs(arrays["map"]).max() == pytest.approx(1)


def test_feature_maps_end_with_the_image():
    head, arrays = asked(what="layers", points=POINTS[:1])
    assert [layer["shape"] for layer in head["layers"]] == [[64, 4, 4], [32, 8, 8], [1, 16, 16]]
    assert arrays["layer0"].shape == (16, 4, 4)


def test_neighbours_come_from_the_training_set():
    images_of("digits", 1500)[0].result()
    head, arrays = asked(what="neighbours", points=POINTS[:1])
    training = load_images(get_kind("digits")).images[:, 0].numpy()
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
        ({"what": "points", "points": [{**POINTS[0], "mix": [0.5] * 10}]}, "weights of 10 classes .* add up to 1"),
        ({"what": "points", "points": [{**POINTS[0], "moves": {"z100": 1}}]}, "A step of 1 along direction z100"),
        ({"what": "points", "points": POINTS, "psi": 2}, "truncation 2"),
        ({"what": "points", "points": [{"seed": 0, "index": 10_001}]}, "Index 10001"),
        ({"what": "points", "points": [{"z": [0.0] * 99}]}, "100 finite numbers"),
        ({"what": "points", "points": [{"z": [float("nan")] * 100}]}, "100 finite numbers"),
        ({"what": "points", "points": [{**POINTS[0], "moves": {"8": 1}}]}, "direction 8"),
        ({"what": "points", "points": [{**POINTS[0], "moves": {"0": 9}}]}, "9 along direction 0"),
        ({"what": "between", "points": POINTS[:1], "steps": 9}, "2 to 16 points"),
        ({"what": "sheet", "points": POINTS, "side": 13}, "Side 13"),
        ({"what": "nothing"}, "choose from gallery, points"),
        ({"what": "gallery", "seed": 0, "count": 4, "model": "mr2ct-unet"}, "no generator"),
        ({"what": "gallery", "seed": 0, "count": 4, "model": "../secret"}, "no generator"),
    ],
)
def test_refuses_questions_it_cannot_answer(question, words):
    with pytest.raises(InputError, match=words):
        asked(**question)


def test_every_shipped_generator_can_be_explored():
    for name in generator_names():
        facts = get_explorer(name).facts()
        assert facts["directions"] == sorted(facts["directions"], reverse=True)
        assert len(facts["directions"]) == DIRECTIONS
