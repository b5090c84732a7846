"""What the notebooks use to run an application and to look at it.

``serve`` runs it in the kernel and takes down each exchange; ``show`` shows the library's source;
``anatomy`` and ``contents`` show a cookie and a store; ``fixed_ids`` and ``Clock`` make a lesson
print the same each time.
"""

from ..testing import Clock
from .contract import contract
from .displays import anatomy, contents
from .errors import Errors
from .exchanges import Exchange, Exchanges
from .express import SHARED_SECRET, ExpressServer, serve_express
from .grid import RECORDED, SITUATIONS, Grid, differences, grid, why
from .load import Load, load
from .plots import plot
from .process import ShopProcess, serve_shop
from .repeatable import fixed_ids
from .server import Server, serve
from .source import Source, show
from .story import Story
from .table import Display, Row, Table
from .timeline import Step, timeline
from .valkey import NoValkey, Valkey, start_valkey

__all__ = [
    "RECORDED",
    "SHARED_SECRET",
    "SITUATIONS",
    "Clock",
    "Display",
    "Errors",
    "Exchange",
    "Exchanges",
    "ExpressServer",
    "Grid",
    "Load",
    "NoValkey",
    "Row",
    "Server",
    "ShopProcess",
    "Source",
    "Step",
    "Story",
    "Table",
    "Valkey",
    "anatomy",
    "contents",
    "contract",
    "differences",
    "fixed_ids",
    "grid",
    "load",
    "plot",
    "serve",
    "serve_express",
    "serve_shop",
    "show",
    "start_valkey",
    "timeline",
    "why",
]
