"""An exercise: what a learner is to write, the rules it must hold, and the ways to help.

A rule is a function that gets the attempt. It asks it with ``expect``, or raises ``Wrong``: what
went in, what came out, what was expected. What the attempt itself raises is shown as an error with
the learner's own line. Each rule says why it matters, and has a hint that does not give it away.
"""

import textwrap
from collections.abc import Callable, Sequence
from difflib import get_close_matches
from traceback import format_exception
from types import CodeType
from typing import Any, Literal, NamedTuple, TypeVar

from ..lab import Source, show
from ..lab.errors import Errors
from ..session import BadRecord, SessionGone
from ..signing import BadSignature
from ..stores import StoreError
from .result import Result, Said, State, shorter, shown
from .running import run
from .untouched import is_untouched

Kind = Literal["write the part", "break it", "find the bug"]
Shape = Literal["function", "class"]

F = TypeVar("F", bound=Callable[[Any], None])

# What an attempt raises on purpose; anything else that it raises is an error of its own.
_REFUSALS = (BadSignature, BadRecord, SessionGone, StoreError)

NOT_YET = 'raise NotImplementedError("your turn")'


class Wrong(Exception):
    """An answer that is not right: what went in, what came out, what was expected."""

    def __init__(self, went_in: str, *, came_out: object, expected: object) -> None:
        super().__init__(went_in)
        self.went_in = shorter(went_in)
        self.came_out = shorter(came_out) if isinstance(came_out, str) else shown(came_out)
        self.expected = shorter(expected) if isinstance(expected, str) else shown(expected)


class ServerError(Exception):
    """An application on a real port answered 500; ``errors`` is what went wrong in it."""

    def __init__(self, errors: Errors) -> None:
        super().__init__("the application raised")
        self.errors = errors


class Rule(NamedTuple):
    """What an attempt must do: the claim, why it matters, a hint, and the function that asks."""

    claim: str
    why: str
    hint: str
    ask: Callable[[Any], None]


class Exercise:
    """One exercise. ``starter`` is the source in the notebook, ``answer`` a solution that passes:
    the library's own function or class wherever there is one; ``shown_with`` is what it stands on.
    ``seconds`` bounds a check."""

    def __init__(
        self,
        name: str,
        *,
        kind: Kind,
        task: str,
        starter: str,
        answer: Callable[..., Any],
        hints: Sequence[str],
        shown_with: Sequence[object] = (),
        shape: Shape = "function",
        seconds: float = 10,
    ) -> None:
        self.name = name
        self.kind = kind
        self.task = task
        self.starter = textwrap.dedent(starter).strip("\n")
        self.answer = answer
        self.hints = list(hints)
        self.shown_with = list(shown_with)
        self.shape = shape
        self.seconds = seconds
        self.rules: list[Rule] = []
        self.hints_given = 0

    def rule(self, claim: str, *, why: str, hint: str) -> Callable[[F], F]:
        """Add the decorated function as the next rule."""

        def add(ask: F) -> F:
            self.rules.append(Rule(claim, why, hint, ask))
            return ask

        return add

    def check(self, attempt: object) -> Result:
        """Return what came of an attempt. Never raises."""
        if attempt is None or attempt is ... or self._is_as_it_was(attempt):
            return self._not_attempted()
        if problem := self._wrong_shape(attempt):
            return Result(self.name, State.WRONG, [Said("what went in", problem)], "shape")
        kept: list[Rule] = []

        def ask_all() -> None:
            for rule in self.rules:
                rule.ask(attempt)
                kept.append(rule)

        outcome = run(ask_all, self.seconds)
        rule = self.rules[min(len(kept), len(self.rules) - 1)]
        if outcome.is_late:
            result = self._late(rule, outcome.is_left_behind)
        elif outcome.error is None:
            result = Result(self.name, State.PASSED, [Said("holds", r.claim) for r in self.rules])
        else:
            result = self._failed(rule, outcome.error)
        if result.state is State.NOT_ATTEMPTED:  # perhaps a class of which some methods are done
            result.said += [Said("holds", rule.claim) for rule in kept]
        elif outcome.printed:
            result.said.append(Said("it printed", shorter(outcome.printed)))
        return result

    def _failed(self, rule: Rule, error: BaseException) -> Result:
        if _is_not_yet(error):
            return self._not_attempted()
        if isinstance(error, Wrong):
            said = [
                Said("rule", rule.claim),
                Said("what went in", error.went_in),
                Said("what came out", error.came_out),
                Said("expected", error.expected),
                Said("why it matters", rule.why),
                Said("hint", rule.hint),
            ]
            return Result(self.name, State.WRONG, said, rule.claim)
        said = [Said("what went wrong", own_lines(error)), Said("while asking", rule.claim)]
        if isinstance(error, SystemExit | KeyboardInterrupt):
            said.append(Said("hint", "the part must return; it must not end the program"))
        return Result(self.name, State.ERROR, said, rule.claim)

    def _late(self, rule: Rule, is_left_behind: bool) -> Result:
        text = f"no answer after {self.seconds:g} s: a loop that does not end, or a wait for nobody"
        said = [Said("what went wrong", text), Said("while asking", rule.claim)]
        if is_left_behind:
            advice = "it could not be ended, and may go on: restart Python (or the kernel) first"
            said.append(Said("hint", advice))
        return Result(self.name, State.ERROR, said, rule.claim)

    def _not_attempted(self) -> Result:
        return Result(self.name, State.NOT_ATTEMPTED, [Said("task", self.task)])

    def _wrong_shape(self, attempt: object) -> str | None:
        is_class = isinstance(attempt, type)
        if is_class == (self.shape == "class") and callable(attempt):
            return None
        return (
            f"check({self.name!r}, …) takes the {self.shape} itself; what came is "
            f"{'a class' if is_class else shown(attempt)}"
        )

    def _is_as_it_was(self, attempt: object) -> bool:
        # A bug to be found runs as it stands; so what counts is whether it was touched at all.
        if NOT_YET in self.starter:
            return False
        return is_untouched(self.starter, self.name, attempt)

    def hint(self) -> Source:
        """Return the next hint; after the last, all of them."""
        self.hints_given = min(self.hints_given + 1, len(self.hints))
        number, total = self.hints_given, len(self.hints)
        return Source(
            f"# {self.name}, hint {number} of {total}\n" + _comment(self.hints[number - 1])
        )

    def solution(self) -> Source:
        """Return the source of a solution."""
        return show(*self.shown_with, self.answer)


