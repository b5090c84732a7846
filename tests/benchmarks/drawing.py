"""Measured numbers as horizontal bars, in plain SVG.

The rules of this file: the same numbers make the same bytes, with no date in them. The ground is
white, so that it is read on a dark page too, and each bar has its number beside it.
"""

from collections.abc import Mapping
from html import escape

_WIDTH, _LEFT, _RIGHT = 760, 150, 640  # pixels: of the picture, and where the bars begin and end
_BAR, _STEP, _TITLE = 14, 19, 30  # pixels: how thick a bar is, from bar to bar, above a group
_TOP = 42
_OURS, _OTHERS, _LINE = "#0072b2", "#b3b3b3", "#d55e00"
_HALO = "paint-order:stroke;stroke:#ffffff;stroke-width:3px"  # so that no line crosses a number


def bars(
    title: str,
    groups: Mapping[str, Mapping[str, float]],
    ours: str,
    line: tuple[str, float] | None = None,
    digits: int = 1,
) -> str:
    """Return the SVG of a group of bars for each of ``groups``, all to one scale.

    ``ours`` is the beginning of the names of the bars that are coloured. ``line`` is a name, and a
    value at which a dashed line is drawn through all of them.
    """
    largest = max(value for group in groups.values() for value in group.values())
    scale = (_RIGHT - _LEFT) / largest
    parts, y = [_text(12, 24, title, "font-weight:bold")], _TOP
    for name, group in groups.items():
        y += _TITLE
        parts.append(_text(12, y - 8, name, "font-weight:bold"))
        for label, value in group.items():
            width, colour = value * scale, _OURS if label.startswith(ours) else _OTHERS
            parts += [
                _text(_LEFT - 8, y + 11, label, "text-anchor:end"),
                f'<rect x="{_LEFT}" y="{y}" width="{width:.1f}" height="{_BAR}" fill="{colour}"/>',
                _text(_LEFT + width + 6, y + 11, f"{value:.{digits}f}", _HALO),
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
