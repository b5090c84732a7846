"""Row W5: a cache that stands between all users and a server.

The harness takes a middleware class and returns what a user got that was another's: nothing, for
ours. It is then given some with a planted bug (row T1).
"""

import re
from itertools import product

import pytest
from test_failures import cookie_for, write
from test_races import SECRET, stored_session
from test_wsgi import TEXT, Down, ask, in_the_server, plain

from sessionlab import MemoryStore, SessionMiddleware


class SharedCache:
    """What stands between all users and a server, and may hand one the page of another.

    It keeps what it may by RFC 9111 section 3, and matches ``Vary`` by section 4.1; as that allows,
    it keeps a ``Set-Cookie`` along with the page.
    """

    def __init__(self, app):
        self.app, self.kept = app, []

    def ask(self, **request):
        for answer, vary, of in self.kept:
            if vary != ["*"] and all(of.get(name) == request.get(name) for name in vary):
                return answer, False
        answer = ask(self.app, request.get("cookie", ""), **{"test.user": request["user"]})
        control = ", ".join(answer.all("Cache-Control"))
        if answer.status in (200, 404) and not re.search("private|no-store", control):
            vary = [name.strip().lower() for name in ", ".join(answer.all("Vary")).split(",")]
            self.kept.append((answer, [name for name in vary if name], request))
        return answer, True


def keep_the_user(session, user):
    session["user"] = user


METHODS = {  # of a session
    "nothing": lambda session, user: None,
    "read": lambda session, user: session.get("user"),
    "write": keep_the_user,
    "delete": lambda session, user: session.pop("user", None),
    "save": lambda session, user: (keep_the_user(session, user), session.save()),
    "save as it is": lambda session, user: session.save(),
    "atomic": lambda session, user: session.atomic(lambda data: data.update(user=user)),
    "reload": lambda session, user: None if session.is_new else session.reload(),
    "touch": lambda session, user: session.touch(),
    "regenerate": lambda session, user: (session.regenerate(), keep_the_user(session, user)),
    "regenerate and keep": lambda session, user: session.regenerate(keep_data=True),
    "destroy": lambda session, user: session.destroy(),
    "log in again": lambda s, user: (s.destroy(), s.regenerate(), keep_the_user(s, user)),
    "remember me": lambda session, user: setattr(session.cookie, "max_age", 3600),
}
OPTIONS = [{}, {"rolling": True}, {"save_uninitialized": True}, {"resave": True}]
STATUSES = ("200 OK", "404 Not Found")
CONTROLS = ("", "max-age=60", "public, s-maxage=60")  # what the application says of it


def through_a_cache(
    method, options, status, control, are_known, middleware_class=SessionMiddleware
):
    """Let two users ask for one page in turn; return what they got that was not theirs."""

    def app(environ, start_response):
        session, user = environ["sessionlab.session"], environ["test.user"]
        METHODS[method](session, user)
        start_response(status, TEXT + [("Cache-Control", control)] * bool(control))
        return [str(session.get("user", "nobody")).encode()]

    store = MemoryStore()
    cache = SharedCache(middleware_class(app, SECRET, store=store, touch_after=0, **options))
    cookies, faults = {}, []
    if are_known:
        cookies = {user: cookie_for(stored_session(store, user=user)) for user in ("Ada", "Bob")}
    for user in ("Ada", "Bob", "Ada", "Bob"):
        request = {"cookie": cookies[user]} if user in cookies else {}
        answer, is_fresh = cache.ask(user=user, **request)
        if answer.body.decode() not in (user, "nobody"):
            faults.append(f"{user} got the page of {answer.body.decode()}")
        texts = answer.all("Set-Cookie")
        if texts and not is_fresh:
            faults.append(f"{user} got a cookie from the cache")
        if not {"cookie", "*"} & set(", ".join(answer.all("Vary")).lower().split(", ")):
            faults.append("no Vary")
        for text in texts:
            cookies[user] = text.partition(";")[0]
    return faults


def pages_of_others(middleware_class=SessionMiddleware):
    """Return how many requests were made, and what was wrong with their answers."""
    cases = list(product(METHODS, OPTIONS, STATUSES, CONTROLS, (False, True)))
    faults = [
        f"{case}: {fault}" for case in cases for fault in through_a_cache(*case, middleware_class)
    ]
    return 4 * len(cases), faults


def test_a_shared_cache_hands_nobody_the_page_of_another(figure):
    """W5: two users, each method of a session, strangers and known, with each option, whatever the
    application says to caches."""
    count, faults = pages_of_others()
    figure.tried(count, "requests through a shared cache, two users")
    figure.found(len(faults), "pages or cookies of the other user, or without Vary")
    assert faults == []


def test_a_refusal_is_kept_by_no_cache_and_varies_too(figure):
    """W5: 503 and 409."""
    store = MemoryStore()
    session_id = stored_session(store, name="Ada")
    down = SessionMiddleware(plain(write), SECRET, store=Down(store))
    gone = SessionMiddleware(
        plain(lambda session: (write(session), store.destroy(session_id))), SECRET, store=store
    )
    answers = [ask(app, cookie_for(session_id)) for app in (down, gone)]
    assert [answer.status for answer in answers] == [503, 409]
    figure.tried(2, "refusals")
    for answer in answers:
        assert answer.all("Vary") == ["Cookie"]
        assert answer.all("Cache-Control") == ["no-store"]


def without(name, value):
    return in_the_server(
        lambda status, headers: (status, [h for h in headers if h != (name, value)])
    )


def is_said(headers):
    return sum(name == "Cache-Control" for name, _ in headers) > 1


@in_the_server
def private_where_nothing_is_said(status, headers):
    return status, [h for h in headers if h[1] != "private" or not is_said(headers)]


@pytest.mark.parametrize(
    ("broken", "fault"),
    [
        (without("Vary", "Cookie"), "Bob got the page of Ada"),
        (without("Cache-Control", "private"), "Bob got a cookie from the cache"),
        (private_where_nothing_is_said, "Bob got a cookie from the cache"),
    ],
    ids=["no Vary", "no private", "private where nothing is said"],
)
def test_the_cache_catches_a_middleware_that_does_not_speak_to_it(broken, fault):
    """W5, T1."""
    assert any(fault in text for text in pages_of_others(broken)[1])
