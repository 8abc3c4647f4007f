"""Weights are used only if unchanged; cards are valid for the Hugging Face Hub."""

import hashlib

import pytest
import torch
from safetensors.torch import save_file

from ganlab import checkpoints
from ganlab.checkpoints import PRETRAINED, load_tensors, read_card, save_tensors, shipped_digests, write_card
from ganlab.errors import InputError

TENSORS = {
    "weight": torch.arange(600, dtype=torch.float32).reshape(20, 30),
    "step": torch.tensor(7),
    "half": torch.ones(5, dtype=torch.bfloat16),
}


def flipped(path):
    """Flip one bit in the middle of the last tensor in a file."""
    content = bytearray(path.read_bytes())
    content[-1000] ^= 1
    path.write_bytes(content)


def test_tensors_and_configuration_are_read_back(tmp_path):
    save_tensors(tmp_path / "a.safetensors", TENSORS, {"steps": 3})
    tensors, config = load_tensors(tmp_path / "a.safetensors")
    assert config == {"steps": 3}
    assert all(torch.equal(tensors[name], values) for name, values in TENSORS.items())


def test_refuses_weights_with_one_changed_bit(tmp_path):
    path = tmp_path / "a.safetensors"
    save_tensors(path, TENSORS, {})
    flipped(path)
    with pytest.raises(InputError, match=r"was changed after it was written .*copy it again"):
        load_tensors(path)


def test_every_shipped_file_is_listed_with_its_digest():
    files = {path.relative_to(PRETRAINED).as_posix() for path in PRETRAINED.glob("*/*.safetensors")}
    assert shipped_digests().keys() == files  # cd pretrained && sha256sum */*.safetensors > SHA256SUMS
    for name, digest in shipped_digests().items():
        assert hashlib.sha256((PRETRAINED / name).read_bytes()).hexdigest() == digest, name


def test_refuses_a_file_without_a_digest_unless_it_is_shipped(tmp_path, monkeypatch):
    path = tmp_path / "model.safetensors"
    save_file(TENSORS, path, {"config": "{}"})
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    monkeypatch.setattr(checkpoints, "shipped_digests", lambda: {"one/model.safetensors": digest})
    assert torch.equal(load_tensors(path)[0]["weight"], TENSORS["weight"])
    flipped(path)
    with pytest.raises(InputError, match="not one of the shipped files"):
        load_tensors(path)


def test_refuses_a_folder_with_a_pickled_model(tmp_path):
    (tmp_path / "model.pth").write_bytes(b"")
    with pytest.raises(InputError, match=r"pickled file .* can run any code"):
        checkpoints.model_folder(str(tmp_path))


def test_a_card_is_valid_for_the_hub_and_read_back(tmp_path):
    from huggingface_hub import ModelCard

    front = {"name": "mine", "task": "mr2ct", "steps": 3, "metrics": {"mean": {"mae": 1.5, "ssim": 0.9}, "sd": {}}}
    write_card(tmp_path, front, "\n# Mine\n")
    assert read_card(tmp_path) == front
    card = ModelCard.load(tmp_path / "card.md")
    assert card.data.metrics == ["mae", "ssim"] and card.data.pipeline_tag == "image-to-image"
    assert card.data.tags == ["gan", "medical-imaging"] and card.text.strip() == "# Mine"


@pytest.mark.parametrize("folder", sorted(path.parent for path in PRETRAINED.glob("*/card.md")), ids=lambda p: p.name)
def test_every_shipped_card_is_read(folder):
    card = read_card(folder)
    assert (
        card["name"] == folder.name and {"task", "config", "parameters", "metrics", "steps", "minutes"} <= card.keys()
    )
