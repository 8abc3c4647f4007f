"""Questions of the lectures, put to images whose truth is known: trainings that differ in one thing."""

from __future__ import annotations

from importlib import import_module

from ganlab.errors import InputError

EXPERIMENTS = {"paired-vs-unpaired": "alignment", "hallucination": "hallucination", "generators": "generators"}


def get_experiment(name: str):
    """The module of an experiment: STEPS, arms(steps, seed), measure(steps, out, device, progress), format_result."""
    if name not in EXPERIMENTS:
        raise InputError(f'Experiment "{name}" is not known; choose from {", ".join(EXPERIMENTS)}.')
    return import_module(f"ganlab.experiments.{EXPERIMENTS[name]}")
