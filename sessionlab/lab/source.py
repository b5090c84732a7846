"""Show the library's own source, so that a notebook needs no copy of it."""

import inspect
from pathlib import Path
from textwrap import dedent
from types import ModuleType

_PACKAGE = Path(__file__).parent.parent


class Source:
    """Source text that JupyterLab highlights in the reader's own theme; ``str()`` is the text."""

    def __init__(self, text: str, language: str = "python") -> None:
        self.text, self.language = text, language

    def __str__(self) -> str:
        return self.text

    def __repr__(self) -> str:
        return self.text

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, str]:
        fence = "```"
        while fence in self.text:
            fence += "`"
        return {
            "text/plain": self.text,
            "text/markdown": f"{fence}{self.language}\n{self.text}\n{fence}",
        }


def show(*objects: object) -> Source:
    """Return the source of functions, classes, methods or modules of sessionlab, to be displayed.

    Format: a line ``# sessionlab/signing.py`` for the file, then the source as it stands there.
    Raises: ``TypeError`` for what has no source, ``ValueError`` for what is not sessionlab's.
    """
    if not objects:
        raise TypeError("show() takes functions, classes or modules of sessionlab: show(sign)")
    blocks, shown = [], None
    for thing in objects:
        path, text = _source(thing)
        blocks.append(text if path == shown else f"# {path}\n{text}")
        shown = path
    return Source("\n\n\n".join(blocks))


def _source(thing: object) -> tuple[str, str]:
    code = thing.fget if isinstance(thing, property) else thing
    code = inspect.unwrap(code) if callable(code) else code
    if not (isinstance(code, (type, ModuleType)) or inspect.isroutine(code)):
        kind = type(code).__name__
        raise TypeError(f"show() takes sessionlab's functions, classes and modules, not a {kind}")
    name = code.__name__ if isinstance(code, ModuleType) else code.__module__
    if not f"{name}.".startswith("sessionlab."):
        raise ValueError(
            f"{getattr(thing, '__name__', thing)!s} is not from sessionlab, whose source is what "
            "show() shows; elsewhere, write inspect.getsource(...) or name??"
        )
    path = Path(inspect.getfile(code)).relative_to(_PACKAGE.parent)
    return path.as_posix(), dedent(inspect.getsource(code)).rstrip("\n")
