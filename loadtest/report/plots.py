"""Charts as SVG text: lines over time, and percentiles as dots. Colours and sizes of letters are the page's (CSS).

Knows numbers and labels; every label is escaped here. Values that are not finite are left out.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from markupsafe import Markup, escape

Point = tuple[float, float | None]  # x, y; None: nothing measured, the line is broken there

WIDTH, HEIGHT = 480, 220  # user units; shown some 350 to 620 pixels wide, so letters of 12 stay readable
LEFT, RIGHT, TOP, BOTTOM = 54, 10, 22, 36
COLOURS = 8  # classes c0 to c7 of the page


@dataclass(frozen=True)
class Line:
    """One line of a chart."""

    label: str
    points: Sequence[Point]

    @property
    def most(self) -> float:
        """Return the largest value; 0 of none."""
        return max((y for _, y in self.points if y is not None and math.isfinite(y)), default=0.0)


@dataclass(frozen=True)
class Axis:
    """A scale from values to the unit interval. ticks: values with a mark."""

    low: float
    high: float
    log: bool
    ticks: tuple[float, ...]

    def place(self, value: float) -> float:
        """Return where a value is, 0 to 1; what is outside goes to the edge."""
        low, high, value = (math.log10(max(one, 1e-9)) if self.log else one for one in (self.low, self.high, value))
        return min(1.0, max(0.0, (value - low) / (high - low)))


def linear(high: float, ticks: int = 5, *, round_end: bool = True) -> Axis:
    """Return an axis from 0 to a round number not below `high`, or just to it."""
    step = round_step(max(high, 1e-6) / ticks)
    count = max(1, math.ceil(high / step - 1e-9))
    end = count * step if round_end else high
    return Axis(0.0, end, False, tuple(number * step for number in range(count + 1) if number * step <= end))


def logarithmic(values: Iterable[float]) -> Axis:
    """Return an axis over all values above 0, at least a decade long, its ends 1, 2 or 5 times a power of ten."""
    found = [value for value in values if value > 0 and math.isfinite(value)] or [1.0, 10.0]
    marks = [base * 10.0**power for power in range(-6, 13) for base in (1, 2, 5)]
    low = max(mark for mark in marks if mark <= min(found))
    high = min(mark for mark in marks if mark >= max(max(found), low * 10))
    inside = [mark for mark in marks if low <= mark <= high]
    if len(inside) > 9:
        inside = [mark for mark in inside if f"{mark:e}".startswith("1.0")]
    return Axis(low, high, True, tuple(inside))


def round_step(raw: float) -> float:
    """Return the smallest of 1, 2, 2.5 and 5 times a power of ten that is not below `raw`."""
    power = 10.0 ** math.floor(math.log10(raw))
    return next(base * power for base in (1, 2, 2.5, 5, 10) if base * power >= raw * (1 - 1e-9))


def figure(value: float) -> str:
    """Return a number for people: at most four digits that say something."""
    if value >= 10_000_000:
        return f"{value / 1_000_000:,.0f} M"
    if value >= 10_000:
        return f"{value / 1000:,.0f} k"
    if value >= 100 or value == int(value):
        return f"{value:,.0f}"
    return f"{value:.3g}"


def line_chart(
    lines: Sequence[Line], unit: str, most: float, *, log: bool = False, along: str = "seconds"
) -> Markup:
    """Return lines over something from 0 to `most`. unit: of the values. along: of what is below, written at the axes;
    many seconds become minutes."""
    found = [y for line in lines for _, y in line.points if y is not None and math.isfinite(y)]
    y_axis = logarithmic(found) if log else linear(max(found, default=1.0) or 1.0)
    in_minutes = along == "seconds" and most > 600
    x_axis = linear(max(1.0, most / 60 if in_minutes else most), round_end=False)
    parts = [_open(HEIGHT, f"{unit} over {along}"), *_y_marks(y_axis), *_x_marks(x_axis, HEIGHT)]
    parts.append(_text(LEFT, 12, unit, "start"))
    parts.append(_text(WIDTH - RIGHT, HEIGHT - 4, "minutes" if in_minutes else along, "end"))
    for number, line in enumerate(lines):
        for run in _runs(line.points):
            spots = [
                (_x(x_axis.place(x / 60 if in_minutes else x)), _y(y_axis.place(y), HEIGHT)) for x, y in run
            ]
            if len(spots) > 1:
                path = " ".join(f"{x},{y}" for x, y in spots)
                parts.append(f'<polyline class="c{number % COLOURS}" points="{path}"/>')
            if len(spots) == 1 or along != "seconds":  # a point that stands alone, or steps of a few
                parts += [f'<circle class="c{number % COLOURS}" cx="{x}" cy="{y}" r="2.5"/>' for x, y in spots]
    return Markup("".join(parts) + "</svg>")  # noqa: S704 - every label went through escape()


PERCENTILES = (("p50_ms", "p50"), ("p90_ms", "p90"), ("p99_ms", "p99"), ("p999_ms", "p99.9"))
_ROW = 34
_MOST_LETTERS = 52  # the larger letters of a narrow page fit, too


def dot_chart(rows: Sequence[tuple[str, Sequence[float]]]) -> Markup:
    """Return a strip for each row, with a dot for each of PERCENTILES, on one logarithmic axis of ms."""
    height = TOP + len(rows) * _ROW + BOTTOM - 14
    axis = logarithmic(value for _, values in rows for value in values)
    parts = [_open(height, "percentiles by action, ms")]
    for mark in axis.ticks:
        x = _wide(axis.place(mark))
        parts.append(f'<line class="grid" x1="{x}" x2="{x}" y1="{TOP - 4}" y2="{height - BOTTOM + 14}"/>')
        parts.append(_text(x, height - BOTTOM + 27, figure(mark), "middle"))
    parts += [_text(12, 12, "ms", "start")]
    for number, (label, values) in enumerate(rows):
        y = TOP + number * _ROW + 24
        spots = [_wide(axis.place(value)) for value in values]
        parts.append(_text(12, y - 10, _short(label), "start", "row"))
        parts.append(f'<line class="range" x1="{spots[0]}" x2="{spots[-1]}" y1="{y}" y2="{y}"/>')
        for place, (x, value) in reversed(list(enumerate(zip(spots, values, strict=True)))):
            title = f"{escape(label)} {PERCENTILES[place][1]}: {figure(value)} ms"
            parts.append(f'<circle class="p{place}" cx="{x}" cy="{y}" r="4.5"><title>{title}</title></circle>')
    return Markup("".join(parts) + "</svg>")  # noqa: S704 - every label went through escape()


def _short(label: str) -> str:
    """Return a label that fits, its end kept: a path differs there."""
    return label if len(label) <= _MOST_LETTERS else f"{label[:8]}…{label[-_MOST_LETTERS + 9 :]}"


def _open(height: int, title: str) -> str:
    return f'<svg viewBox="0 0 {WIDTH} {height}" role="img" aria-label="{escape(title)}">'


def _text(x: float, y: float, text: str, anchor: str, kind: str = "") -> str:
    return f'<text class="{kind}" x="{x}" y="{y}" text-anchor="{anchor}">{escape(text)}</text>'


def _x(share: float) -> float:
    return round(LEFT + share * (WIDTH - LEFT - RIGHT), 1)


def _wide(share: float) -> float:
    return round(20 + share * (WIDTH - 40), 1)


def _y(share: float, height: int) -> float:
    return round(height - BOTTOM - share * (height - TOP - BOTTOM), 1)


def _y_marks(axis: Axis) -> list[str]:
    parts = []
    for mark in axis.ticks:
        y = _y(axis.place(mark), HEIGHT)
        parts.append(f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y}" y2="{y}"/>')
        parts.append(_text(LEFT - 6, y + 4, figure(mark), "end"))
    return parts


def _x_marks(axis: Axis, height: int) -> list[str]:
    marks = [mark for mark in axis.ticks if axis.place(mark) < 0.88]  # the unit stands at the end
    return [_text(_x(axis.place(mark)), height - BOTTOM + 16, figure(mark), "middle") for mark in marks]


def _runs(points: Sequence[Point]) -> list[list[tuple[float, float]]]:
    """Return the stretches without a hole."""
    runs: list[list[tuple[float, float]]] = [[]]
    for x, y in points:
        if y is None or not math.isfinite(y):
            runs.append([])
        else:
            runs[-1].append((x, y))
    return [run for run in runs if run]
