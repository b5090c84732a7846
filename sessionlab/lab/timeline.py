"""A picture of who did what in which order, and the same as a table.

The rules of this file: those of ``table.py``. The picture is an SVG within an ``<img>``: on its own
white ground, it looks the same in a dark theme; in there, nothing of an attacker's can run. Its
letters are all of one width, so that what fits in here fits on every machine.
"""

from collections.abc import Iterable, Iterator, Sequence
from html import escape
from textwrap import wrap
from typing import NamedTuple
from urllib.parse import quote

from .table import PLAIN, Display, Row, Table, visible

_MOST_COLUMNS = 4  # of the table, one for each lane; with more lanes, they would be too narrow

_WIDEST, _GUTTER, _LANE, _SPACE = 900, 34, 290, 12  # pixels: all, left of the lanes, a lane, a gap
_CHAR, _LINE, _PAD = 7.9, 18, 8  # pixels: the size of letters, and what is around a text
_NARROWEST = 60  # pixels, a lane; with more than 14 lanes, the picture grows
_FONT = "font-family='ui-monospace,Menlo,Consolas,DejaVu Sans Mono,monospace' font-size='13'"
_INK, _GREY = "#1f2328", "#8c959f"
_HEAD = 5  # pixels, half the height of an arrow's head
_UNQUOTED = " '=:/;,()!?*@$+[]\n"  # beside letters, digits and _.-~; browsers drop the line breaks


class Step(NamedTuple):
    """One thing that somebody did. ``lane`` is who; with ``to``, it is a message to that lane."""

    lane: str
    text: str
    to: str | None = None
    tint: str = PLAIN


def timeline(steps: Iterable[Step], caption: str = "", lanes: Sequence[str] = ()) -> "Timeline":
    """Return a picture of who did what in which order, to be displayed.

    Each lane is a participant, and time runs downwards. ``lanes`` puts these first, from left to
    right; the others follow as they appear.
    """
    taken = list(steps)
    named = [name for step in taken for name in (step.lane, step.to) if name is not None]
    return Timeline(caption, list(dict.fromkeys([*lanes, *named])), taken)


class Timeline(Display):
    """What ``timeline`` returns: a table as text, a picture as HTML."""

    def __init__(self, caption: str, lanes: list[str], steps: list[Step]) -> None:
        self.caption, self.lanes, self.steps = caption, lanes, steps

    def tables(self) -> Iterator[Table]:
        if 0 < len(self.lanes) <= _MOST_COLUMNS:
            columns = ["step", *self.lanes]
            rows = [
                [str(number), *(_said(step) if lane == step.lane else "" for lane in self.lanes)]
                for number, step in enumerate(self.steps, 1)
            ]
        else:
            columns = ["step", "who", "what"]
            rows = [
                [str(number), step.lane, _said(step)] for number, step in enumerate(self.steps, 1)
            ]
        cells = [Row(row) for row in rows] or [Row(["(none)", *[""] * (len(columns) - 1)])]
        yield Table(self.caption, [visible(column) for column in columns], cells)

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, str]:
        svg = quote(_Picture(self.lanes, self.steps).svg(), safe=_UNQUOTED)
        told = [self.caption, *(_sentence(*numbered) for numbered in enumerate(self.steps, 1))]
        alt = escape(visible("; ".join(filter(None, told))))
        caption = escape(visible(self.caption))
        html = (
            f'<div><div style="font-weight:bold;text-align:left;padding:0.3em 0">{caption}</div>'
            f'<img alt="{alt}" src="data:image/svg+xml,{svg}"></div>'
        )
        return {"text/plain": str(self), "text/html": html}


def _said(step: Step) -> str:
    return step.text if step.to is None else f"→ {step.to}: {step.text}"


def _sentence(number: int, step: Step) -> str:
    arrow = "" if step.to is None else f" → {step.to}"
    return f"{number}. {step.lane}{arrow}: {step.text}"


