"""Measured numbers as horizontal bars, and as lines; each with its quartiles, in SVG.

The rules of this file: the same numbers make the same bytes, with no date in them. The ground is
white, so that it is read on a dark page too, and each bar has its number beside it.
"""

from collections.abc import Mapping
from html import escape
from io import StringIO

from benchmarks.report import Spread

_WIDTH, _LEFT, _RIGHT = 760, 150, 640  # pixels: of the picture, and where the bars begin and end
_BAR, _STEP, _TITLE = 14, 19, 30  # pixels: how thick a bar is, from bar to bar, above a group
_TOP = 42
_OURS, _OTHERS, _LINE, _QUARTILES = "#0072b2", "#b3b3b3", "#d55e00", "#000000"
_HALO = "paint-order:stroke;stroke:#ffffff;stroke-width:3px"  # so that no line crosses a number


def bars(
    title: str,
    groups: Mapping[str, Mapping[str, Spread]],
    ours: str,
    line: tuple[str, float] | None = None,
    digits: int = 1,
) -> str:
    """Return the SVG of a group of bars for each of ``groups``, all to one scale.

    A thin line at the end of a bar goes from the one quartile to the other.

    ``ours`` is the beginning of the names of the bars that are coloured. ``line`` is a name, and a
    value at which a dashed line is drawn through all of them.
    """
    largest = max(value.high for group in groups.values() for value in group.values())
    scale = (_RIGHT - _LEFT) / largest
    parts, y = [_text(12, 24, title, "font-weight:bold")], _TOP
    for name, group in groups.items():
        y += _TITLE
        parts.append(_text(12, y - 8, name, "font-weight:bold"))
        for label, value in group.items():
            low, width, high = (max(0.0, part) * scale for part in value)
            colour = _OURS if label.startswith(ours) else _OTHERS
            quartiles = f'd="M{_LEFT + low:.1f} {y + 7}h{high - low:.1f}" stroke="{_QUARTILES}"'
            parts += [
                _text(_LEFT - 8, y + 11, label, "text-anchor:end"),
                f'<rect x="{_LEFT}" y="{y}" width="{width:.1f}" height="{_BAR}" fill="{colour}"/>',
                f"<path {quartiles}/>",
                _text(_LEFT + high + 6, y + 11, f"{value.middle:.{digits}f}", _HALO),
            ]
            y += _STEP
    if line is not None:  # below all else
        x, stroke = _LEFT + line[1] * scale, f'stroke="{_LINE}" stroke-width="1.5"'
        path = f'd="M{x:.1f} {_TOP + 6}V{y}" stroke-dasharray="5 3"'
        label = _text(x + 4, _TOP + 12, line[0], f"fill:{_LINE}")
        parts = [f"<path {path} {stroke}/>", label, *parts]
    size = f'width="{_WIDTH}" height="{y + 8}" viewBox="0 0 {_WIDTH} {y + 8}"'
    font = 'font-family="sans-serif" font-size="12"'
    head = f'<svg xmlns="http://www.w3.org/2000/svg" role="img" {size} {font}>'
    ground = '<rect width="100%" height="100%" fill="#ffffff"/>'
    says = f"<title>{escape(title)}</title>"
    return "\n".join([head, says, ground, *parts, "</svg>", ""])


def _text(x: float, y: float, text: str, style: str = "") -> str:
    look = f' style="{style}"' if style else ""
    return f'<text x="{x:.1f}" y="{y}"{look}>{escape(text)}</text>'


def lines(
    title: str, x: str, y: str, curves: Mapping[str, Mapping[float, Spread]], log: str
) -> str:
    """Return the SVG of a line for each of ``curves``, from x to y, with its quartiles.

    ``log`` names the axes that count in powers.  Raises: ``ImportError`` without matplotlib.
    """
    import matplotlib
    from matplotlib.figure import Figure

    settings = {"svg.hashsalt": "sessionlab", "svg.fonttype": "none", "font.size": 9}
    with matplotlib.rc_context({**matplotlib.rcParamsDefault, **settings}):
        figure = Figure(figsize=(8, 3.4), layout="constrained")
        axes = figure.add_subplot(xlabel=x, ylabel=y)
        axes.set_title(title, loc="left", fontweight="bold", fontsize="medium")
        for (name, points), mark in zip(curves.items(), "os^Dv<>", strict=False):
            middles = [value.middle for value in points.values()]
            below = [value.middle - value.low for value in points.values()]
            above = [value.high - value.middle for value in points.values()]
            style = {"marker": mark, "capsize": 3, "label": name}
            axes.errorbar(list(points), middles, yerr=[below, above], **style)
        xs = sorted({x for points in curves.values() for x in points})
        axes.set_xscale("log")
        axes.set_xticks(xs, [f"{x:,.0f}" for x in xs])
        if "y" in log:
            axes.set_yscale("log")
        else:
            axes.set_ylim(bottom=0)  # or a small difference looks like a large one
        axes.minorticks_off()
        axes.yaxis.set_major_formatter(lambda value, _: f"{value:,g}")
        axes.grid(alpha=0.3)
        figure.legend(loc="outside right center", frameon=False)
        file = StringIO()
        figure.savefig(file, format="svg", metadata={"Date": None, "Creator": None})
    return file.getvalue()
