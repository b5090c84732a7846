"""sessionlab does what express-session does, in thousands of scenarios that nobody thought of.

The real package runs beside it. What is done differently on purpose is rewritten, row by row, in
`differences.py`, which also says what is left out here. 300 scenarios are tried, 2,000 in CI, and
20,000 with ``--full``; always the same ones. One that fails is made as short as it can be, and
shown with the two traces beside each other.
"""

import json
import logging
import os
from collections import Counter

import pytest
from differences import for_caches, rewrite
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from runs import run, show
from sides import OLDER, SECRET, Express, Request, Scenario, Sessionlab
from test_parity import FAULTS

from sessionlab import cookies

FEWEST, IN_CI, FULL = 300, 2_000, 20_000

# Keys and numbers that JavaScript keeps as they are: no key that looks like a number or is a
# method's name, no number beyond 2**53, no whole float.
KEYS = st.sampled_from(["x", "y", "user name", "ключ", "", "a.b", "cookie"])
NUMBERS = st.integers(-(2**53) + 1, 2**53 - 1) | st.integers(-99, 99).map(lambda n: n + 0.5)
SCALARS = st.none() | st.booleans() | NUMBERS | st.text(max_size=8)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=5,
)
SMALL = st.integers(0, 2)  # so that the same value comes again
AGES = st.sampled_from(["60", "3600", "0.5", "null"])


def words(*parts):
    """Return a strategy of actions: what is text stays, other values are written as JSON."""
    kept = [st.just(part) if isinstance(part, str) else part for part in parts]
    return st.tuples(*kept).map(" ".join)


def as_json(values):
    return values.map(json.dumps)


NAMES = st.sampled_from(["a", "b"])
READS = st.sampled_from(["read", "read a", "read c", "read d", "id", "age", "original_age"])
WRITES = st.one_of(
    words("set", NAMES, as_json(SMALL | VALUES)),
    words("set c", as_json(st.lists(SMALL, max_size=2))),
    words("set d", as_json(st.dictionaries(st.just("x"), SMALL, max_size=1))),
    words("append c", as_json(VALUES)),
    words("nest d", st.sampled_from(["x", "y", "cookie"]), as_json(SMALL)),
    words("delete", st.sampled_from("abcd")),
    st.just("clear"),
)
METHODS = st.sampled_from(["save", "reload", "regenerate", "touch"])
COOKIE_CHANGES = st.one_of(
    words("max_age", AGES),
    words("expires", AGES),
    st.sampled_from(
        [
            "attribute http_only false",
            'attribute path "/"',
            'attribute path "/a"',
            'attribute domain "example.com"',
            'attribute priority "low"',
            'attribute same_site "strict"',
        ]
    ),
)
ANSWERS = st.sampled_from(["status 404", "header Set-Cookie theme=dark", "header Vary Accept"])
ENDS = st.sampled_from(
    [
        (),
        (),
        (),
        ("destroy",),
        ("destroy", "send bye"),
        ("raise",),
        ("send one", "send two"),
        ("send one", "read", "id"),
    ]
)


def handler(actions, ends):
    # Of an answer that ends in an error, Bottle drops the headers, and Express keeps them.
    if "raise" in ends:
        actions = [action for action in actions if not action.startswith("header ")]
    return (*actions, *ends)


ACTIONS = st.builds(
    handler,
    st.lists(READS | WRITES | WRITES | METHODS | COOKIE_CHANGES | ANSWERS, max_size=5),
    ENDS,
)

