"""What went wrong in the handlers of a server, to be read afterwards."""

import os
import re
import sysconfig
from html import escape
from pathlib import Path
from threading import Lock

from .table import visible

_FRAME = re.compile(r'^( *)File "(.*)", line (\d+), in (.*)\n((?:\1  .*\n)*)', re.MULTILINE)
_FOLDERS = [sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")]
_PLACES = [str(Path(__file__).parent.parent), *_FOLDERS]
_NOT_THE_READERS = ("<frozen", *(f"{place}{os.sep}" for place in _PLACES))


class Errors:
    """What was written to ``wsgi.errors``, and the tracebacks of what handlers raised.

    ``text`` is all of it. What is displayed, and what ``str()`` gives, has the reader's own lines
    alone, without folders: the same on every machine.
    """

    def __init__(self) -> None:
        self._pieces: list[str] = []
        self._lock = Lock()

    def write(self, text: str) -> int:
        """Append a text, in one piece however many threads write."""
        with self._lock:
            self._pieces.append(text)
        return len(text)

    def writelines(self, lines: list[str]) -> None:
        """Append several texts."""
        self.write("".join(lines))

    def flush(self) -> None:
        """Do nothing: what is written can be read."""

    @property
    def text(self) -> str:
        with self._lock:
            return "".join(self._pieces)

    def __bool__(self) -> bool:
        return bool(self.text)

    def __str__(self) -> str:
        lines = _FRAME.sub(_own_frame, self.text).rstrip("\n") or "no errors"
        return "\n".join(visible(line) for line in lines.split("\n"))

    def __repr__(self) -> str:
        return str(self)

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, str]:
        code = f'<code style="background:transparent;padding:0">{escape(str(self))}</code>'
        html = f'<pre style="white-space:pre-wrap;text-align:left">{code}</pre>'
        return {"text/plain": str(self), "text/html": html}


def _own_frame(match: re.Match[str]) -> str:
    indent, file, number, function, code = match.groups()
    if file.startswith(_NOT_THE_READERS):
        return ""
    # IPython keeps a cell under a name with a number of the process in it.
    place = "a cell" if "ipykernel" in file else re.split(r"[\\/]", file)[-1]
    source = code.partition("\n")[0]  # the marks below it are others in each version of Python
    return f"{indent}{place}, line {number}, in {function}\n" + (f"{source}\n" if source else "")
