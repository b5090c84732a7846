"""Wrong answers, kept to put the checker on trial: each is caught by the message meant for it.

``@wrong(EXERCISE NAME, CLAIM)`` takes a function or class under trial: the claim is that of the
rule that catches it. With ``error=True`` the attempt raises while that rule asks.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class WrongAnswer:
    exercise: str
    claim: str
    attempt: object
    is_error: bool

    def __str__(self):
        return f"{self.exercise}: {self.attempt.__name__}"


ALL = []


def wrong(exercise, claim, *, error=False):
    def note(attempt):
        ALL.append(WrongAnswer(exercise, claim, attempt, error))
        return attempt

    return note
