"""Multilayer perceptrons of K runs at once: a flat parameter tensor (K, P), batched products, a backward pass by hand.

A layer is a pair of views into the flat tensor, weight (K, inputs, outputs) and bias (K, 1, outputs): an optimiser
works on one tensor, a network on its views. Inputs are (K, batch, features).
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import NamedTuple

from ganlab.lazy import Tensor, torch

Layers = list[tuple[Tensor, Tensor]]
Shapes = tuple[tuple[int, int], ...]  # (inputs, outputs) of every layer
LEAK = 0.2  # slope of LeakyReLU below zero (Radford et al., DCGAN, 2016)
KERNELS, KERNEL_SIZE = 8, 4  # of minibatch discrimination


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


def network_shapes(layers: int, units: int, inputs: int, outputs: int, extra: int = 0) -> Shapes:
    """Shapes of `layers` hidden layers and the output; extra: number of features appended to the last hidden layer."""
    hidden = [inputs] + [units] * layers
    return (*pairwise(hidden), (units + extra, outputs))


def count(shapes: Shapes) -> int:
    """Parameters of layers with these shapes."""
    return sum(i * j + j for i, j in shapes)


def views(flat: Tensor, shapes: Shapes) -> Layers:
    """The layers in a flat tensor (K, count(shapes)); gradients flow through."""
    layers, start = [], 0
    for i, j in shapes:
        weight = flat[:, start : start + i * j].view(len(flat), i, j)
        layers.append((weight, flat[:, start + i * j : start + i * j + j].view(len(flat), 1, j)))
        start += i * j + j
    return layers


def initial(shapes: Shapes, gains: list[float], generator: torch.Generator) -> Tensor:
    """(count,) random parameters of one run: normal weights of std gain / sqrt(inputs), biases 0."""
    parts = []
    for (i, j), gain in zip(shapes, gains, strict=True):
        parts += [gain / i**0.5 * torch.randn(i * j, generator=generator), torch.zeros(j)]
    return torch.cat(parts)


def initial_gains(layers: int, activation: str) -> list[float]:
    """For initial(): He et al. (ICCV 2015, equation 10) before rectifiers, 1 before tanh and the output."""
    return [1.0 if activation == "tanh" else 2**0.5] * layers + [1.0]


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
    """Backpropagate through the outputs of forward(), from delta = dL / d output.

    Writes dL / d parameters to the views `into`, unless None; returns dL / d input if to_input.
    """
    through = ACTIVATIONS[activation].backward
    for k in range(len(layers) - 1, -1, -1):
        if into is not None:
            weight, bias = into[k]
            torch.bmm(outputs[k].mT, delta, out=weight)
            torch.sum(delta, 1, keepdim=True, out=bias)
        if k:
            delta = through(torch.bmm(delta, layers[k][0].mT), outputs[k])
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

    Gradients flow through sigma = left' W right, not through the vectors, as in the paper.
    """
    with torch.no_grad():
        for _ in range(steps):
            left = torch.nn.functional.normalize(weight @ right.mT, dim=1)
            right = torch.nn.functional.normalize(left.mT @ weight, dim=2)
    return Spectrum(left.mT @ weight @ right.mT, left, right)


def unnormalised(gradient: Tensor, normalised: Tensor, s: Spectrum) -> Tensor:
    """dL / dW from dL / d(W / sigma): removes the part along the largest singular value."""
    along = (gradient * normalised).sum((1, 2), keepdim=True)
    return (gradient - along * (s.left * s.right)) / s.sigma


def closeness(a: Tensor, b: Tensor) -> Tensor:
    """(K, N, KERNELS): for each sample of a, per kernel, the sum over samples of b of exp(-L1) (minibatch
    discrimination; Salimans et al., 2016, section 3.2)."""
    a, b = (t.view(*t.shape[:2], KERNELS, KERNEL_SIZE) for t in (a, b))
    return torch.exp(-(a[:, :, None] - b[:, None]).abs().sum(-1)).sum(2)


def virtual_batch_norm(layers: Layers, z: Tensor, reference: Tensor, activation: str) -> Tensor:
    """A forward pass in which every hidden unit is normalised by the statistics of a fixed reference batch and of the
    sample itself (Salimans et al., 2016, section 3.4). No learned gain: the next layer's weights absorb it."""
    function, n = ACTIVATIONS[activation].function, reference.shape[1]
    h, r = z, reference
    for weight, bias in layers[:-1]:
        h, r = h @ weight, r @ weight
        mean, square = r.mean(1, keepdim=True), r.square().mean(1, keepdim=True)
        mean_h, square_h = (h + n * mean) / (n + 1), (h.square() + n * square) / (n + 1)
        h = function((h - mean_h) / (square_h - mean_h.square() + 1e-5).sqrt() + bias)
        r = function((r - mean) / (square - mean.square() + 1e-5).sqrt() + bias)
    weight, bias = layers[-1]
    return torch.baddbmm(bias, h, weight)
