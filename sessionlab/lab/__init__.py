"""What the notebooks use to run an application and to look at it.

``serve`` runs it in the kernel and takes down each exchange; ``show`` shows the library's source;
``anatomy`` and ``contents`` show a cookie and a store; ``fixed_ids`` and ``Clock`` make a lesson
print the same each time.
"""

from ..testing import Clock
from .displays import anatomy, contents
from .errors import Errors
from .exchanges import Exchange, Exchanges
from .repeatable import fixed_ids
from .server import Server, serve
from .source import Source, show
from .table import Display, Row, Table

__all__ = [
    "Clock",
    "Display",
    "Errors",
    "Exchange",
    "Exchanges",
    "Row",
    "Server",
    "Source",
    "Table",
    "anatomy",
    "contents",
    "fixed_ids",
    "serve",
    "show",
]
