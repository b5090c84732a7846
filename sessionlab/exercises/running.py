"""Run what a learner wrote: it may raise, print, end the program or never come back.

The rules of this file: nothing that an attempt does gets out. It runs in a thread of its own, so
that ``sys.exit()`` ends only that; what it prints is kept; and after its time is up ``SystemExit``,
of which a thread dies without a word, is thrown into it, again and again, since an attempt may
catch that, too.
"""

import ctypes
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from io import StringIO
from typing import NamedTuple

_MOST_PRINTED = 2000  # characters that are kept
_THROWS = (0.05, 0.5), (1e-6, 1.0)  # seconds between two of them, and for how long
_PAUSE = 0.02  # seconds


class Outcome(NamedTuple):
    """What came of an attempt: the error that it ended with, or None, and what it printed."""

    error: BaseException | None
    printed: str
    is_late: bool
    is_left_behind: bool = False
    """It was late, could not be ended, and may be at work still."""


def run(work: Callable[[], object], seconds: float) -> Outcome:
    """Call ``work``, for so many seconds at most, and say what came of it. Never raises, but for
    the reader's own Ctrl-C."""
    errors: list[BaseException] = []
    done = threading.Event()  # a join() that Ctrl-C breaks off takes the thread for a dead one
    is_ended = True

    def guarded() -> None:
        try:
            work()
        except BaseException as error:  # also SystemExit, KeyboardInterrupt
            errors.append(error)
        finally:
            done.set()

    before = set(threading.enumerate())
    thread = threading.Thread(target=guarded, daemon=True)
    with _kept_output() as output:
        try:
            thread.start()
            is_late = not done.wait(seconds)
        finally:
            if not done.is_set():
                is_ended = _end(before)
        thread.join(_PAUSE)
    error = errors[0] if errors and not is_late else None
    return Outcome(error, output.getvalue(), is_late, not is_ended)


def _end(before: set[threading.Thread]) -> bool:
    # The attempt may run in the threads of a server, too. A thread that waits for the operating
    # system can't be ended; it does no harm, for none of them outlives the program. Most die of the
    # first throw, if they are left in peace to do so; one that catches whatever is thrown meets the
    # next throw in the midst of catching, if we come often.
    interval = sys.getswitchinterval()
    try:
        for pause, seconds in _THROWS:
            sys.setswitchinterval(min(interval, pause))
            deadline = time.monotonic() + seconds
            while time.monotonic() < deadline:
                started = [thread for thread in threading.enumerate() if thread not in before]
                if not started:
                    return True
                for thread in started:
                    _throw_into(thread)
                time.sleep(pause)
        return False
    finally:
        sys.setswitchinterval(interval)


def _throw_into(thread: threading.Thread) -> None:
    number = ctypes.c_ulong(thread.ident or 0)
    ctypes.pythonapi.PyThreadState_SetAsyncExc(number, ctypes.py_object(SystemExit))


class _Bounded(StringIO):
    def write(self, text: str) -> int:
        room = _MOST_PRINTED - self.tell()
        super().write(text[: max(room, 0)])
        return len(text)


@contextmanager
def _kept_output() -> Iterator[StringIO]:
    output = _Bounded()
    with redirect_stdout(output), redirect_stderr(output):
        yield output
    sys.stdout.flush()
