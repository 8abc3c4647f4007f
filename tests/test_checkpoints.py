"""Weights on disk are what was written, or they are not used."""

import hashlib

import pytest
import torch
from safetensors.torch import save_file

from ganlab import checkpoints
from ganlab.checkpoints import PRETRAINED, load_tensors, save_tensors, shipped_digests
from ganlab.errors import InputError

TENSORS = {
    "weight": torch.arange(600, dtype=torch.float32).reshape(20, 30),
    "step": torch.tensor(7),
    "half": torch.ones(5, dtype=torch.bfloat16),
}


def flipped(path):
    """One bit of the last tensor's middle, changed in the file."""
    content = bytearray(path.read_bytes())
    content[-1000] ^= 1
    path.write_bytes(content)


def test_what_was_written_comes_back(tmp_path):
    save_tensors(tmp_path / "a.safetensors", TENSORS, {"steps": 3})
    tensors, config = load_tensors(tmp_path / "a.safetensors")
    assert config == {"steps": 3}
    assert all(torch.equal(tensors[name], values) for name, values in TENSORS.items())


def test_one_bit_that_was_changed_is_seen(tmp_path):
    path = tmp_path / "a.safetensors"
    save_tensors(path, TENSORS, {})
    flipped(path)
    with pytest.raises(InputError, match=r"was changed since it was written, .* copy it again"):
        load_tensors(path)


def test_every_file_that_is_shipped_is_listed_with_its_digest():
    found = {path.relative_to(PRETRAINED).as_posix() for path in PRETRAINED.glob("*/*.safetensors")}
    assert shipped_digests().keys() == found  # cd pretrained && sha256sum */*.safetensors > SHA256SUMS
    for name, told in shipped_digests().items():
        assert hashlib.sha256((PRETRAINED / name).read_bytes()).hexdigest() == told, name


def test_a_file_without_a_digest_inside_is_a_shipped_one_or_refused(tmp_path, monkeypatch):
    path = tmp_path / "model.safetensors"
    save_file(TENSORS, path, {"config": "{}"})
    told = hashlib.sha256(path.read_bytes()).hexdigest()
    monkeypatch.setattr(checkpoints, "shipped_digests", lambda: {"one/model.safetensors": told})
    assert torch.equal(load_tensors(path)[0]["weight"], TENSORS["weight"])
    flipped(path)
    with pytest.raises(InputError, match="no file of the repository as it was"):
        load_tensors(path)


def test_a_folder_that_holds_a_pickled_model_only_says_why_it_is_not_opened(tmp_path):
    (tmp_path / "model.pth").write_bytes(b"")
    with pytest.raises(InputError, match=r"pickled file .* can run any code"):
        checkpoints.model_folder(str(tmp_path))
