"""Training a generator: what it writes, exact resuming, NaN losses, and loading what was trained."""

import dataclasses
import json
import math
import re

import pytest
import torch
from PIL import Image

from ganlab.checkpoints import PRETRAINED, load_tensors, read_card, save_tensors
from ganlab.errors import InputError
from ganlab.generation import trainer
from ganlab.generation.config import GanConfig, NetworkConfig
from ganlab.generation.game import ImageGame
from ganlab.generation.image_kinds import Images, get_kind
from ganlab.generation.loading import load_discriminator, load_generator, written_config
from ganlab.generation.networks import noise
from ganlab.generation.trainer import columns, fixed_noise, train

TINY = GanConfig(
    data="digits", network=NetworkConfig(size=16, z=10, width=4, classes=10), batch=8, steps=4, epoch=2, horizon=5,
    augment=("flip",), r1=1.0,
)  # fmt: skip
FILES = ("model", "discriminator", "state")


@pytest.fixture(scope="module")
def images():
    drawn = torch.rand((64, 1, 16, 16), generator=torch.Generator().manual_seed(0))
    return Images(get_kind("digits"), drawn * 2 - 1, torch.arange(64) % 10)


def losses(config, out, images, resume=False):
    return [e.numbers for e in train(config, out, "cpu", resume, images) if e.kind == "step"]


def tensors(folder, file):
    return load_tensors(folder / f"{file}.safetensors")[0]


def test_a_resumed_training_has_the_losses_of_an_uninterrupted_one(tmp_path, images):
    whole = losses(TINY, tmp_path / "whole", images)
    assert len(whole) == 4 and all(math.isfinite(v) for numbers in whole for v in numbers.values())
    events = train(TINY, tmp_path / "cut", "cpu", images=images)
    kinds = [next(events).kind for _ in range(5)]  # the last step is lost
    assert kinds == ["step", "step", "checkpoint", "preview", "step"]
    events.close()
    assert losses(TINY, tmp_path / "cut", images, resume=True) == whole[2:]
    for file in FILES:
        a, b = (tensors(tmp_path / folder, file) for folder in ("whole", "cut"))
        assert a.keys() == b.keys() and all(torch.equal(a[k], b[k]) for k in a)
    pictures = [(tmp_path / folder / "progress.png").read_bytes() for folder in ("whole", "cut")]
    assert pictures[0] == pictures[1]
    assert len(losses(dataclasses.replace(TINY, steps=5), tmp_path / "cut", images, resume=True)) == 1


def test_a_training_writes_models_card_and_samples(tmp_path, images):
    events = list(train(TINY, tmp_path / "mine", "cpu", images=images))
    assert [(e.kind, e.step, e.steps) for e in events if e.kind != "step"] == [
        (kind, step, 4) for step in (2, 4) for kind in ("checkpoint", "preview")
    ]
    assert all(e.path.is_file() for e in events if e.kind != "step")
    card = read_card(tmp_path / "mine")
    assert (card["name"], card["task"], card["steps"]) == ("mine", "generate", 4)
    assert "64 images" in card["training_data"] and "not a medical device" in card["limits"]
    assert written_config(card["config"]) == TINY
    generator, config = load_generator(str(tmp_path / "mine"))
    assert (
        config == TINY
        and not generator.training
        and card["parameters"] == sum(p.numel() for p in generator.parameters())
    )
    discriminator = load_discriminator(str(tmp_path / "mine"))
    assert not discriminator.training and not any(p.requires_grad for p in discriminator.parameters())
    game = ImageGame(TINY, images)
    for _ in range(4):
        game.take_step()
    z, labels = noise(1, 5, TINY.network), torch.arange(5)
    assert torch.allclose(generator(z, labels), game.sample(z, labels), atol=1e-6)
    with Image.open(tmp_path / "mine" / "progress.png") as sheet:
        assert sheet.size == (10 * 17 * 3, 6 * 17 * 3)


@pytest.mark.parametrize(
    ("classes", "wide", "row"), [(0, 8, [0] * 8), (3, 8, [0, 1, 2] * 2 + [0, 1]), (10, 10, [*range(10)])]
)
def test_a_sheet_shows_every_class_in_its_own_column(classes, wide, row):
    config = dataclasses.replace(TINY, network=dataclasses.replace(TINY.network, classes=classes))
    z, labels = fixed_noise(config)
    assert columns(config) == wide and len(z) == len(labels) == 64 // wide * wide
    assert all(labels[at : at + wide].tolist() == row for at in range(0, len(labels), wide))