def expect(function: Callable[..., Any], *arguments: Any, gives: object, **named: Any) -> None:
    """Ask an attempt, and raise ``Wrong`` unless it returns an equal value of the same type."""
    went_in = called(function, *arguments, **named)
    try:
        came_out = function(*arguments, **named)
    except _REFUSALS as error:
        refusal = f"{type(error).__name__}: {error}"
        raise Wrong(went_in, came_out=refusal, expected=shown(gives)) from None
    if type(came_out) is not type(gives) or came_out != gives:
        raise Wrong(went_in, came_out=shown(came_out), expected=shown(gives))


def expect_error(
    function: Callable[..., Any], *arguments: Any, error: type[Exception], because: str = ""
) -> None:
    """Ask an attempt, and raise ``Wrong`` unless it raises this error."""
    try:
        came_out = function(*arguments)
    except error:
        return
    expected = f"{error.__name__}{', ' if because else ''}{because}"
    raise Wrong(called(function, *arguments), came_out=shown(came_out), expected=expected)


def called(function: Callable[..., Any], *arguments: Any, **named: Any) -> str:
    """Return the text of a call."""
    name = getattr(function, "__name__", "your part")
    by_name = [f"{key}={shown(value)}" for key, value in named.items()]
    return f"{name}({', '.join([*map(shown, arguments), *by_name])})"


def names_used(function: object) -> set[str]:
    """Return the names that a function's code uses, and that of the functions it calls."""
    names: set[str] = set()
    rest: list[tuple[object, dict[str, object]]] = [(function, {})]
    seen: list[CodeType] = []
    while rest:
        one, outside = rest.pop()
        code, outside = getattr(one, "__code__", one), getattr(one, "__globals__", outside)
        if isinstance(code, CodeType) and code not in seen:
            seen.append(code)
            names.update(code.co_names)
            rest += [(constant, outside) for constant in code.co_consts]
            rest += [(outside.get(name), {}) for name in code.co_names]
    return names


def closest(name: object, names: Sequence[str]) -> str | None:
    """Return which name was probably meant."""
    matches = get_close_matches(name, names, 1, 0.5) if isinstance(name, str) else []
    return matches[0] if matches else None


def _is_not_yet(error: BaseException) -> bool:
    text = error.errors.text if isinstance(error, ServerError) else ""
    return isinstance(error, NotImplementedError) or "NotImplementedError" in text


def own_lines(error: BaseException) -> str:
    """Return the text of an error, with the frames of a learner's own files alone."""
    errors = error.errors if isinstance(error, ServerError) else Errors()
    if not isinstance(error, ServerError):
        errors.write("".join(format_exception(error)))
    return str(errors)


def _comment(text: str) -> str:
    return "\n".join(f"# {line}" for line in textwrap.wrap(text, 96))
