"""Histograms of measurements of real and generated nodules, as SVG, from the counts in the generators' cards."""

from __future__ import annotations

from html import escape

AXES = {  # measure -> title, ticks
    "diameter_mm": ("diameter, mm", (5, 10, 15, 20, 25)),
    "roundness": ("roundness, 1 is a disc", (0.2, 0.4, 0.6, 0.8, 1.0)),
    "mean_hu": ("mean attenuation, HU", (-600, -300, 0, 300)),
}
WIDTH, ROW, LEFT, RIGHT, BOTTOM = 360, 100, 40, 10, 36  # px
HEAD = 22  # px for the text above a row's bars
KEY = (
    "<p class='gl-note gl-key'><i class='gl-real'></i>real, held out<i class='gl-made'></i>generated</p>"
    "<p class='gl-note'>Nodules measured from their images alone, as shares of their class. A lost mode leaves its "
    "bins empty; one that is too frequent rises above the outline. KS: Kolmogorov-Smirnov distance between the two, 0 "
    "to 1; in brackets that of other real nodules.</p>"
)


def sections(cards: list[dict]) -> str:
    """A section for each generator whose card has distributions: a heading, and a figure per measure."""
    return "".join(
        f"<section class='gl-stack'><h3>{escape(card['summary'])}: measurements of its nodules</h3>{KEY}"
        f"<div class='gl-panels'>{''.join(figure(name, of) for name, of in card['metrics']['distributions'].items())}"
        "</div></section>"
        for card in cards
        if "distributions" in card["metrics"]
    )


def figure(name: str, histogram: dict) -> str:
    """A measure as `nodule_measures.distributions` returns it: a row per class, all with the same axes."""
    title, ticks = AXES[name]
    low, high = histogram["range"]
    classes = histogram["classes"]
    shares = {label: [_shares(one[side]) for side in ("generated", "held_out")] for label, one in classes.items()}
    top = max(max(values) for both in shares.values() for values in both) or 1.0
    floor = ROW * len(shares)

    def x(value: float) -> float:
        return LEFT + (value - low) / (high - low) * (WIDTH - LEFT - RIGHT)

    rows = []
    for k, (label, (generated, real)) in enumerate(shares.items()):
        one = classes[label]
        rows.append(
            f"<text x='{LEFT}' y='{ROW * k + 14}'>{escape(label)}</text><text x='{WIDTH - RIGHT}' y='{ROW * k + 14}' "
            f"class='gl-muted' text-anchor='end'>KS {_distance(one['ks'])} ({_distance(one['floor'])})</text>"
            f"{_row(generated, real, top, ROW * (k + 1))}"
        )
    axis = "".join(
        f"<line class='gl-axis' x1='{x(v):.1f}' x2='{x(v):.1f}' y1='{floor}' y2='{floor + 4}'/><text x='{x(v):.1f}' "
        f"y='{floor + 16}' class='gl-muted' text-anchor='middle'>{_number(v)}</text>"
        for v in ticks
        if low <= v <= high
    )
    distances = "; ".join(f"{label}: KS {_distance(one['ks'])}" for label, one in classes.items())
    return (
        f"<figure class='gl-figure'><svg viewBox='0 0 {WIDTH} {floor + BOTTOM}' role='img' aria-label='Real and "
        f"generated nodules, {escape(title)}; {escape(distances)}'>{''.join(rows)}{axis}<text "
        f"x='{(LEFT + WIDTH) / 2}' y='{floor + 32}' text-anchor='middle'>{escape(title)}</text></svg></figure>"
    )


def _row(generated: list[float], real: list[float], top: float, floor: float) -> str:
    """Bars of the generated below an outline of the real, and the axis of shares: 0 and the highest round number."""
    tick = next(step for step in (0.5, 0.2, 0.1, 0.05, 0.02, 0.01, 0.0) if step <= top)
    width = (WIDTH - LEFT - RIGHT) / len(generated)

    def y(share: float) -> float:
        return floor - share / top * (ROW - HEAD)

    def steps(values: list[float]) -> str:
        return "".join(f"V{y(v):.1f}h{width:.2f}" for v in values)

    numbers = "".join(
        f"<line class='gl-axis' x1='{LEFT}' x2='{WIDTH - RIGHT}' y1='{y(v):.1f}' y2='{y(v):.1f}'/><text x='{LEFT - 4}' "
        f"y='{y(v) + 4:.1f}' class='gl-muted' text-anchor='end'>{100 * v:.0f} %</text>"
        for v in (0.0, tick)
    )
    return (
        f"{numbers}<path class='gl-made' d='M{LEFT} {floor}{steps(generated)}V{floor}Z'/>"
        f"<path class='gl-real' d='M{LEFT} {floor}{steps(real)}V{floor}'/>"
    )


def _shares(counts: str) -> list[float]:
    values = [int(count) for count in counts.split()]
    return [value / (sum(values) or 1) for value in values]


def _number(value: float) -> str:
    return f"{value:g}".replace("-", "\u2212")


def _distance(value: float | None) -> str:
    return "\u2013" if value is None else f"{value:.2f}"
