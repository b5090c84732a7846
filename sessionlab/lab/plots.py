"""Measured numbers as a drawing, and as a table of the same numbers.

The rules of this file: matplotlib, which is large, is imported when something is drawn, and the
reader's own settings and figures are left alone. The same numbers make the same bytes. The drawing
is an image on a white ground, to be read in a dark theme too; what a colour says, a mark or a
stroke says as well.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from io import StringIO
from itertools import pairwise
from statistics import median
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from .table import Display, Row, Table, visible

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Points = Mapping[float, float]

_BINS = 20
_MOST = 0.95  # of the samples of each series lie in the bins; an outlier would flatten the rest
_SIZE = (8, 3.4)  # inches
_LONGEST_LEGEND = 75  # characters of one line
_LOOKS = (  # colours that nearly everybody can tell apart (Okabe and Ito), marks, strokes
    ("#0072b2", "o", "-"),
    ("#d55e00", "s", "--"),
    ("#009e73", "^", "-."),
    ("#cc79a7", "D", ":"),
)
_SETTINGS: Any = {
    "svg.hashsalt": "sessionlab",
    "svg.fonttype": "none",  # text stays text, which is shorter
    "text.parse_math": False,  # a dollar sign is a dollar sign
    "axes.spines.top": False,
    "axes.spines.right": False,
}


def plot(
    series: Mapping[str, Points | Sequence[float]],
    *,
    x: str,
    y: str = "how many",
    caption: str = "",
    log: str = "",
) -> "Plot":
    """Return a drawing of numbers, to be displayed: lines, or distributions.

    ``series`` are at most four, by name: of dicts from x to y each is a line, of lists of samples
    each is a histogram. ``x`` and ``y`` say what the axes are, with the unit. ``log`` names the
    axes of a line that count in powers: "x", "y" or "xy".
    Raises: ``ValueError`` for series of both kinds, for none, for empty ones, for more than four.
    """
    if not 1 <= len(series) <= len(_LOOKS) or not all(series.values()):
        raise ValueError(f"write one to {len(_LOOKS)} series, and at least one number in each")
    lines = {name: values for name, values in series.items() if isinstance(values, Mapping)}
    samples = {name: values for name, values in series.items() if not isinstance(values, Mapping)}
    if lines and samples:
        raise ValueError("write dicts (lines) or lists (distributions), not both in one plot")
    if lines:
        return _Lines(caption, x, y, lines, log)
    return _Histogram(caption, x, y, samples)


@dataclass(frozen=True, repr=False)
class Plot(Display):
    """In a notebook a drawing, in a terminal the numbers; without matplotlib, the numbers there
    too."""

    caption: str
    x: str
    y: str

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, str]:
        try:
            source = f"data:image/svg+xml,{quote(self.svg(), safe=' /:=,;()')}"
        except ImportError:
            return super()._repr_mimebundle_()
        says = escape(visible(f"{self.caption}: {self.summary()}"))
        image = f'<img alt="{says}" style="max-width:100%" src="{source}">'
        return {"text/plain": str(self), "text/html": image}

    def svg(self) -> str:
        """Return the drawing. Raises: ``ImportError`` where there is no matplotlib."""
        import matplotlib
        import matplotlib.style
        from matplotlib.figure import Figure

        with matplotlib.style.context("default"), matplotlib.rc_context(_SETTINGS):
            figure = Figure(figsize=_SIZE, layout="constrained")
            axes = figure.add_subplot()
            self.draw(axes)
            axes.set_title(visible(self.caption), loc="left", fontweight="bold", fontsize="medium")
            axes.set(xlabel=visible(self.x), ylabel=visible(self.y))
            axes.grid(alpha=0.3)
            for axis in (axes.xaxis, axes.yaxis):
                # Its own would be formulas, or leave a "1e6" at the end of the axis.
                axis.set_major_formatter(lambda value, _: _tick(value))
                axis.set_minor_formatter("")
            columns = max(1, _LONGEST_LEGEND // max(map(len, axes.get_legend_handles_labels()[1])))
            figure.legend(loc="outside lower center", ncols=columns, frameon=False)
            file = StringIO()
            figure.savefig(file, format="svg", metadata={"Date": None, "Creator": None})
        return file.getvalue()

    def summary(self) -> str:
        """Return in a sentence what is drawn, for those who can't see it."""
        raise NotImplementedError

    def draw(self, axes: "Axes") -> None:
        """Draw the series."""
        raise NotImplementedError


