"""The session as a mapping, its record, and what acts at once."""

import json
import math
import subprocess
import sys
import threading
from datetime import datetime, timedelta

import pytest

from sessionlab import (
    BadRecord,
    CookieOptions,
    MemoryStore,
    Session,
    SessionGone,
    SessionSettings,
    StoreError,
    decode_record,
    encode_record,
    merge,
    new_session_id,
)
from sessionlab.testing import Clock

EXPRESS_RECORD = (
    '{"cookie":{"originalMaxAge":null,"expires":null,"httpOnly":true,"path":"/"},"views":1}'
)


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def store(clock):
    return MemoryStore(now=clock)


@pytest.fixture
def settings(clock):
    return SessionSettings(now=clock)


@pytest.fixture
def session(store, settings):
    """A stored session, as the next request finds it."""
    first = Session(store, settings)
    first["name"] = "John Doe"
    first["cart"] = ["tea"]
    first.save()
    return Session.load(store, first.id, settings)


def another(session):
    """The same session, as a request at the same time has it."""
    return Session.load(session._store, session.id, session._settings)


def data_in(store, session_id):
    return decode_record(store.get(session_id).text)[1]


# What it holds.


def test_an_id_is_24_random_bytes_in_32_characters():
    ids = {new_session_id() for _ in range(1000)}
    assert len(ids) == 1000
    assert {len(session_id) for session_id in ids} == {32}


def test_what_is_stored_comes_back_in_the_next_request(session):
    assert dict(session) == {"name": "John Doe", "cart": ["tea"]}


def test_a_new_session_is_empty_and_nothing_is_stored(store, settings):
    session = Session(store, settings)
    assert session.is_new
    assert dict(session) == {}
    assert len(store) == 0


def test_an_unknown_id_loads_nothing(store, settings):
    assert Session.load(store, "planted", settings) is None


def test_an_expired_session_loads_nothing(session, store, settings, clock):
    clock.advance(86_400)
    assert Session.load(store, session.id, settings) is None


def test_an_attribute_in_javascript_style_is_an_error_and_no_silent_loss(session):
    with pytest.raises(AttributeError):
        session.my_data = {"name": "John Doe"}


@pytest.mark.parametrize(
    ("value", "error", "says"),
    [
        pytest.param(
            datetime(2026, 1, 1), TypeError, r"session\['x'\] is a datetime", id="datetime"
        ),
        pytest.param(math.nan, ValueError, r"session\['x'\] is a number", id="NaN"),
        pytest.param(math.inf, ValueError, r"session\['x'\] is a number", id="infinity"),
        pytest.param(10**5000, ValueError, r"session\['x'\] is a number", id="5001 digits"),
        pytest.param({1: "a"}, TypeError, r"session\['x'\] has the key 1", id="key a number"),
        pytest.param({None: 1}, TypeError, r"session\['x'\] has the key None", id="key None"),
        pytest.param(
            {(1, 2): 1}, TypeError, r"session\['x'\] has the key \(1, 2\)", id="key tuple"
        ),
        pytest.param(
            {"a": [0, {1, 2}]}, TypeError, r"session\['x'\]\['a'\]\[1\] is a set", id="set"
        ),
        pytest.param(b"bytes", TypeError, r"session\['x'\] is a bytes", id="bytes"),
        pytest.param(object(), TypeError, r"session\['x'\] is a object", id="object"),
    ],
)
def test_what_json_cannot_hold_is_refused_by_name_and_nothing_is_stored(
    session, value, error, says
):
    before = session._store.get(session.id)
    session["fine"] = 1
    session["x"] = value
    with pytest.raises(error, match=says):
        session.save()
    assert session._store.get(session.id) == before


def test_what_holds_itself_is_refused_by_name(session):
    session["loop"] = []
    session["loop"].append(session["loop"])
    with pytest.raises(ValueError, match=r"session\['loop'\].* holds itself"):
        session.save()


def test_what_is_nested_too_deep_is_refused_by_name(session):
    value = []
    for _ in range(100_000):
        value = [value]
    session["deep"] = value
    with pytest.raises(ValueError, match=r"session\['deep'\].* nested too deep"):
        session.save()


