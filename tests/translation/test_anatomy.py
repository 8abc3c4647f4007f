"""Training with the anatomy of CT heads."""

import itertools

import numpy as np
import pytest
import torch

from ganlab.checkpoints import read_card
from ganlab.errors import InputError
from ganlab.imaging.volume import Volume
from ganlab.imaging.writing import write_volume
from ganlab.phantoms import make_patient
from ganlab.phantoms.patient import MEAN_SIZE
from ganlab.phantoms.scanned.fit import LOW
from ganlab.phantoms.scanned.head import ScannedHead
from ganlab.phantoms.scanned.tissues import FIELDS
from ganlab.training_plan import plan_training
from ganlab.translation.batches import mixed, slice_maker
from ganlab.translation.dataset import anatomy
from ganlab.translation.dataset.folders import Folders
from ganlab.translation.presets import get_preset
from ganlab.translation.trainer import train

SMALL = {"size": 64, "batch": 2, "epoch": 2, "network": {"widths": [4, 8]}, "scanned": 1.0}


def ball_head(ct: Volume) -> ScannedHead:
    """A ball of soft tissue in a shell of bone, in place of the minute that taking a CT apart takes."""
    shape = (120, 120, 120)
    at = np.stack(np.meshgrid(*(np.arange(n) for n in shape), indexing="ij")) + np.array(LOW)[:, None, None, None]
    radius = np.linalg.norm(at - np.array([-40.0, -70.0, -100.0])[:, None, None, None], axis=0)
    fields = np.zeros((len(FIELDS), *shape), np.uint8)
    fields[FIELDS.index("soft")][radius < 50] = 255
    for name in ("bone", "dense", "soft"):
        fields[FIELDS.index(name)][(radius > 40) & (radius < 46)] = 0 if name == "soft" else 255
    fields[FIELDS.index("hu")] = 120
    nodes = torch.from_numpy((MEAN_SIZE * at[:, ::2, ::2, ::2]).astype(np.float32))
    return ScannedHead(fields, nodes)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setattr(anatomy, "decompose", ball_head)
    folder = tmp_path / "cts"
    folder.mkdir()
    write_volume(make_patient(8002, ("ct",), 4.0)["ct"], folder / "a.nii.gz")
    return folder


def losses(config, out, folder, **options) -> list[float]:
    events = train(config, out, "cpu", workers=0, anatomy=folder, **options)
    return [event.numbers["l1"] for event in events if event.kind == "step"]


def test_trains_on_ct_heads_and_resumes_exactly(folder, tmp_path):
    whole = losses(get_preset("mr2ct-unet", SMALL, steps=4), tmp_path / "whole", folder)
    first = losses(get_preset("mr2ct-unet", SMALL, steps=2), tmp_path / "half", folder)
    rest = losses(get_preset("mr2ct-unet", SMALL, steps=4), tmp_path / "half", folder, resume=True)
    assert len(whole) == 4 and np.allclose(whole[2:], rest) and len(first) == 2


def test_a_resumed_training_wants_the_same_ct_heads(folder, tmp_path):
    out = tmp_path / "out"
    config = get_preset("mr2ct-unet", SMALL, steps=2)
    losses(config, out, folder)
    with pytest.raises(InputError, match="--anatomy"):
        list(train(config, out, "cpu", resume=True, workers=0))
    write_volume(make_patient(8003, ("ct",), 4.0)["ct"], folder / "b.nii.gz")
    with pytest.raises(InputError, match=r"anatomy .*b\.nii\.gz"):
        losses(get_preset("mr2ct-unet", SMALL, steps=4), out, folder, resume=True)


def test_names_a_volume_that_is_not_a_ct(folder, tmp_path):
    write_volume(make_patient(8002, ("t1",), 4.0)["t1"], folder / "t1.nii.gz")
    with pytest.raises(InputError, match=r'"t1\.nii\.gz".*CT in HU'):
        losses(get_preset("mr2ct-unet", SMALL, steps=2), tmp_path / "out", folder)


def test_own_volumes_phantoms_and_ct_heads_are_mixed(folder, tmp_path):
    mr = tmp_path / "mr"
    mr.mkdir()
    write_volume(make_patient(8004, ("t1",), 4.0)["t1"], mr / "one.nii.gz")
    config = get_preset("mr2ct-cyclegan", {**SMALL, "own": 0.5, "prior": 1, "filled": 0.0}, steps=2)
    out = tmp_path / "out"
    events = list(train(config, out, "cpu", workers=0, data=Folders(mr, folder), anatomy=folder))
    assert sum(event.kind == "step" for event in events) == 2
    assert (out / "data" / "index.json").is_file() and (out / "anatomy" / "index.json").is_file()
    card = read_card(out)["training_data"]
    assert "0.5 of the slices is of 2 volumes" in (out / "card.md").read_text()
    assert "2 volumes" in card and "a.nii.gz" in card and "phantom" in card


def test_a_share_of_the_slices_is_the_first_makers():
    zeros, ones = (lambda seed, v=v: itertools.repeat((torch.full((1,), v),) * 2) for v in (0.0, 1.0))
    stream = mixed(3, (zeros, ones), 0.25)
    mean = np.mean([float(next(stream)[0]) for _ in range(2000)])
    assert 0.7 < mean < 0.8


def test_an_unpaired_training_is_given_pairs_made_from_the_ct_heads(folder, tmp_path):
    changes = SMALL | {"prior": 1, "discriminator": {"width": 4, "layers": 1}, "scanned": 0.0}
    config, head = get_preset("mr2ct-cyclegan", changes, steps=2), ball_head(None)
    mr, ct, known_mr, known_ct, known_ct_noisy, known_t1 = (
        torch.cat(side) for side in zip(*itertools.islice(slice_maker(config, "cpu", None, [head])(3), 60), strict=True)
    )
    for source, outside, contrast in ((known_mr, known_ct < -0.9, 0.2), (known_ct_noisy, known_t1 < 0.05, 0.7)):
        assert (~outside).flatten(1).any(1).sum() >= 10
        assert source[~outside].mean() > source[outside].mean() + contrast  # pixel by pixel the same anatomy
    assert 0.1 < known_ct.amax() < 2 and known_t1.min() >= 0
    assert not torch.equal(ct[:, 0], known_ct[:, 0]) and not torch.equal(mr[:, 0], known_mr[:, 0])
    alone = get_preset("mr2ct-cyclegan", changes | {"prior": 0, "known": 0.0}, steps=2)
    for other in (alone, get_preset("mr2ct-unet", SMALL), get_preset("t1fa-cyclegan", {"size": 64, "prior": 1})):
        assert len(next(slice_maker(other, "cpu", None, [head])(3))) == 2
    events = list(train(config, tmp_path / "out", "cpu", workers=0, anatomy=folder))
    numbers = [event.numbers for event in events if event.kind == "step"]
    assert set(numbers[0]) == {"known", "rate"} and {"known", "cycle"} <= set(numbers[1])


def test_anatomy_is_not_for_generators_from_noise(folder):
    with pytest.raises(InputError, match="anatomy"):
        plan_training("dcgan-digits", {}, anatomy=folder)