class _Picture:
    """The drawing, from top to bottom."""

    def __init__(self, lanes: list[str], steps: list[Step]) -> None:
        self._steps = steps
        self._lane = max(min(_LANE, (_WIDEST - _GUTTER) // max(len(lanes), 1)), _NARROWEST)
        self._centers = {
            lane: _GUTTER + self._lane * (index + 0.5) for index, lane in enumerate(lanes)
        }
        self._width = _GUTTER + self._lane * max(len(lanes), 1)

    def svg(self) -> str:
        """Return the SVG, a line for each of its elements."""
        heads, top = [], _SPACE
        height = max((len(self._wrapped(lane)) for lane in self._centers), default=0)
        for lane, center in self._centers.items():
            lines = self._wrapped(lane)
            heads += self._box(center, top, lines, height, PLAIN, is_bold=True)
        start = top + _LINE * height + _PAD * 2
        body, y = [], float(start)
        for number, step in enumerate(self._steps, 1):
            y += _SPACE
            drawn, end = self._step(step, y)
            body += [_text(_GUTTER / 2, y + _PAD / 2 + _LINE - 4, str(number), _GREY), *drawn]
            y = end
        bottom = y + _SPACE
        lines = [
            f"<path d='M{x:g} {start}V{bottom:g}' stroke='{_GREY}' stroke-dasharray='3 4'/>"
            for x in self._centers.values()
        ]
        size = f"width='{self._width}' height='{bottom:g}' viewBox='0 0 {self._width} {bottom:g}'"
        ground = f"<rect width='{self._width}' height='{bottom:g}' fill='#ffffff'/>"
        start_tag = f"<svg xmlns='http://www.w3.org/2000/svg' {size} {_FONT} fill='none'>"
        return "\n".join([start_tag, ground, *lines, *heads, *body, "</svg>"])

    def _step(self, step: Step, y: float) -> tuple[list[str], float]:
        here = self._centers[step.lane]
        there = here if step.to is None else self._centers[step.to]
        lanes = abs(there - here) / self._lane
        lines = self._wrapped(step.text, max(lanes, 1))
        height = _LINE * len(lines)
        if not lanes:
            return self._box(here, y, lines, len(lines), step.tint), y + height + _PAD * 2
        # The text stands above the arrow, on a ground that hides the lanes which it crosses.
        box = self._box((here + there) / 2, y, lines, len(lines), step.tint, is_label=True)
        line, side = y + height + _PAD + _HEAD, -1 if there > here else 1
        head = f"M{there + side * 9:g} {line - _HEAD}l{-side * 9} {_HEAD}l{side * 9} {_HEAD}z"
        arrow = f"<path d='M{here:g} {line:g}H{there + side * 9:g}' stroke='{_INK}'/>"
        return [*box, arrow, f"<path d='{head}' fill='{_INK}'/>"], line + _HEAD

    def _box(
        self,
        center: float,
        y: float,
        lines: list[str],
        height: int,
        tint: str,
        *,
        is_bold: bool = False,
        is_label: bool = False,
    ) -> list[str]:
        width = max(map(len, lines)) * _CHAR + _PAD * 2
        padding = _PAD / 2 if is_label else _PAD
        place = f"x='{center - width / 2:g}' y='{y:g}' width='{width:g}' rx='4'"
        place += f" height='{height * _LINE + padding * 2:g}'"
        edge = "" if is_label else f" stroke='{_INK if is_bold else _GREY}'"
        ground = [f"<rect {place} fill='#ffffff'/>", f"<rect {place} fill='{tint}'{edge}/>"]
        first = y + padding + _LINE - 4
        return ground + [
            _text(center, first + _LINE * index, line, _INK, is_bold)
            for index, line in enumerate(lines)
        ]

    def _wrapped(self, text: str, lanes: float = 1) -> list[str]:
        width = max(int((self._lane * lanes - _PAD * 2 - _SPACE) / _CHAR), 1)
        return wrap(visible(text), width, break_on_hyphens=False) or [""]


def _text(x: float, y: float, text: str, color: str, is_bold: bool = False) -> str:
    weight = " font-weight='bold'" if is_bold else ""
    return (
        f"<text x='{x:g}' y='{y:g}' fill='{color}' text-anchor='middle'{weight}>"
        f"{escape(text)}</text>"
    )
