"""Exercises of chapter 8: merge, compare and set, revive a logout, count.  Notebook: 08-races.

The rules of this file: no race is left to chance. Each order in which something gets lost is
brought about, by a gate in a handler or by a store that lets somebody in at the worst moment.
"""

import json
from collections.abc import Callable
from copy import deepcopy
from threading import Barrier, Condition, Event, Thread, local
from types import FunctionType
from typing import TYPE_CHECKING, Any, TypeVar

from bottle import Bottle, request

from .. import session as session_module
from ..lab import fixed_ids
from ..middleware import SessionMiddleware
from ..session import Data, Session, merge
from ..stores import MemoryStore, Record, Store, StoreError
from .exercise import NOT_YET, Exercise, Wrong, called, expect
from .result import shown
from .serving import race, running

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

T = TypeVar("T")

_SECRET = "the secret of this exercise, 32 bytes or more"
_LATER = 4e9
_PATIENCE = 5  # seconds that a request waits for another; it never does, unless one has failed
_BLOCKED = 0.2  # seconds after which a thread that was let in counts as held up by a lock

Merge = Callable[[Data, Data, Data], Data]

MERGE = Exercise(
    "merge",
    kind="write the part",
    task="Write merge(base, mine, theirs): theirs, with what I changed since base laid over it.",
    starter=f'''
        def merge(base, mine, theirs):
            """Return a new dict: theirs, and laid over it the keys in which mine differs from base.

            base is what both of us loaded; mine and theirs are what each of us made of it.
            """
            {NOT_YET}
    ''',
    answer=merge,
    shown_with=[session_module._keep, session_module._is_same],
    hints=[
        "Begin with a copy of theirs. Which keys of it do you have to touch?",
        "A key is mine to set if it was not in base, or had another value there.",
        "A key that is in base and not in mine is one that I deleted.",
        "1 == True in Python, and they are two things in JSON: compare json.dumps of both.",
    ],
)


def _expect_merged(attempt: Merge, base: Data, mine: Data, theirs: Data, gives: Data) -> None:
    came_out = attempt(deepcopy(base), deepcopy(mine), deepcopy(theirs))
    # As JSON, and not by ==, which takes 1 for true. The keys may come in any order.
    if not isinstance(came_out, dict) or _text(came_out) != _text(gives):
        went_in = called(attempt, base, mine, theirs)
        raise Wrong(went_in, came_out=shown(came_out), expected=shown(gives))


def _text(value: object) -> str:
    return json.dumps(value, sort_keys=True, default=repr)


@MERGE.rule(
    "what I added or changed is there",
    why="My request was answered with 200: it has been promised.",
    hint="Which of the keys in mine are new, and which have another value than in base?",
)
def _mine(attempt: Merge) -> None:
    base = {"name": "Ada", "colour": "blue"}
    mine = {"name": "Ada", "colour": "red", "size": "L"}
    _expect_merged(attempt, base, mine, base, mine)


@MERGE.rule(
    "what they added or changed stays, where I left it alone",
    why="This is the lost update: I save a whole session, and with it old values that I never "
    "touched.",
    hint="A value of mine that is the same as in base is no change of mine.",
)
def _theirs(attempt: Merge) -> None:
    base = {"name": "Ada", "colour": "blue"}
    mine = {"name": "Ada", "colour": "blue", "size": "L"}
    theirs = {"name": "Ada", "colour": "green", "tea": 1}
    gives = {"name": "Ada", "colour": "green", "tea": 1, "size": "L"}
    _expect_merged(attempt, base, mine, theirs, gives)
    _expect_both_saved(attempt)


