"""The decisions of ``policy`` as a grid, beside the same grid recorded from Express.

The rules of this file: it decides nothing. Each cell is asked of the function that is given, or is
a digit of a recording; each reason is the ``why`` of the verdict itself.
"""

from collections.abc import Callable, Iterable, Sequence
from itertools import product
from typing import NamedTuple

from ..policy import Decision, Facts, Options, decide
from .table import AMBER, BLUE, GREEN, PLAIN, Display, Row, Table

Decide = Callable[[Facts, Options], Decision]

RECORDED = "2233445522334455455545554555455500000000555555555555555555555555"
"""What express-session 1.19 did, asked over HTTP: a digit for each of its 64 cases.

4 for save, 2 for touch, 1 for Set-Cookie. The cases are in the order of ``product((False, True),
repeat=6)`` over (new, modified, saveUninitialized, resave, rolling, has expiry).
"""

SITUATIONS = {
    "new, ignored": Facts(is_new=True),
    "new, written to": Facts(is_new=True, is_modified=True),
    "loaded, only read": Facts(is_new=False, is_saved=True),
    "loaded, changed": Facts(is_new=False, is_modified=True),
}
"""The facts of a plain request to Express, by what became of the session. Express renews the record
at each read: a touch is always due. What was loaded and not changed is what the store holds; what
was changed is not."""

_CHOICES = ("neither", "resave", "rolling", "both")
_LETTERS = (("S", 4), ("T", 2), ("C", 1))
_NO = "·"
_PARTS = ("save", "touch", "set_cookie", "clear_cookie")


class Case(NamedTuple):
    """One of the 64: a situation, and what else decides."""

    is_new: bool
    is_modified: bool
    save_uninitialized: bool
    resave: bool
    rolling: bool
    has_expiry: bool

    @property
    def situation(self) -> str:
        """The name in ``SITUATIONS``."""
        asked = self.is_new, self.is_modified
        return next(k for k, facts in SITUATIONS.items() if facts[:2] == asked)

    @property
    def facts(self) -> Facts:
        return SITUATIONS[self.situation]._replace(has_expiry=self.has_expiry)

    @property
    def options(self) -> Options:
        return Options(self.resave, self.rolling, self.save_uninitialized)


CASES = [Case(*flags) for flags in product((False, True), repeat=6)]


class Grid(Display):
    """64 cells: situations down, options across. In each, ``S`` for save, ``T`` for touch, ``C``
    for Set-Cookie. ``digits`` is the same in the form of ``RECORDED``."""

    def __init__(self, digits: str, caption: str) -> None:
        if len(digits) != len(CASES) or not set(digits) <= set("01234567"):
            raise ValueError(f"{digits!r}: write 64 digits from 0 to 7")
        self.digits, self.caption = digits, caption

    def tables(self) -> Iterable[Table]:
        cells = dict(zip(CASES, self.digits, strict=True))
        rows = []
        for (name, facts), has_expiry in product(SITUATIONS.items(), (False, True)):
            options = product((False, True), repeat=3)  # save_uninitialized, rolling, resave
            digits = [cells[Case(*facts[:2], u, r, o, has_expiry)] for u, o, r in options]
            tints = [PLAIN, PLAIN, *(_tint(digit) for digit in digits)]
            rows.append(Row([name, _yes(has_expiry), *map(_letters, digits)], tints))
        groups = [("", 2), ("save_uninitialized off", 4), ("save_uninitialized on", 4)]
        columns = ["session", "has_expiry", *_CHOICES * 2]
        yield Table(f"{self.caption}: S save, T touch, C Set-Cookie", columns, rows, groups=groups)


def grid(source: Decide | str) -> Grid:
    """Return the grid of a function such as ``decide``, or of digits such as ``RECORDED``."""
    if isinstance(source, str):
        return Grid("".join(source.split()), "as recorded")
    decisions = [source(case.facts, case.options) for case in CASES]
    digits = [
        sum(value for part, (_, value) in zip(decision[:3], _LETTERS, strict=True) if part)
        for decision in decisions
    ]
    return Grid("".join(map(str, digits)), f"as {_name(source)} says")


def _name(function: object) -> str:
    name = getattr(function, "__name__", "it")
    return "it" if name == "<lambda>" else str(name)


