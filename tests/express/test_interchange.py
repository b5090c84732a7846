"""Express and Python share one Valkey, and a browser does not care which of them it asks (S6)."""

import json
import random
import time
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from itertools import count
from urllib.parse import quote

import pytest
import requests
from bottle import Bottle, request
from node import Node
from valkey_server import valkey  # noqa: F401  (a fixture)

from sessionlab import CookieOptions, RedisStore, SessionMiddleware, sign
from sessionlab import middleware as middleware_module
from sessionlab.lab import serve
from sessionlab.testing import Clock

SECRET = "known to Express and to Python, 32 bytes or more"
COOKIE = "connect.sid"
HOUR = 3600
SIDES = ("python", "express")
_numbers = count()  # for names: of two servers with one name, the first is stopped
OTHER = dict(zip(SIDES, reversed(SIDES), strict=True))


# The two servers: one route, whose handler does to the session what the request says.


def python_app():
    app = Bottle()

    @app.post("/")
    def act():
        session, what = request.session, request.json
        does, key, value = (what.get(name) for name in ("does", "key", "value"))
        if does == "set":
            session[key] = value
        elif does == "delete":
            del session[key]
        elif does == "push":
            session[key]["items"].append(value)
        elif does == "age":
            session.cookie.max_age = None if value is None else value / 1000
            session[key] = value
        elif does == "login":
            session.regenerate()
            session["user"] = value
        elif does == "save":
            session.save()
        elif does == "meanwhile":  # another request, that begins and ends during this one
            session[key] = value
            requests.post(what["url"], json=what["body"], cookies=request.cookies, timeout=10)
        elif does == "logout":
            session.destroy()
            return {"id": None, "data": {}, "maxAge": None}
        age = session.cookie.max_age
        return {"id": session.id, "data": dict(session), "maxAge": age and age * 1000}

    return app


class Shared:
    """Both servers on one Valkey. ``ask`` sends a browser's request to either of them."""

    def __init__(self, urls, valkey):  # noqa: F811
        self._urls, self.valkey = urls, valkey
        self.browser = requests.Session()

    def send(self, side, does, **what):
        body = json.dumps({"does": does, **what})
        headers = {"Content-Type": "application/json"}
        return self.browser.post(self._urls[side], body, headers=headers, timeout=10)

    def ask(self, side, does, **what):
        response = self.send(side, does, **what)
        assert response.ok, f"{side}: {response.status_code} {response.text}"
        return response.json()

    def user(self, side):
        return self.ask(side, "read")["data"].get("user")

    def text(self, session_id):
        return self.valkey.ask("GET", f"sess:{session_id}").decode()

    def record(self, session_id):
        return json.loads(self.text(session_id))

    def meanwhile(self, side, body):
        """Change a session at one side; during that request, the other one is sent ``body``."""
        what = {"key": side, "value": "changed", "url": self._urls[OTHER[side]], "body": body}
        return self.send(side, "meanwhile", **what)

    def seconds_left(self, session_id):
        return self.valkey.ask("PTTL", f"sess:{session_id}") / 1000

    def put(self, session_id, text, seconds=1000):
        """Store a text as it is, and let the browser have the cookie for it."""
        self.valkey.ask("SET", f"sess:{session_id}", text, "EX", seconds)
        self.remember(session_id)

    def remember(self, session_id):
        """Let the browser have the cookie of this session, and no other."""
        self.browser.cookies.clear()
        value = quote("s:" + sign(session_id, SECRET), safe="")
        self.browser.cookies.set(COOKIE, value, domain="127.0.0.1", path="/")


@contextmanager
def shared(valkey, *, store=None, max_age=None, cookie=None, **options):  # noqa: F811
    """Start both; ``cookie`` are Express's options for it, ``options`` those of our middleware."""
    valkey.ask("FLUSHALL")
    settings = {"redisUrl": valkey.url, "secret": SECRET}
    settings["cookie"] = cookie or {"maxAge": max_age and max_age * 1000}
    store = RedisStore(valkey.client()) if store is None else store  # an empty one is false
    ours = CookieOptions(max_age=max_age, same_site=None, secure=False)
    app = SessionMiddleware(python_app(), SECRET, store=store, cookie=ours, **options)
    with ExitStack() as stack:
        node = stack.enter_context(Node("interchange.js"))
        express = f"http://127.0.0.1:{node.ask(settings)}"
        python = stack.enter_context(serve(app, f"interchange {next(_numbers)}"))
        both = Shared({"python": python.url, "express": express}, valkey)
        stack.enter_context(both.browser)
        yield both