def _expect_both_saved(attempt: Merge) -> None:
    """Let two real sessions, which merge with the attempt, save what they loaded at once."""

    class Merging(Session):
        __slots__ = ()
        _catch_up = FunctionType(
            Session._catch_up.__code__, {**vars(session_module), "merge": attempt}
        )

    store = MemoryStore()
    store.create("ada", '{"cookie":{},"name":"Ada"}', _LATER)
    one, other = Merging.load(store, "ada"), Merging.load(store, "ada")
    if one is None or other is None:
        raise AssertionError("it was just created")
    one["colour"], other["size"] = "red", "L"
    one.save()
    other.save()
    kept = Session.load(store, "ada")
    gives = {"name": "Ada", "colour": "red", "size": "L"}
    if kept is None or dict(kept) != gives:
        went_in = "two sessions under one id; one saves colour='red', then the other size='L'"
        raise Wrong(went_in, came_out=None if kept is None else dict(kept), expected=gives)


@MERGE.rule(
    "what they deleted, and I left alone, stays deleted",
    why="A coupon that was used up, and comes back with the next save, is used twice.",
    hint="Does your result begin with base, with mine or with theirs?",
)
def _they_deleted(attempt: Merge) -> None:
    base = {"name": "Ada", "coupon": "SPRING"}
    mine = {"name": "Ada", "coupon": "SPRING", "colour": "red"}
    theirs = {"name": "Ada", "size": "L"}
    gives = {"name": "Ada", "size": "L", "colour": "red"}
    _expect_merged(attempt, base, mine, theirs, gives)


@MERGE.rule(
    "what I deleted is deleted",
    why="The same coupon, the other way round: this time it was I who used it up.",
    hint="Which keys are in base and no longer in mine?",
)
def _i_deleted(attempt: Merge) -> None:
    base = {"name": "Ada", "coupon": "SPRING"}
    theirs, gives = {**base, "size": "L"}, {"name": "Ada", "size": "L"}
    _expect_merged(attempt, base, {"name": "Ada"}, theirs, gives)


@MERGE.rule(
    "where both changed the same key, mine holds, also if I deleted it",
    why="One has to win, and the last one to save does: each request then finds what it wrote. "
    "For a sum of both there is atomic.",
    hint="What I did to a key does not depend on what they did to it.",
)
def _both_changed(attempt: Merge) -> None:
    base = {"colour": "blue"}
    _expect_merged(attempt, base, {"colour": "red"}, {"colour": "green"}, {"colour": "red"})
    _expect_merged(attempt, base, {}, {"colour": "green"}, {})
    _expect_merged(attempt, base, {"colour": "red"}, {}, {"colour": "red"})


@MERGE.rule(
    "None is a value like any other",
    why="session['coupon'] = None says that there is none; that is not to say nothing.",
    hint="get() gives None for a key that is missing, and for one whose value is None: ask with "
    "'in'.",
)
def _none(attempt: Merge) -> None:
    _expect_merged(attempt, {}, {"coupon": None}, {"size": "L"}, {"size": "L", "coupon": None})
    _expect_merged(attempt, {"coupon": "SPRING"}, {"coupon": None}, {}, {"coupon": None})
    _expect_merged(attempt, {"coupon": None}, {}, {"coupon": None}, {})


@MERGE.rule(
    "1 and True are two values, as they are in JSON",
    why="Node, which may share the session, tells 1 from true; a change from one to the other is a "
    "change.",
    hint="What does Python say to 1 == True, and to [0] == [False]?",
)
def _json(attempt: Merge) -> None:
    _expect_merged(attempt, {"admin": 1}, {"admin": True}, {"admin": 1}, {"admin": True})
    _expect_merged(attempt, {"on": [0]}, {"on": [False]}, {"on": [0]}, {"on": [False]})


