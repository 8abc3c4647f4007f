"""Controlled experiments: training runs that differ in one factor, on images with known ground truth."""

from __future__ import annotations

from importlib import import_module

from ganlab.errors import InputError

EXPERIMENTS = {"paired-vs-unpaired": "alignment", "hallucination": "hallucination", "generators": "generators"}


def get_experiment(name: str):
    """The module of an experiment, which has STEPS, arms(steps, seed), measure(steps, out, device, progress) and
    format_result(result). Raises InputError for an unknown name."""
    if name not in EXPERIMENTS:
        raise InputError(f'Experiment "{name}" is not known; choose from {", ".join(EXPERIMENTS)}.')
    return import_module(f"ganlab.experiments.{EXPERIMENTS[name]}")