def from_the_start(both):
    """Return the servers as they are for a new browser, and with an empty store."""
    both.valkey.ask("FLUSHALL")
    both.browser.cookies.clear()
    return both


@pytest.fixture(scope="module")
def running_daily(valkey):  # noqa: F811
    with shared(valkey) as it:
        yield it


@pytest.fixture(scope="module")
def running_hourly(valkey):  # noqa: F811
    with shared(valkey, max_age=HOUR) as it:
        yield it


@pytest.fixture
def daily(running_daily):
    """Cookies that go with the browser, sessions that last a day."""
    return from_the_start(running_daily)


@pytest.fixture
def hourly(running_hourly):
    """Cookies with a date, sessions that last an hour."""
    return from_the_start(running_hourly)


@pytest.fixture(params=["daily", "hourly"])
def both(request):
    return request.getfixturevalue(request.param)


# Random sessions.


SPECIAL = ["", "a.b", "%", "0", "1", "\0", "\n", '"', "\\", "\u2028", "é", "日本", "👩‍💻", "\ud83d"]


def random_text(chance):
    return "".join(chance.choices([*"abcdefgh", *SPECIAL], k=chance.randrange(6)))


def random_value(chance, depth=3):
    kind = chance.randrange(8 if depth else 6)
    if kind == 6:
        return [random_value(chance, depth - 1) for _ in range(chance.randrange(4))]
    if kind == 7:
        size = chance.randrange(4)
        return {random_text(chance): random_value(chance, depth - 1) for _ in range(size)}
    number = chance.uniform(-1, 1) * 10.0 ** chance.randint(-300, 300)
    scalars = [
        None,
        chance.random() < 0.5,
        chance.randint(-(2**53), 2**53),
        0.1 if 2**53 < abs(number) < 1e21 else number,  # see TestNumbers
        random_text(chance),
        "2026-11-24T00:00:00.000Z",
    ]
    return scalars[kind]


def random_request(chance, model):
    """Return what to ask for; it is done to ``model``, too."""
    keys = [key for key in model if key not in ("user", "cart")]
    does = chance.choice(["read", "set", "set", "change", "push", "push", "delete"])
    if does == "push":
        item = random_value(chance)
        model["cart"]["items"].append(item)
        return {"does": "push", "key": "cart", "value": item}
    if does == "delete" and len(keys) > 5:
        key = chance.choice(keys)
        del model[key]
        return {"does": "delete", "key": key}
    if does in ("set", "change"):
        key = chance.choice(keys) if does == "change" and keys else "k" + random_text(chance)
        model[key] = random_value(chance)
        return {"does": "set", "key": key, "value": model[key]}
    return {"does": "read"}


class Alternation:
    """A browser that asks one side and the other in turn, and knows what each must answer.

    ``unreadable``: requests whose session was not there; ``lost``: those whose data was not what it
    should be; ``revived``: logouts after which a side still knew the old cookie.
    """

    def __init__(self, both, seed):
        self._both, self._chance = both, random.Random(seed)
        self.requests, self.unreadable, self.lost, self.revived = 0, [], [], []
        self.logins_and_logouts = set()  # the side of each

    def run(self, count):
        while self.requests < count and not self.faults:
            if self._chance.random() < 0.5 and self._ask(does="read"):  # a stranger's
                self.revived.append(self.requests)
            self._stay(50)
        return self

    def _next_side(self):
        return SIDES[self.requests % 2]

    def _ask(self, **what):
        side = self._next_side()
        self.requests += 1
        response = self._both.send(side, **what)
        return response.json()["data"] if response.ok else {}

    def _stay(self, count):
        """Log in at one side, do this and that at both, and log out at either."""
        side_of_login, last = self._next_side(), self.requests + count
        name = f"Ada {self.requests} 👩‍💻"
        self._ask(does="login", value=name)
        self._ask(does="set", key="cart", value={"items": []})
        model = {"user": name, "cart": {"items": []}}
        side_of_logout = self._chance.choice(SIDES)
        self.logins_and_logouts.add((side_of_login, side_of_logout))
        while self.requests < last or self._next_side() != side_of_logout:
            what = random_request(self._chance, model)
            data = self._ask(**what)
            if "user" not in data:
                self.unreadable.append((self.requests, what))
                return
            if data != model:
                self.lost.append((self.requests, what, data))
                return
        cookies = self._both.browser.cookies.copy()
        self._ask(does="logout")
        for _ in SIDES:
            self._both.browser.cookies = cookies.copy()
            if self._ask(does="read"):
                self.revived.append(self.requests)
        self._both.browser.cookies.clear()

    @property
    def faults(self):
        return {
            name: found
            for name in ("unreadable", "lost", "revived")
            if (found := getattr(self, name))
        }


