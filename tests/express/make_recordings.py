"""Record the real Express for those who have no Node: ``python tests/express/make_recordings.py``.

It writes ``sessionlab/lab/express.json``: the responses, and the commands that Express sent to the
store, which the store's own MONITOR shows. A lesson that asks Express for more adds a conversation.
"""

import ast
import json
import re
import sys
import tempfile
from pathlib import Path
from urllib.parse import quote, unquote

import requests

from sessionlab import RedisStore, SessionMiddleware, sign, unsign
from sessionlab.lab import SHARED_SECRET, fixed_ids, serve, serve_express
from sessionlab.lab.demo import shop_app
from sessionlab.lab.express import COOKIE_NAME, PREFIX, SEED
from sessionlab.lab.recording import FILE

sys.path.append(str(Path(__file__).parents[1]))
from valkey_server import Server

KEPT_HEADERS = ("Content-Type", "Content-Length", "Set-Cookie")
COMMANDS = ("GET", "SET", "DEL", "EXPIRE")

# Who is asked (P: Python, E: Express), and what for. An empty line: another browser.
FROM_PYTHON = """\
P POST /login name=Ada
E GET /whoami
E GET /cart
E POST /cart item=tea
E GET /whoami
E GET /cart
P GET /whoami
P GET /cart
P POST /cart item=milk
E GET /whoami
E GET /cart
E POST /logout
P GET /whoami
E GET /whoami
E GET /cart
"""
FROM_EXPRESS = """\
E POST /login name=Ada
P GET /whoami
E GET /whoami
E POST /cart item=tea
P GET /cart
P POST /cart item=milk
E GET /whoami
E GET /cart
P POST /logout
E GET /whoami
E GET /cart
E POST /logout
"""
PYTHON_FIRST_BUYS = """\
P POST /login name=Ada
P POST /cart item=tea
E GET /whoami
E GET /cart
E POST /cart item=milk
E GET /whoami
E POST /logout
E POST /logout
E POST /login name=Ada
E GET /whoami
E POST /login name=Ada
E POST /logout

P POST /login name=Ada
E POST /logout
P GET /whoami
"""
CONVERSATIONS = {
    "from Python, then from Express": FROM_PYTHON + FROM_EXPRESS,
    "from Python, then in another browser from Express": FROM_PYTHON + "\n" + FROM_EXPRESS,
    "from Express, then from Python": FROM_EXPRESS + FROM_PYTHON,
    "Python is the first to sell": PYTHON_FIRST_BUYS,
}


def converse(conversation, url, node_modules=None):
    """Hold a conversation with two new servers, and yield each exchange with Express.

    That is: the line, the cookie's session id, the response, and the records before it by id.
    """
    app = SessionMiddleware(
        shop_app(), SHARED_SECRET, store=RedisStore.from_url(url), genid=fixed_ids("python")
    )
    browser = requests.Session()
    with (
        serve(app, "recorded P") as python,
        serve_express(url, "recorded E", node_modules) as express,
    ):
        for line in conversation.split("\n")[:-1]:
            if not line:
                browser.cookies.clear()
                continue
            who, method, path, *fields = line.split(" ")
            cookie = unquote(browser.cookies.get(COOKIE_NAME, "")).removeprefix("s:")
            session_id = unsign(cookie, SHARED_SECRET) if cookie else None
            address = (python if who == "P" else express).url + path
            data = dict(field.split("=") for field in fields)
            response = browser.request(method, address, data=data, timeout=10)
            response.raise_for_status()
            if who == "E":
                yield line, session_id, response, express.last.before


class Monitor:
    """The commands that others send to a server, as it shows them to whoever asks."""

    def __init__(self, client):
        self._client = client
        self._connection = client.monitor().__enter__().connection

    def commands(self):
        """Return the commands of connect-redis since the last call, as lists of words."""
        self._client.echo("that is all")
        commands = list(iter(self._next, ["ECHO", "that is all"]))
        return [words for words in commands if words[:1] and words[0] in COMMANDS]

    def _next(self):
        line = self._connection.read_response(disable_decoding=True).decode()
        words = re.findall(r'"(?:[^"\\]|\\.)*"', line.partition("] ")[2])
        # What our scripts do is shown too, and our SET has other words than that of connect-redis.
        is_ours = " lua] " in line or '"PX"' in line
        return [] if is_ours else [ast.literal_eval("b" + word).decode() for word in words]


def record(conversation, valkey):
    """Yield each exchange with the real Express in a conversation, in the recording's format."""
    client = valkey.client(decode_responses=True)
    client.flushall()
    monitor, genid = Monitor(client), fixed_ids(SEED)
    for line, session_id, response, before in converse(conversation, valkey.url):
        _, method, path, *fields = line.split(" ")
        # Express makes an id for each request without a session, and one more for a login.
        new_ids = [genid() for _ in range((session_id not in before) + (path == "/login"))]
        names = {f"<new id {number}>": new_id for number, new_id in enumerate(new_ids)}
        names |= {"<id>": session_id} if session_id else {}
        commands = monitor.commands()
        for command in commands:
            if command[0] == "GET":
                record = before.get(command[1].removeprefix(PREFIX))
                command.append(record and record.text)
        headers = [[key, response.headers[key]] for key in KEPT_HEADERS if key in response.headers]
        exchange = {
            "request": {
                "method": method,
                "path": path,
                "fields": dict(field.split("=") for field in fields),
                "has_id": session_id is not None,
            },
            "new_ids": len(new_ids),
            "store": commands,
            "response": {
                "status": f"{response.status_code} {response.reason}",
                "headers": headers,
                "body": response.text,
            },
        }
        text = json.dumps(exchange, ensure_ascii=False)
        for name, value in names.items():
            cookie = quote("s:" + sign(value, SHARED_SECRET), safe="")
            text = text.replace(cookie, name.replace("id", "cookie")).replace(value, name)
        yield json.loads(text)


def record_all(valkey):
    """Return the exchanges of all conversations, each once."""
    exchanges = []
    for conversation in CONVERSATIONS.values():
        for exchange in record(conversation, valkey):
            if exchange not in exchanges:
                exchanges.append(exchange)
    return exchanges


def main():
    with tempfile.TemporaryDirectory() as folder, Server(Path(folder)) as valkey:
        exchanges = record_all(valkey)
    lines = ",\n".join(json.dumps(exchange, ensure_ascii=False) for exchange in exchanges)
    FILE.write_text(f"[\n{lines}\n]\n", encoding="utf-8")


if __name__ == "__main__":
    main()