@pytest.mark.parametrize("key", [1, None, ("a",)])
def test_a_key_that_is_no_text_is_refused_at_once(session, key):
    with pytest.raises(TypeError, match="keys are text"):
        session[key] = 1


def test_the_key_of_the_cookie_is_taken(session):
    with pytest.raises(ValueError, match="cookie"):
        session["cookie"] = 1


def test_neither_repr_nor_str_tell_the_id(session):
    assert session.id not in repr(session) + str(session)


# The record, as express-session writes it.


def test_a_record_of_express_session_is_read(store, settings, clock):
    store.create("id", EXPRESS_RECORD, clock() + 60)
    assert dict(Session.load(store, "id", settings)) == {"views": 1}


def test_a_record_is_written_as_express_session_would(store, clock):
    cookie = CookieOptions(max_age=3600, domain="example.com", same_site="strict", secure=True)
    session = Session(store, SessionSettings(now=clock, cookie=cookie, is_secure=True))
    session["views"] = 1
    session.save()
    assert store.get(session.id).text == (
        '{"cookie":{"originalMaxAge":3600000,"expires":"2096-10-02T08:06:40.000Z","secure":true,'
        '"httpOnly":true,"domain":"example.com","path":"/","sameSite":"strict"},"views":1}'
    )


def test_a_record_goes_to_the_store_as_compact_utf8(store, settings):
    session = Session(store, settings)
    session["city"] = "Zürich"
    session.save()
    assert store.get(session.id).text.endswith('"sameSite":"lax"},"city":"Zürich"}')


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("", id="empty"),
        pytest.param(EXPRESS_RECORD[:-5], id="cut short"),
        pytest.param(EXPRESS_RECORD + "}", id="more after the end"),
        pytest.param('{"cookie":{}"views":1}', id="no comma"),
        pytest.param('{"cookie":{},}', id="a comma too many"),
        *(pytest.param(text, id=text) for text in ("null", "5", '"x"', "[]", "{}")),
        pytest.param('{"views":1}', id="no cookie"),
        pytest.param('{"cookie":7}', id="cookie no object"),
        pytest.param('{"cookie":null,"views":1}', id="cookie null"),
        pytest.param('{"cookie":{},"cookie":{}}', id="two cookies"),
        pytest.param('{"cookie":{"expires":"soon"}}', id="expiry no date"),
        pytest.param('{"cookie":{"expires":5}}', id="expiry a number"),
        pytest.param('{"cookie":{"originalMaxAge":"1 day"}}', id="age no number"),
        pytest.param('{"cookie":{"originalMaxAge":1e999}}', id="age infinite"),
        pytest.param('{"cookie":{"originalMaxAge":-1000}}', id="age negative"),
        pytest.param('{"cookie":{"path":"/; Domain=evil.example"}}', id="attribute with ;"),
        pytest.param('{"cookie":{"path":[1]}}', id="attribute a list"),
        pytest.param('{"cookie":{"sameSite":"sometimes"}}', id="unknown SameSite"),
        pytest.param('{"cookie":{},"x":' + "[" * 100_000 + "]" * 100_000 + "}", id="100,000 deep"),
        pytest.param('{"cookie":{},"x":' + "9" * 5000 + "}", id="5,000 digits"),
        pytest.param('{"cookie":{},"x":"\ud800"}', id="half a character"),
        pytest.param('{"cookie":{},"x":"\x00"}', id="NUL"),
        pytest.param("\ufeff" + EXPRESS_RECORD, id="BOM"),
        pytest.param('{"cookie":{},"x":NaN}', id="NaN"),
        pytest.param('{"cookie":{},"x":-Infinity}', id="infinity"),
        pytest.param("\x80\x04K\x01.", id="pickle"),
    ],
)
def test_an_unreadable_record_makes_an_anonymous_session_and_one_log_line(
    store, settings, clock, caplog, text
):
    store.create("the id", text, clock() + 60)
    session = Session.load(store, "the id", settings)
    assert dict(session) == {}
    assert session.is_new
    assert session.id != "the id"
    assert len(caplog.records) == 1
    assert "the id" not in caplog.text


