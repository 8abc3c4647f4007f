"""The two networks of an image GAN as a drawing: every map a block, as wide as it has channels, with its shape."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from ganlab.lazy import torch
from ganlab.ui.pages.generate.latent_space import explorer

if TYPE_CHECKING:
    from ganlab.generation.networks import NetworkConfig

SYNTHETIC, REAL, INPUT = "#E69F00", "#009E73", "#999999"
HEIGHT, GAP = 190, 26  # of the drawing, between its blocks
SLANT = 0.45  # how far a block's far corner is up and to the right, of its depth


def networks_html(name: str) -> str:
    """Both networks of a pretrained model: what goes in, every map, what comes out, and the layers between."""
    e = explorer(name)
    config = e.config.network
    labels = torch.zeros(1, dtype=torch.int64)
    with torch.inference_mode():
        maps = [tuple(x.shape[1:]) for x in e.net.features(torch.zeros(1, config.z), labels)]
        judged = [tuple(x.shape[1:]) for x in e.judge.features(torch.zeros(1, *maps[-1]), labels)] if e.judge else []
    told = f" + {config.z} of the class" if config.classes else ""
    first = [(f"z: {config.z}{told}", (config.z * (2 if config.classes else 1),))]
    drawn = [first + named(maps[:-1]) + [("image", maps[-1])]]
    words = [f"<b>G</b>: {layers_up(config)}"]
    if judged:
        planes = config.kind == "dcgan" and config.condition == "concat"
        seen = maps[-1][0] + (config.classes if planes else 0)
        title = "image and class planes" if seen > 1 else "image"
        drawn.append([(title, (seen, *maps[-1][1:])), *named(judged), ("D(x)", (1,))])
        words.append(f"<b>D</b>: {layers_down(config)}")
    figures = "".join(
        f"<figure class='gl-network'>{drawing(blocks, colour, who)}<figcaption>{said}</figcaption></figure>"
        for blocks, colour, who, said in zip(
            drawn, (SYNTHETIC, REAL), ("generator", "discriminator"), words, strict=False
        )
    )
    return f"<div class='gl-networks'>{figures}</div>"


def named(shapes: list[tuple[int, ...]]) -> list[tuple[str, tuple[int, ...]]]:
    return [("", shape) for shape in shapes]


def layers_up(config: NetworkConfig) -> str:
    """What lies between a generator's maps, in a sentence."""
    end = "tanh" if config.squash else "no bound"
    if config.kind == "fc":
        return f"fully connected layers, ReLU; {end} at the end."
    up = "fractionally strided 4x4 convolutions, stride 2" if config.strided else "nearest upsampling, 3x3 convolutions"
    act = "ReLU" if config.relu else "tanh"
    grain = f"; noise of its own, through {config.grain} learned kernels as strong as z says" if config.grain else ""
    return f"noise projected to the coarsest map, then {up}, {norm_words(config.norm)}{act}; {end} at the end{grain}."


def layers_down(config: NetworkConfig) -> str:
    """The same of a discriminator."""
    if config.kind == "fc":
        return "fully connected layers, the largest of five pieces each (maxout), dropout; one number."
    down = "4x4 convolutions, stride 2" if config.strided else "3x3 convolutions, mean of 2x2 pixels"
    norm = "spectral normalisation, " if config.spectral else norm_words(config.norm_d or config.norm)
    spread = "; beside the last map how much the batch varies" if config.spread else ""
    return f"{down}, {norm}{'LeakyReLU 0.2' if config.leaky else 'ReLU'}{spread}; one number."


def norm_words(norm: str) -> str:
    return "" if norm == "none" else f"{norm} normalisation, "


def drawing(blocks: list[tuple[str, tuple[int, ...]]], colour: str, who: str) -> str:
    """An SVG of blocks from left to right; the first, what goes in, is grey. A map's front is as high as its side and
    its depth is its channels, both by their logarithms; a vector is a bar."""
    x, parts = 8.0, []
    for k, (title, shape) in enumerate(blocks):
        channels, side = (shape[0], shape[1]) if len(shape) == 3 else (1, 0)
        high = 12 + 15 * math.log2(side) if side else 20 + 9 * math.log2(1 + shape[0])
        deep = 4 + 6 * math.log2(1 + channels) if side else 4.0
        wide = high if side else 9.0
        shift = SLANT * deep
        top, fill = HEIGHT / 2 - (high - shift) / 2, colour if k else INPUT
        faces = (
            ([(0, 0), (shift, -shift), (wide + shift, -shift), (wide, 0)], 0.35),
            ([(wide, 0), (wide + shift, -shift), (wide + shift, high - shift), (wide, high)], 0.6),
            ([(0, 0), (wide, 0), (wide, high), (0, high)], 0.85),
        )
        for corners, shade in faces:
            at = " ".join(f"{x + dx:.1f},{top + dy:.1f}" for dx, dy in corners)
            parts.append(f"<polygon points='{at}' fill='{fill}' fill-opacity='{shade}'/>")
        middle = x + wide / 2
        shown = " x ".join(str(n) for n in shape)
        parts.append(f"<text x='{middle:.1f}' y='{HEIGHT - 6}'>{shown}</text>")
        if title:
            parts.append(f"<text x='{max(middle, 3.2 * len(title)):.1f}' y='14'>{title}</text>")
        x += max(wide + shift, 6.2 * len(shown)) + GAP
        if k < len(blocks) - 1:
            arrow = f"M{x - GAP + 4:.1f} {HEIGHT / 2} h{GAP - 10} m-5 -4 l5 4 l-5 4"
            parts.append(f"<path d='{arrow}' fill='none' stroke='currentColor' stroke-width='1.3'/>")
    words = ", ".join(" x ".join(str(n) for n in shape) for _, shape in blocks)
    return (
        f"<svg viewBox='0 0 {x - GAP + 8:.0f} {HEIGHT}' role='img' aria-label='The {who}: {words}' "
        f"font-size='11' text-anchor='middle' fill='currentColor'>{''.join(parts)}</svg>"
    )