@pytest.mark.parametrize("first", SIDES)
class TestOneLogin:
    def test_is_one_on_the_other_side(self, both, first):
        session_id = both.ask(first, "login", value="Ada")["id"]
        there = both.ask(OTHER[first], "read")
        assert (there["id"], there["data"]) == (session_id, {"user": "Ada"})

    def test_is_changed_on_the_other_side_and_known_changed_on_this_one(self, both, first):
        both.ask(first, "login", value="Ada")
        both.ask(OTHER[first], "set", key="cart", value={"items": [{"name": "tea ☕", "n": 2}]})
        both.ask(first, "push", key="cart", value=None)
        data = both.ask(OTHER[first], "read")["data"]
        assert data == {"user": "Ada", "cart": {"items": [{"name": "tea ☕", "n": 2}, None]}}

    def test_ends_for_both_by_a_logout_on_the_other_side(self, both, first):
        session_id = both.ask(first, "login", value="Ada")["id"]
        both.ask(OTHER[first], "logout")
        for side in SIDES:
            both.remember(session_id)
            assert both.user(side) is None
            assert both.ask(side, "read")["id"] != session_id

    def test_of_the_other_side_ends_this_one_s_id(self, both, first):
        old = both.ask(first, "login", value="Ada")["id"]
        new = both.ask(OTHER[first], "login", value="Bob")["id"]
        assert old != new
        assert both.user(first) == "Bob"
        assert both.valkey.ask("EXISTS", f"sess:{old}") == 0


class TestAThousandRequestsInTurn:
    def test_lose_nothing(self, both, pytestconfig, figure):
        """S6."""
        for seed in range(10 if pytestconfig.getoption("full") else 1):
            run = Alternation(both, seed).run(1000)
            figure.tried(run.requests, "requests, Express and Python in turn")
            figure.found(len(run.unreadable), "unreadable")
            figure.found(len(run.lost) + len(run.revived), "lost or revived")
            assert run.faults == {}
            assert run.requests >= 1000
            assert len(run.logins_and_logouts) == 4

    def found(self, valkey, count=300, **options):  # noqa: F811
        with shared(valkey, **options) as both:
            return set(Alternation(both, seed=1).run(count).faults)

    def test_find_a_store_with_another_prefix(self, valkey):  # noqa: F811
        """S6, T1."""
        store = RedisStore(valkey.client(), prefix="session:")
        assert self.found(valkey, store=store) == {"unreadable"}

    def test_find_a_store_that_drops_a_write_now_and_then(self, valkey):  # noqa: F811
        """S6, T1."""

        class Forgetful(RedisStore):
            writes = 0

            def replace(self, *args):
                self.writes += 1
                return self.writes % 40 == 0 or super().replace(*args)

        assert self.found(valkey, store=Forgetful(valkey.client())) == {"lost"}

    def test_find_a_store_that_garbles_what_is_not_ascii(self, valkey):  # noqa: F811
        """S6, T1."""

        class Garbling(RedisStore):
            def replace(self, session_id, old, new, expires_at):
                new = new.encode(errors="replace").decode("latin-1")
                return super().replace(session_id, old, new, expires_at)

        assert self.found(valkey, store=Garbling(valkey.client())) == {"lost"}

    def test_find_a_logout_that_leaves_the_record(self, valkey):  # noqa: F811
        """S6, T1."""

        class Keeping(RedisStore):
            def destroy(self, session_id):
                pass

        assert self.found(valkey, store=Keeping(valkey.client())) == {"revived"}

    def test_find_signatures_with_padding(self, valkey, monkeypatch):  # noqa: F811
        """S6, T1."""
        monkeypatch.setattr(middleware_module, "sign", lambda *args: sign(*args) + "=")
        assert self.found(valkey) == {"unreadable"}


