"""Send the requests of a scenario to a side, and write down what came of each: its *trace*.

A trace has status, headers, what the handler saw, the store's operations, and what the store holds
afterwards. Those of the two sides are equal to the byte, ``Expires``, signatures and stored JSON
included.
"""

import difflib
import json
import re
from email.utils import parsedate_to_datetime
from http.client import HTTPConnection
from urllib.parse import quote

from sides import FOREIGN, OLDER, SECRET, Request

from sessionlab import sign
from sessionlab.testing import Clock


class Browser:
    """Keeps cookies, and sends what a scenario asks for: its own, or one that it should not have.

    It is a simple one: paths, domains and Secure don't matter to it.
    """

    def __init__(self, scenario, clock):
        self.name = scenario.options.get("name", "connect.sid")
        self._clock = clock
        self._secret = scenario.options.get("secret", SECRET)
        self._cookies = {}  # name to value and expiry
        self._ours = []  # every value that came under our name

    def take(self, set_cookie):
        pair, *attributes = set_cookie.split("; ")
        name, _, value = pair.partition("=")
        expires = next((text[8:] for text in attributes if text.startswith("Expires=")), None)
        moment = None if expires is None else parsedate_to_datetime(expires).timestamp()
        self._cookies[name] = value, moment
        if name == self.name and value:
            self._ours.append(value)

    def header(self, wanted):
        """Return the ``Cookie`` header of a request; None for none."""
        known = self._ours[-1] if self._ours else None
        if wanted.startswith("jar"):
            alive = "; ".join(f"{name}={value}" for name, value in self._alive())
            return alive or self._fill(wanted.removeprefix("jar").removeprefix(" or "), known)
        match wanted:
            case "none":
                return None
            case "kept":  # although it has expired, or was cleared
                value = known
            case "first":  # that this browser ever had
                value = self._ours[0] if self._ours else None
            case "another id":
                value = known and known.replace("s%3A", "s%3Ax", 1)
            case "another signature":
                value = known and known[:-1] + ("A" if known[-1] != "A" else "B")
            case "no signature":
                value = known and known.partition(".")[0]
            case "no s:":
                value = known and known.removeprefix("s%3A")
            case "another secret":
                value = known and _signed(known.removeprefix("s%3A").partition(".")[0], FOREIGN)
            case "unknown id":
                value = _signed("unknown", self._signing)
            case _:
                return self._fill(wanted, known)
        return value and f"{self.name}={value}"

    @property
    def _signing(self):
        return self._secret if isinstance(self._secret, str) else self._secret[0]

    def _alive(self):
        for name, (value, moment) in self._cookies.items():
            if moment is None or moment > self._clock():
                yield name, value

    def _fill(self, template, known):
        if known is None and "{jar}" in template:
            return None
        secrets = {"": self._signing, "older ": OLDER, "foreign ": FOREIGN}
        text = template.replace("{jar}", known or "")
        for word, secret in secrets.items():
            pattern = "{sign " + word + "([^ }]*)}"
            text = re.sub(pattern, lambda match, key=secret: _signed(match[1], key), text)
        return text or None


def _signed(session_id, secret):
    return quote("s:" + sign(session_id, secret), safe="-_.!~*'()")


def run(scenario, side, rewrite=None):
    """Return the trace of a scenario: what was recorded of each request.

    ``rewrite(side, number, answer, facts)`` may alter what Express answered before the
    browser sees it.
    """
    clock = Clock()
    side.begin(scenario, clock)
    browser = Browser(scenario, clock)
    trace, before = [], dict(scenario.records)
    for number, wanted in enumerate(scenario.requests, 1):
        clock.advance(wanted.wait)
        header = browser.header(wanted.cookie)
        start = clock()
        side.expect(number, wanted)
        answer = _exchange(side.port, wanted, header)
        advanced = sum(
            json.loads(action[5:]) for action in wanted.actions if action.startswith("wait ")
        )
        clock.advance(start + advanced - clock())  # Node's own clock has moved already
        observed = side.observe()
        answer.update({key: observed[key] for key in ("seen", "calls", "records")})
        if rewrite is not None:
            rewrite(side, number, answer, observed["facts"])
        for text in answer["set_cookie"]:
            browser.take(text)
        trace.append(_entry(answer, before))
        before = {key: record["text"] for key, record in answer["records"].items()}
    return trace


