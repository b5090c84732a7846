"""Loads, as the lab measures them."""

from itertools import count

import pytest

from sessionlab import MemoryStore, SessionMiddleware
from sessionlab.lab import load

SECRET = "0123456789abcdef0123456789abcdef"


def count_visits(environ, start_response):
    session = environ["sessionlab.session"]
    session["visits"] = session.get("visits", 0) + 1
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"welcome"]


def test_each_client_keeps_its_session():
    store = MemoryStore()
    measured = load(SessionMiddleware(count_visits, SECRET, store=store), 3, seconds=0.02)
    assert len(store) == 3
    assert measured.refused == 0
    assert measured.per_second > 10
    assert measured.milliseconds > 0


def test_who_is_refused_is_counted_apart():
    numbers = count()

    def app(environ, start_response):
        start_response("200 OK" if next(numbers) % 2 else "503 Service Unavailable", [])
        return [b""]

    measured = load(app, 1, seconds=0.02)
    assert measured.refused > 0
    assert measured.per_second > 0


def test_an_application_that_raises_is_an_error():
    def app(environ, start_response):
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        load(app, 2)
