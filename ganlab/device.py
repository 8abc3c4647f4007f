"""Devices, precision and threads: the only place that knows about them."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

from ganlab.errors import InputError

CHOICES = ("auto", "cpu", "cuda", "mps")
PRECISIONS = ("auto", "float32", "bfloat16")
NATIVE_BFLOAT16 = ("avx512_bf16", "amx_bf16")  # instructions of processors, as torch names them


def check_choice(name: str) -> None:
    """Raise InputError for a device that is not one of CHOICES, without loading torch."""
    if name not in CHOICES:
        raise InputError(f'Device "{name}" is not known; choose one of {", ".join(CHOICES)}.')


def check_precision(name: str) -> None:
    """Raise InputError for a precision that is not one of PRECISIONS, without loading torch."""
    if name not in PRECISIONS:
        raise InputError(f'Precision "{name}" is not known; choose one of {", ".join(PRECISIONS)}.')


def resolve(name: str = "auto") -> str:
    """The device of that name, or the best available for "auto". Raises InputError for one that is not available."""
    import torch

    check_choice(name)
    available = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if name == "auto":
        return next(d for d in ("cuda", "mps", "cpu") if available[d])
    if not available[name]:
        raise InputError(f'Device "{name}" is not available on this machine; use --device auto.')
    return name


def autocast(device: str, name: str = "auto") -> AbstractContextManager:
    """Runs networks in the `precision` of that name; their weights stay in float32."""
    import torch

    return torch.autocast(device, torch.bfloat16) if precision(device, name) == "bfloat16" else nullcontext()


def precision(device: str, name: str = "auto") -> str:
    """The precision of networks on a device, "bfloat16" or "float32", in training and inference.

    name: one of PRECISIONS; "auto" is bfloat16 on hardware that multiplies it natively, where it takes half of the
    time: GPUs since Ampere and processors with AVX512-BF16 or AMX. That depends on the hardware alone, so that the same
    machine always gives the same result. Raises InputError.
    """
    import torch

    check_precision(name)
    if name == "bfloat16" and device == "mps":
        raise InputError("bfloat16 is not used on mps; choose --precision float32, or --device cpu.")
    if name != "auto":
        return name
    if device == "cuda":
        return "bfloat16" if torch.cuda.is_bf16_supported(including_emulation=False) else "float32"
    offers = torch.cpu.get_capabilities() if device == "cpu" else {}
    return "bfloat16" if any(offers.get(feature) for feature in NATIVE_BFLOAT16) else "float32"


def exact(device: str) -> AbstractContextManager:
    """float32 inside `autocast`, for computations other than networks."""
    import torch

    return torch.autocast(device, enabled=False) if device in ("cuda", "cpu") else nullcontext()


def one_thread() -> None:
    """Make torch use one thread in the calling thread only; torch.set_num_threads would change it for all. For small
    tensors, and when other threads already use all cores."""
    import torch
    from threadpoolctl import threadpool_limits

    torch.get_num_threads()  # so that torch sets its defaults now, not later
    threadpool_limits(1, user_api="openmp")


def describe_device(device: str) -> str:
    """The device in words, for model cards."""
    import os
    import platform

    import torch

    if device == "cuda":
        return torch.cuda.get_device_name()
    return f"{device} ({platform.machine()}, {os.cpu_count()} cores)"


def describe() -> dict:
    """Versions, device and threads of this machine, for `ganlab info`."""
    import os
    import platform

    import torch

    best = resolve("auto")
    return {
        "device": best,
        "gpu": torch.cuda.get_device_name() if best == "cuda" else None,
        "cpu_cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "python": platform.python_version(),
        "platform": platform.platform(),
    }
