"""Ask the same questions of session libraries, and print a table of what they did.

    python tests/benchmarks/peers.py [--only NAME ...] [--write README.md | --check README.md]

The rules of this file: a row is a function that makes an experiment on a library which it doesn't
know, and its docstring is what the table claims. Nothing sleeps: what happens amid a request is
called from its handler. Each has its defaults; where one of its settings turns an answer round, a
note says so. What an experiment can't tell is a "?", and the exit status is 1.
"""

import argparse
import json
import logging
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

sys.path.insert(0, str(Path(__file__).parents[1]))  # the tests' own modules
sys.path.insert(0, str(Path(__file__).parents[2]))  # this checkout, not an installed version

from benchmarks.contestants import (
    CONTESTANTS,
    Answer,
    Headers,
    OnFirstByte,
    Peer,
    Request,
    Send,
    send_asgi,
)
from benchmarks.report import Lines, about, as_markdown, as_text, read_part, write_part


class Finding(NamedTuple):
    """What an experiment found: whether the claim holds, None if it doesn't apply; and a note."""

    holds: bool | None
    note: str = ""
    is_untold: bool = False

    def __str__(self) -> str:
        if self.is_untold:
            return "?"
        return {True: "yes", False: "no", None: "—"}[self.holds]


class Untold(Exception):
    """The experiment did not come about, and tells nothing."""


Row = Callable[[Peer], Finding]
Table = dict[str, list[Finding]]  # the claim, and what was found of each peer

# The visitor.


class Browser:
    """A cookie jar, and the requests of one visitor."""

    def __init__(
        self,
        peer: Peer,
        jar: dict[str, str] | None = None,
        scheme: str = "http",
        send: Send | None = None,
    ) -> None:
        self.jar = dict(jar or {})
        self.neighbours = ""
        self.set_cookies: list[str] = []
        self._scheme = scheme
        self._send = send or peer.send

    def get(
        self, path: str, may_fail: bool = False, on_first_byte: Callable[[], None] | None = None
    ) -> Answer:
        """Return the answer to a request with the cookies of this moment; keep those it sets."""
        ours = "; ".join(f"{name}={value}" for name, value in self.jar.items())
        request = Request(path, self.neighbours + ours, self._scheme)
        hook: OnFirstByte = None
        if on_first_byte:

            def hook(headers: Headers) -> None:
                self._keep(headers)
                on_first_byte()

        answer = self._send(request, hook)
        self._keep(answer.headers)
        if answer.status >= HTTPStatus.BAD_REQUEST and not may_fail:
            text = answer.body.decode(errors="replace").strip().partition("\n")[0]
            raise Untold(f"{path} was answered {answer.status}: {text[:70]}")
        return answer

    def read(self) -> dict[str, Any]:
        """Return what the application says the session holds."""
        return json.loads(self.get("/read").body)

    def is_known(self) -> bool:
        return self.read().get("name") == "Ada"

    def _keep(self, headers: Headers) -> None:
        for name, text in headers:
            if name.lower() == "set-cookie":
                self.set_cookies.append(text)
                pair, *attributes = text.split(";")
                key, _, value = pair.strip().partition("=")
                self.jar[key] = value
                if _has_ended(attributes):
                    del self.jar[key]


def _has_ended(attributes: list[str]) -> bool:
    values = {}
    for attribute in attributes:
        name, _, value = attribute.strip().partition("=")
        values[name.lower()] = value
    if "max-age" in values:
        return int(values["max-age"]) <= 0
    return bool(
        "expires" in values and parsedate_to_datetime(values["expires"]).timestamp() <= time.time()
    )


def visit(peer: Peer, **options: Any) -> Browser:
    """Return a browser whose session holds a name and a cart, and was seen to."""
    browser = Browser(peer, **options)
    browser.get("/fill")
    if not browser.is_known():
        raise Untold("a session is not found by the next request")
    return browser


def overlap(
    peer: Peer, browser: Browser, path: str, meanwhile: Callable[[], object], times: int = 1
) -> Answer:
    """Return the answer to a slow request, amid which something happens."""
    peer.meanwhile = meanwhile
    answer = browser.get(path, may_fail=True)
    if peer.meanwhile is not None:
        raise Untold(f"{path} was answered {answer.status} before anything could happen")
    return answer


