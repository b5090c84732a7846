"""The shop in a process of its own, beside the notebook's.  Notebook: 09-scaling-out.

The rules of this file: the process is told the address of its store and nothing else, as a server
elsewhere would be. It prints its address, and nothing more. It ends when its standard input does,
so that it does not outlive a kernel that was killed.
"""

import os
import subprocess
import sys
from functools import cached_property
from pathlib import Path
from threading import Lock

from ..middleware import SessionMiddleware
from ..stores import MemoryStore, Store
from ..stores.redis import RedisStore
from .demo import shop_app
from .express import SHARED_SECRET
from .repeatable import fixed_ids
from .server import serve

_ROOT = Path(__file__).parents[2]
_MAIN = "from sessionlab.lab.process import main; main()"

_processes: dict[str, "ShopProcess"] = {}
_lock = Lock()


def serve_shop(store: str, name: str) -> "ShopProcess":
    """Return the shop, running in a process of its own.

    ``store`` says in text where its sessions are: ``memory``, ``redis://...``, or the path of an
    SQLite file. A process of the same name is ended first. Its ids are ``fixed_ids(name)``.
    Its ``url`` raises ``RuntimeError`` when it can't start, with its words.
    """
    with _lock:
        if name in _processes:
            _processes.pop(name).stop()
        _processes[name] = process = ShopProcess(store, name)
    return process


class ShopProcess:
    """A server process."""

    def __init__(self, store: str, name: str) -> None:
        self.name = name
        path = [str(_ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
        self._process = subprocess.Popen(  # noqa: S603
            [sys.executable, "-P", "-c", _MAIN, store, name],
            env={**os.environ, "PYTHONPATH": os.pathsep.join(path)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    @cached_property
    def url(self) -> str:
        """Its address, as soon as it has one: so two processes can start at the same time."""
        assert self._process.stdout is not None  # noqa: S101  for the type checker
        url = self._process.stdout.readline().strip()
        if not url:
            said = self._process.communicate()[1].strip().rpartition("\n")[2]
            raise RuntimeError(f"the shop can't start: {said}")
        return url

    def stop(self) -> None:
        """End the process as a crash does: it has no time to write anything."""
        self._process.kill()
        self._process.communicate()

    def __repr__(self) -> str:
        state = "stopped" if self._process.returncode is not None else "running"
        return f"<Process {self.name!r}: {state}>"


def main() -> None:
    """Serve the shop until the standard input ends."""
    store, name = sys.argv[1:]
    app = SessionMiddleware(
        shop_app(), SHARED_SECRET, store=open_store(store), genid=fixed_ids(name)
    )
    # Behind a function, where the server does not find the store: to look at it takes time.
    server = serve(lambda environ, start_response: app(environ, start_response))
    print(server.url, flush=True)
    sys.stdin.read()


def open_store(store: str) -> Store:
    """Return the store that a text names."""
    if store == "memory":
        return MemoryStore()
    if store.startswith(("redis://", "rediss://", "unix://")):
        return RedisStore.from_url(store)
    from ..stores.sqlite import SQLiteStore

    return SQLiteStore(store, busy_timeout=5)  # others open it at the same moment, after a crash