COMPARE_AND_SET_STORE = Exercise(
    "CompareAndSetStore",
    kind="write the part",
    shape="class",
    task="Write CompareAndSetStore: a store over a dict in which requests that come at once lose "
    "nothing. Nothing expires in it.",
    starter=f'''
        class CompareAndSetStore:
            """A store over a dict, for many threads. It keeps expires_at; nothing expires in it."""

            def __init__(self):
                self.records = {{}}

            def get(self, session_id):
                """Return Record(text, expires_at); None for an unknown id."""
                {NOT_YET}

            def create(self, session_id, text, expires_at):
                """Keep a new record, and return True; False if the id is taken already."""
                {NOT_YET}

            def replace(self, session_id, old, new, expires_at):
                """Put new in the place of old, and return True.

                False, and nothing changed, if the text there is not old, or nothing is there.
                """
                {NOT_YET}

            def touch(self, session_id, expires_at):
                """Move the expiry and return True; False, and nothing changed, if it is gone."""
                {NOT_YET}

            def destroy(self, session_id):
                """Forget the record; gone already is fine."""
                {NOT_YET}
    ''',
    answer=MemoryStore,
    hints=[
        "replace looks at three things: is there a record, is its text old, and only then it "
        "writes.",
        "Between two lines of yours another thread can do anything. threading.Lock lets one in at "
        "a time.",
        "One lock for the whole store, made in __init__; every method that writes takes it with "
        "'with'.",
        "A lock that a thread holds already holds up that thread, too, if it asks again.",
    ],
)

NewStore = Callable[[], Store]


@COMPARE_AND_SET_STORE.rule(
    "what was created comes back as a Record, and an unknown id is None",
    why="An unknown id is no error: a browser may bring a cookie from last year.",
    hint="Record(text, expires_at) is a tuple with two names; get of a dict gives None.",
)
def _comes_back(new_store: NewStore) -> None:
    store = new_store()
    expect(store.get, "ada", gives=None)
    expect(store.create, "ada", "text", _LATER, gives=True)
    expect(store.get, "ada", gives=Record("text", _LATER))


@COMPARE_AND_SET_STORE.rule(
    "create never overwrites, touch never makes a record, and to destroy twice is fine",
    why="Each of them can come too late, and must then leave things as they are.",
    hint="What is there before, and what is returned?",
)
def _too_late(new_store: NewStore) -> None:
    store = new_store()
    expect(store.touch, "ada", _LATER, gives=False)
    expect(store.get, "ada", gives=None)
    store.create("ada", "text", _LATER)
    expect(store.create, "ada", "another", _LATER + 1, gives=False)
    expect(store.touch, "ada", _LATER + 2, gives=True)
    expect(store.get, "ada", gives=Record("text", _LATER + 2))
    for _ in range(2):
        store.destroy("ada")
        expect(store.get, "ada", gives=None)


@COMPARE_AND_SET_STORE.rule(
    "replace puts text and expiry in the place of the old ones, and says True",
    why="On anything but True the session loads again and tries again, up to 200 times.",
    hint="It is the text that is compared; the expiry may be another each time.",
)
def _replaces(new_store: NewStore) -> None:
    store = new_store()
    store.create("ada", "old", _LATER)
    expect(store.replace, "ada", "old", "new", _LATER + 60, gives=True)
    expect(store.get, "ada", gives=Record("new", _LATER + 60))


@COMPARE_AND_SET_STORE.rule(
    "of ten changes that ten requests make at once, ten are there",
    why="A page asks for ten things at once. express-session was seen to keep 1 change of 50.",
    hint="Which argument of replace have you not looked at?",
)
def _raced(new_store: NewStore) -> None:
    meeting = Barrier(10, timeout=_PATIENCE)

    def item(number: str) -> None:
        request.session[f"item {number}"] = 1
        meeting.wait()  # all of them have loaded, and nobody has saved

    app = Bottle()
    app.post("/start", callback=lambda: request.session.update(name="Ada"))
    app.post("/item/<number>", callback=item)
    app.get("/session", callback=lambda: dict(request.session))
    with running(SessionMiddleware(app, _SECRET, store=new_store())) as new_browser:
        ada = new_browser()
        ada.post("/start")
        cookie = {"Cookie": "; ".join(f"{name}={value}" for name, value in ada.cookies.items())}

        def add(number: int) -> Callable[[], object]:
            return lambda: new_browser().post(f"/item/{number}", headers=cookie)

        race(*(add(number) for number in range(10)))
        kept = [key for key in ada.get("/session").json() if key.startswith("item")]
    if len(kept) != 10:
        went_in = (
            "ten requests of one session: all have loaded it; then each saves a key of its own"
        )
        came_out = f"{len(kept)} of ten keys: {', '.join(sorted(kept))}"
        raise Wrong(went_in, came_out=came_out, expected="ten keys")


