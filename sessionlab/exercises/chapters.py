"""The chapters and their exercises, in the order in which they are taught."""

from .attacks import EXERCISES as ATTACKS
from .cookies import EXERCISES as COOKIES
from .decisions import EXERCISES as DECISIONS
from .exercise import Exercise
from .middleware import EXERCISES as MIDDLEWARE
from .races import EXERCISES as RACES
from .sessions import EXERCISES as SESSIONS
from .signing import EXERCISES as SIGNING
from .stores import EXERCISES as STORES

CHAPTERS: dict[int, list[Exercise]] = {
    1: COOKIES,
    2: SIGNING,
    3: STORES,
    4: SESSIONS,
    5: DECISIONS,
    6: MIDDLEWARE,
    7: ATTACKS,
    8: RACES,
}


def find(name: object) -> Exercise | None:
    """Return the exercise of a name; None if there is none."""
    for exercises in CHAPTERS.values():
        for exercise in exercises:
            if exercise.name == name:
                return exercise
    return None
