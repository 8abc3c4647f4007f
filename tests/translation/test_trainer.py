import dataclasses
import itertools
import math

import pytest
import torch

from ganlab.checkpoints import load_tensors, read_card, save_tensors
from ganlab.errors import InputError
from ganlab.training import learning_rate
from ganlab.translation.methods import TrainingConfig
from ganlab.translation.networks import PatchGANConfig, ResNetConfig, UNet, UNetConfig
from ganlab.translation.presets import get_preset
from ganlab.translation.trainer import freeze_statistics, train

TINY = TrainingConfig(network=UNetConfig(widths=(4, 6)), steps=4, batch=2, size=32, epoch=2)


D = PatchGANConfig(width=4, layers=1)
TINIES = {
    "l1": TINY,
    "fa": dataclasses.replace(TINY, task="t1fa"),
    "ct2mr": dataclasses.replace(TINY, task="ct2mr"),
    "pix2pix": dataclasses.replace(TINY, method="pix2pix", discriminator=dataclasses.replace(D, channels=2)),
    "cyclegan": dataclasses.replace(TINY, method="cyclegan", discriminator=D, pool=3, structure=1.0, identity=1.0),
    "resnet": dataclasses.replace(TINY, network=ResNetConfig(width=4, blocks=1)),
}


def losses(config, out, resume=False):
    return [e.numbers for e in train(config, out, "cpu", resume, workers=0) if e.kind == "step"]


@pytest.mark.parametrize("kind", TINIES)
def test_a_resumed_run_has_the_losses_of_an_uninterrupted_one(tmp_path, kind):
    config = TINIES[kind]
    whole = losses(config, tmp_path / "whole")
    assert len(whole) == 4 and all(math.isfinite(v) for numbers in whole for v in numbers.values())
    events = train(config, tmp_path / "cut", "cpu", workers=0)
    for event in events:
        if event.kind == "checkpoint":
            break
    events.close()
    assert losses(config, tmp_path / "cut", resume=True) == whole[2:]
    files = {f.name for f in (tmp_path / "whole").iterdir()} - {"state.safetensors", "card.md"}
    assert ("back.safetensors" in files) == (kind == "cyclegan")
    for file in files:
        a, b = (load_tensors(tmp_path / d / file)[0] for d in ("whole", "cut"))
        assert all(torch.equal(a[k], b[k]) for k in a)
    assert read_card(tmp_path / "whole")["task"] == config.task


def test_starting_over_a_training_or_changing_it_is_refused(tmp_path):
    losses(dataclasses.replace(TINY, steps=2), tmp_path)
    with pytest.raises(InputError, match="--resume"):
        losses(TINY, tmp_path)
    with pytest.raises(InputError, match="batch"):
        losses(dataclasses.replace(TINY, batch=3), tmp_path, resume=True)
    with pytest.raises(InputError, match="not a readable"):
        losses(TINY, tmp_path / "nothing", resume=True)


def test_learning_rate_warms_up_holds_and_falls_to_zero():
    rates = [learning_rate(s, 1000, 1.0) for s in range(1000)]
    assert rates[0] == pytest.approx(0.01) and rates[200] == rates[700] == 1.0
    assert rates[999] < 0.005 and all(a >= b for a, b in itertools.pairwise(rates[750:]))


def test_checkpoints_carry_their_configuration_and_refuse_what_is_none(tmp_path):
    save_tensors(tmp_path / "a.safetensors", {"x": torch.arange(3.0)}, {"k": 1})
    tensors, config = load_tensors(tmp_path / "a.safetensors")
    assert config == {"k": 1} and tensors["x"].tolist() == [0, 1, 2]
    (tmp_path / "b.safetensors").write_bytes(b"nonsense")
    for name in ("b", "missing"):
        with pytest.raises(InputError):
            load_tensors(tmp_path / f"{name}.safetensors")


def test_unknown_preset():
    with pytest.raises(InputError, match="mr2ct-unet"):
        get_preset("mr2ct-magic")


def test_frozen_statistics_stay_while_weights_learn():
    net = UNet(UNetConfig(widths=(4, 6))).train()
    freeze_statistics(net)
    before = {k: v.clone() for k, v in net.state_dict().items() if "running" in k}
    net(torch.randn(2, 1, 16, 16)).sum().backward()
    assert all(torch.equal(net.state_dict()[k], v) for k, v in before.items())
    assert all(p.grad is not None for p in net.parameters())
