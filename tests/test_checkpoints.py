"""Weights on disk are what was written, or they are not used."""

import hashlib

import pytest
import torch

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
    with pytest.raises(InputError, match=r"was changed since it was written .* copy it again or train it anew"):
        load_tensors(path)


def test_every_file_that_is_shipped_is_listed_with_its_digest():
    found = {path.resolve() for path in PRETRAINED.glob("*/*.safetensors")}
    assert shipped_digests().keys() == found  # cd pretrained && sha256sum */*.safetensors > SHA256SUMS
    for path, told in shipped_digests().items():
        assert hashlib.sha256(path.read_bytes()).hexdigest() == told, path


def test_a_shipped_file_that_was_changed_is_refused(tmp_path, monkeypatch):
    path = tmp_path / "model" / "model.safetensors"
    save_tensors(path, TENSORS, {})
    told = hashlib.sha256(path.read_bytes()).hexdigest()
    monkeypatch.setattr(checkpoints, "shipped_digests", lambda: {path.resolve(): told})
    load_tensors(path)
    save_tensors(path, TENSORS | {"step": torch.tensor(8)}, {})  # a whole file, but another
    with pytest.raises(InputError, match="fetch it from the repository again"):
        load_tensors(path)


def test_a_folder_that_holds_a_pickled_model_only_says_why_it_is_not_opened(tmp_path):
    (tmp_path / "model.pth").write_bytes(b"")
    with pytest.raises(InputError, match=r"pickled file .* can run any code"):
        checkpoints.model_folder(str(tmp_path))