@pytest.mark.parametrize(
    "text",
    [
        pytest.param('{"cookie":{},"views":1}', id="an empty cookie is enough"),
        pytest.param('{"views":1,"cookie":{}}', id="cookie last"),
        pytest.param(' { "cookie" : {} , "views" : 1 } ', id="white space"),
        pytest.param('{"cookie":{} , "views":1}', id="white space before the comma"),
        pytest.param('{"cookie":{},"views":1}\n', id="a newline at the end"),
        pytest.param(
            '{"cookie":{"originalMaxAge":false,"expires":false},"views":1}', id="false for none"
        ),
        pytest.param(
            '{"cookie":{"expires":"2001-01-01T00:00:00.000Z","originalMaxAge":60000},"views":1}',
            id="expiry past in the text, renewed in the store",
        ),
        pytest.param('{"cookie":{"sameSite":true,"priority":null},"views":1}', id="sameSite true"),
        pytest.param('{"cookie":{"sameSite":"none"},"views":1}', id="None without Secure"),
    ],
)
def test_every_form_of_record_that_express_session_may_leave_is_read(store, settings, clock, text):
    store.create("id", text, clock() + 60)
    assert dict(Session.load(store, "id", settings)) == {"views": 1}


def test_half_a_character_cut_by_javascript_survives_a_change(store, settings, clock):
    store.create("id", '{"cookie":{},"cut":"\\ud83d"}', clock() + 60)
    session = Session.load(store, "id", settings)
    session["n"] = 1
    session.save()
    assert '"cut":"\\ud83d","n":1}' in store.get("id").text


def test_encoding_and_decoding_a_record_are_inverse():
    cookie, data = {"originalMaxAge": None}, {"a": [1, {"cookie": "nested is fine"}], "é": None}
    assert decode_record(encode_record(cookie, data)) == (cookie, data)
    assert encode_record({}, {}) == '{"cookie":{}}'


def test_decoding_says_what_is_wrong():
    with pytest.raises(BadRecord, match="cookie"):
        decode_record('{"cookie":1}')


# What counts as a change.


def test_reading_is_no_change(session):
    assert session["name"] == "John Doe"
    assert session.changes() == (False, False, True)


@pytest.mark.parametrize(
    ("change", "is_change"),
    [
        pytest.param(lambda s: s.update(name="Ada"), True, id="another value"),
        pytest.param(lambda s: s.update(name="John Doe"), False, id="the same value again"),
        pytest.param(lambda s: s["cart"].append("jam"), True, id="something nested"),
        pytest.param(lambda s: s.pop("name"), True, id="a key less"),
        pytest.param(lambda s: s.clear(), True, id="no keys"),
        pytest.param(lambda s: s.update(s.popitem() and {"x": 1}), True, id="other keys"),
        pytest.param(lambda s: s.update(cart=s.pop("cart"), name=s.pop("name")), True, id="order"),
        pytest.param(
            lambda s: s.update(name=s.pop("name"), cart=s.pop("cart")), False, id="taken back"
        ),
        pytest.param(lambda s: s.update(cart=("tea",)), False, id="a tuple for a list"),
        pytest.param(lambda s: setattr(s.cookie, "max_age", 60), True, id="the cookie's age"),
        pytest.param(lambda s: setattr(s.cookie, "same_site", "strict"), True, id="SameSite"),
        pytest.param(lambda s: setattr(s.cookie, "same_site", "lax"), False, id="SameSite again"),
    ],
)
def test_a_change_is_what_makes_another_record(session, change, is_change):
    change(session)
    assert session.changes().is_modified is is_change


def test_one_is_not_true(session):
    session["name"] = 1
    session.save()
    session = another(session)
    session["name"] = True
    assert session.changes().is_modified


@pytest.mark.parametrize("number", ["1e-7", "1E5", "1.50", "-0"])
def test_another_writers_way_to_write_a_number_is_no_change(store, settings, clock, number):
    store.create("id", f'{{"cookie":{{}},"n":{number}}}', clock() + 60)
    session = Session.load(store, "id", settings)
    assert session["n"] is not None
    assert session.changes() == (False, False, True)


def test_a_saved_change_stays_a_change_and_is_saved(session):
    session["name"] = "Ada"
    session.save()
    assert session.changes() == (True, False, True)


# Two requests at the same time.


