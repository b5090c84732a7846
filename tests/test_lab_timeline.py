"""A timeline says the same as text and as picture, and a story is what happened."""

import re
import threading
from html.parser import HTMLParser
from urllib.parse import unquote
from xml.etree import ElementTree

import pytest
import requests
from bottle import Bottle, request
from test_lab_displays import HOSTILE

from sessionlab import MemoryStore, SessionMiddleware
from sessionlab.lab import Step, Story, fixed_ids, serve, timeline
from sessionlab.lab.table import GREEN, RED, visible

SECRET = "0123456789abcdef0123456789abcdef"
SVG = "{http://www.w3.org/2000/svg}"
STEPS = [
    Step("browser", "asks", to="server"),
    Step("server", "thinks"),
    Step("server", "answers", to="browser", tint=GREEN),
]


class Images(HTMLParser):
    """The tags of a page, and the attributes of its only image."""

    def __init__(self, html):
        super().__init__()
        self.tags, self.image = [], {}
        self.feed(html)
        self.close()

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        if tag == "img":
            self.image = dict(attributes)


def html(display):
    return display._repr_mimebundle_()["text/html"]


def picture(display):
    """The SVG, read as a browser reads it."""
    source = Images(html(display)).image["src"].replace("\n", "")
    kind, _, svg = source.partition(",")
    assert kind == "data:image/svg+xml"
    return ElementTree.fromstring(unquote(svg))  # noqa: S314  (our own)


def drawn(display):
    return [element.text or "" for element in picture(display).iter(f"{SVG}text")]


def squeeze(text):
    return "".join(text.split())


class TestText:
    def test_each_lane_has_a_column(self):
        assert str(timeline(STEPS, "a talk")) == (
            "a talk\n\n"
            "step  browser         server\n"
            "----  --------------  ------------------\n"
            "1     → server: asks\n"
            "2                     thinks\n"
            "3                     → browser: answers"
        )

    def test_many_lanes_have_one_column_together(self):
        lines = str(timeline([Step(f"lane {n}", "does it") for n in range(5)])).split("\n")
        assert lines[2] == "step  who     what"
        assert lines[-1] == "5     lane 4  does it"

    def test_lanes_stand_in_the_order_given_and_then_as_they_appear(self):
        display = timeline(STEPS, lanes=["store", "server"])
        assert str(display).split("\n")[2].split() == ["step", "store", "server", "browser"]
        assert drawn(display)[:3] == ["store", "server", "browser"]

    @pytest.mark.parametrize("count", [1, 2, 4, 5, 30])
    def test_no_line_is_longer_than_100(self, count):
        steps = [Step(f"a lane {n}", "x" * 300 + " and words" * 30) for n in range(count)]
        assert max(map(len, str(timeline(steps)).split("\n"))) <= 100

    def test_without_a_step_it_says_so(self):
        assert "(none)" in str(timeline([], "nothing"))
        assert drawn(timeline([])) == []


class TestPicture:
    def test_it_is_one_image_under_its_caption(self):
        found = Images(html(timeline(STEPS, "a talk")))
        assert found.tags == ["div", "div", "img"]
        assert set(found.image) == {"alt", "src"}

    def test_its_alternative_says_all(self):
        assert Images(html(timeline(STEPS, "a talk"))).image["alt"] == (
            "a talk; 1. browser → server: asks; 2. server: thinks; 3. server → browser: answers"
        )

    def test_it_draws_what_the_text_says(self):
        steps = [*STEPS, Step("server", "a long one " * 20, to="browser")]
        said = squeeze("".join(drawn(timeline(steps))))
        for step in steps:
            assert squeeze(step.text) in said

    def test_it_has_a_white_ground_and_says_its_size(self):
        svg = picture(timeline(STEPS))
        ground = next(svg.iter(f"{SVG}rect"))
        assert ground.get("fill") == "#ffffff"
        assert [ground.get(name) for name in ("width", "height")] == [
            svg.get(name) for name in ("width", "height")
        ]

    @pytest.mark.parametrize("count", range(1, 15))
    def test_it_is_at_most_900_wide_and_all_is_within(self, count):
        steps = [Step(f"lane {n}", "words " * 20, to="lane 0") for n in range(count)]
        svg = picture(timeline(steps))
        width, height = float(svg.get("width")), float(svg.get("height"))
        assert width <= 900
        for box in svg.iter(f"{SVG}rect"):
            assert float(box.get("x", 0)) >= 0
            assert float(box.get("x", 0)) + float(box.get("width")) <= width
            assert float(box.get("y", 0)) + float(box.get("height")) <= height

    def test_a_message_is_an_arrow_between_its_lanes(self):
        there, back = (
            path.get("d")
            for path in picture(timeline(STEPS)).iter(f"{SVG}path")
            if "H" in path.get("d")
        )
        start, end = (float(x) for x in re.findall(r"^M([\d.]+) .*H([\d.]+)", there)[0])
        assert start < end
        start, end = (float(x) for x in re.findall(r"^M([\d.]+) .*H([\d.]+)", back)[0])
        assert start > end

    def test_the_tint_is_behind_the_text(self):
        fills = [box.get("fill") for box in picture(timeline(STEPS)).iter(f"{SVG}rect")]
        assert fills.count(GREEN) == 1

    def test_a_diff_can_read_it(self):
        lines = html(timeline(STEPS)).split("\n")
        assert sum("thinks" in line for line in lines[1:]) == 1

    def test_more_lanes_than_fit_are_drawn_all_the_same(self):
        steps = [Step(f"lane {n}", "x") for n in range(40)]
        assert "lane39" in squeeze("".join(drawn(timeline(steps))))

    @pytest.mark.parametrize("text", HOSTILE)
    def test_nothing_hostile_is_markup_or_invisible(self, text):
        steps = [Step(text, text, to="other"), Step(text, text), Step("x", text, to=text)]
        display = timeline(steps, text)
        assert Images(html(display)).tags == ["div", "div", "img"]
        allowed = {f"{SVG}{tag}" for tag in ("svg", "rect", "path", "text")}
        assert {element.tag for element in picture(display).iter()} == allowed
        assert squeeze(visible(text)) in squeeze("".join(drawn(display)))
        for line in (str(display) + html(display)).split("\n"):
            assert line.isprintable()

    def test_it_is_the_same_each_time(self):
        assert html(timeline(STEPS)) == html(timeline(STEPS))