class TestAtTheSameTime:
    def test_python_keeps_what_express_changed_meanwhile(self, both):
        both.ask("python", "login", value="Ada")
        assert both.meanwhile("python", {"does": "set", "key": "x", "value": 1}).ok
        for side in SIDES:
            assert both.ask(side, "read")["data"] == {"user": "Ada", "x": 1, "python": "changed"}

    def test_python_does_not_bring_back_what_express_logged_out_meanwhile(self, both):
        session_id = both.ask("python", "login", value="Ada")["id"]
        assert both.meanwhile("python", {"does": "logout"}).status_code == 409
        assert both.valkey.ask("EXISTS", f"sess:{session_id}") == 0

    @pytest.mark.parametrize("does", ["set", "logout"])
    def test_a_store_that_overwrites_is_found_by_both(self, valkey, does):  # noqa: F811
        class Overwriting(RedisStore):
            def replace(self, session_id, old, new, expires_at):
                valkey.ask("SET", f"sess:{session_id}", new, "EX", 100)
                return True

        with shared(valkey, store=Overwriting(valkey.client())) as both:
            both.ask("python", "login", value="Ada")
            assert both.meanwhile("python", {"does": does, "key": "x", "value": 1}).ok
            assert both.ask("express", "read")["data"] == {"user": "Ada", "python": "changed"}

    # The reverse is lost: whoever shares a store with Express shares these faults of connect-redis,
    # whose SET overwrites. If one of these fails, Express has got better.

    def test_express_loses_what_python_changed_meanwhile(self, both):
        both.ask("python", "login", value="Ada")
        assert both.meanwhile("express", {"does": "set", "key": "x", "value": 1}).ok
        assert both.ask("python", "read")["data"] == {"user": "Ada", "express": "changed"}

    def test_express_brings_back_what_python_logged_out_meanwhile(self, both):
        session_id = both.ask("python", "login", value="Ada")["id"]
        assert both.meanwhile("express", {"does": "logout"}).ok
        both.remember(session_id)
        assert both.user("python") == "Ada"


MISSING = "missing"
MEMBERS = {"expires": [MISSING, None, False, -500, 500], "originalMaxAge": [MISSING, None, False]}
MEMBERS["originalMaxAge"].append(HOUR * 1000)


def iso(seconds):
    moment = datetime.now(UTC) + timedelta(seconds=seconds)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def odd_record(expires, age):
    """Return a record's text; ``expires`` is text, or in so many seconds."""
    is_number = isinstance(expires, int) and not isinstance(expires, bool)
    cookie = {"originalMaxAge": age, "expires": iso(expires) if is_number else expires}
    cookie = {key: value for key, value in cookie.items() if value != MISSING}
    return json.dumps({"cookie": cookie, "user": "Ada"}, separators=(",", ":"))


class TrustsTheJSON(RedisStore):
    """Planted: ends a session at the ``expires`` that stands in its text."""

    def get(self, session_id):
        record = super().get(session_id)
        expires = record and json.loads(record.text)["cookie"].get("expires")
        moment = datetime.fromisoformat(expires).timestamp() if expires else None
        return record if not moment else None if moment < time.time() else record


class TestOddRecords:
    @pytest.mark.parametrize("side", SIDES)
    @pytest.mark.parametrize("expires", MEMBERS["expires"])
    @pytest.mark.parametrize("age", MEMBERS["originalMaxAge"])
    def test_are_read_changed_and_read_again(self, daily, side, expires, age):
        daily.put("odd", odd_record(expires, age))
        assert daily.ask(side, "read")["data"] == {"user": "Ada"}
        daily.ask(side, "set", key="n", value=1)
        daily.ask(OTHER[side], "set", key="m", value=2)
        for each in SIDES:
            assert daily.ask(each, "read")["data"] == {"user": "Ada", "n": 1, "m": 2}

    @pytest.mark.parametrize("side", SIDES)
    @pytest.mark.parametrize("age", MEMBERS["originalMaxAge"])
    def test_go_on_with_the_age_that_they_have_or_for_a_day(self, daily, side, age):
        daily.put("odd", odd_record(500, age))
        daily.ask(side, "set", key="n", value=1)
        expected = HOUR if age == HOUR * 1000 else 86400
        assert daily.seconds_left("odd") == pytest.approx(expected, abs=5)

    def test_without_a_cookie_object_are_a_stranger_s_here_and_an_error_there(self, daily):
        daily.put("odd", '{"user":"Ada"}')
        assert daily.user("python") is None
        assert daily.send("express", "read").status_code == 500