COOKIES = st.sampled_from(
    [
        *["jar"] * 16,
        *["kept", "first"] * 2,
        "none",
        "another id",
        "another signature",
        "no signature",
        "no s:",
        "another secret",
        "unknown id",
        "connect.sid=",
        "connect.sid={sign }",
        'a=1; connect.sid="{jar}"',
        "connect.sid={sign known}",
        "connect.sid={sign older known}",
    ]
)
# Hypothesis can leave out of a list only what takes few choices: so most of a request is optional.
USUAL = st.builds(lambda actions: Request(actions), ACTIONS)
ODD = st.builds(
    lambda actions, **more: Request(actions, **more),
    ACTIONS,
    cookie=COOKIES,
    wait=st.sampled_from([*[0] * 9, 1, 0.25, 30, 59, 60, 61, 3599, 86400]),
    https=st.booleans(),
    method=st.sampled_from(["GET", "POST"]),
)
REQUESTS = USUAL | ODD | ODD
OPTIONS = st.fixed_dictionaries(
    {},
    optional={
        "resave": st.booleans(),
        "rolling": st.booleans(),
        "save_uninitialized": st.booleans(),
        "max_age": st.sampled_from([60, 3600, 0.5]),
        "secure": st.booleans(),
        "proxy": st.booleans(),
        "http_only": st.booleans(),
        "same_site": st.sampled_from(["lax", "strict"]),
        "priority": st.sampled_from(["low", "high"]),
        "secret": st.sampled_from([[SECRET], [SECRET, OLDER]]),
    },
)
PLAIN = '{"originalMaxAge":null,"expires":null,"secure":false,"httpOnly":true,"path":"/"}'
DATED = PLAIN.replace("null", "60000", 1).replace("null", '"2096-10-02T07:07:40.000Z"', 1)
RECORDS = st.sampled_from(
    [{}] + [{"known": f'{{"cookie":{cookie},"a":1,"c":[1],"d":{{}}}}'} for cookie in (PLAIN, DATED)]
)


def scenario(requests, options, records, key):
    """Where there is a record, the browser has its cookie from the beginning."""
    if records:
        usual = f"jar or connect.sid={{sign {key}known}}"
        requests = [
            request._replace(cookie=usual) if request.cookie == "jar" else request
            for request in requests
        ]
    if key:
        options = {**options, "secret": [SECRET, OLDER]}
    return Scenario("generated", requests, options, records)


SCENARIOS = st.builds(
    scenario,
    st.lists(REQUESTS, min_size=1, max_size=5),
    OPTIONS,
    RECORDS,
    st.sampled_from(["", "", "older "]),
)


@pytest.fixture(scope="module")
def express():
    with Express(is_rewritten=True) as side:
        yield side


@pytest.fixture(scope="module")
def here():
    logger = logging.getLogger("sessionlab")
    level = logger.level
    logger.setLevel(logging.CRITICAL)  # else a failure is hidden below thousands of lines
    with Sessionlab() as side:
        yield side
    logger.setLevel(level)


def compare(size, express, here, seen=None):
    """Try ``size`` scenarios. Raises: ``AssertionError`` with the shortest that shows a fault."""

    @settings(
        max_examples=size,
        derandomize=True,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        phases=[Phase.generate, Phase.shrink],
        print_blob=False,
        report_multiple_bugs=False,
    )
    @given(SCENARIOS)
    def agrees(case):
        theirs = for_caches(run(case, express, rewrite), case.options.get("name", "connect.sid"))
        ours = run(case, here)
        if seen is not None:
            note(seen, ours)
        if theirs != ours:
            raise AssertionError(show(case, theirs, ours))

    agrees()


def note(seen, trace):
    seen["scenarios"] += 1
    seen["requests"] += len(trace)
    for entry in trace:
        seen[f"status {entry['status']}"] += 1
        seen["cookies"] += len(entry.get("set_cookie", []))
        for line in entry.get("calls", []):
            seen[line.split(" ")[0]] += 1


def test_it_does_what_express_does_whatever_is_asked(request, express, here):
    size = IN_CI if os.environ.get("CI") else FEWEST
    seen = Counter()
    compare(FULL if request.config.getoption("--full") else size, express, here, seen)
    print(dict(seen))
    # Not all of them about nothing.
    for what in ("set", "touch", "get", "destroy", "cookies", "status 404", "status 500"):
        assert seen[what] > seen["scenarios"] / 20, f"hardly any {what}: {seen}"


@pytest.mark.parametrize(
    "fault",
    [
        "rolling is forgotten",
        "a nested change is not noticed",
        "any signature will do",
        "Expires is a second late",
        "reload does nothing",
        "the cookie is never cleared",
        "a change of the cookie is no change",
        "a retired secret is not renewed",
    ],
)
def test_a_fault_is_found_and_shown_shortly(fault, express, here, monkeypatch):
    FAULTS[fault](monkeypatch)
    cookies._write.cache_clear()
    with pytest.raises(AssertionError) as failure:
        compare(FEWEST, express, here)
    text = str(failure.value)
    assert "  express  " in text or "  here     " in text
    assert len(text.splitlines()) < 40
