"""What the benchmarks say: a median with its quartiles, a table, and a part of a page.

The rules of this file: it measures nothing. A part of a page stands between two comments that
name it, and is written by the script that measured it, so that no figure is copied by hand.
"""

import os
import platform
import re
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from itertools import zip_longest
from pathlib import Path
from statistics import quantiles
from typing import NamedTuple

Lines = list[list[str]]  # of a table, its head first

FIGURES = Path(__file__).parent / "figures.md"  # all of them
README = Path(__file__).parents[2] / "README.md"  # what a reader wants to know first


class Spread(NamedTuple):
    """The middle of what was measured, and the quartiles: half of it lies between these."""

    low: float
    middle: float
    high: float

    @classmethod
    def of(cls, samples: Sequence[float]) -> "Spread":
        if len(samples) == 1:
            return cls(*samples, *samples, *samples)
        return cls(*quantiles(samples, n=4, method="inclusive"))

    def text(self, digits: int = 1) -> str:
        """Return ``12.3 (11.9, 12.8)``."""
        return f"{self.middle:.{digits}f} ({self.low:.{digits}f}, {self.high:.{digits}f})"


def as_text(lines: Lines) -> str:
    """Return a table for a terminal."""
    widths = [max(map(len, column)) + 2 for column in zip_longest(*lines, fillvalue="")]
    rows = (zip(line, widths, strict=False) for line in lines)
    return "\n".join("".join(text.ljust(width) for text, width in row).rstrip() for row in rows)


def as_markdown(lines: Lines) -> str:
    """Return a table for a page."""
    head, *others = lines
    rows = [head, ["---"] * len(head), *others]
    return "\n".join("| " + " | ".join(row) + " |" for row in rows)


def about() -> str:
    """Return on which machine, with which Python and when this runs."""
    machine, info = platform.machine(), Path("/proc/cpuinfo")
    if info.exists() and (model := re.search(r"model name\s*: (.+)", info.read_text("utf-8"))):
        machine = model[1]
    python, system, today = platform.python_version(), platform.system(), datetime.now(UTC).date()
    return f"{os.cpu_count()} cores of {machine}, {system}, Python {python}, {today}"


def read_part(page: Path, name: str) -> str:
    """Return the part of a page that has this name.  Raises: ``ValueError`` if it has none."""
    return _find(page.read_text("utf-8"), page, name)[2]


def write_part(page: Path, name: str, paragraphs: Iterable[str]) -> None:
    """Put text in the place of the part that has this name.  Raises: as ``read_part``."""
    text = page.read_text("utf-8")
    start, end, _ = _find(text, page, name)
    page.write_text(text[:start] + "\n\n".join(paragraphs) + text[end:], encoding="utf-8")


def _find(text: str, page: Path, name: str) -> tuple[int, int, str]:
    found = re.search(f"<!-- {name} -->\n(.*?)\n<!-- end of {name} -->", text, re.DOTALL)
    if found is None:
        raise ValueError(f"{page} has no part between <!-- {name} --> and <!-- end of {name} -->")
    return *found.span(1), found[1]
