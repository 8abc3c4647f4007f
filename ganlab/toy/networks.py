"""Multilayer perceptrons of K runs at once: a flat parameter tensor (K, P), batched products, a backward pass by hand.

A layer is a pair of views into the flat tensor, weight (K, inputs, outputs) and bias (K, 1, outputs), so an optimiser
works on one tensor and a network on its views. Inputs are (K, batch, features).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

from ganlab.errors import InputError
from ganlab.lazy import Tensor, torch

Layers = list[tuple[Tensor, Tensor]]
Shapes = tuple[tuple[int, int], ...]  # (inputs, outputs) of every layer
LEAK = 0.2  # slope of LeakyReLU below zero (Radford et al., DCGAN, 2016)


class Activation(NamedTuple):
    """function(h); backward(delta, output): delta times the derivative, from the output alone."""

    function: Callable[[Tensor], Tensor]
    backward: Callable[[Tensor, Tensor], Tensor]


ACTIVATIONS = {
    "relu": Activation(lambda h: torch.relu(h), lambda d, h: torch.ops.aten.threshold_backward(d, h, 0)),
    "leaky-relu": Activation(
        lambda h: torch.nn.functional.leaky_relu(h, LEAK),
        lambda d, h: torch.ops.aten.leaky_relu_backward(d, h, LEAK, True),
    ),
    "tanh": Activation(lambda h: torch.tanh(h), lambda d, h: torch.ops.aten.tanh_backward(d, h)),
}


@dataclass(frozen=True)
class Network:
    """Hidden layers, units in each, activation, and spectral norm (of a discriminator's weights)."""

    layers: int = 3
    units: int = 64
    activation: str = "relu"
    spectral: bool = False

    def check(self, whose: str) -> None:
        if not (isinstance(self.layers, int) and 1 <= self.layers <= 5):
            raise InputError(f"The {whose} has {self.layers} hidden layers; 1 to 5 are possible.")
        if not (isinstance(self.units, int) and 4 <= self.units <= 512):
            raise InputError(f"The {whose} has {self.units} units per layer; 4 to 512 are possible.")
        if self.activation not in ACTIVATIONS:
            raise InputError(f'Activation "{self.activation}" is not known; choose from {", ".join(ACTIVATIONS)}.')

    def shapes(self, inputs: int, outputs: int, beside: int = 0) -> Shapes:
        """beside: features that join the last hidden layer's on the way to the output."""
        hidden = [inputs] + [self.units] * self.layers
        return (*pairwise(hidden), (self.units + beside, outputs))


def count(shapes: Shapes) -> int:
    """Parameters of layers with these shapes."""
    return sum(i * j + j for i, j in shapes)


def views(flat: Tensor, shapes: Shapes) -> Layers:
    """The layers in a flat tensor (K, count(shapes)); gradients flow through."""
    layers, at = [], 0
    for i, j in shapes:
        weight = flat[:, at : at + i * j].view(len(flat), i, j)
        layers.append((weight, flat[:, at + i * j : at + i * j + j].view(len(flat), 1, j)))
        at += i * j + j
    return layers


def initial(shapes: Shapes, gains: list[float], generator: torch.Generator) -> Tensor:
    """(count,) random parameters of one run: normal weights of std gain / sqrt(inputs), biases 0."""
    parts = []
    for (i, j), gain in zip(shapes, gains, strict=True):
        parts += [gain / i**0.5 * torch.randn(i * j, generator=generator), torch.zeros(j)]
    return torch.cat(parts)


def gains(network: Network) -> list[float]:
    """For initial(): He et al. (ICCV 2015, equation 10) before rectifiers, 1 before tanh and the output."""
    return [1.0 if network.activation == "tanh" else 2**0.5] * network.layers + [1.0]


def forward(layers: Layers, x: Tensor, activation: str) -> list[Tensor]:
    """[x, hidden layers' outputs ..., output], each (K, batch, features)."""
    function = ACTIVATIONS[activation].function
    outputs = [x]
    for k, (weight, bias) in enumerate(layers):
        h = torch.baddbmm(bias, outputs[-1], weight)
        outputs.append(function(h) if k < len(layers) - 1 else h)
    return outputs


def backward(
    layers: Layers, outputs: list[Tensor], delta: Tensor, activation: str, into: Layers | None, to_input: bool = False
) -> Tensor | None:
    """Back through what forward() returned, from delta = dL / d output.

    Writes dL / d parameters to the views `into`, unless None; returns dL / d input if to_input.
    """
    behind = ACTIVATIONS[activation].backward
    for k in range(len(layers) - 1, -1, -1):
        if into is not None:
            weight, bias = into[k]
            torch.bmm(outputs[k].mT, delta, out=weight)
            torch.sum(delta, 1, keepdim=True, out=bias)
        if k:
            delta = behind(torch.bmm(delta, layers[k][0].mT), outputs[k])
        elif to_input:
            return torch.bmm(delta, layers[0][0].mT)
    return None


class Spectrum(NamedTuple):
    """A weight's largest singular value (K, 1, 1) and its vectors, left (K, inputs, 1) and right (K, 1, outputs)."""

    sigma: Tensor
    left: Tensor
    right: Tensor


def spectrum(weight: Tensor, right: Tensor, steps: int = 1) -> Spectrum:
    """Power iteration from the last right vector (K, 1, outputs) (Miyato et al., ICLR 2018, algorithm 1).

    Gradients flow through sigma = left' W right, not through the vectors, as there.
    """
    with torch.no_grad():
        for _ in range(steps):
            left = torch.nn.functional.normalize(weight @ right.mT, dim=1)
            right = torch.nn.functional.normalize(left.mT @ weight, dim=2)
    return Spectrum(left.mT @ weight @ right.mT, left, right)


def unnormalised(gradient: Tensor, normalised: Tensor, s: Spectrum) -> Tensor:
    """dL / dW from dL / d(W / sigma): what points along the largest singular value is taken away."""
    along = (gradient * normalised).sum((1, 2), keepdim=True)
    return (gradient - along * (s.left * s.right)) / s.sigma