@COMPARE_AND_SET_STORE.rule(
    "what was changed or destroyed is not replaced",
    why="A session that was logged out, and is written once more, is alive again.",
    hint="What does replace do if nothing is there?",
)
def _not_replaced(new_store: NewStore) -> None:
    store = new_store()
    store.create("ada", "theirs", _LATER)
    expect(store.replace, "ada", "base", "mine", _LATER + 60, gives=False)
    expect(store.get, "ada", gives=Record("theirs", _LATER))
    store.destroy("ada")
    expect(store.replace, "ada", "theirs", "mine", _LATER, gives=False)
    expect(store.get, "ada", gives=None)


class _Key(str):
    """An id that notices when a dict is asked for it, and can then let somebody in."""

    asked, last = 0, 0
    let_in: Callable[[], object] = bool

    def __hash__(self) -> int:
        self.asked += 1
        if self.asked == self.last:
            self.let_in()
        return super().__hash__()


def _interrupted(
    new_store: Callable[[], Store],
    first: Callable[[Store, str], object],
    other: Callable[[Store, str], object],
) -> tuple[Store, list[object]]:
    """Run ``first``, and let a thread in with ``other`` just before ``first`` writes.

    Return the store and what each returned. A lock keeps the thread out until ``first`` is done.
    """
    rehearsal = _Key("ada")
    first(new_store(), rehearsal)
    store, key, returned = new_store(), _Key("ada"), list[object]()
    intruder = Thread(target=lambda: returned.append(other(store, "ada")), daemon=True)

    def let_in() -> None:
        intruder.start()
        intruder.join(_BLOCKED)

    key.last, key.let_in = rehearsal.asked, let_in  # to write is the last thing that it does
    returned.append(first(store, key))
    if intruder.ident is None:  # it asked no dict by this key
        intruder.start()
    intruder.join(_PATIENCE)
    return store, returned


def _with_ada(new_store: NewStore) -> Callable[[], Store]:
    def make() -> Store:
        store = new_store()
        store.create("ada", "base", _LATER)
        return store

    return make


@COMPARE_AND_SET_STORE.rule(
    "nobody comes between the comparison and the write",
    why="Two threads compare, both find what they expect, both write: one change is lost, and each "
    "was told True. It happens once in many thousand times, and never while you test.",
    hint="Both lines have to be one step for the others; and a lock keeps nobody out who has "
    "another one.",
)
def _one_step(new_store: NewStore) -> None:
    for name, make, first, other in (
        (
            "replace('ada', 'base', …)",
            _with_ada(new_store),
            lambda store, key: store.replace(key, "base", "mine", _LATER),
            lambda store, key: store.replace(key, "base", "theirs", _LATER),
        ),
        (
            "create('ada', …)",
            new_store,
            lambda store, key: store.create(key, "mine", _LATER),
            lambda store, key: store.create(key, "theirs", _LATER),
        ),
    ):
        _, returned = _interrupted(make, first, other)
        if sorted(map(str, returned)) != ["False", "True"]:
            went_in = f"two threads call {name}; one has looked, and not yet written"
            came_out = f"they return {' and '.join(map(shown, returned))}"
            raise Wrong(went_in, came_out=came_out, expected="they return True and False")


@COMPARE_AND_SET_STORE.rule(
    "what is destroyed before the write stays destroyed",
    why="This is the revived logout, through a gap of a microsecond.",
    hint="Who takes the lock? To delete is one step, but it must not fall into the midst of "
    "another's two.",
)
def _stays_gone(new_store: NewStore) -> None:
    for name, first in (
        ("replace", lambda store, key: store.replace(key, "base", "mine", _LATER)),
        ("touch", lambda store, key: store.touch(key, _LATER + 60)),
    ):
        store, _ = _interrupted(_with_ada(new_store), first, lambda store, key: store.destroy(key))
        if (record := store.get("ada")) is not None:
            went_in = f"{name} has looked at the record, and not yet written; a thread destroys it"
            raise Wrong(went_in, came_out=record, expected=None)