def age_by_touches(both, seconds=2 * HOUR):
    """Log in; then let the text be as old as if the session had been read, and no more, since."""
    session_id = both.ask("python", "login", value="Ada")["id"]
    record = both.record(session_id)
    record["cookie"]["expires"] = iso(HOUR - seconds)
    both.put(session_id, json.dumps(record, separators=(",", ":")), HOUR)
    return session_id


class TestASessionThatWasOnlyRead:
    """``EXPIRE`` renews the key and leaves the text, so that its ``expires`` is past."""

    @pytest.mark.parametrize("side", SIDES)
    def test_its_text_is_left_and_its_key_renewed(self, hourly, side):
        session_id = hourly.ask(side, "login", value="Ada")["id"]
        text = hourly.text(session_id)
        hourly.valkey.ask("EXPIRE", f"sess:{session_id}", 100)
        hourly.ask(side, "read")
        assert hourly.text(session_id) == text
        assert hourly.seconds_left(session_id) == pytest.approx(HOUR, abs=5)

    @pytest.mark.parametrize("side", SIDES)
    def test_lives_as_long_as_its_key(self, hourly, side):
        session_id = age_by_touches(hourly)
        assert hourly.user(side) == "Ada"
        hourly.valkey.ask("DEL", f"sess:{session_id}")
        assert hourly.user(side) is None

    def test_a_store_that_trusts_the_json_would_end_it(self, valkey):  # noqa: F811
        with shared(valkey, max_age=HOUR, store=TrustsTheJSON(valkey.client())) as both:
            age_by_touches(both)
            assert both.user("express") == "Ada"
            assert both.user("python") is None

    def test_python_knows_what_is_left_and_express_only_once_it_has_answered(self, hourly):
        age_by_touches(hourly)
        assert hourly.ask("python", "read")["maxAge"] == pytest.approx(HOUR * 1000, abs=5000)
        assert hourly.ask("express", "read")["maxAge"] == pytest.approx(-HOUR * 1000, abs=5000)

    def test_a_change_dates_it_anew(self, hourly):
        for side in SIDES:
            session_id = age_by_touches(hourly)
            hourly.ask(side, "set", key="n", value=1)
            expires = datetime.fromisoformat(hourly.record(session_id)["cookie"]["expires"])
            assert expires.timestamp() == pytest.approx(time.time() + HOUR, abs=5)
            assert hourly.seconds_left(session_id) == pytest.approx(HOUR, abs=5)

    def test_python_can_save_it_by_hand(self, hourly):
        age_by_touches(hourly)
        hourly.ask("python", "save")
        assert hourly.user("python") == hourly.user("express") == "Ada"

    def test_express_destroys_it_when_it_is_saved_by_hand(self, hourly):
        """connect-redis takes a past ``expires`` for the end, and ``save()`` does not renew it."""
        age_by_touches(hourly)
        hourly.ask("express", "save")
        assert hourly.user("python") is None


class TestAges:
    @pytest.mark.parametrize("side", SIDES)
    def test_set_for_one_session_hold_on_the_other_side(self, both, side):
        session_id = both.ask(side, "login", value="Ada")["id"]
        both.ask(side, "age", key="age", value=7 * 86400_000)
        left = both.ask(OTHER[side], "read")["maxAge"]
        assert left == pytest.approx(7 * 86400_000, abs=5000)
        both.ask(OTHER[side], "set", key="n", value=2)
        assert both.seconds_left(session_id) == pytest.approx(7 * 86400, abs=5)
        (cookie,) = both.browser.cookies
        assert cookie.expires == pytest.approx(time.time() + 7 * 86400, abs=5)

    @pytest.mark.parametrize("side", SIDES)
    def test_taken_away_make_a_session_of_the_browser_on_the_other_side(self, hourly, side):
        session_id = hourly.ask(side, "login", value="Ada")["id"]
        hourly.ask(side, "age", key="age", value=None)
        assert hourly.ask(OTHER[side], "read")["maxAge"] is None
        hourly.ask(OTHER[side], "set", key="n", value=2)
        assert hourly.record(session_id)["cookie"]["expires"] is None
        assert hourly.seconds_left(session_id) == pytest.approx(86400, abs=5)

    def test_and_all_other_attributes_come_back_as_express_wrote_them(self, valkey):  # noqa: F811
        attributes = {"path": "/", "httpOnly": False, "sameSite": "strict", "priority": "high"}
        attributes |= {"partitioned": False, "domain": "127.0.0.1", "maxAge": HOUR * 1000}
        with shared(valkey, cookie=attributes) as both:
            session_id = both.ask("express", "login", value="Ada")["id"]
            before = both.record(session_id)["cookie"]
            both.remember(session_id)
            both.ask("python", "set", key="n", value=1)
            after = both.record(session_id)["cookie"]
        told = {"expires", "partitioned", "secure"}  # a date; and false is as good as nothing
        assert {key: after.get(key) for key in {*before, *after} - told} == {
            key: before.get(key) for key in {*before, *after} - told
        }
        assert not after.get("partitioned")
        assert not after.get("secure")


