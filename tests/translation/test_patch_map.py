"""Discriminators with a known output, and its position in the map."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from ganlab.checkpoints import DISCRIMINATOR, as_config, has_discriminator, save_tensors
from ganlab.errors import InputError
from ganlab.imaging.volume import Volume
from ganlab.translation import patch_map as module
from ganlab.translation.networks import PatchGAN, PatchGANConfig
from ganlab.translation.patch_map import patch_centre, patch_map
from ganlab.translation.training_config import TrainingConfig


def head(shape=(72, 80, 64), spacing=1.0) -> Volume:
    """A ball of tissue, RAS."""
    affine = np.diag([spacing, spacing, spacing, 1.0])
    at = np.stack(np.meshgrid(*(np.arange(n) - n / 2 for n in shape), indexing="ij"))
    return Volume(np.where(np.sqrt((at**2).sum(0)) < 26, 100.0, 0.0).astype(np.float32), affine, "arbitrary", "t1")


def write_discriminator(folder, channels=1, objective="least-squares", layers=1, method="cyclegan"):
    """A discriminator that answers with the mean of the last channel over its patch."""
    shape = PatchGANConfig(channels=channels, width=1, layers=layers)
    config = as_config(TrainingConfig(method=method, discriminator=shape)) | {"objective": objective}
    net = PatchGAN(shape)
    with torch.no_grad():
        for p in net.parameters():
            p.zero_() if p.dim() == 1 else p.fill_(1 / (p[0].numel() / p.shape[1]))
        net.body[0].weight[:, :-1] = 0
    save_tensors(folder / DISCRIMINATOR, net.state_dict(), config)
    save_tensors(folder / "model.safetensors", {}, {})
    return net


@pytest.mark.parametrize("layers", [1, 2, 3])
def test_a_patch_is_centred_where_its_gradient_is(layers):
    net = PatchGAN(PatchGANConfig(width=2, layers=layers))
    net.body = torch.nn.Sequential(*(m for m in net.body if isinstance(m, torch.nn.Conv2d)))
    image = torch.zeros(1, 1, 160, 160, requires_grad=True)
    with torch.no_grad():
        for p in net.parameters():
            p.fill_(1.0 if p.dim() > 1 else 0.0)
    k = 80 // 2**layers
    net(image)[0, 0, k, k].backward()
    weight = image.grad[0, 0].sum(1)
    centre = float((weight * torch.arange(160)).sum() / weight.sum())
    assert centre == pytest.approx(patch_centre(layers) + k * 2**layers)


def test_the_map_lies_on_the_volume_and_holds_the_discriminators_answers(tmp_path, monkeypatch):
    write_discriminator(tmp_path)
    assert has_discriminator(str(tmp_path))
    source = head()
    ct = replace(source, array=np.where(source.array > 0, 400.0, -1000.0).astype(np.float32), unit="HU", modality="ct")
    monkeypatch.setattr(module.PatchGAN, "forward", lambda net, x: net.body[0](x)[:, :, ::1, ::1])
    monkeypatch.setattr(module, "patch_centre", lambda layers: 0.5)
    done = []
    result = patch_map(ct, source, str(tmp_path), "cpu", done.append)
    assert result.shape == source.shape and np.allclose(result.affine, source.affine) and done[-1] == 1
    assert result.array.min() >= 0 and result.array.max() <= 1
    assert result.array[36, 40, 32] == pytest.approx(0.4, abs=1e-3)  # thousands of HU
    turned = replace(ct, array=ct.array[::-1].copy(), affine=ct.affine @ np.diag([-1.0, 1, 1, 1]))
    scan = replace(source, array=source.array[::-1].copy(), affine=turned.affine)
    assert patch_map(turned, scan, str(tmp_path), "cpu").shape == result.shape


def test_a_conditional_discriminator_sees_the_source(tmp_path):
    write_discriminator(tmp_path, channels=2, objective="non-saturating", method="pix2pix")
    source = head()
    ct = replace(source, array=np.full(source.shape, 40.0, np.float32), unit="HU", modality="ct")
    result = patch_map(ct, source, str(tmp_path), "cpu").array
    assert result.min() >= 0 and result.max() <= 1 and result.max() > 0


def test_refuses_models_without_a_discriminator_and_games_without_a_probability(tmp_path):
    save_tensors(tmp_path / "model.safetensors", {}, {})
    assert not has_discriminator(str(tmp_path))
    with pytest.raises(InputError, match="no discriminator"):
        patch_map(head(), head(), str(tmp_path))
    write_discriminator(tmp_path, objective="wgan-gp")
    with pytest.raises(InputError, match="no probability"):
        patch_map(head(), head(), str(tmp_path))
    save_tensors(tmp_path / DISCRIMINATOR, {}, {"task": "mr2ct"})
    with pytest.raises(InputError, match="which discriminator"):
        patch_map(head(), head(), str(tmp_path))


def test_refuses_a_discriminator_of_another_task(tmp_path):
    write_discriminator(tmp_path)
    with pytest.raises(InputError, match="makes CT from T1, not FA; choose t1fa-"):
        patch_map(replace(head(), modality="fa"), head(), str(tmp_path))