_STEPS = ["page: get", "page: set", "logout: get", "logout: destroy", "copy: get"]


def revive_logout(steps: list[str]) -> list[str]:
    return ["page: get", "logout: get", "logout: destroy", "page: set", "copy: get"]


REVIVE_LOGOUT = Exercise(
    "revive_logout",
    kind="break it",
    task="Write revive_logout(steps): the steps of three requests, in the order in which a copied "
    "cookie opens the session that was logged out.",
    starter=f'''
        def revive_logout(steps):
            """Return the steps in an order that brings the logged-out session back.

            steps is ["page: get", "page: set", "logout: get", "logout: destroy", "copy: get"].
            """
            {NOT_YET}
    ''',
    answer=revive_logout,
    hints=[
        "The store puts down what it is given, whatever may be there, or not be there.",
        "Who can still give it Ada's session when that is destroyed? Somebody who has loaded it.",
        "When must the page have loaded, and when must it write?",
    ],
)

Revive = Callable[[list[str]], list[str]]


def _order(revive: Revive) -> list[str]:
    return revive(list(_STEPS))


@REVIVE_LOGOUT.rule(
    "it is the list of all five steps, each once",
    why="A request that has begun comes to its end: none of its steps can be left out.",
    hint="A list of five texts, written as they are in steps.",
)
def _all_steps(revive: Revive) -> None:
    order = _order(revive)
    if not isinstance(order, list) or sorted(map(str, order)) != sorted(_STEPS):
        raise Wrong(called(revive, _STEPS), came_out=shown(order), expected="these five, in a list")


@REVIVE_LOGOUT.rule(
    "each request takes its own steps in their order",
    why="A session is loaded when the request comes, and stored when the answer goes.",
    hint="get comes before set, and before destroy.",
)
def _own_order(revive: Revive) -> None:
    order = _order(revive)
    for first, then in (_STEPS[:2], _STEPS[2:4]):
        if order.index(first) > order.index(then):
            raise Wrong(called(revive, _STEPS), came_out=order, expected=f"{first}, later {then}")


@REVIVE_LOGOUT.rule(
    "the copy comes when Ada has logged out",
    why="Before that, a copied cookie opens her session anyway: nothing is revived.",
    hint="Where does 'logout: destroy' stand, and where 'copy: get'?",
)
def _after_logout(revive: Revive) -> None:
    order = _order(revive)
    if order.index("copy: get") < order.index("logout: destroy"):
        raise Wrong(
            called(revive, _STEPS), came_out=order, expected="logout: destroy, later copy: get"
        )


@REVIVE_LOGOUT.rule(
    "the copy opens Ada's account",
    why="Ada was told that she is logged out. A store that compares refuses the late write, and "
    "the page is told 409.",
    hint="Follow what the store holds, step by step: when is Ada's session in it?",
)
def _revived(revive: Revive) -> None:
    order = _order(revive)
    if (said := _play(order)) != "Account of ada":
        raise Wrong(" → ".join(order), came_out=f"the copy sees: {said}", expected="Account of ada")


class _Overwriting(MemoryStore):
    """Puts down what it is given, as the stores of Express do."""

    def replace(self, session_id: str, old: str, new: str, expires_at: float) -> bool:
        self._records[session_id] = Record(new, expires_at)
        return True


