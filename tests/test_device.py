import pytest
import torch
import torch.nn.functional as F

from ganlab.device import autocast, exact, precision

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
    assert precision("cpu") == str(dtype).removeprefix("torch.") and precision("cuda") == "bfloat16"
    with autocast("mps"), exact("mps"):  # no effect there
        assert F.conv2d(x, kernel).dtype == torch.float32
