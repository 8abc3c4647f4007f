import itertools

import numpy as np
import pytest
import torch

from ganlab.checkpoints import list_models, load_tensors, model_folder, save_tensors
from ganlab.errors import Cancelled, InputError
from ganlab.imaging.volume import Volume
from ganlab.phantoms import make_patient
from ganlab.translation.inference import combined, fuse, head_box, load_model, translate
from ganlab.translation.tasks import TASKS, cards_of

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def patient():
    return make_patient(9001, ("t1", "ct"), spacing=2.0)


@pytest.fixture(scope="module")
def synthetic(patient):
    return translate(patient["t1"], device="cpu").synthetic


def reoriented(volume, axes, flips):
    """The same voxels in another order, with the affine that says so."""
    array = volume.array.transpose(axes)
    affine = np.eye(4)
    affine[:3, :3] = volume.affine[:3, list(axes)]
    affine[:3, 3] = volume.affine[:3, 3]
    for axis, flip in enumerate(flips):
        if flip:
            array = np.flip(array, axis)
            affine[:3, 3] += affine[:3, axis] * (array.shape[axis] - 1)
            affine[:3, axis] *= -1
    return Volume(np.ascontiguousarray(array), affine, volume.unit, volume.modality)


def test_synthetic_ct_lies_on_the_grid_of_its_input_in_hu(patient, synthetic):
    assert synthetic.shape == patient["t1"].shape and synthetic.array.dtype == np.float32
    np.testing.assert_array_equal(synthetic.affine, patient["t1"].affine)
    assert synthetic.unit == "HU" and synthetic.modality == "ct"
    assert synthetic.array.min() >= -1024 and synthetic.array.max() <= 3071


def test_synthetic_ct_is_the_patients_ct(patient, synthetic):
    real = patient["ct"].array
    brain = (real > 20) & (real < 50) & (np.indices(real.shape)[2] > 60)
    assert 15 < synthetic.array[brain].mean() < 50
    assert synthetic.array[real < -990].mean() < -930
    assert synthetic.array[real > 1000].mean() > 600


@pytest.fixture(scope="module")
def slab(patient):
    """60 mm of the vault, and its synthetic CT."""
    t1 = patient["t1"]
    affine = t1.affine.copy()
    affine[2, 3] += 70 * 2.0
    t1 = Volume(t1.array[:, :, 70:100], affine, modality="t1")
    return t1, translate(t1, device="cpu", planes=["axial"]).synthetic


ORDERS = [
    *zip(itertools.permutations(range(3)), itertools.product((0, 1), repeat=3), strict=False),
    ((2, 0, 1), (1, 1, 0)),
    ((1, 2, 0), (0, 1, 1)),
    ((0, 2, 1), (1, 1, 1)),
    ((0, 1, 2), (1, 0, 1)),
]


@pytest.mark.parametrize(("axes", "flips"), ORDERS)
def test_any_voxel_order_gives_the_same_answer(slab, axes, flips):
    t1, straight = slab
    turned = translate(reoriented(t1, axes, flips), device="cpu", planes=["axial"]).synthetic
    assert turned.shape == tuple(np.array(t1.shape)[list(axes)])
    np.testing.assert_allclose(turned.array, reoriented(straight, axes, flips).array, atol=0.01)


def test_disagreement_is_the_standard_deviation_between_planes():
    model, planes = load_model("mr2ct-unet", "cpu"), ("axial", "sagittal", "coronal")
    array = np.random.default_rng(0).random((32, 48, 40), np.float32)
    array[:, :, 30:] = 0  # axial slices of air are not computed
    spread = np.zeros_like(array)
    mean = fuse(model, array, planes, "cpu", spread=spread)
    alone = [fuse(model, array, [plane], "cpu") for plane in planes]
    np.testing.assert_allclose(mean, combined(np.array(alone)), atol=1e-5)
    np.testing.assert_allclose(spread, np.std(alone, 0), atol=2e-3)


def test_what_one_of_three_planes_alone_sees_hardly_counts():
    planes = np.array([0.03, 0.04, 0.9, 0.03, -0.9, 0.02], np.float32).reshape(2, 3).T[..., None, None]
    np.testing.assert_allclose(combined(planes).ravel(), [0.1033, -0.0433], atol=1e-3)
    alike = np.random.default_rng(0).uniform(0, 0.2, (3, 4, 5, 6)).astype(np.float32)
    np.testing.assert_allclose(combined(alike), alike.mean(0), atol=1e-6)
    np.testing.assert_allclose(combined(planes[:2]), planes[:2].mean(0), atol=1e-6)


def test_disagreement_lies_on_the_grid_of_the_input_and_needs_two_planes(slab):
    t1, _ = slab
    actual = translate(t1, device="cpu", planes=["axial", "coronal"]).disagreement
    assert (actual.unit, actual.modality, actual.shape) == ("HU", "disagreement", t1.shape)
    np.testing.assert_array_equal(actual.affine, t1.affine)
    assert actual.array.min() >= 0 and actual.array.max() > 100
    assert translate(t1, device="cpu", planes=["axial"]).disagreement is None