def status(answer: Answer) -> str:
    """Return a note of a request that was refused."""
    is_refused = answer.status >= HTTPStatus.BAD_REQUEST
    return f"the slow request is answered {answer.status}" if is_refused else ""


@contextmanager
def outage(peer: Peer) -> Iterator[None]:
    peer.break_store()
    try:
        yield
    finally:
        peer.mend_store()


# The rows. Each docstring is the claim that the table makes.


def keeps_both_changes(peer: Peer) -> Finding:
    """Of two overlapping requests that change different keys, both count"""
    browser = visit(peer)
    answer = overlap(peer, browser, "/slow", lambda: browser.get("/fast"))
    return Finding({"slow", "fast"} <= browser.read().keys(), status(answer))


def reads_undo_nothing(peer: Peer) -> Finding:
    """A slow request that only reads undoes no other's change"""
    browser = visit(peer)
    answer = overlap(peer, browser, "/linger", lambda: browser.get("/fast"))
    return Finding("fast" in browser.read(), status(answer))


def counts_exactly(peer: Peer) -> Finding:
    """A counter that two overlapping requests raise ends at 2, with the library's call for it"""
    browser = visit(peer)
    overlap(peer, browser, "/count", lambda: browser.get("/count"))
    return Finding(browser.read().get("count") == 2, peer.best_way)


def logout_ends_the_cookie(peer: Peer) -> Finding:
    """After a logout, a copy of the old cookie opens nothing"""
    browser = visit(peer)
    thief = Browser(peer, browser.jar)
    browser.get("/logout")
    if browser.is_known():
        raise Untold("the logout did not log out")
    return Finding(not thief.is_known())


def logout_is_final(peer: Peer) -> Finding:
    """A slow request that saves after the logout doesn't undo it"""
    browser = visit(peer)
    thief = Browser(peer, browser.jar)
    answer = overlap(peer, browser, "/slow", lambda: browser.get("/logout"))
    return Finding(not (thief.is_known() or browser.is_known()), status(answer))


def login_ends_the_old_id(peer: Peer) -> Finding:
    """After a login under a new id, the old cookie opens nothing"""
    if peer.login is None:
        return Finding(None, "it has no call for a new id")
    browser = visit(peer)
    thief = Browser(peer, browser.jar)
    browser.get("/login")
    if browser.jar == thief.jar or not browser.is_known():
        raise Untold("the login gave no new cookie, or lost the session")
    return Finding(not thief.is_known())


def refuses_a_made_up_id(peer: Peer) -> Finding:
    """An id that somebody made up does not become the session's"""
    name = next(iter(visit(peer).jar))
    return _is_never_adopted(peer, {name: "0123456789abcdef" * 2})


def refuses_an_ended_id(peer: Peer) -> Finding:
    """The id of a session that has ended does not become another one's"""
    browser = visit(peer)
    planted = dict(browser.jar)
    browser.get("/logout")
    return _is_never_adopted(peer, planted)


def _is_never_adopted(peer: Peer, planted: dict[str, str]) -> Finding:
    victim, attacker = Browser(peer, planted), Browser(peer, planted)
    victim.get("/fast")
    if "fast" not in victim.read():
        raise Untold("the victim has no session")
    return Finding("fast" not in attacker.read())


def tells_of_a_failed_save(peer: Peer) -> Finding:
    """A change that the store fails to save is not told as success"""
    browser = visit(peer)
    answer = overlap(peer, browser, "/slow", peer.break_store)
    peer.mend_store()
    if not peer.has_store:
        return Finding("slow" in browser.read(), "it has no store that could fail")
    if "slow" in browser.read():
        raise Untold("the store did not fail")
    return Finding(answer.status >= HTTPStatus.BAD_REQUEST, f"answered {answer.status}")


def outage_logs_nobody_out(peer: Peer) -> Finding:
    """Who comes while the store is down is logged in afterwards"""
    browser = visit(peer)
    with outage(peer):
        browser.get("/fast", may_fail=True)
    if peer.has_store and "fast" in browser.read():
        raise Untold("the store did not fail")
    return Finding(browser.is_known())