def test_refuses_to_overwrite_a_training_or_to_resume_it_with_other_settings(tmp_path, images):
    losses(dataclasses.replace(TINY, steps=2), tmp_path, images)
    with pytest.raises(InputError, match="add --resume"):
        losses(TINY, tmp_path, images)
    for changes, name in (({"batch": 16}, "batch"), ({"network": dataclasses.replace(TINY.network, z=9)}, "network")):
        with pytest.raises(InputError, match=rf"another configuration \({name}\b"):
            losses(dataclasses.replace(TINY, **changes), tmp_path, images, resume=True)
    with pytest.raises(InputError, match=r"no training to resume in .*nothing"):
        losses(TINY, tmp_path / "nothing", images, resume=True)
    save_tensors(tmp_path / "state.safetensors", {"x": torch.zeros(1)}, {"task": "mr2ct"})
    with pytest.raises(InputError, match="not a state of this training"):
        losses(TINY, tmp_path, images, resume=True)


def test_a_nan_loss_stops_the_training_and_keeps_the_last_checkpoint(tmp_path, images, monkeypatch):
    class Spoiled(ImageGame):
        def take_step(self):
            if self.step == 3:
                with torch.no_grad():
                    next(self.generator.parameters()).fill_(math.nan)
            return super().take_step()

    whole = losses(TINY, tmp_path / "whole", images)
    monkeypatch.setattr(trainer, "ImageGame", Spoiled)
    with pytest.raises(
        InputError, match=r"At step 4 the loss of the discriminator is nan\. The last checkpoint .*kept"
    ):
        losses(TINY, tmp_path / "cut", images)
    monkeypatch.undo()
    for file in FILES:
        assert all(v.isfinite().all() for v in tensors(tmp_path / "cut", file).values() if v.is_floating_point())
    assert read_card(tmp_path / "cut")["steps"] == 2
    assert losses(TINY, tmp_path / "cut", images, resume=True) == whole[2:]


def spoil(path, part=""):
    """Set one value of a file's last float tensor (of a part) to infinity; returns the tensor's name."""
    known, config = load_tensors(path)
    name = [k for k, v in known.items() if v.is_floating_point() and v.dim() and k.startswith(part)][-1]
    known[name].view(-1)[0] = math.inf
    save_tensors(path, known, config)
    return re.escape(name)


def test_refuses_weights_that_are_nan_or_infinite(tmp_path, images):
    losses(dataclasses.replace(TINY, steps=2), tmp_path, images)
    for file, load in (("model", load_generator), ("discriminator", load_discriminator)):
        name = spoil(tmp_path / f"{file}.safetensors")
        with pytest.raises(
            InputError, match=f'{file}.safetensors" holds NaN or infinite values in the tensor "{name}"'
        ):
            load(str(tmp_path))
    whole = (tmp_path / "state.safetensors").read_bytes()
    for part in ("generator/", "average/", "optimizer discriminator/"):
        (tmp_path / "state.safetensors").write_bytes(whole)
        name = spoil(tmp_path / "state.safetensors", part)
        with pytest.raises(InputError, match=f'state.safetensors" holds .* in the tensor "{name}".*train it again'):
            losses(TINY, tmp_path, images, resume=True)


@pytest.mark.parametrize(("field", "value"), [("size", 64), ("classes", 2)])
def test_refuses_networks_that_do_not_fit_before_making_the_images(tmp_path, field, value):
    config = dataclasses.replace(TINY, network=dataclasses.replace(TINY.network, **{field: value}))
    with pytest.raises(InputError, match=f"network.{field} is {value}, which does not fit"):
        next(train(config, tmp_path, "cpu"))


@pytest.mark.skipif(not (PRETRAINED / "mr2ct-unet").is_dir(), reason="no translation model here")
def test_refuses_a_translation_model_as_a_generator():
    with pytest.raises(InputError, match='"mr2ct-unet" is not a generator from noise'):
        load_generator("mr2ct-unet")


def test_refuses_files_that_are_not_generators(tmp_path):
    for name in ("weights.pt", "weights.ckpt", "/tmp/model.PKL"):
        with pytest.raises(InputError, match="pickled"):
            load_generator(name)
    with pytest.raises(InputError, match="no model"):
        load_generator(str(tmp_path))
    written = json.loads(json.dumps(dataclasses.asdict(TINY)))
    for network, sentence in (
        ({"z": 10, "depth": 3}, "depth is not known.* train the model again"),
        ({"z": 10, "width": 1}, "Width is 1; .* train the model again"),
        (written["network"], "a different architecture"),
        ({"width": 4}, "not a generator from noise"),
    ):
        save_tensors(tmp_path / "model.safetensors", {"x": torch.zeros(1)}, written | {"network": network})
        with pytest.raises(InputError, match=sentence):
            load_generator(str(tmp_path))