def test_two_requests_that_change_different_keys_both_keep_their_changes(session, store):
    other = another(session)
    session["mine"] = 1
    other["theirs"] = 2
    del other["cart"]
    other.save()
    session.save()
    assert data_in(store, session.id) == {"name": "John Doe", "theirs": 2, "mine": 1}
    assert dict(session) == {"name": "John Doe", "theirs": 2, "mine": 1}


def test_of_two_changes_to_the_same_key_the_last_one_wins(session, store):
    other = another(session)
    session["name"], other["name"] = "Ada", "Grace"
    other.save()
    session.save()
    assert data_in(store, session.id)["name"] == "Ada"


def test_a_key_deleted_here_and_untouched_there_is_deleted(session, store):
    other = another(session)
    del session["cart"]
    other["n"] = 1
    other.save()
    session.save()
    assert data_in(store, session.id) == {"name": "John Doe", "n": 1}


def test_a_changed_age_survives_a_change_of_data_by_another_request(session, store):
    other = another(session)
    session.cookie.max_age = 60
    other["n"] = 1
    other.save()
    session.save()
    cookie, data = decode_record(store.get(session.id).text)
    assert cookie["originalMaxAge"] == 60_000
    assert data["n"] == 1


def test_a_change_of_data_leaves_the_age_that_another_request_set(session, store):
    other = another(session)
    other.cookie.max_age = 60
    session["n"] = 1
    other.save()
    session.save()
    assert decode_record(store.get(session.id).text)[0]["originalMaxAge"] == 60_000


def test_a_session_that_was_logged_out_meanwhile_is_not_brought_back(session, store):
    other = another(session)
    session["n"] = 1
    other.destroy()
    with pytest.raises(SessionGone):
        session.save()
    assert store.get(session.id) is None


def test_an_id_that_is_taken_is_never_overwritten(store, clock):
    ids = iter(["same", "same", "same", "free"])
    settings = SessionSettings(now=clock, genid=lambda: next(ids))
    first, second = Session(store, settings), Session(store, settings)
    first["owner"], second["owner"] = "first", "second"
    first.save()
    second.save()
    assert data_in(store, "same") == {"owner": "first"}
    assert data_in(store, "free") == {"owner": "second"}
    assert second.id == "free"


def test_ids_that_are_always_taken_end_in_an_error_and_not_in_a_takeover(store, clock, monkeypatch):
    monkeypatch.setattr("sessionlab.session._LONGEST_PAUSE", 0)
    settings = SessionSettings(now=clock, genid=lambda: "same")
    first, second = Session(store, settings), Session(store, settings)
    first["owner"], second["owner"] = "first", "second"
    first.save()
    with pytest.raises(StoreError, match="200 tries"):
        second.save()
    assert data_in(store, "same") == {"owner": "first"}


@pytest.mark.parametrize(
    ("base", "mine", "theirs", "merged"),
    [
        ({}, {}, {}, {}),
        ({"a": 1}, {"a": 1}, {"a": 2}, {"a": 2}),
        ({"a": 1}, {"a": 3}, {"a": 2}, {"a": 3}),
        ({"a": 1}, {}, {"a": 2}, {}),
        ({"a": 1}, {"a": 1}, {}, {}),
        ({"a": 1}, {"a": 2}, {}, {"a": 2}),
        ({}, {"a": 1}, {"b": 2}, {"b": 2, "a": 1}),
        ({"a": 1}, {"a": True}, {"a": 1, "b": 2}, {"a": True, "b": 2}),
        ({"a": [1]}, {"a": [1, 2]}, {"a": [1], "b": 1}, {"a": [1, 2], "b": 1}),
    ],
)
def test_the_merge_lays_my_changes_over_theirs(base, mine, theirs, merged):
    assert json.dumps(merge(base, mine, theirs)) == json.dumps(merged)


