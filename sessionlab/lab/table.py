"""A table in two forms: aligned text, and HTML that looks right wherever a notebook is opened.

The rules of this file: the text says all that the HTML says, for it is what a terminal, a screen
reader and a test see; a colour only repeats what a word or a mark says. What is shown may come from
an attacker: everything is escaped, and what is invisible is made visible. The styles are those that
JupyterLab lets through in a notebook that was opened and not run (hence ``0.25``, never ``.25``),
and ``<code>`` keeps MathJax from reading two dollar signs in a cookie as a formula.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape
from itertools import chain
from textwrap import wrap
from typing import NamedTuple

_WIDTH = 100  # characters of a line
_GAP = "  "

_LONG_WORD = 32  # characters, an id; a longer word is broken rather than let a column grow with it
_LONG = re.compile(rf"\S{{{_LONG_WORD + 1},}}")
_MARK = "\0"  # which no visible text holds
_SHORT_LINE = 20  # characters; a cell of such lines is not wrapped

_CODE = "background:transparent;padding:0"
_CELL = (
    "border:1px solid rgba(128,128,128,0.5);padding:0.3em 0.6em;text-align:left;vertical-align:top"
)
_TABLE = "border-collapse:collapse;table-layout:auto;margin:0 0 1em 0"
_CAPTION = "caption-side:top;text-align:left;font-weight:bold;padding:0.3em 0"

GREEN, RED, AMBER, BLUE = (
    f"rgba({rgb},0.25)" for rgb in ("46,160,67", "248,81,73", "210,153,34", "56,139,253")
)

PLAIN = "transparent"
CAME, WENT, CHANGED, SAME = "+", "\N{MINUS SIGN}", "~", "="

Cell = str | list[str]  # a list: its lines


class Row(NamedTuple):
    """The cells of a row, of which the first is its heading, and the tint behind them, or that
    behind each."""

    cells: Sequence[Cell]
    tint: str | Sequence[str] = PLAIN

    @property
    def tints(self) -> Sequence[str]:
        """The tint of each cell."""
        return [self.tint] * len(self.cells) if isinstance(self.tint, str) else self.tint


class Display:
    """What a notebook shows as a table and a terminal as text; ``str()`` is that text."""

    def tables(self) -> Iterable["Table"]:
        """Return what is shown, from top to bottom."""
        raise NotImplementedError

    def __str__(self) -> str:
        return "\n\n".join(table.text() for table in self.tables())

    def __repr__(self) -> str:
        return str(self)

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, str]:
        html = "".join(table.html() for table in self.tables())
        return {"text/plain": str(self), "text/html": f"<div>{html}</div>"}


@dataclass(frozen=True, repr=False)
class Table(Display):
    """A caption, the headings of the columns, and rows. ``prose`` names the columns of our own
    words, set in letters of varying width. ``groups`` are headings above those, each over a number
    of columns."""

    caption: str
    columns: Sequence[str]
    rows: Sequence[Row]
    prose: Sequence[str] = ()
    groups: Sequence[tuple[str, int]] = ()

    def tables(self) -> Iterable["Table"]:
        return [self]

    def text(self) -> str:
        """Return the table as lines of at most 100 characters; what is longer is wrapped."""
        rows = [[_lines(cell) for cell in row.cells] for row in self.rows]
        rows.insert(0, [[column] for column in self.columns])
        widths = _fit(["\n".join(chain(*cells)) for cells in zip(*rows, strict=True)])
        rows.insert(1, [["-" * width] for width in widths])
        lines = [visible(self.caption), ""]
        lines += self._group_lines(widths)
        for row in rows:
            cells = [
                [piece for line in cell for piece in _wrapped(line, width)]
                for cell, width in zip(row, widths, strict=True)
            ]
            for height in range(max(map(len, cells))):
                pieces = [cell[height] if height < len(cell) else "" for cell in cells]
                padded = [piece.ljust(w) for piece, w in zip(pieces, widths, strict=True)]
                lines.append(_GAP.join(padded).rstrip())
        return "\n".join(lines)

    def _group_lines(self, widths: list[int]) -> list[str]:
        headings, left = [], list(widths)
        for heading, span in self.groups:
            width, left = sum(left[:span]) + len(_GAP) * (span - 1), left[span:]
            headings.append((_wrapped(visible(heading), width), width))
        height = max((len(pieces) for pieces, _ in headings), default=0)
        return [
            _GAP.join((p[i] if i < len(p) else "").ljust(w) for p, w in headings).rstrip()
            for i in range(height)
        ]

    def html(self) -> str:
        """Return the table as HTML."""
        head = "".join(f'<th scope="col" style="{_CELL}">{escape(c)}</th>' for c in self.columns)
        rows = []
        for row in self.rows:
            columns = zip(self.columns, row.cells, row.tints, strict=True)
            cells = [
                _html_cell(cell, "td" if index else 'th scope="row"', tint, column in self.prose)
                for index, (column, cell, tint) in enumerate(columns)
            ]
            rows.append(f'<tr style="background-color:transparent">{"".join(cells)}</tr>')
        caption = f'<caption style="{_CAPTION}">{_code(visible(self.caption))}</caption>'
        return (
            f'<table style="{_TABLE}">{caption}'
            f"<thead>{self._html_groups()}<tr>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table>"
        )

    def _html_groups(self) -> str:
        cells = "".join(
            f'<th scope="colgroup" colspan="{span}" style="{_CELL}">{escape(visible(text))}</th>'
            if text
            else f'<td colspan="{span}" style="{_CELL}"></td>'  # a heading has words
            for text, span in self.groups
        )
        return f"<tr>{cells}</tr>" if cells else ""


def _html_cell(cell: Cell, tag: str, tint: str, is_prose: bool) -> str:
    lines = _lines(cell)
    text = "\n".join(lines)
    flow = "white-space:pre" if max(map(len, lines)) <= _SHORT_LINE else "white-space:pre-wrap"
    content = escape(text) if is_prose else _code(text, flow)
    return f'<{tag} style="{_CELL};{flow};background-color:{tint}">{content}</{tag[:2]}>'


def _code(text: str, flow: str = "white-space:pre-wrap") -> str:
    # Before a notebook is run, JupyterLab drops ``overflow-wrap:anywhere``; it keeps ``<wbr>``.
    marked = _LONG.sub(lambda word: re.sub("(.{16})(?!$)", rf"\1{_MARK}", word[0]), text)
    return f'<code style="{_CODE};{flow}">{escape(marked).replace(_MARK, "<wbr>")}</code>'


def visible(text: str) -> str:
    """Return the text with all that has no shape of its own (controls, marks that turn the writing
    direction, odd spaces) as a Python escape: ``\\x1b``, ``\\u202e``."""
    if text.isprintable():
        return text
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape").decode() for char in text
    )


def shorten(text: str, length: int = 8) -> str:
    """Return the beginning, and ``…`` where something was left out."""
    return text if len(text) <= length + 1 else text[:length] + "…"


def _lines(cell: Cell) -> list[str]:
    return [visible(line) for line in ([cell] if isinstance(cell, str) else cell)] or [""]


def _wrapped(line: str, width: int) -> list[str]:
    return wrap(line, width, break_on_hyphens=False) or [""]


def _longest_word(text: str) -> int:
    return max(map(len, text.split()), default=0)


def _fit(columns: list[str]) -> list[int]:
    # The widest columns give way, all to the same width; a column keeps its longest word whole, up
    # to ``_LONG_WORD``, until nothing else is left to give.
    room = _WIDTH - len(_GAP) * (len(columns) - 1)
    naturals = [max(map(len, column.split("\n"))) for column in columns]
    words = [_longest_word(column) for column in columns]
    tries = [(limit, _LONG_WORD) for limit in range(room, 8, -1)]
    for limit, word in tries + [(8, most) for most in range(_LONG_WORD, 0, -1)]:
        widths = [
            min(natural, max(limit, min(longest, word)))
            for natural, longest in zip(naturals, words, strict=True)
        ]
        if sum(widths) <= room:
            break
    return widths
