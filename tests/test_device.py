import pytest
import torch
import torch.nn.functional as F

from ganlab.device import autocast, exact, precision
from ganlab.errors import InputError

NATIVE, OTHER = (torch.bfloat16, ("amx_bf16", "avx512_bf16")), (torch.float32, ("amx_int8", "avx512_f"))


@pytest.mark.parametrize(("offers", "dtype"), [({name: True}, d) for d, names in (NATIVE, OTHER) for name in names])
def test_trains_in_bfloat16_on_a_cpu_that_multiplies_it_natively(monkeypatch, offers, dtype):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: offers)
    x, kernel = torch.rand(1, 1, 8, 8), torch.rand(1, 1, 3, 3)
    with autocast("cpu"):
        assert F.conv2d(x, kernel).dtype == dtype
        with exact("cpu"):
            assert F.conv2d(x, kernel).dtype == torch.float32
        assert F.conv2d(x, kernel).dtype == dtype
    assert precision("cpu") == str(dtype).removeprefix("torch.")
    with autocast("mps"), exact("mps"):  # no effect there
        assert F.conv2d(x, kernel).dtype == torch.float32


def test_a_gpu_uses_bfloat16_if_it_need_not_emulate_it(monkeypatch):
    for native in (True, False):
        monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation, native=native: native)
        assert precision("cuda") == ("bfloat16" if native else "float32")
        assert precision("cuda", "bfloat16") == "bfloat16" and precision("cuda", "float32") == "float32"


@pytest.mark.parametrize(("device", "name", "phrase"), [("cpu", "half", "half.*auto"), ("mps", "bfloat16", "float32")])
def test_refuses_a_precision_that_is_unknown_or_that_the_device_does_not_have(device, name, phrase):
    with pytest.raises(InputError, match=phrase):
        precision(device, name)