class _InTurn:
    """A store under which the steps of several requests are taken in a given order."""

    def __init__(self, store: Store, order: list[str]) -> None:
        self._store, self._rest = store, list(order)
        self._turn, self._thread = Condition(), local()

    def enter(self, who: str) -> None:
        """Say who asks from this thread; for nobody there is no order."""
        self._thread.who = who

    def _take(self, step: str, work: Callable[[], T]) -> T:
        who = getattr(self._thread, "who", "")
        if not any(each.startswith(f"{who}: ") for each in _STEPS):
            return work()
        with self._turn:
            if not self._turn.wait_for(lambda: self._rest[:1] == [f"{who}: {step}"], _PATIENCE):
                raise StoreError(f"the turn of {who}: {step} never came")
            try:
                return work()
            finally:
                del self._rest[0]
                self._turn.notify_all()

    def get(self, session_id: str) -> Record | None:
        return self._take("get", lambda: self._store.get(session_id))

    def create(self, session_id: str, text: str, expires_at: float) -> bool:
        return self._take("set", lambda: self._store.create(session_id, text, expires_at))

    def replace(self, session_id: str, old: str, new: str, expires_at: float) -> bool:
        return self._take("set", lambda: self._store.replace(session_id, old, new, expires_at))

    def touch(self, session_id: str, expires_at: float) -> bool:
        return self._store.touch(session_id, expires_at)

    def destroy(self, session_id: str) -> None:
        self._take("destroy", lambda: self._store.destroy(session_id))


def _play(order: list[str]) -> str:
    """Send the three requests, take their steps in this order, and return what the copy is told."""
    app, store = Bottle(), _InTurn(_Overwriting(), order)
    app.post("/login", callback=lambda: request.session.update(user="ada"))
    app.post("/page", callback=lambda: request.session.update(colour="red"))
    app.post("/logout", callback=lambda: request.session.destroy())
    app.get("/copy", callback=lambda: f"Account of {request.session.get('user', 'nobody')}")
    sessions = SessionMiddleware(app, _SECRET, store=store, genid=fixed_ids("revived"))

    def entering(environ: "WSGIEnvironment", start_response: "StartResponse") -> Any:
        store.enter(environ["PATH_INFO"].strip("/"))
        return sessions(environ, start_response)

    said: list[str] = []
    with running(entering) as new_browser:
        ada = new_browser()
        ada.post("/login")
        cookie = {"Cookie": f"connect.sid={ada.cookies['connect.sid']}"}
        race(
            lambda: new_browser().post("/page", headers=cookie),
            lambda: new_browser().post("/logout", headers=cookie),
            lambda: said.append(new_browser().get("/copy", headers=cookie).text),
        )
    return said[0]


def count_visits(session: Session) -> int:
    def count(data: Data) -> int:
        data["visits"] = data.get("visits", 0) + 1
        return int(data["visits"])

    return session.atomic(count)


COUNT_VISITS = Exercise(
    "count_visits",
    kind="find the bug",
    task="Mend count_visits(session): of two visits that come at once, one is not counted, and "
    "both are told the same number.",
    starter='''
        def count_visits(session):
            """Count a visit, and return its number: what an application does at POST /visit."""
            session.setdefault("visits", 0)
            session["visits"] += 1
            return session["visits"]
    ''',
    answer=count_visits,
    hints=[
        "+= is three steps: read, add, write. What if somebody writes after you have read?",
        "The merge sees that both have put a 1 there; it can't know that each has added one.",
        "session.atomic takes a function of the newest data; show(Session.atomic) tells the rest.",
        "What your function returns, atomic returns.",
    ],
)

Count = Callable[[Session], object]