def saves_before_the_first_byte(peer: Peer) -> Finding:
    """A change is stored before the answer's first byte leaves"""
    browser = visit(peer)
    found: list[bool] = []

    def look() -> None:
        found.append("fast" in browser.read())

    browser.get("/fast", on_first_byte=lambda: peer.aside(look))
    if peer.trouble is None and len(found) != 1:
        raise Untold("no first byte was seen")
    return Finding(found == [True])


def finds_its_cookie_among_odd_ones(peer: Peer) -> Finding:
    """Its cookie is found behind `junk; cart={"a":1}; a[b]=1`"""
    browser = visit(peer)
    browser.neighbours = 'junk; cart={"a":1}; a[b]=1; '
    return Finding(browser.is_known())


def keeps_a_nested_change(peer: Peer) -> Finding:
    """`session["cart"]["tea"] = 2` is kept, with no flag or call"""
    browser = visit(peer)
    browser.get("/nest")
    return Finding(browser.read()["cart"] == {"tea": 2})


def varies_with_the_cookie(peer: Peer) -> Finding:
    """An answer that read the session says `Vary: Cookie`"""
    headers = visit(peer).get("/read").headers
    vary = ",".join(value for name, value in headers if name.lower() == "vary")
    return Finding("cookie" in [part.strip().lower() for part in vary.split(",")])


def is_hidden_from_scripts(peer: Peer) -> Finding:
    """The cookie is HttpOnly, by default"""
    return Finding("; httponly" in visit(peer).set_cookies[0].lower())


def is_kept_from_other_sites(peer: Peer) -> Finding:
    """The cookie has a SameSite, by default"""
    return Finding("; samesite=" in visit(peer).set_cookies[0].lower())


def is_secure_over_https(peer: Peer) -> Finding:
    """The cookie is Secure on https, by default"""
    return Finding("; secure" in visit(peer, scheme="https").set_cookies[0].lower())


def keeps_dates(peer: Peer) -> Finding:
    """A date with a time zone comes back as a date, by default"""
    return _keeps(peer, "/date")


def keeps_naive_dates(peer: Peer) -> Finding:
    """A date without a time zone comes back as a date, by default"""
    return _keeps(peer, "/naive_date")


def _keeps(peer: Peer, path: str) -> Finding:
    browser = visit(peer)
    answer = browser.get(path, may_fail=True)
    return Finding(browser.read()["is_date"], status(answer).replace("slow ", ""))


def serves_asgi(peer: Peer) -> Finding:
    """It serves an ASGI application"""
    app = peer.asgi()
    if app is None:
        return Finding(None, "ASGI is Python's")
    try:
        browser = visit(peer, send=lambda *request: send_asgi(app, *request))
    except TypeError:
        return Finding(False)
    return Finding(browser.is_known())


def needs_no_storage(peer: Peer) -> Finding:
    """It can work with no store on the server"""
    peer = peer.cookie_only()
    visit(peer)
    browser = Browser(peer)
    with outage(peer):
        if browser.get("/fill", may_fail=True).status >= HTTPStatus.BAD_REQUEST:
            return Finding(False)
        answer = browser.get("/read", may_fail=True)
        is_read = answer.status < HTTPStatus.BAD_REQUEST
        return Finding(is_read and json.loads(answer.body).get("name") == "Ada")


ROWS: tuple[Row, ...] = (
    keeps_both_changes,
    reads_undo_nothing,
    counts_exactly,
    logout_ends_the_cookie,
    logout_is_final,
    login_ends_the_old_id,
    refuses_a_made_up_id,
    refuses_an_ended_id,
    tells_of_a_failed_save,
    outage_logs_nobody_out,
    saves_before_the_first_byte,
    finds_its_cookie_among_odd_ones,
    keeps_a_nested_change,
    varies_with_the_cookie,
    is_hidden_from_scripts,
    is_kept_from_other_sites,
    is_secure_over_https,
    keeps_dates,
    keeps_naive_dates,
    serves_asgi,
    needs_no_storage,
)

# The run.