@dataclass(frozen=True, repr=False)
class _Lines(Plot):
    series: Mapping[str, Points]
    log: str

    def tables(self) -> Iterable[Table]:
        rows = []
        for x in self._xs():
            ys = [points.get(x) for points in self.series.values()]
            rows.append(Row([_number(x), *("" if y is None else _number(y) for y in ys)]))
        yield Table(f"{self.caption} ({self.y})", [self.x, *self.series], rows)

    def summary(self) -> str:
        ends = [
            f"{name} from {_number(points[min(points)])} to {_number(points[max(points)])}"
            for name, points in self.series.items()
        ]
        xs = self._xs()
        span = f"{self.x} from {_number(xs[0])} to {_number(xs[-1])}"
        return f"{self.y}, {span}: {'; '.join(ends)}"

    def draw(self, axes: "Axes") -> None:
        for (name, points), look in zip(self.series.items(), _LOOKS, strict=False):
            colour, mark, stroke = look
            xs = sorted(points)
            style: Any = {"color": colour, "marker": mark, "linestyle": stroke}
            axes.plot(xs, [points[x] for x in xs], label=visible(name), **style)
        if "x" in self.log:
            axes.set_xscale("log")
            axes.set_xticks(self._xs(), [_number(x) for x in self._xs()])
            axes.minorticks_off()
        if "y" in self.log:
            axes.set_yscale("log")
        else:
            axes.set_ylim(bottom=0)  # or a small difference looks like a large one

    def _xs(self) -> list[float]:
        return sorted({x for points in self.series.values() for x in points})


@dataclass(frozen=True, repr=False)
class _Histogram(Plot):
    series: Mapping[str, Sequence[float]]

    def tables(self) -> Iterable[Table]:
        edges = self._edges()
        spans = [f"{_number(low)} to {_number(high)}" for low, high in pairwise(edges)]
        names = [*spans, f"over {_number(edges[-1])}"]
        counts = [self._counts(samples) for samples in self.series.values()]
        rows = [Row([n, *map(str, row)]) for n, *row in zip(names, *counts, strict=True)]
        medians = (median(samples) for samples in self.series.values())
        rows.append(Row(["median", *map(_number, medians)]))
        yield Table(f"{self.caption} ({self.y})", [self.x, *self.series], rows)

    def summary(self) -> str:
        medians = [f"{name} {_number(median(samples))}" for name, samples in self.series.items()]
        return f"{self.x}, the medians: {'; '.join(medians)}"

    def draw(self, axes: "Axes") -> None:
        edges = self._edges()
        for (name, samples), look in zip(self.series.items(), _LOOKS, strict=False):
            colour, _, stroke = look
            style: Any = {"color": colour, "linestyle": stroke, "linewidth": 1.5}
            label = f"{visible(name)}, median {_number(median(samples))}"
            counts = self._counts(samples)[:-1]
            axes.stairs(counts, edges, fill=True, color=colour, alpha=0.2)
            axes.stairs(counts, edges, label=label, **style)
            axes.axvline(median(samples), **style)

    def _edges(self) -> list[float]:
        low = min(map(min, self.series.values()))
        high = max(sorted(s)[int(_MOST * (len(s) - 1))] for s in self.series.values())
        width = (high - low) / _BINS or 1.0
        return [low + n * width for n in range(_BINS + 1)]

    def _counts(self, samples: Sequence[float]) -> list[int]:
        """Return the samples in each bin, and last those beyond."""
        edges = self._edges()
        width = edges[1] - edges[0]
        counts = [0] * (_BINS + 1)
        for sample in samples:
            bin_ = int((sample - edges[0]) / width) if sample < edges[-1] else _BINS
            counts[_BINS if sample > edges[-1] else min(bin_, _BINS - 1)] += 1
        return counts


def _tick(value: float) -> str:
    """Return a number for an axis: 2.5 and not 2.50, for it was not measured."""
    text = _number(value)
    return text.rstrip("0").rstrip(".") if "." in text and "e" not in text else text


def _number(value: float) -> str:
    """Return about three digits that count; an exponent only below 0.0001."""
    size = abs(value)
    if value == int(value) or size >= 100:
        return f"{value:.0f}"
    if size < 1:
        return f"{value:.3g}"
    return f"{value:.{1 if size >= 10 else 2}f}"