class TestStory:
    def test_notes_stand_in_order(self):
        story = Story()
        story.note("a", "one")
        story.note("a", "two", to="b", tint=RED)
        assert list(story) == [Step("a", "one"), Step("a", "two", "b", RED)]

    def test_many_threads_may_write(self):
        story = Story()

        def write(name):
            for number in range(100):
                story.note(name, str(number))

        threads = [threading.Thread(target=write, args=(f"thread {n}",)) for n in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        for name in {step.lane for step in story}:
            assert [s.text for s in story if s.lane == name] == [str(n) for n in range(100)]
        assert len(list(story)) == 800

    def test_a_story_may_begin_anew(self):
        story = Story()
        story.note("a", "one")
        story.clear()
        assert list(story) == []

    def test_the_steps_of_a_store_are_taken_down_with_their_outcome(self):
        story = Story()
        store = story.watch_store(MemoryStore(), lane="ada")
        store.create("id", '{"cookie":{},"n":1}', 9e9)
        store.get("id")
        store.replace("id", '{"cookie":{},"n":1}', '{"cookie":{},"n":2}', 9e9)
        store.replace("id", '{"cookie":{},"n":1}', '{"cookie":{},"n":3}', 9e9)
        store.touch("id", 9e9)
        store.destroy("id")
        store.get("id")
        assert list(story) == [
            Step("ada", 'create {"n": 1} → True', "store"),
            Step("ada", 'get → {"n": 1}', "store"),
            Step("ada", 'replace {"n": 1} by {"n": 2} → True', "store", GREEN),
            Step("ada", 'replace {"n": 1} by {"n": 3} → False', "store", RED),
            Step("ada", "touch → True", "store"),
            Step("ada", "destroy", "store"),
            Step("ada", "get → None", "store"),
        ]

    def test_a_step_and_its_note_are_one(self):
        """With the note outside the lock, a later step could be noted first."""
        story = Story()
        inner, may_go_on, is_in = MemoryStore(), threading.Event(), threading.Event()

        class Slow:
            def get(self, session_id):
                is_in.set()
                assert may_go_on.wait(10)
                return inner.get(session_id)

        slow = threading.Thread(target=story.watch_store(Slow(), "slow").get, args=["id"])
        quick = threading.Thread(target=story.watch_store(inner, "quick").get, args=["id"])
        slow.start()
        assert is_in.wait(10)
        quick.start()
        may_go_on.set()
        slow.join()
        quick.join()
        assert [step.lane for step in story] == ["slow", "quick"]

    def test_who_does_a_step_is_seen_when_it_is_done(self):
        """The method may have been taken out of the store before any request came."""
        story = Story()
        get = story.watch_store(MemoryStore()).get

        def app(environ, start_response):
            get("id")
            return Bottle()(environ, start_response)

        with serve(story.watch_app(app), "story") as server:
            requests.get(server.url + "/home", timeout=10)
        assert Step("GET /home", "get → None", "store") in list(story)

    def test_an_error_of_the_store_passes(self):
        with pytest.raises(TypeError):
            Story().watch_store(MemoryStore(), "ada").get()

    def test_an_exchange_is_told_from_request_to_response(self):
        app, story = Bottle(), Story()

        @app.post("/name")
        def name():
            request.session["name"] = "Ada"
            return "stored"

        store = MemoryStore()
        inner = SessionMiddleware(
            app, SECRET, store=story.watch_store(store), genid=fixed_ids("story")
        )
        with serve(story.watch_app(inner), "story") as server:
            requests.post(server.url + "/name", timeout=10)
            assert server.last.after.keys() == set(store)  # the server looks, and nobody notes it
        assert list(story) == [
            Step("browser", "request", "POST /name"),
            Step("POST /name", 'create {"name": "Ada"} → True', "store"),
            Step("POST /name", "200 OK, Set-Cookie", "browser"),
        ]

    def test_without_a_client_the_request_speaks_for_itself(self):
        app, story = Bottle(), Story()
        app.get("/", callback=lambda: "hello")
        with serve(story.watch_app(app, client=None), "story") as server:
            requests.get(server.url, timeout=10)
        assert list(story) == [Step("GET /", "request"), Step("GET /", "200 OK")]