def experiment(row: Row, peer_class: type[Peer], **options: Any) -> Finding:
    """Return what a row finds of a peer that is made for it alone."""
    with TemporaryDirectory() as folder:
        peer = peer_class(Path(folder), **options)
        try:
            finding = row(peer)
            if peer.trouble is not None:
                raise peer.trouble
            return finding
        except Exception as error:
            kind = "" if isinstance(error, Untold) else f"{type(error).__name__}: "
            return Finding(None, f"can't tell: {kind}{error}", is_untold=True)
        finally:
            peer.close()


def ask(row: Row, peer_class: type[Peer]) -> Finding:
    """Return what a row finds, noting with which other settings it finds something else."""
    finding = experiment(row, peer_class)
    for settings, options in peer_class.otherwise.items():
        other = experiment(row, peer_class, **options)
        if finding.is_untold or other.is_untold:
            return finding if finding.is_untold else other
        if other.holds != finding.holds:
            note = f"{finding.note}; {other} {settings}".removeprefix("; ")
            finding = finding._replace(note=note)
    return finding


def run(peers: list[type[Peer]]) -> Table:
    """Return what each row found of each peer; what the libraries log and warn of is not shown."""
    logging.disable(logging.CRITICAL)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return {claim(row): [ask(row, peer) for peer in peers] for row in ROWS}
    finally:
        logging.disable(logging.NOTSET)


def claim(row: Row) -> str:
    assert row.__doc__
    return row.__doc__


def installed(peers: list[type[Peer]]) -> Iterator[type[Peer]]:
    """Yield the peers that are there; print the names of the others."""
    for peer in peers:
        try:
            with TemporaryDirectory() as folder:
                peer(Path(folder)).close()
        except (ImportError, OSError) as error:
            print(f"{peer.name} is left out: {error}")
        else:
            yield peer


def notes(table: Table) -> list[str]:
    """Return the footnotes, each once."""
    found = (finding.note for findings in table.values() for finding in findings)
    return list(dict.fromkeys(note for note in found if note))


def lines_of(table: Table, peers: list[type[Peer]]) -> Lines:
    """Return the head, and each row's claim and answers, with the numbers of the footnotes."""
    numbers = {note: f" [{number}]" for number, note in enumerate(notes(table), 1)}
    lines = [["", *(peer.name for peer in peers)]]
    for text, findings in table.items():
        lines.append([text, *(f"{found}{numbers.get(found.note, '')}" for found in findings)])
    return lines


def paragraphs(table: Table, peers: list[type[Peer]], form: Callable[[Lines], str]) -> list[str]:
    """Return the table in a form, the footnotes, and what the columns are about."""
    numbered = "\n".join(f"{number}. {note}" for number, note in enumerate(notes(table), 1))
    columns = (f"{peer.package} {peer.version()}, {peer.store}" for peer in peers)
    return [form(lines_of(table, peers)), numbered, f"Versions. {'; '.join(columns)}. {about()}."]


def differences(table: Table, peers: list[type[Peer]], page: Path) -> list[str]:
    """Return the lines of this run that the page does not have; versions may be others."""
    there = read_part(page, "peers").splitlines()
    here = "\n".join(paragraphs(table, peers, as_markdown)[:-1]).splitlines()
    return [line for line in here if line not in there]


def main() -> int:
    """Print the table.  Return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    names = {peer.name: peer for peer in CONTESTANTS}
    parser.add_argument("--only", nargs="+", choices=names, default=list(names), metavar="NAME")
    parser.add_argument("--write", type=Path, metavar="PAGE", help="put the table there")
    parser.add_argument("--check", type=Path, metavar="PAGE", help="fail if it has another table")
    options = parser.parse_args()
    peers = list(installed([names[name] for name in options.only]))
    if (options.write or options.check) and len(peers) < len(CONTESTANTS):
        sys.exit("FAILED: the page's table has all libraries, and some are left out")
    table = run(peers)
    print(*paragraphs(table, peers, as_text), sep="\n\n")
    if any(finding.is_untold for findings in table.values() for finding in findings):
        print("\nFAILED: a ? is an experiment that did not come about; its note says why")
        return 1
    if options.write:
        write_part(options.write, "peers", paragraphs(table, peers, as_markdown))
    if options.check and (surprises := differences(table, peers, options.check)):
        print(f"\nFAILED: {options.check} has not these lines:", *surprises, sep="\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
