"""A picture of cost against size, as SVG, in a few lines of our own."""

from collections.abc import Mapping, Sequence
from html import escape
from math import log10

WIDTH, HEIGHT, LEFT, BOTTOM, RIGHT, TOP = 640, 360, 60, 40, 200, 20
COLOURS = ("#1f6feb", "#bf8700", "#1a7f37", "#cf222e", "#8250df", "#57606a")
Points = Sequence[tuple[float, float]]


def picture(title: str, across: str, lines: Mapping[str, Points]) -> str:
    """Lines over a logarithmic width, from zero up.

    Args:
        across: what the width counts; the height is milliseconds.
    """
    points = [point for line in lines.values() for point in line]
    least, most = log10(min(x for x, _ in points)), log10(max(x for x, _ in points))
    highest = max(y for _, y in points) or 1.0

    def place(x: float, y: float) -> tuple[float, float]:
        part = (log10(x) - least) / ((most - least) or 1.0)
        width, height = WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM
        return LEFT + part * width, HEIGHT - BOTTOM - y / highest * height

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif"'
        f' font-size="12"><title>{escape(title)}</title><rect width="100%" height="100%" fill="white"/>'
    ]
    for x in sorted({x for x, _ in points}):
        at, low = place(x, 0)
        parts.append(f'<text x="{at:.0f}" y="{low + 16:.0f}" text-anchor="middle">{x:,.0f}</text>')
    for part in (0.0, 0.5, 1.0):
        _, at = place(10**least, highest * part)
        parts.append(
            f'<path d="M{LEFT} {at:.0f}H{WIDTH - RIGHT}" stroke="#d0d7de"/>'
            f'<text x="{LEFT - 6}" y="{at + 4:.0f}" text-anchor="end">{highest * part:.0f} ms</text>'
        )
    for number, (name, line) in enumerate(lines.items()):
        colour = COLOURS[number % len(COLOURS)]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in (place(*point) for point in line))
        x, y = WIDTH - RIGHT + 12, TOP + 12 + 18 * number
        parts.append(
            f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>'
            f'<text x="{x}" y="{y}" fill="{colour}">{escape(name)}</text>'
        )
    middle = (LEFT + WIDTH - RIGHT) / 2
    parts.append(
        f'<text x="{middle:.0f}" y="{HEIGHT - 4}" text-anchor="middle">{escape(across)}</text></svg>'
    )
    return "\n".join(parts) + "\n"