class _Visits:
    """An application that counts visits with an attempt, and what it takes to race them."""

    def __init__(self, count: Count) -> None:
        self.memory = MemoryStore()
        self.is_interrupted = False
        self._arrived, self._opened = Event(), Event()

        def slow_visit() -> str:
            self._arrived.set()  # its session is loaded
            self._opened.wait(_PATIENCE)
            return str(count(request.session))

        app = Bottle()
        app.post("/start", callback=lambda: request.session.update(visits=1))
        app.post("/visit", callback=lambda: str(count(request.session)))
        app.post("/slow-visit", callback=slow_visit)
        app.get("/visits", callback=lambda: str(request.session.get("visits")))
        self.app = SessionMiddleware(app, _SECRET, store=self)

    def __getattr__(self, method: str) -> Any:
        return getattr(self.memory, method)

    def replace(self, session_id: str, old: str, new: str, expires_at: float) -> bool:
        """Replace; but once, if ``is_interrupted``, another process counts a visit just before."""
        if self.is_interrupted:
            self.is_interrupted = False
            session = Session.load(self.memory, session_id)
            if session is not None:
                count_visits(session)
        return self.memory.replace(session_id, old, new, expires_at)

    def race(self) -> tuple[str, str, str]:
        """Let a quick visit come and go while a slow one stands between its load and its count.

        Return what the quick one and the slow one are told, and how many were counted, of three.
        """
        told: dict[str, str] = {}
        with running(self.app) as new_browser:
            ada = new_browser()
            ada.post("/start")
            slow = new_browser()
            slow.cookies.update(ada.cookies)

            def be_quick() -> None:
                self._arrived.wait(_PATIENCE)
                try:
                    told["quick"] = ada.post("/visit").text
                finally:
                    self._opened.set()

            race(lambda: told.update(slow=slow.post("/slow-visit").text), be_quick)
            return told["quick"], told["slow"], ada.get("/visits").text


@COUNT_VISITS.rule(
    "visits that come one after the other get 2, 3, 4 after a first one",
    why="The plain case has to stay as it was.",
    hint="atomic hands your function a dict to change, and returns what your function returns.",
)
def _in_a_row(count: Count) -> None:
    with running(_Visits(count).app) as new_browser:
        ada = new_browser()
        ada.post("/start")
        told = [ada.post("/visit").text for _ in range(3)]
        counted = ada.get("/visits").text
    if (told, counted) != (["2", "3", "4"], "4"):
        came_out = f"told {', '.join(told)}; counted, in all: {counted}"
        raise Wrong("four visits in a row", came_out=came_out, expected="told 2, 3, 4; counted 4")


_RACE = "after a first visit, a slow one is loaded; a quick one comes and goes; the slow one counts"


@COUNT_VISITS.rule(
    "a visit that comes while another is at work is counted",
    why="What was loaded when the request came may be old when you add to it: so tickets are sold "
    "twice, and votes get lost.",
    hint="Which number do you add to: the newest one, or the one that came with the request?",
)
def _counted(count: Count) -> None:
    _, _, counted = _Visits(count).race()
    if counted != "3":
        raise Wrong(_RACE, came_out=f"{counted} visits", expected="3 visits")


@COUNT_VISITS.rule(
    "no number is told twice",
    why="The number of a ticket, or of an order, must be one's own.",
    hint="Where does the number come from that you return: from inside of atomic, or from before?",
)
def _told(count: Count) -> None:
    quick, slow, _ = _Visits(count).race()
    if (quick, slow) != ("2", "3"):
        came_out = f"the quick one is told {quick}, the slow one {slow}"
        raise Wrong(_RACE, came_out=came_out, expected="the quick one 2, the slow one 3")


@COUNT_VISITS.rule(
    "a visit that another process counts between your reading and your writing is counted, too",
    why="However late you read, somebody can come after; and a lock of yours keeps out the threads "
    "of your own process alone.",
    hint="Reading and writing have to be one step, or be done again. The store can tell; who asks "
    "it?",
)
def _between(count: Count) -> None:
    visits = _Visits(count)
    with running(visits.app) as new_browser:
        ada = new_browser()
        ada.post("/start")
        visits.is_interrupted = True
        told = ada.post("/visit").text
        counted = ada.get("/visits").text
    if (told, counted) != ("3", "3"):
        went_in = "a first visit; another reads; before it writes, another process counts one"
        came_out = f"told {told}; counted, in all: {counted}"
        raise Wrong(went_in, came_out=came_out, expected="told 3; counted 3")


EXERCISES = [MERGE, COMPARE_AND_SET_STORE, REVIVE_LOGOUT, COUNT_VISITS]