def differences(mine: Grid, theirs: Grid) -> Table:
    """Return the cells in which two grids differ, and their number, to be displayed."""
    pairs = zip(CASES, mine.digits, theirs.digits, strict=True)
    differing = [(case, one, other) for case, one, other in pairs if one != other]
    rows = [
        Row(
            [case.situation, _yes(case.has_expiry), _on(case), _letters(one), _letters(other)],
            AMBER,
        )
        for case, one, other in differing
    ]
    caption = f"{len(CASES) - len(differing)} of {len(CASES)} cells are the same in both grids"
    columns = ["session", "has_expiry", "options that are on", mine.caption, theirs.caption]
    return Table(caption, columns, rows or [Row(["(none)", "", "", "", ""])])


def why(situation: str | Facts, **known: bool) -> Table:
    """Return the decisions for a situation, each with its reason, to be displayed.

    ``situation`` is a name from ``SITUATIONS``, or facts. ``known`` settles ``has_expiry``,
    ``save_uninitialized``, ``resave`` or ``rolling``; each that is left open is tried both ways,
    and named where it matters.
    Raises: ``ValueError`` for a name that is not known.
    """
    free = ["save_uninitialized", "resave", "rolling"]
    if isinstance(situation, str):
        free.insert(0, "has_expiry")
        name, facts = situation, SITUATIONS.get(situation)
    else:
        name, facts = "these facts", situation
    if facts is None:
        raise ValueError(f"{situation!r}: write one of {', '.join(map(repr, SITUATIONS))}")
    if unknown := known.keys() - set(free):
        raise ValueError(f"{sorted(unknown)}: write {', '.join(free)}")
    open_ones = [key for key in free if key not in known]
    found: dict[Decision, list[tuple[bool, ...]]] = {}
    for flags in product((False, True), repeat=len(open_ones)):
        settled = {**known, **dict(zip(open_ones, flags, strict=True))}
        case = facts._replace(has_expiry=settled.pop("has_expiry", facts.has_expiry))
        found.setdefault(decide(case, Options(**settled)), []).append(flags)
    parts = [p for p in _PARTS if p != "clear_cookie" or any(d.clear_cookie for d in found)]
    rows = [
        _reasons(where, decision, parts)
        for decision, group in found.items()
        for where in _summed_up(open_ones, group)
    ]
    settled_ones = [f"{key} {_state(key, value)}" for key, value in known.items()]
    columns = ["where", *(part.replace("_", " ") for part in parts)]
    return Table(", ".join([f"why: {name}", *settled_ones]), columns, rows, prose=columns)


def _reasons(where: list[str], decision: Decision, parts: Sequence[str]) -> Row:
    verdicts = [getattr(decision, part) for part in parts]
    cells = [f"{_yes(verdict.is_yes)}: {verdict.why}" for verdict in verdicts]
    return Row([where, *cells], [PLAIN, *(GREEN if verdict else PLAIN for verdict in verdicts)])


def _summed_up(names: Sequence[str], group: list[tuple[bool, ...]]) -> list[list[str]]:
    # What is the same in all of them is named, if that leaves no others out.
    fixed = [index for index in range(len(names)) if len({flags[index] for flags in group}) == 1]
    if len(group) == 2 ** (len(names) - len(fixed)):
        return [[f"{names[i]} {_state(names[i], group[0][i])}" for i in fixed] or ["always"]]
    return [
        [f"{key} {_state(key, flag)}" for key, flag in zip(names, flags, strict=True)]
        for flags in group
    ]


def _state(name: str, value: bool) -> str:
    if name == "has_expiry":
        return _yes(value)
    return "on" if value else "off"


def _yes(value: bool) -> str:
    return "yes" if value else "no"


def _on(case: Case) -> str:
    options = case.options._asdict()
    return ", ".join(name for name, value in options.items() if value) or "none"


def _letters(digit: str) -> str:
    return " ".join(letter if int(digit) & value else _NO for letter, value in _LETTERS)


def _tint(digit: str) -> str:
    # Save or touch gives the colour; where a cookie goes out it is twice as strong.
    color = GREEN if int(digit) & 4 else BLUE if int(digit) & 2 else PLAIN
    return color.replace("0.25", "0.5") if int(digit) & 1 else color
