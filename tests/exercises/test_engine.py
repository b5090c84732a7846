"""The engine's odd corners: what is printed, what is late, what was touched, what is shown."""

import os
import signal
import sys
import threading
import time

import pytest
from bottle import Bottle, HTTPResponse, request, response

from sessionlab import BadSignature, MemoryStore
from sessionlab.exercises import State, check
from sessionlab.exercises.exercise import (
    NOT_YET,
    Exercise,
    ServerError,
    Wrong,
    expect,
    expect_error,
    names_used,
)
from sessionlab.exercises.running import run
from sessionlab.exercises.serving import race, running
from sessionlab.exercises.untouched import is_untouched


def exercise(ask, **options):
    """An exercise of one rule."""
    options = {"starter": f"def part():\n    {NOT_YET}\n", "seconds": 10, **options}
    made = Exercise("part", kind="write the part", task="t", answer=print, hints=["a"], **options)
    made.rule("it is right", why="it matters", hint="think")(ask)
    return made


class TestWhatIsPrinted:
    def test_it_is_kept_from_the_screen_and_shown(self, capfd):
        def attempt():
            print("to the screen")
            print("to stderr", file=sys.stderr)
            raise ValueError("no")

        result = exercise(lambda part: part()).check(attempt)
        assert capfd.readouterr() == ("", "")
        printed = next(said.text for said in result.said if said.about == "it printed")
        assert printed == "to the screen\nto stderr\n"

    def test_it_is_bounded(self):
        outcome = run(lambda: [print("x" * 1000) for _ in range(10_000)], 10)
        assert len(outcome.printed) == 2000
        result = exercise(lambda part: part()).check(lambda: print("x" * 1_000_000))
        assert len(str(result)) < 5000

    def test_what_is_printed_in_a_servers_thread_is_kept_too(self, capfd):
        app = Bottle()
        app.get("/", callback=lambda: print("in a handler"))

        def ask(part):
            with running(app) as new_browser:
                new_browser().get("/")

        assert "in a handler" in str(exercise(ask).check(print))
        assert capfd.readouterr() == ("", "")

    def test_the_screen_is_back_afterwards(self, capsys):
        run(lambda: 1 / 0, 1)
        run(lambda: time.sleep(9), 0.05)
        print("hello")
        assert capsys.readouterr().out == "hello\n"


class TestWhatIsLate:
    def test_it_is_an_error_and_its_thread_is_ended(self):
        before = set(threading.enumerate())
        assert exercise(lambda part: part(), seconds=0.1).check(endless).state is State.ERROR
        assert set(threading.enumerate()) <= before

    def test_in_a_servers_thread_it_is_ended_as_well(self, capfd, monkeypatch):
        monkeypatch.setattr(threading, "excepthook", threading.__excepthook__)  # not pytest's
        before, app = set(threading.enumerate()), Bottle()
        app.get("/", callback=endless)

        def ask(part):
            with running(app) as new_browser:
                new_browser().get("/", timeout=60)

        result = exercise(ask, seconds=0.3).check(print)
        assert "no answer after 0.3 s" in str(result)
        assert set(threading.enumerate()) <= before
        assert capfd.readouterr() == ("", "")

    def test_in_a_race_it_is_ended_as_well(self):
        before = set(threading.enumerate())
        made = exercise(lambda part: race(part, part, part), seconds=0.2)
        assert made.check(endless).state is State.ERROR
        assert set(threading.enumerate()) <= before

    def test_what_cannot_be_ended_is_left_behind(self):
        started = time.monotonic()
        outcome = run(lambda: time.sleep(6), 0.05)
        assert outcome.is_late
        assert outcome.is_left_behind
        assert time.monotonic() - started < 4

    def test_what_cannot_be_ended_is_told_and_what_can_be_is_not(self):
        made = exercise(lambda part: part(), seconds=0.05)
        assert "restart Python" in str(made.check(lambda: time.sleep(6)))
        assert "restart Python" not in str(made.check(endless))


