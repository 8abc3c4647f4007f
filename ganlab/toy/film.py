"""A training run as an animated GIF: the session's snapshots, with all runs side by side."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image, ImageDraw

from ganlab.toy.distributions import VIEW
from ganlab.toy.draws import stream
from ganlab.toy.frames import HEAT, game_arrays
from ganlab.toy.game import Game
from ganlab.toy.session import Session

SIDE, GAP = 300, 8  # px of one run's picture, and between pictures
MOMENTS = 60
FAKE, UNDECIDED, REAL_SIDE = (213, 94, 0), (255, 255, 255), (0, 158, 115)  # D's output
REAL, SYNTHETIC, INK = (0, 114, 178), (230, 159, 0), (31, 35, 40)


def film(session: Session, milliseconds: int = 90) -> bytes:
    """A GIF of at most MOMENTS of the session's snapshots: D's map, real and generated points, the step."""
    last = len(session.moments) - 1
    chosen = sorted({round(i) for i in np.linspace(0, last, min(MOMENTS, last + 1))})
    frames = [_frame(session.recall(k)) for k in chosen]
    palette = frames[-1].quantize(128, Image.Quantize.MEDIANCUT)
    packed = [f.quantize(palette=palette, dither=Image.Dither.NONE) for f in frames]
    out = io.BytesIO()
    shown = [milliseconds] * (len(packed) - 1) + [1500]
    packed[0].save(out, "GIF", save_all=True, append_images=packed[1:], duration=shown, loop=0)
    return out.getvalue()


def _frame(games: list[Game]) -> Image.Image:
    """All runs of all games at one moment."""
    panels = [panel for game in games for panel in _panels(game)]
    columns = min(4, len(panels))
    rows = -(-len(panels) // columns)
    sheet = Image.new("RGB", (columns * (SIDE + GAP) - GAP, rows * (SIDE + GAP) - GAP + 18), UNDECIDED)
    for i, panel in enumerate(panels):
        sheet.paste(panel, (i % columns * (SIDE + GAP), i // columns * (SIDE + GAP)))
    ImageDraw.Draw(sheet).text((4, sheet.height - 15), f"step {games[0].steps:,}", fill=INK)
    return sheet


def _panels(game: Game) -> list[Image.Image]:
    arrays = game_arrays(game, game.config.runs, ("heat",))
    real = game.data.sample(400, stream(0, 1))[0].numpy()
    return [_panel(heat, fake / 32767 * VIEW, real) for heat, fake in zip(arrays["heat"], arrays["fake"], strict=True)]


def _panel(heat: np.ndarray, fake: np.ndarray, real: np.ndarray) -> Image.Image:
    """heat: (n, n) or (n,) int16, x first. fake, real: points (N, 2), or (N, 1), which are drawn as histograms."""
    share = heat[..., None].astype(np.float32) / 32767
    low, middle, high = (np.array(c, np.float32) for c in (FAKE, UNDECIDED, REAL_SIDE))
    shade = np.where(share < 0.5, low + (middle - low) * share * 2, middle + (high - middle) * (share * 2 - 1))
    shade = shade * 0.6 + 255 * 0.4
    rows = shade.transpose(1, 0, 2)[::-1] if heat.ndim == 2 else shade[None]  # the first row has the largest y
    picture = Image.fromarray(rows.round().astype(np.uint8)).resize((SIDE, SIDE), Image.Resampling.BICUBIC)
    pen = ImageDraw.Draw(picture)
    for points, colour in ((real, REAL), (fake, SYNTHETIC)):
        if points.shape[1] == 1:
            counts = np.histogram(points, HEAT[1], (-VIEW, VIEW))[0] / len(points)
            x = (np.arange(HEAT[1]) + 0.5) * SIDE / HEAT[1]
            y = SIDE - 4 - counts.clip(0, 0.2) * (SIDE - 20) / 0.2
            pen.line(list(zip(x.tolist(), y.tolist(), strict=True)), fill=colour, width=2)
            continue
        inside = points[(abs(points) < VIEW * 0.999).all(1)]
        for x, y in (inside * (1, -1) / VIEW + 1) * (SIDE / 2):
            pen.rectangle((x - 1, y - 1, x + 1, y + 1), fill=colour)
    return picture
