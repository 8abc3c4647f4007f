"""The only place that knows about devices, precision and threads."""

from __future__ import annotations

from contextlib import nullcontext

from ganlab.errors import InputError

CHOICES = ("auto", "cpu", "cuda", "mps")


def resolve(name: str = "auto") -> str:
    """The device to use: the asked-for one if it is there, or the best there is for "auto"."""
    import torch

    if name not in CHOICES:
        raise InputError(f'Device "{name}" is not known; choose one of {", ".join(CHOICES)}.')
    there = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if name == "auto":
        return next(d for d in ("cuda", "mps", "cpu") if there[d])
    if not there[name]:
        raise InputError(f'Device "{name}" is not available on this machine; use --device auto.')
    return name


def autocast(device: str):
    """For training: bfloat16 on CUDA, and on a processor with tiles for it (Intel AMX: two to three times as fast);
    float32 elsewhere."""
    import torch

    return torch.autocast(device, torch.bfloat16) if precision(device) == "bfloat16" else nullcontext()


def precision(device: str) -> str:
    """Of trainings on a device."""
    import torch

    tiles = device == "cpu" and torch.cpu.get_capabilities().get("amx_bf16")
    return "bfloat16" if device == "cuda" or tiles else "float32"


def exact(device: str):
    """float32 within `autocast`, for what is not a network."""
    import torch

    return torch.autocast(device, enabled=False) if device in ("cuda", "cpu") else nullcontext()


def one_thread() -> None:
    """Keep torch in the calling thread from starting threads of its own; unlike torch.set_num_threads, no other thread
    hears of it. For small tensors, and where several threads fill the cores anyway."""
    import torch
    from threadpoolctl import threadpool_limits

    torch.get_num_threads()  # has its defaults set now, not later
    threadpool_limits(1, user_api="openmp")


def describe_device(device: str) -> str:
    """The device as a person would name it, for model cards."""
    import os
    import platform

    import torch

    if device == "cuda":
        return torch.cuda.get_device_name()
    return f"{device} ({platform.machine()}, {os.cpu_count()} cores)"


def describe() -> dict:
    """What this machine offers, for `python -m ganlab info`."""
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
