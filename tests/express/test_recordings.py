"""What is recorded of Express for the notebooks is what the real one does."""

import json
from itertools import product

import pytest
from make_recordings import CONVERSATIONS, KEPT_HEADERS, converse, record_all
from node import Node, find_node
from valkey_server import valkey  # noqa: F401  (a fixture)

from sessionlab.lab import recording
from sessionlab.lab.grid import RECORDED

NO_NODE = "/no/such/folder"


@pytest.fixture(autouse=True)
def node():
    find_node()


def seen(name, valkey, node_modules=None):  # noqa: F811
    """Return what a browser and a store see of a conversation with Express."""
    valkey.ask("FLUSHALL")
    conversation = converse(CONVERSATIONS[name], valkey.url, node_modules)
    return [
        (line, response.status_code, response.headers.get(header), response.text, before)
        for line, _, response, before in conversation
        for header in KEPT_HEADERS
    ]


def test_express_still_does_what_was_recorded_for_the_notebook(valkey):  # noqa: F811
    assert record_all(valkey) == json.loads(recording.FILE.read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", CONVERSATIONS)
def test_the_recording_cannot_be_told_from_express(valkey, name):  # noqa: F811
    assert seen(name, valkey, NO_NODE) == seen(name, valkey)


@pytest.mark.parametrize(
    ("recorded", "planted"),
    [
        pytest.param('"user\\":null', '"user\\":nil', id="another body"),
        pytest.param("HttpOnly; SameSite=Lax", "HttpOnly", id="another cookie"),
        pytest.param('["DEL", "sess:<id>"]', '["EXPIRE", "sess:<id>", "1"]', id="no logout"),
        pytest.param('[\\"tea\\",\\"milk\\"]', '[\\"milk\\",\\"tea\\"]', id="another record"),
    ],
)
def test_a_recording_that_differs_is_noticed(valkey, monkeypatch, tmp_path, recorded, planted):  # noqa: F811
    text = recording.FILE.read_text(encoding="utf-8")
    assert recorded in text
    (tmp_path / "express.json").write_text(text.replace(recorded, planted), encoding="utf-8")
    monkeypatch.setattr(recording, "FILE", tmp_path / "express.json")
    name = "from Python, then from Express"
    try:
        same = seen(name, valkey, NO_NODE) == seen(name, valkey)
    except OSError:  # a 501: a lesson would stop here
        same = False
    assert not same


def test_express_still_decides_as_recorded():
    cases = list(product((False, True), repeat=6))
    with Node("decisions.js") as node:
        assert node.ask(cases) == RECORDED


@pytest.mark.parametrize("fact", range(6))
def test_a_fact_that_the_program_got_wrong_would_show(fact):
    """Each of the six facts changes a digit somewhere: were one not handed on, a digit differed."""
    cases = list(product((False, True), repeat=6))
    turned = [(*case[:fact], not case[fact], *case[fact + 1 :]) for case in cases]
    with Node("decisions.js") as node:
        assert node.ask(turned) != RECORDED
