"""A store in Redis or Valkey, for more than one machine.  Notebook: 03-stores.

The rules of this file: one key a session and one command a step, so that each step is atomic, costs
one round trip, and can be asked of a cluster. The client comes from outside; redis-py is imported
by ``from_url`` alone.
"""

import math
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from hashlib import sha1
from typing import Any

from . import Record, StoreError

# What the server runs as one step. MGET because GET fails where another program left a list, say.
_LOAD = "return {redis.call('MGET', KEYS[1])[1], redis.call('PTTL', KEYS[1])}"
_REPLACE = """
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
if tonumber(ARGV[3]) > 0 then redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
else redis.call('DEL', KEYS[1]) end
return 1
"""
_NAMES = {
    script: sha1(script.encode(), usedforsecurity=False).hexdigest() for script in (_LOAD, _REPLACE)
}
_NO_KEY, _NO_END = -2, -1  # what PTTL says in place of milliseconds
_DAY = 86400  # seconds, which connect-redis, too, gives a session whose cookie has no age
_TIMEOUT = 0.5  # seconds
_BATCH = 1000  # keys


class RedisStore:
    """Keeps records in Redis or Valkey, where several processes and machines share them.

    ``client``: any of redis-py or valkey-py, be it ``Redis``, Sentinel's ``master_for`` or
    ``RedisCluster``. Give it time-outs, and no retries: what is sent twice may be counted twice.
    Format: the key ``<prefix><id>``, the JSON as its value, the end as its TTL, in milliseconds.
    The TTL counts, not the ``expires`` in the JSON, which Express leaves behind when it renews. A
    key without a TTL lives on, a day from each look at it, until it is saved or renewed here.
    What is no text, a list or bytes that are not UTF-8, comes back as a text that no session has.

    The server's promises are the store's. With ``appendfsync always`` an acknowledged write
    survives a crash; with ``everysec`` the last second may not. A failover, of Sentinel or of a
    cluster, can lose acknowledged writes and bring a destroyed session back: replicas lag behind.
    Source: the layout of connect-redis 9, so that Express can share the server.
    """

    def __init__(
        self, client: Any, prefix: str = "sess:", now: Callable[[], float] = time.time
    ) -> None:
        if not hasattr(client, "execute_command"):
            kind = type(client).__name__  # and not the url itself, with its password
            raise TypeError(f"client is a {kind}: of a url, write RedisStore.from_url(url)")
        if not prefix:
            raise ValueError("prefix is empty, and clear() would empty the server: write 'sess:'")
        self._client = client
        self._prefix = prefix
        self._now = now

    @classmethod
    def from_url(
        cls, url: str, prefix: str = "sess:", now: Callable[[], float] = time.time
    ) -> "RedisStore":
        """Return a store on one server: ``redis://user:password@host:6379/0``, the 0 a database.

        ``rediss://`` is TLS, ``unix://`` a path. The client waits half a second to connect and for
        each answer, unless the url ends in ``?socket_connect_timeout=2&socket_timeout=2``, say.
        """
        try:
            from redis import Redis
            from redis.backoff import NoBackoff
            from redis.retry import Retry
        except ImportError as error:
            raise ImportError("RedisStore.from_url: pip install 'sessionlab[redis]'") from error
        times = {"socket_timeout": _TIMEOUT, "socket_connect_timeout": _TIMEOUT}
        try:
            if re.match("rediss?://[^@]*[/?#].*@", url):
                raise ValueError("half of a password would be taken for a port")
            client = Redis.from_url(url, retry=Retry(NoBackoff(), 0), **times)
        except ValueError:  # which may quote a part of the password
            advice = "write redis://user:password@host:6379/0, and %23 for a # in the password"
            raise ValueError(f"the url makes no sense: {advice}") from None
        return cls(client, prefix, now)

    def get(self, session_id: str) -> Record | None:
        text, left = self._run(_LOAD, session_id)
        if left == _NO_KEY:
            return None
        life = _DAY if left == _NO_END else left / 1000
        return Record(_decode(text or b""), self._now() + life)

    def create(self, session_id: str, text: str, expires_at: float) -> bool:
        left = self._left(expires_at)
        if left <= 0:  # SET refuses such a time, and there is nothing to keep
            return self.get(session_id) is None
        key = self._key(session_id)
        return self._ask("SET", key, _encode(text), "NX", "PX", left) is not None

    def replace(self, session_id: str, old: str, new: str, expires_at: float) -> bool:
        left = self._left(expires_at)
        return bool(self._run(_REPLACE, session_id, _encode(old), _encode(new), left))

    def touch(self, session_id: str, expires_at: float) -> bool:
        return bool(self._ask("PEXPIRE", self._key(session_id), self._left(expires_at)))

    def destroy(self, session_id: str) -> None:
        self._ask("UNLINK", self._key(session_id))

    def clear(self) -> None:
        """Forget every record: each key that begins with the prefix."""
        keys = list(self._keys())
        for start in range(0, len(keys), _BATCH):
            with _store_errors():
                self._client.unlink(*keys[start : start + _BATCH])

    def __iter__(self) -> Iterator[str]:
        """Iterate over the ids; one that comes or goes meanwhile may be among them or not."""
        start = len(_encode(self._prefix))
        return iter([_decode(key[start:]) for key in self._keys()])

    def __len__(self) -> int:
        return len(self._keys())

    def _keys(self) -> set[bytes]:
        # SCAN lets others in between, where KEYS would halt the server; it may name a key twice.
        pattern = re.sub(r"([\\*?\[\]])", r"\\\1", self._prefix) + "*"
        with _store_errors():
            return set(self._client.scan_iter(_encode(pattern), _BATCH, NEVER_DECODE=True))

    def _key(self, session_id: str) -> bytes:
        return _encode(self._prefix + session_id)

    def _left(self, expires_at: float) -> int:
        return math.ceil((expires_at - self._now()) * 1000)

    def _run(self, script: str, session_id: str, *arguments: bytes | int) -> Any:
        # By its name; a server that was started since knows none, and is sent the script again.
        key = self._key(session_id)
        try:
            return self._ask("EVALSHA", _NAMES[script], 1, key, *arguments)
        except StoreError as error:
            if type(error.__cause__).__name__ != "NoScriptError":
                raise
        return self._ask("EVAL", script, 1, key, *arguments)

    def _ask(self, *command: bytes | str | int) -> Any:
        with _store_errors():  # NEVER_DECODE: bytes come back, whatever the client's own settings
            return self._client.execute_command(*command, NEVER_DECODE=True)


@contextmanager
def _store_errors() -> Iterator[None]:
    # Clients raise more than their own errors; whatever it is, the store could not do it. Words
    # about a connection name a host and a port; others may quote the command, with id and data.
    try:
        yield
    except Exception as error:
        kinds = {kind.__name__ for kind in type(error).__mro__}
        words = f": {error}" if kinds & {"ConnectionError", "TimeoutError"} else ""
        raise StoreError(f"{type(error).__name__}{words}") from error


# Bytes that are no UTF-8 become halves of characters, as Python has them in file names: no JSON of
# a session can have them, and ``replace`` still finds the very bytes that ``get`` has read.


def _encode(text: str) -> bytes:
    return text.encode(errors="surrogateescape")


def _decode(text: bytes) -> str:
    return text.decode(errors="surrogateescape")