def _exchange(port, wanted, cookie):
    connection = HTTPConnection("127.0.0.1", port, timeout=20)
    headers = {"Cookie": cookie} if cookie is not None else {}
    if wanted.https:
        headers["X-Forwarded-Proto"] = "https"
    try:
        connection.request(wanted.method, wanted.path, headers=headers)
        reply = connection.getresponse()
        body = reply.read().decode()
        return {
            "status": reply.status,
            "vary": ", ".join(reply.headers.get_all("Vary", [])),
            "cache_control": ", ".join(reply.headers.get_all("Cache-Control", [])),
            "set_cookie": reply.headers.get_all("Set-Cookie", []),
            "body": body if reply.status == 200 and body != "ok" else "",
        }
    finally:
        connection.close()


def _entry(answer, before):
    # What is empty is left out, and a text that was just set is not repeated.
    was_set = dict(re.findall(r"^set (\S+), \S+ s: (.*)$", "\n".join(answer["calls"]), re.M))
    holds = [
        f"{key}, {record['seconds']} s: {_known(record['text'], was_set.get(key), before.get(key))}"
        for key, record in sorted(answer["records"].items())
    ]
    entry = {**answer, "records": holds}
    return {key: value for key, value in entry.items() if value}


def _known(text, was_set, before):
    if text == was_set:
        return "as set"
    return "as before" if text == before else text


# What the eye reads.

_WORDS = {
    "status": "status",
    "vary": "Vary",
    "cache_control": "Cache-Control",
    "set_cookie": "Set-Cookie",
    "body": "body",
    "seen": "saw",
    "calls": "store",
    "records": "holds",
}


def lines(trace):
    """Return a trace as lines, each with the number of its request."""
    return [
        f"{number} {word}: {item}"
        for number, entry in enumerate(trace, 1)
        for key, word in _WORDS.items()
        for item in _listed(entry.get(key, []))
    ]


def _listed(value):
    return value if isinstance(value, list) else [value]


def difference(express, here):
    """Return the lines that only Express's trace has, and those that only ours has, shortened."""
    compared = list(difflib.ndiff(lines(express), lines(here)))
    only = {sign: tuple(_brief(line[2:]) for line in compared if line[0] == sign) for sign in "-+"}
    return only["-"], only["+"]


# What fills lines and is seldom what differs. (The long one is the cookie without an age.)
_SHORTENED = {
    r"(?<=\.[A-Za-z0-9%]{6})[A-Za-z0-9%]{34,}": "…",  # the end of a signature
    '"originalMaxAge":null,"expires":null,"secure":false,"httpOnly":true,"path":"/"': "…",
    '"secure":false,"httpOnly":true,"path":"/"': "…",
    "(tea ){9,}": "tea … ",
}


def _brief(line):
    for pattern, short in _SHORTENED.items():
        line = re.sub(pattern, short, line)
    return line


def show(scenario, express, here):
    """Return a scenario and its two traces beside each other, to be read by a person."""
    text = [f"{scenario.name}", f"  options {scenario.options}"]
    text += [f"  record {key}: {value}" for key, value in scenario.records.items()]
    for number, wanted in enumerate(scenario.requests, 1):
        fields = {
            key: value
            for key, value in wanted._asdict().items()
            if key != "actions" and value != Request._field_defaults.get(key)
        }
        actions = " · ".join(wanted.actions) or "(nothing)"
        text.append(f"  {number} {actions}  {fields or ''}".rstrip())
    names = {" ": "both    ", "-": "express ", "+": "here    "}
    compared = difflib.ndiff(lines(express), lines(here))
    text += [f"  {names[line[0]]} {line[2:]}" for line in compared if line[0] in names]
    return "\n".join(text)