def test_atomic_counts_exactly_under_contention(session, store, settings):
    def count():
        mine = another(session)
        for _ in range(100):
            mine.atomic(lambda data: data.update(n=data.get("n", 0) + 1))

    threads = [threading.Thread(target=count) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert data_in(store, session.id)["n"] == 800


class Turn:
    """A turn that tells when somebody has to wait for it."""

    def __init__(self):
        self.lock = threading.RLock()
        self.is_awaited = threading.Event()

    def acquire(self, timeout):
        if self.lock.acquire(blocking=False):
            return True
        self.is_awaited.set()
        return self.lock.acquire(timeout=timeout)

    def release(self):
        self.lock.release()


class Loser:
    """Counts in a thread; loses its first try, and holds its second one up until it may end."""

    def __init__(self, session):
        self.session = session
        self.in_its_turn, self.may_end = threading.Event(), threading.Event()
        self.tries = 0
        self.thread = threading.Thread(target=another(session).atomic, args=[self.change])

    def change(self, data):
        self.tries += 1
        if self.tries == 1:
            self.session["winner"] = True
            self.session.save()
        elif self.tries == 2:
            self.in_its_turn.set()
            assert self.may_end.wait(30)
        data["tries"] = self.tries

    def __enter__(self):
        self.thread.start()
        assert self.in_its_turn.wait(30)
        return self

    def __exit__(self, *exc_info):
        self.may_end.set()
        self.thread.join()


@pytest.fixture
def turn(monkeypatch):
    turn = Turn()
    monkeypatch.setattr("sessionlab.session._turns", [turn])
    return turn


def test_of_those_who_lost_one_tries_at_a_time(session, store, turn, monkeypatch):
    monkeypatch.setattr("sessionlab.session._LONGEST_TURN", 30)
    second = another(session)
    second["second"] = True
    with Loser(session) as first:
        thread = threading.Thread(target=second.save)
        thread.start()
        assert turn.is_awaited.wait(30)
    thread.join()
    kept = data_in(store, session.id)
    assert (kept["winner"], kept["tries"], kept["second"]) == (True, 2, True)
    assert first.tries == 2  # nobody came between again
    assert turn.acquire(timeout=0)  # and nobody keeps it


def test_a_loser_that_hangs_holds_nobody_up_for_long(session, store, turn, monkeypatch):
    monkeypatch.setattr("sessionlab.session._LONGEST_TURN", 0)
    second = another(session)
    second["second"] = True
    with Loser(session):
        second.save()
        assert turn.is_awaited.is_set()
        assert data_in(store, session.id)["second"]
    assert data_in(store, session.id)["tries"] == 3


def test_a_turn_ends_with_an_error(session, turn):
    def fail(data):
        another(session).atomic(lambda data: data.update(n=data.get("n", 0) + 1))
        if data.get("n") == 2:
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        session.atomic(fail)
    thread = threading.Thread(target=lambda: taken.append(turn.acquire(timeout=0)))
    taken: list[bool] = []
    thread.start()
    thread.join()
    assert taken == [True]


def test_no_turn_is_taken_in_a_process_that_was_forked():
    script = """
import os, threading
from sessionlab import session
threading.Thread(target=lambda: [turn.acquire() for turn in session._turns]).start()
child = os.fork()
if child:
    os._exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
assert all(turn.acquire(timeout=0) for turn in session._turns)
"""
    subprocess.run([sys.executable, "-W", "ignore", "-c", script], check=True, timeout=60)


def test_atomic_returns_what_the_function_returns_and_stores_unsaved_changes_too(session, store):
    session["name"] = "Ada"
    assert session.atomic(lambda data: data.setdefault("n", 7)) == 7
    assert data_in(store, session.id) == {"name": "Ada", "cart": ["tea"], "n": 7}
    assert session["n"] == 7


def test_atomic_leaves_the_session_as_it_was_when_the_function_raises(session, store):
    def fail(data):
        data.clear()
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        session.atomic(fail)
    assert dict(session) == data_in(store, session.id) == {"name": "John Doe", "cart": ["tea"]}


def test_atomic_makes_a_new_session_too(store, settings):
    session = Session(store, settings)
    session.atomic(lambda data: data.update(n=1))
    assert data_in(store, session.id) == {"n": 1}


def test_atomic_says_no_for_a_session_that_was_logged_out(session):
    another(session).destroy()
    with pytest.raises(SessionGone):
        session.atomic(lambda data: data.update(n=1))


# What acts at once.


def test_reload_takes_what_is_in_the_store_and_loses_unsaved_changes(session):
    other = another(session)
    other["n"] = 1
    other.save()
    session["lost"] = True
    session.reload()
    assert dict(session) == {"name": "John Doe", "cart": ["tea"], "n": 1}
    assert not session.changes().is_modified


@pytest.mark.parametrize("method", ["reload", "save", "touch"])
def test_nothing_works_on_a_session_that_was_logged_out_elsewhere(session, method):
    another(session).destroy()
    with pytest.raises(SessionGone):
        getattr(session, method)()


def test_reloading_what_was_never_stored_says_so(store, settings):
    with pytest.raises(SessionGone, match="no such session"):
        Session(store, settings).reload()


def test_touch_renews_the_record_and_keeps_unsaved_changes_for_later(session, store, clock):
    session["n"] = 1
    clock.advance(1000)
    session.touch()
    assert store.get(session.id).expires_at == clock() + 86_400
    assert "n" not in data_in(store, session.id)
    assert session["n"] == 1


def test_touch_puts_the_cookies_age_back(store, clock):
    session = Session(store, SessionSettings(now=clock, cookie=CookieOptions(max_age=100)))
    session.save()
    clock.advance(60)
    assert session.cookie.max_age == 40
    session.touch()
    assert session.cookie.max_age == session.cookie.original_max_age == 100


def test_after_destroy_the_session_is_empty_and_cannot_be_written_to(session, store):
    session_id = session.id
    session.destroy()
    assert store.get(session_id) is None
    assert dict(session) == {}
    for act in (lambda: session.update(a=1), session.save, session.touch, session.reload):
        with pytest.raises(SessionGone, match="regenerate"):
            act()
    with pytest.raises(SessionGone):
        session.regenerate(keep_data=True)


def test_after_destroy_regenerate_begins_another_session(session, store):
    session.destroy()
    session.regenerate()
    session["flash"] = "Good bye"
    session.save()
    assert data_in(store, session.id) == {"flash": "Good bye"}


def test_regenerate_gives_a_new_id_and_the_old_one_is_dead_at_once(session, store):
    old = session.id
    session.regenerate()
    assert store.get(old) is None
    assert session.id != old
    assert session.is_new
    assert dict(session) == {}
    assert session.changes().is_modified


def test_regenerate_can_keep_data_and_cookie(session, store):
    old = session.id
    session.cookie.max_age = 60
    session["unsaved"] = 1
    session.regenerate(keep_data=True)
    assert store.get(old) is None
    assert session.id != old
    assert dict(session) == {"name": "John Doe", "cart": ["tea"], "unsaved": 1}
    assert data_in(store, session.id) == dict(session)
    assert session.cookie.original_max_age == 60


def test_regenerate_takes_along_what_another_request_changed_meanwhile(session, store):
    other = another(session)
    session["mine"] = 1
    other["theirs"] = 2
    other.save()
    session.regenerate(keep_data=True)
    assert data_in(store, session.id)["theirs"] == 2
    assert data_in(store, session.id)["mine"] == 1
    assert len(store) == 1


def test_regenerate_keeps_no_data_of_a_session_that_was_logged_out(session, store):
    another(session).destroy()
    with pytest.raises(SessionGone):
        session.regenerate(keep_data=True)
    assert len(store) == 0


class GrowsMeanwhile(MemoryStore):
    """Another request makes a record larger, just before it would be replaced."""

    def replace(self, session_id, old, new, expires_at):
        super().replace(session_id, old, f'{old[:-1]},"much":"{"x" * 2000}"}}', expires_at)
        return super().replace(session_id, old, new, expires_at)


def test_a_regenerate_that_fails_leaves_no_copy_under_the_new_id(settings, clock):
    store = GrowsMeanwhile(now=clock)
    session = Session(store, settings._replace(max_bytes=1000))
    session["name"] = "John Doe"
    session.save()
    with pytest.raises(ValueError, match="max_bytes"):
        session.regenerate(keep_data=True)
    assert list(store) == [session.id]


def test_a_request_that_still_has_the_old_id_cannot_write_to_it(session, store):
    other = another(session)
    other["late"] = True
    old = session.id
    session.regenerate(keep_data=True)
    with pytest.raises(SessionGone):
        other.save()
    assert store.get(old) is None
    assert "late" not in data_in(store, session.id)


# Time.


def test_a_browser_session_is_kept_for_the_idle_timeout(store, clock):
    session = Session(store, SessionSettings(now=clock, idle_timeout=100))
    session.save()
    assert store.get(session.id).expires_at == clock() + 100


def test_a_session_with_an_age_is_kept_for_that_age(session, store, clock):
    session.cookie.max_age = timedelta(days=30)
    session.save()
    assert store.get(session.id).expires_at == clock() + 30 * 86_400


@pytest.mark.parametrize(
    ("touch_after", "seconds", "is_due"),
    [(60, 60, False), (60, 61, True), (0, 0, True), (60, -61, True), (3600, 3599, False)],
)
def test_a_touch_is_due_when_it_would_move_the_expiry_far_enough(
    session, clock, touch_after, seconds, is_due
):
    clock.advance(seconds)
    assert session.needs_touch(touch_after) is is_due


def test_a_session_shorter_than_touch_after_is_still_renewed(session, clock):
    session.cookie.max_age = 30
    session.save()
    clock.advance(16)
    assert another(session).needs_touch(60)


@pytest.mark.parametrize("age", [None, 1000])
def test_whether_a_touch_is_due_is_known_without_decoding(session, clock, age):
    session.cookie.max_age = age
    session.save()
    fresh = another(session)
    clock.advance(61)
    assert fresh.needs_touch(60)
    assert fresh._data is None
    fresh.touch()
    assert session._store.get(session.id).expires_at == clock() + (age or 86_400)


def test_the_absolute_limit_holds_however_busy_the_session_is(store, clock):
    settings = SessionSettings(now=clock, absolute_timeout=3600)
    session = Session(store, settings)
    session["n"] = 1
    session.save()
    for _ in range(59):
        clock.advance(60)
        session = Session.load(store, session.id, settings)
        assert session["n"] == 1
        session.touch()
    clock.advance(59)
    assert Session.load(store, session.id, settings)["n"] == 1
    clock.advance(1)
    assert Session.load(store, session.id, settings) is None


def test_the_absolute_limit_holds_where_another_program_renews_the_record(store, clock):
    settings = SessionSettings(now=clock, absolute_timeout=3600)
    session = Session(store, settings)
    session["n"] = 1
    session.save()
    store.touch(session.id, clock() + 1e6)
    clock.advance(3600)
    assert dict(Session.load(store, session.id, settings)) == {}


def test_the_absolute_limit_counts_anew_where_the_clock_was_put_back(store, clock):
    settings = SessionSettings(now=clock, absolute_timeout=3600)
    session = Session(store, settings)
    session["n"] = 1
    session.save()
    clock.advance(-10 * 366 * 86_400)
    for _ in range(60):
        session = Session.load(store, session.id, settings)
        assert session["n"] == 1
        session.save()
        clock.advance(60)
    assert not Session.load(store, session.id, settings)


def test_clocks_that_differ_a_little_change_no_record(store, clock):
    settings = SessionSettings(now=clock, absolute_timeout=3600)
    session = Session(store, settings)
    session["n"] = 1
    session.save()
    clock.advance(-59)
    session = Session.load(store, session.id, settings)
    assert session["n"] == 1
    assert not session.changes().is_modified


def test_the_absolute_limit_is_kept_with_the_data_and_starts_anew_without(store, clock):
    settings = SessionSettings(now=clock, absolute_timeout=3600)
    session = Session(store, settings)
    session["n"] = 1
    session.save()
    clock.advance(3000)
    session.regenerate(keep_data=True)
    assert store.get(session.id).expires_at == clock() + 600
    session.regenerate()
    session.save()
    assert store.get(session.id).expires_at == clock() + 3600


def test_the_time_of_creation_is_no_key_of_the_session(store, clock):
    settings = SessionSettings(now=clock, absolute_timeout=3600)
    session = Session(store, settings)
    session["n"] = 1
    session.save()
    session = Session.load(store, session.id, settings)
    assert dict(session) == {"n": 1}
    assert session.changes() == (False, False, True)


@pytest.mark.parametrize("bad", ["", None, 7])
def test_an_id_that_is_none_is_refused(store, clock, bad):
    session = Session(store, SessionSettings(now=clock, genid=lambda: bad))
    with pytest.raises(TypeError, match="genid"):
        session.save()
