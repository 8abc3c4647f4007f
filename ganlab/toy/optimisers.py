"""Optimisers on flat parameter tensors (K, P), as pure functions: (gradient, state, hyper-parameters) -> (step to
subtract, new state). They do not modify their arguments, so that unrolling can differentiate through them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from ganlab.lazy import Tensor, torch

EPSILON = 1e-8


class State(NamedTuple):
    """first, second: moment estimates (K, P). count: steps so far."""

    first: Tensor
    second: Tensor
    count: int = 0


def new_state(flat: Tensor) -> State:
    return State(torch.zeros_like(flat), torch.zeros_like(flat))


def sgd(g: Tensor, s: State, rate: float, beta1: float, beta2: float) -> tuple[Tensor, State]:
    """rate g"""
    return rate * g, s._replace(count=s.count + 1)


def momentum(g: Tensor, s: State, rate: float, beta1: float, beta2: float) -> tuple[Tensor, State]:
    """m = beta1 m + g; rate m (Polyak, 1964; beta1 may be negative: Gidel et al., AISTATS 2019)"""
    m = beta1 * s.first + g
    return rate * m, State(m, s.second, s.count + 1)


def rmsprop(g: Tensor, s: State, rate: float, beta1: float, beta2: float) -> tuple[Tensor, State]:
    """v = beta2 v + (1 - beta2) g^2; rate g / sqrt v (Tieleman and Hinton, 2012)"""
    v = torch.addcmul(beta2 * s.second, g, g, value=1 - beta2)
    return rate * g / (v.clamp_min(EPSILON**2).sqrt() + EPSILON), State(s.first, v, s.count + 1)


def adam(g: Tensor, s: State, rate: float, beta1: float, beta2: float) -> tuple[Tensor, State]:
    """m = beta1 m + (1 - beta1) g, v = beta2 v + (1 - beta2) g^2; rate m' / sqrt v', both unbiased (Kingma and Ba,
    ICLR 2015, algorithm 1)"""
    t = s.count + 1
    m = torch.lerp(s.first, g, 1 - beta1)
    v = torch.addcmul(beta2 * s.second, g, g, value=1 - beta2)
    scale = (v / (1 - beta2**t)).clamp_min(EPSILON**2).sqrt() + EPSILON  # clamped, so that its derivative is finite
    return (m / scale) * (rate / (1 - beta1**t)), State(m, v, t)


OPTIMISERS: dict[str, Callable] = {"sgd": sgd, "momentum": momentum, "rmsprop": rmsprop, "adam": adam}