class TestTheAbsoluteLimit:
    """S5: Python keeps a session's age in ``sessionlab.createdAt``, which Express leaves alone."""

    CREATED = "sessionlab.createdAt"

    @pytest.fixture
    def clock(self):
        return Clock(time.time())

    @pytest.fixture
    def both(self, valkey, clock):  # noqa: F811
        store = RedisStore(valkey.client(), now=clock)
        with shared(valkey, store=store, absolute_timeout=8 * HOUR, now=clock) as it:
            yield it

    def test_survives_express_s_rewriting(self, both, clock):
        session_id = both.ask("python", "login", value="Ada")["id"]
        created = both.record(session_id)[self.CREATED]
        for hour in range(1, 8):
            clock.advance(HOUR)
            both.ask("express", "set", key="n", value=hour)
            assert both.record(session_id)[self.CREATED] == created
            assert both.ask("python", "read")["data"] == {"user": "Ada", "n": hour}
        clock.advance(HOUR - 1)
        both.ask("express", "set", key="n", value=8)
        assert both.user("python") == "Ada"
        clock.advance(2)
        assert both.user("python") is None

    def test_counts_for_a_session_of_express_from_python_s_first_look(self, both, clock):
        session_id = both.ask("express", "login", value="Ada")["id"]
        assert both.user("python") == "Ada"
        both.ask("express", "set", key="n", value=1)
        assert both.record(session_id)[self.CREATED] == round(clock() * 1000)
        clock.advance(8 * HOUR + 1)
        assert both.user("python") is None

    def test_is_not_express_s(self, both, clock, figure):
        """S5: past the limit, Express goes on with a session that Python refuses."""
        both.ask("python", "login", value="Ada")
        clock.advance(8 * HOUR + 1)
        users = both.user("express"), both.user("python")
        figure.tried(1, "sessions past the limit, shared with Express")
        figure.found(users[0] == "Ada", "of them readable by Express")
        assert users == ("Ada", None)


class TestWhatJavaScriptCannotKeep:
    """Facts for whoever shares a store with Express."""

    INHERITED = ("constructor", "toString", "valueOf", "hasOwnProperty", "__proto__")
    OWN = ("id", "req", "touch", "resetMaxAge", "save", "reload", "destroy", "regenerate")

    @pytest.mark.parametrize("key", OWN + INHERITED)
    def test_express_drops_a_key_that_its_session_has_already_even_when_it_only_reads(
        self, daily, key
    ):
        session_id = daily.ask("python", "login", value="Ada")["id"]
        daily.ask("python", "set", key=key, value="kept")
        assert daily.record(session_id)[key] == "kept"
        daily.ask("express", "read")
        assert key not in daily.record(session_id)

    @pytest.mark.parametrize("key", OWN + INHERITED)
    def test_below_the_top_each_key_is_kept(self, daily, key):
        daily.ask("python", "login", value="Ada")
        daily.ask("python", "set", key="nested", value={key: "kept"})
        daily.ask("express", "set", key="n", value=1)
        assert daily.ask("python", "read")["data"]["nested"] == {key: "kept"}

    @pytest.mark.parametrize(
        ("ours", "theirs"),
        [
            pytest.param(2**53 + 1, 2**53, id="an int beyond 2**53"),
            pytest.param(1.0, 1, id="a whole float"),
            pytest.param(-0.0, 0, id="minus zero"),
            pytest.param(734650637600455802880.0, 734650637600455800000, id="a whole float < 1e21"),
        ],
    )
    def test_a_number_comes_back_as_its_double_is_written_there(self, daily, ours, theirs):
        session_id = daily.ask("python", "login", value="Ada")["id"]
        daily.ask("python", "set", key="number", value=ours)
        daily.ask("express", "set", key="n", value=1)
        assert f'"number":{theirs},' in daily.text(session_id)
