"""Pictures as SVG, in a few lines of our own: cost against size, and how many times as fast one is."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from math import ceil, floor, log2, log10

WIDTH, LEFT, RIGHT, TOP, BOTTOM = 760, 190, 60, 56, 44
# Of a picture of lines, whose height says how much.
TALL, NARROW = 360, 64
BAR, GAP, LETTER, ROW = 13, 12, 6.2, 15
# By turns for light and for dark: what is compared keeps its colour.
COLOURS = (
    *(("#2f6fb7", "#6ea8ee"), ("#b57a12", "#e0ac4b"), ("#2f8545", "#67c17f")),
    *(("#8250df", "#c297ff"), ("#cf222e", "#ff7b72"), ("#57606a", "#9da7b1")),
)
Points = Sequence[tuple[float, float]]
Place = Callable[[float], float]


@dataclass(frozen=True, slots=True)
class Bar:
    """How many times something is something else: the middle of all rounds, the least and the most."""

    name: str
    middle: float
    least: float
    most: float


def lines(title: str, across: str, each: Mapping[str, Points]) -> str:
    """Lines over a logarithmic width, from zero up.

    Args:
        across: what the width counts; the height is milliseconds.
    """
    points = [point for line in each.values() for point in line]
    least, most = log10(min(x for x, _ in points)), log10(max(x for x, _ in points))
    highest = max(y for _, y in points) or 1.0
    top = TOP + 18 * (len(each) // 2)

    def place(x: float, y: float) -> tuple[float, float]:
        part = (log10(x) - least) / ((most - least) or 1.0)
        return NARROW + part * (WIDTH - NARROW - RIGHT), TALL - BOTTOM - y / highest * (TALL - BOTTOM - top)

    parts = [*_frame(title, TALL), *_legend(list(each))]
    for x in sorted({x for x, _ in points}):
        at, low = place(x, 0)
        parts.append(_text(at, low + 18, f"{x:,.0f}", "middle"))
    for part in (0.0, 0.5, 1.0):
        _, at = place(10**least, highest * part)
        parts.append(f'<path class="grid" d="M{NARROW} {at:.1f}H{WIDTH - RIGHT}"/>')
        parts.append(_text(NARROW - 8, at + 4, f"{highest * part:.3g} ms", "end"))
    for number, line in enumerate(each.values()):
        places = [place(*point) for point in line]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
        parts.append(f'<polyline class="line s{number}" points="{path}"/>')
        parts += [f'<circle class="f{number}" cx="{x:.1f}" cy="{y:.1f}" r="3.5"/>' for x, y in places]
    parts.append(_text((NARROW + WIDTH - RIGHT) / 2, TALL - 8, across, "middle"))
    return _closed(parts)


def timeline(
    title: str, each: Mapping[str, Points], spans: Mapping[str, Sequence[tuple[float, float]]]
) -> str:
    """Lines over the seconds that passed, and below them what went on meanwhile, a row for each name.

    Args:
        each: seconds that something took, on a logarithmic height.
        spans: from when until when; short ones are drawn a pixel wide.
    """
    points = [point for line in each.values() for point in line]
    last = max([x for x, _ in points] + [end for row in spans.values() for _, end in row])
    low, high = floor(log10(min(y for _, y in points))), ceil(log10(max(y for _, y in points)))
    bottom = TALL + len(spans) * ROW

    def across(seconds: float) -> float:
        return LEFT / 2 + 10 + seconds / last * (WIDTH - LEFT / 2 - 10 - NARROW / 2)

    def height(seconds: float) -> float:
        return TALL - 14 - (log10(seconds) - low) / ((high - low) or 1) * (TALL - 14 - TOP - 18)

    parts = [*_frame(title, bottom + BOTTOM), *_legend(list(each))]
    for power in range(low, high + 1):
        parts.append(f'<path class="grid" d="M{across(0):.0f} {height(10**power):.1f}H{across(last):.0f}"/>')
        parts.append(_text(across(0) - 8, height(10**power) + 4, f"{10.0**power:g} s", "end"))
    for number, line in enumerate(each.values()):
        places = " ".join(f"{across(x):.1f},{height(y):.1f}" for x, y in line)
        parts.append(f'<polyline class="line s{number}" points="{places}"/>')
    for row, (name, found) in enumerate(spans.items()):
        top = TALL + row * ROW
        parts.append(_text(across(0) - 8, top + 10, name, "end"))
        parts += [
            f'<rect class="f{len(each)}" x="{across(begin):.1f}" y="{top}" height="{ROW - 3}"'
            f' width="{max(across(end) - across(begin), 1):.1f}"/>'
            for begin, end in found
        ]
    for part in (0.0, 0.25, 0.5, 0.75, 1.0):
        parts.append(_text(across(last * part), bottom + 16, f"{last * part:.0f} s", "middle"))
    return _closed(parts)


def bars(title: str, groups: Mapping[str, Sequence[Bar]]) -> str:
    """Bars from 1 to the right where taskapi is faster, and to the left where it is slower.

    Each step of the width doubles, so that twice and half as fast are equally long. A thin line
    shows the least and the most of the rounds.
    """
    every = [bar for group in groups.values() for bar in group]
    names = list(dict.fromkeys(bar.name for bar in every))
    # With room for what is written beside the longest ones.
    least = floor(log2(min([bar.least for bar in every] + [1.0])) - 0.5)
    most = ceil(log2(max([bar.most for bar in every] + [1.0])) + 0.3)
    height = TOP + sum(len(group) * BAR + GAP for group in groups.values()) + BOTTOM

    def place(times: float) -> float:
        return LEFT + (log2(times) - least) / (most - least) * (WIDTH - LEFT - RIGHT)

    parts = [*_frame(title, height), *_legend(names)]
    for step in range(least, most + 1):
        kind, times = "one" if step == 0 else "grid", 2.0**step
        parts.append(f'<path class="{kind}" d="M{place(times):.1f} {TOP - 6}V{height - BOTTOM}"/>')
        parts.append(_text(place(times), height - BOTTOM + 18, f"{times:g}x", "middle"))
    parts.append(_text(place(1), height - 8, "slower ← taskapi → faster", "middle"))
    top = float(TOP)
    for name, group in groups.items():
        parts.append(_text(LEFT - 12, top + len(group) * BAR / 2 + 4, name, "end"))
        for bar in group:
            parts += _bar(bar, names.index(bar.name), place(1), place, top)
            top += BAR
        top += GAP
    return _closed(parts)


def _bar(bar: Bar, number: int, one: float, place: Place, top: float) -> Iterator[str]:
    end, middle = place(bar.middle), top + BAR / 2 - 0.5
    yield (
        f'<rect class="f{number}" x="{min(one, end):.1f}" y="{top:.1f}" width="{abs(end - one):.1f}"'
        f' height="{BAR - 1}"><title>{escape(bar.name)}: {bar.middle:.2f}</title></rect>'
    )
    if bar.least < bar.most:
        yield f'<path class="range" d="M{place(bar.least):.1f} {middle:.1f}H{place(bar.most):.1f}"/>'
    # Beside the bar and the line upon it, on the side to which they point.
    if bar.middle >= 1:
        yield _text(place(bar.most) + 4, middle + 4, _times(bar.middle), "start")
    else:
        yield _text(place(bar.least) - 4, middle + 4, _times(bar.middle), "end")


def _times(number: float) -> str:
    return f"{number:.{0 if number >= 10 else 1 if number >= 1.1 else 2}f}x"


def _text(x: float, y: float, words: str, anchor: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(words)}</text>'


def _legend(names: Sequence[str]) -> Iterator[str]:
    """The colour of each name: as many in a row as have room."""
    at, row = 12.0, 0
    for number, name in enumerate(names):
        width = 22 + LETTER * len(name) + 18
        if at + width > WIDTH:
            at, row = 12.0, row + 1
        y = 34 + 18 * row
        yield f'<rect class="f{number}" x="{at:.0f}" y="{y}" width="12" height="12" rx="2"/>'
        yield _text(at + 18, y + 10, name, "start")
        at += width


def _again() -> str:
    again = range(len(COLOURS), 2 * len(COLOURS))
    return " ".join(
        f".f{number} {{ fill-opacity: 0.45; }} .s{number} {{ stroke-dasharray: 6 4; }}" for number in again
    )


def _frame(title: str, height: float) -> Iterator[str]:
    """The picture's head and paper. It brings its own paper: nobody knows what it will lie on."""
    light, dark = (
        "".join(
            f".f{number} {{ fill: {pair[place]}; }} .s{number} {{ stroke: {pair[place]}; }} "
            # Beyond all colours they come once more, paler and with dashes.
            for number, pair in enumerate((*COLOURS, *COLOURS))
        )
        for place in (0, 1)
    )
    yield (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height:.0f}" role="img"'
        f' aria-labelledby="title" font-size="12"'
        f""" font-family="system-ui, -apple-system, 'Segoe UI', Roboto, Arial, sans-serif">"""
        f'<title id="title">{escape(title)}</title>'
    )
    yield (
        "<style>.paper { fill: #ffffff; } text { fill: #374151; }"
        " .head { font-size: 15px; font-weight: 600; }"
        " .grid { stroke: #d8dee4; } .one { stroke: #374151; } .range { stroke: #111827; }"
        f" .line {{ fill: none; stroke-width: 2; }} {_again()} {light}"
        "@media (prefers-color-scheme: dark) { .paper { fill: #0d1117; } text { fill: #c9d1d9; }"
        " .grid { stroke: #30363d; } .one { stroke: #c9d1d9; } .range { stroke: #f0f6fc; }"
        f" {dark}}}</style>"
    )
    yield f'<rect class="paper" width="{WIDTH}" height="{height:.0f}"/>'
    yield f'<text class="head" x="12" y="22">{escape(title)}</text>'


def _closed(parts: Sequence[str]) -> str:
    return "\n".join([*parts, "</svg>"]) + "\n"
