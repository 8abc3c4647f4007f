"""Both networks of an image GAN as a drawing: a block per feature map, labelled with its shape."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ganlab.generation.config import NetworkConfig
    from ganlab.generation.explorer import Explorer

GENERATOR, DISCRIMINATOR, INPUT = "#E69F00", "#009E73", "#999999"
HEIGHT, GAP = 190, 26  # of the drawing; between blocks
SLANT = 0.45  # offset of a block's far corner, up and to the right, as a share of its depth

Block = tuple[str, tuple[int, ...]]  # title, shape


def networks_html(name: str) -> str:
    """Both networks of a shipped model: inputs, maps and outputs, and the layers between them in words."""
    from ganlab.generation.explorer import get_explorer

    explorer = get_explorer(name)
    generator, discriminator = blocks_of(explorer)
    figures = network_figure(generator, GENERATOR, "generator", f"<b>G</b>: {generator_words(explorer.config.network)}")
    if discriminator:
        words = f"<b>D</b>: {discriminator_words(explorer.config.network)}"
        figures += network_figure(discriminator, DISCRIMINATOR, "discriminator", words)
    return f"<div class='gl-networks'>{figures}</div>"


def blocks_of(explorer: Explorer) -> tuple[list[Block], list[Block]]:
    """Blocks of the generator and of the discriminator, from input to output; the latter [] if there is none."""
    import torch

    config = explorer.config.network
    label = torch.zeros(1, dtype=torch.int64)
    with torch.inference_mode():
        *maps, image = (tuple(x.shape[1:]) for x in explorer.generator.features(torch.zeros(1, config.z), label))
    embedding = f" + {config.z} of the class" if config.classes else ""
    inputs = (f"z: {config.z}{embedding}", (config.z * (2 if config.classes else 1),))
    generator = [inputs, *(("", shape) for shape in maps), ("image", image)]
    if explorer.discriminator is None:
        return generator, []
    with torch.inference_mode():
        judged = explorer.discriminator.features(torch.zeros(1, *image), label)
    planes = config.classes if config.kind == "dcgan" and config.condition == "concat" else 0
    seen = ("image and class planes" if planes else "image", (image[0] + planes, *image[1:]))
    return generator, [seen, *(("", tuple(x.shape[1:])) for x in judged), ("D(x)", (1,))]


def network_figure(blocks: list[Block], colour: str, name: str, caption: str) -> str:
    return f"<figure class='gl-network'>{drawing(blocks, colour, name)}<figcaption>{caption}</figcaption></figure>"


def generator_words(config: NetworkConfig) -> str:
    """The layers between a generator's maps, in a sentence."""
    end = "tanh" if config.squash else "no activation"
    if config.kind == "fc":
        return f"fully connected layers, ReLU; {end} at the end."
    up = "fractionally strided 4x4 convolutions, stride 2" if config.strided else "nearest upsampling, 3x3 convolutions"
    act = "ReLU" if config.relu else "tanh"
    grain = f"; plus noise through {config.grain} learned kernels, with strengths from z" if config.grain else ""
    return f"noise projected to the coarsest map, then {up}, {norm_words(config.norm)}{act}; {end} at the end{grain}."


def discriminator_words(config: NetworkConfig) -> str:
    """The layers between a discriminator's maps, in a sentence."""
    if config.kind == "fc":
        return "fully connected layers, maxout of five pieces, dropout; one number."
    down = "4x4 convolutions, stride 2" if config.strided else "3x3 convolutions, mean of 2x2 pixels"
    norm = "spectral normalisation, " if config.spectral else norm_words(config.norm_d or config.norm)
    spread = "; the standard deviation over the batch joins the last map" if config.spread else ""
    return f"{down}, {norm}{'LeakyReLU 0.2' if config.leaky else 'ReLU'}{spread}; one number."


def norm_words(norm: str) -> str:
    return "" if norm == "none" else f"{norm} normalisation, "


def drawing(blocks: list[Block], colour: str, name: str) -> str:
    """An SVG of blocks from left to right; the first, the input, is grey. The height of a block grows with the
    logarithm of the map's side, its depth with that of the channels; a vector is a bar."""
    x, parts = 8.0, []
    for k, (title, shape) in enumerate(blocks):
        channels, side = (shape[0], shape[1]) if len(shape) == 3 else (1, 0)
        height = 12 + 15 * math.log2(side) if side else 20 + 9 * math.log2(1 + shape[0])
        depth = 4 + 6 * math.log2(1 + channels) if side else 4.0
        width = height if side else 9.0
        shift = SLANT * depth
        top, fill = HEIGHT / 2 - (height - shift) / 2, colour if k else INPUT
        faces = (
            ([(0, 0), (shift, -shift), (width + shift, -shift), (width, 0)], 0.35),
            ([(width, 0), (width + shift, -shift), (width + shift, height - shift), (width, height)], 0.6),
            ([(0, 0), (width, 0), (width, height), (0, height)], 0.85),
        )
        for corners, opacity in faces:
            points = " ".join(f"{x + dx:.1f},{top + dy:.1f}" for dx, dy in corners)
            parts.append(f"<polygon points='{points}' fill='{fill}' fill-opacity='{opacity}'/>")
        middle, label = x + width / 2, shape_words(shape)
        parts.append(f"<text x='{middle:.1f}' y='{HEIGHT - 6}'>{label}</text>")
        if title:
            parts.append(f"<text x='{max(middle, 3.2 * len(title)):.1f}' y='14'>{title}</text>")
        x += max(width + shift, 6.2 * len(label)) + GAP
        if k < len(blocks) - 1:
            arrow = f"M{x - GAP + 4:.1f} {HEIGHT / 2} h{GAP - 10} m-5 -4 l5 4 l-5 4"
            parts.append(f"<path d='{arrow}' fill='none' stroke='currentColor' stroke-width='1.3'/>")
    words = ", ".join(shape_words(shape) for _, shape in blocks)
    return (
        f"<svg viewBox='0 0 {x - GAP + 8:.0f} {HEIGHT}' role='img' aria-label='The {name}: {words}' "
        f"font-size='11' text-anchor='middle' fill='currentColor'>{''.join(parts)}</svg>"
    )


def shape_words(shape: tuple[int, ...]) -> str:
    return " x ".join(map(str, shape))