def endless():
    while True:
        pass


@pytest.fixture
def ctrl_c():
    """As at a terminal: a program that runs in the background does not hear of Ctrl-C."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.skipif(os.name != "posix", reason="no signals between threads")
@pytest.mark.usefixtures("ctrl_c")
@pytest.mark.parametrize("seconds", [0, 0.1], ids=["as it starts", "as it runs"])
def test_ctrl_c_of_the_reader_goes_through_and_ends_the_attempt(seconds):
    before, reader = set(threading.enumerate()), threading.main_thread().ident

    def attempt():
        time.sleep(seconds)
        signal.pthread_kill(reader, signal.SIGINT)
        endless()

    with pytest.raises(KeyboardInterrupt):
        exercise(lambda part: part()).check(attempt)
    assert set(threading.enumerate()) <= before


@pytest.mark.parametrize("error", [SystemExit("bye"), KeyboardInterrupt()], ids=repr)
def test_an_attempt_that_ends_the_program_is_told_not_to(error):
    def attempt():
        raise error

    result = exercise(lambda part: part()).check(attempt)
    assert result.state is State.ERROR
    assert "must not end the program" in str(result)


class TestRaces:
    def test_all_run_at_once(self):
        gate = threading.Barrier(3)
        race(*[lambda: gate.wait(5)] * 3)

    def test_what_one_raises_is_raised_after_all_are_done(self):
        done = []

        def late():
            threading.Event().wait(0.05)
            done.append("late")

        with pytest.raises(ZeroDivisionError):
            race(lambda: 1 / 0, late)
        assert done == ["late"]


class TestServers:
    def test_a_500_shows_the_learners_own_line(self):
        def attempt():
            return 1 / 0  # the line

        app = Bottle()

        def ask(part):
            app.get("/", callback=part)
            with running(app) as new_browser:
                new_browser().get("/")

        result = exercise(ask).check(attempt)
        assert result.state is State.ERROR
        assert "return 1 / 0  # the line" in str(result)
        assert "bottle" not in str(result)

    def test_not_implemented_in_a_handler_is_not_attempted(self):
        def attempt():
            raise NotImplementedError("your turn")

        app = Bottle()

        def ask(part):
            app.get("/", callback=part)
            with running(app) as new_browser:
                new_browser().get("/")

        assert exercise(ask).check(attempt).state is State.NOT_ATTEMPTED

    def test_a_500_without_an_error_is_an_answer(self):
        app = Bottle()

        @app.get("/")
        def answer():
            return HTTPResponse("on purpose", 500)

        with running(app) as new_browser:
            assert new_browser().get("/").text == "on purpose"

    def test_an_error_is_raised_in_the_browser(self):
        app = Bottle()
        app.get("/", callback=lambda: 1 / 0)
        with running(app) as new_browser, pytest.raises(ServerError):
            new_browser().get("/")

    def test_each_browser_has_cookies_of_its_own(self):
        app = Bottle()

        @app.get("/")
        def answer():
            response.set_cookie("been", "here")
            return request.get_cookie("been", "no")

        with running(app) as new_browser:
            one, other = new_browser(), new_browser()
            assert [one.get("/").text, one.get("/").text, other.get("/").text] == [
                "no",
                "here",
                "no",
            ]


class TestExpecting:
    @pytest.mark.parametrize(("gives", "came"), [(1, True), (1, 1.0), ("a", b"a"), ([1], (1,))])
    def test_an_equal_value_of_another_type_is_wrong(self, gives, came):
        with pytest.raises(Wrong):
            expect(lambda: came, gives=gives)

    def test_what_refuses_instead_is_told_as_an_answer(self):
        def refuse(text):
            raise BadSignature("no")

        with pytest.raises(Wrong) as told:
            expect(refuse, "a", gives="a")
        assert told.value.came_out == "BadSignature: no"

    def test_an_error_that_does_not_come_is_told(self):
        with pytest.raises(Wrong) as told:
            expect_error(len, [], error=ValueError, because="it is empty")
        assert (told.value.went_in, told.value.came_out) == ("len([])", "0")
        assert told.value.expected == "ValueError, it is empty"

    def test_long_values_are_cut(self):
        told = Wrong("x" * 10_000, came_out="y" * 10_000, expected=["z" * 10_000])
        for text in (told.went_in, told.came_out, told.expected):
            assert len(text) < 700
            assert "characters)" in text


helper_limit = 5


def helper():
    return sorted([helper_limit])


def uses_a_helper():
    return [helper() for _ in range(2)]


def calls_itself():
    return (lambda: calls_itself().upper())()


class TestNamesUsed:
    def test_they_include_those_of_functions_that_it_calls(self):
        assert {"helper", "helper_limit", "sorted", "range"} <= names_used(uses_a_helper)

    def test_they_include_those_of_inner_functions_and_end(self):
        assert {"calls_itself", "upper"} <= names_used(calls_itself)

    @pytest.mark.parametrize("thing", [len, 5, None, MemoryStore, object()], ids=str)
    def test_what_has_no_code_uses_none(self, thing):
        assert names_used(thing) == set()


GIVEN = '''
def part(store, limit=1):
    """Return what is there."""
    try:
        found = store.get("id")
    except KeyError:
        return 1
    return [each for each in found if each > 1]
'''
GIVEN_CLASS = '''
class part(MemoryStore):
    """A store."""

    most = 5

    def __init__(self, now):
        """Begin."""
        super().__init__(now)
        self.gone = []

    def destroy(self, session_id):
        self.gone.append(session_id)

    @property
    def many(self):
        return len(self.gone)

    @staticmethod
    def twice(number):
        return 2 * number
'''


def defined(source):
    names = {}
    exec("from __future__ import annotations\nfrom sessionlab import *\n" + source, names)
    return names["part"]


@pytest.mark.parametrize(
    ("source", "old", "new"),
    [
        pytest.param(GIVEN, "", "", id="nothing"),
        pytest.param(
            GIVEN, "        return 1\n", "        # why?\n        return 1\n", id="comment"
        ),
        pytest.param(GIVEN, "Return what is there.", "Find the bug!", id="docstring"),
        pytest.param(GIVEN, "found = store", "found = (\n  store\n)", id="layout"),
        pytest.param(
            GIVEN, "(store, limit=1)", "(store: dict, limit: int = 1) -> list", id="types"
        ),
        pytest.param(GIVEN_CLASS, "", "", id="nothing in a class"),
        pytest.param(GIVEN_CLASS, "A store.", "My store.", id="docstring of a class"),
        pytest.param(GIVEN_CLASS, "Begin.", "Start.", id="docstring of a method"),
    ],
)
def test_what_python_does_not_see_is_no_attempt_at_a_bug(source, old, new):
    assert old in source
    made = defined(source.replace(old, new, 1))
    assert is_untouched(source, "part", made)
    shape = "class" if isinstance(made, type) else "function"
    result = exercise(lambda part: 1 / 0, starter=source, shape=shape).check(made)
    assert result.state is State.NOT_ATTEMPTED


@pytest.mark.parametrize(
    ("source", "old", "new"),
    [
        pytest.param(GIVEN, "> 1", ">= 1", id="a comparison"),
        pytest.param(GIVEN, "return 1", "return True", id="True for 1"),
        pytest.param(GIVEN, '"id"', '"Id"', id="a text"),
        pytest.param(GIVEN, "store.get", "store.pop", id="a method called"),
        pytest.param(GIVEN, "limit=1", "limit=2", id="a default"),
        pytest.param(GIVEN, "limit=1", "*, limit=1", id="an argument by name alone"),
        pytest.param(GIVEN, "KeyError", "ValueError", id="an error caught"),
        pytest.param(GIVEN, "each > 1", "each > 2", id="within a comprehension"),
        pytest.param(GIVEN_CLASS, "most = 5", "most = 6", id="an attribute"),
        pytest.param(GIVEN_CLASS, "(MemoryStore)", "(dict)", id="a base"),
        pytest.param(GIVEN_CLASS, "self.gone.append", "self.gone.remove", id="a method"),
        pytest.param(GIVEN_CLASS, "def destroy", "def forget", id="a method's name"),
        pytest.param(GIVEN_CLASS, "len(self.gone)", "self.gone", id="a property"),
        pytest.param(GIVEN_CLASS, "2 * number", "3 * number", id="a static method"),
        pytest.param(GIVEN_CLASS, "@staticmethod", "@classmethod", id="a decorator"),
        pytest.param(GIVEN_CLASS, "    most = 5\n", "", id="something less"),
        pytest.param(GIVEN_CLASS, "most = 5", "most = 5\n    more = 1", id="something more"),
    ],
)
def test_any_other_change_is_an_attempt(source, old, new):
    assert old in source
    assert not is_untouched(source, "part", defined(source.replace(old, new, 1)))


class Spiteful:
    def __eq__(self, other):
        raise RuntimeError("no")


@pytest.mark.parametrize("thing", [5, print, Spiteful(), Spiteful, lambda: 1], ids=str)
def test_something_else_altogether_is_an_attempt(thing):
    assert not is_untouched(GIVEN, "part", thing)
    assert not is_untouched(GIVEN_CLASS, "part", thing)


class TestWhatIsShown:
    def test_it_is_escaped(self):
        class Hostile:
            def __repr__(self):
                return "<script>alert(1)</script>\x1b[31m\u202e"

        def attempt():
            print("<img src=x onerror=alert(1)>")
            return Hostile()

        result = exercise(lambda part: expect(part, gives="</code>")).check(attempt)
        html = result._repr_mimebundle_()["text/html"]
        for tag in ("<script", "<img", "</code></code>"):
            assert tag not in html
        assert "&lt;script&gt;" in html
        for text in (html, str(result)):
            assert "\x1b" not in text
            assert "\u202e" not in text

    def test_each_state_is_said_in_words_and_every_column_has_a_heading(self):
        def wrong():
            return "wrong"

        def not_yet():
            raise NotImplementedError("your turn")

        made = exercise(lambda part: expect(part, gives="right"))
        attempts = {"passed": lambda: "right", "wrong": wrong, "not attempted": not_yet}
        for state, attempt in {**attempts, "error": lambda: 1 / 0}.items():
            result = made.check(attempt)
            assert str(result).startswith("part\n\nstate")
            assert str(result).split("\n")[2].split("  ")[-1].strip() == state
            (table,) = result.tables()
            assert list(table.columns) == ["state", state]
            assert f">{state}</th>" in table.html()

    def test_it_is_true_only_if_it_passed(self):
        assert exercise(lambda part: part()).check(lambda: None)
        assert not exercise(lambda part: part()).check(lambda: 1 / 0)
        assert not exercise(lambda part: part()).check(None)

    def test_a_traceback_of_any_length_stays_short_and_ends_with_the_error(self):
        def deep(levels=30):
            return deep(levels - 1) if levels else 1 / 0

        def ping(levels):
            return pong(levels - 1) if levels else 1 / 0

        def pong(levels):
            return ping(levels - 1) if levels else 1 / 0

        for attempt in (deep, lambda: ping(30)):
            text = str(exercise(lambda part: part()).check(attempt))
            assert "ZeroDivisionError" in text
            assert len(text.split("\n")) < 22

    def test_a_class_where_a_function_is_asked_for_is_told(self):
        result = exercise(lambda part: part()).check(dict)
        assert result.state is State.WRONG
        assert result.rule == "shape"
        assert "takes the function itself; what came is a class" in str(result)


def test_a_class_that_is_half_done_is_told_what_holds_already():
    class Begun(MemoryStore):
        def replace(self, *_):
            raise NotImplementedError("your turn")

    result = check("ExpiringStore", Begun)
    assert result.state is State.NOT_ATTEMPTED
    assert "holds" in str(result)