@pytest.mark.parametrize("model", ["mr2ct-unet", "mr2ct-cyclegan"])
def test_bfloat16_is_said_repeats_itself_and_differs_by_2_hu_at_most(slab, model):
    t1, _ = slab
    options = {"model": model, "device": "cpu", "planes": ["axial"]}
    exact, near, again = (translate(t1, **options, precision=p) for p in ("float32", "bfloat16", "bfloat16"))
    assert (exact.precision, near.precision) == ("float32", "bfloat16")
    np.testing.assert_array_equal(near.synthetic.array, again.synthetic.array)
    difference = near.synthetic.array - exact.synthetic.array
    head = exact.synthetic.array > -900
    assert 0 < np.abs(difference[head]).mean() < 2
    for axis in range(3):  # no seams
        pairs = zip(np.moveaxis(difference, axis, 0), np.moveaxis(head, axis, 0), strict=True)
        bias = [change[mask].mean() for change, mask in pairs if mask.sum() > 500]
        assert np.abs(np.diff(bias)).max() < 2


@pytest.mark.parametrize(("native", "used"), [(True, "bfloat16"), (False, "float32")])
def test_bfloat16_is_used_where_the_processor_multiplies_it_natively(slab, monkeypatch, native, used):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_bf16": native})
    assert translate(slab[0], device="cpu", planes=["axial"]).precision == used


def test_progress_ends_at_one_and_a_cancelled_translation_stops(patient):
    shares = []
    translate(patient["t1"], device="cpu", planes=["coronal"], progress=shares.append)
    assert shares == sorted(shares) and shares[-1] == 1
    with pytest.raises(Cancelled):
        translate(patient["t1"], device="cpu", cancelled=lambda: True)


def test_refuses_volumes_of_another_modality(patient):
    t1, ct = patient["t1"], patient["ct"]
    with pytest.raises(InputError, match="CT"):
        translate(ct)
    with pytest.raises(InputError, match="mr2pet"):
        translate(t1, task="mr2pet")
    with pytest.raises(InputError, match="oblique"):
        translate(t1, planes=["oblique"])
    with pytest.raises(InputError, match="no model"):
        translate(t1, model="no-such-model")
    wide = Volume(t1.array, np.diag([8.0, 8.0, 8.0, 1.0]))
    with pytest.raises(InputError, match="litres"):
        translate(wide)


@pytest.mark.parametrize("requested", TASKS)
@pytest.mark.parametrize("trained_for", TASKS)
def test_refuses_a_model_of_another_task(trained_for, requested):
    name, task = TASKS[trained_for].default_model, TASKS[requested]
    if trained_for == requested:
        assert load_model(name, "cpu", task).task == trained_for
        return
    with pytest.raises(InputError, match=f'"{name}" makes .* from .*, not {task.target.upper()}; choose {requested}-'):
        load_model(name, "cpu", task)


def test_proposes_models_of_the_task_only(patient):
    with pytest.raises(InputError, match="makes CT from T1, not FA") as raised:
        translate(patient["t1"], "t1fa", "mr2ct-unet")
    with pytest.raises(InputError, match="that makes FA from T1") as missing:
        translate(patient["t1"], "t1fa", "nothing")
    for message in (str(raised.value), str(missing.value)):
        names = message.rpartition("choose ")[2].split(", ")
        assert names == [*(card["name"] for card in cards_of("t1fa")), "or give the folder of a training."]
    with pytest.raises(InputError, match=r"makes FLAIR from T1; give the folder of a training\.$"):
        translate(patient["t1"], "t1flair")


def test_refuses_a_model_that_does_not_say_its_task(tmp_path):
    tensors, config = load_tensors(model_folder("mr2ct-unet") / "model.safetensors")
    del config["task"]
    save_tensors(tmp_path / "model.safetensors", tensors, config)
    with pytest.raises(InputError, match="does not say which task"):
        load_model(str(tmp_path), "cpu", TASKS["mr2ct"])


def test_computes_only_the_head_and_leaves_air_empty():
    array = np.zeros((40, 48, 56), np.float32)
    array[16:24, 16:32, 20:36] = 1
    box = head_box(array, margin=4)
    assert all(s.start <= a and s.stop >= b for s, a, b in zip(box, (16, 16, 20), (24, 32, 36), strict=True))
    out = fuse(load_model("mr2ct-unet", "cpu"), array, ["axial"], "cpu", empty=-1.0)
    assert (out[:, :, :20] == -1).all() and (out[:, :, 36:] == -1).all()


def test_every_pretrained_model_has_a_card_that_fits_its_weights():
    for card in list_models():
        tensors, config = load_tensors(model_folder(card["name"]) / "model.safetensors")
        kept = ("running", "num_batches", "grain.pattern")  # stored with the weights, but not learned
        learned = [v for k, v in tensors.items() if not any(name in k for name in kept)]
        if card["task"] != "features":  # these also store the scale of their regression targets
            assert sum(v.numel() for v in learned) == card["parameters"]
        assert config.get("task", card["task"]) == card["task"]
        if card["task"] in TASKS:
            assert card["metrics"]["held_out_seeds"] == list(range(9000, 9006))
    assert list_models("mr2ct")
