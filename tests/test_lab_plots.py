"""What ``plot`` shows: all numbers as text, the same drawing each time, and nothing left behind."""

import re
import subprocess
import sys
import xml.etree.ElementTree as ET
from urllib.parse import unquote

import matplotlib
import pytest

from sessionlab.lab import plot

LINES = {"memory": {1: 900, 2: 1700, 64: 2100.4}, "sqlite": {1: 0.25, 4: 33.33}}
SAMPLES = {"==": [1, 1, 2, 5, 9], "compare_digest": [20, 21, 21, 30, 4000]}
HOSTILE = [
    pytest.param("<script>alert(1)</script>", id="script"),
    pytest.param("\"'><img src=x onerror=alert(1)>", id="quotes"),
    pytest.param("a\x00b\x1b[31mc\r\nd", id="controls"),
    pytest.param("$x^2$ and \\(z\\)", id="formulas"),
    pytest.param("", id="nothing"),
]


def html(display):
    return display._repr_mimebundle_()["text/html"]


def drawing(display):
    """The SVG in the HTML, as a document."""
    source = re.fullmatch(r'<img alt="[^"<>]*" style="[^"]*" src="([^"<>]*)">', html(display))[1]
    return ET.fromstring(unquote(source.removeprefix("data:image/svg+xml,")))  # noqa: S314 (ours)


def words(display):
    return "".join(drawing(display).itertext())


def test_lines_as_text_are_a_table_of_every_number():
    shown = plot(LINES, x="clients", y="requests in a second", caption="three stores")
    assert str(shown).split("\n") == [
        "three stores (requests in a second)",
        "",
        "clients  memory  sqlite",
        "-------  ------  ------",
        "1        900     0.25",
        "2        1700",
        "4                33.3",
        "64       2100",
    ]


def test_a_distribution_as_text_counts_every_sample():
    shown = str(plot(SAMPLES, x="ns", caption="comparisons"))
    counts = re.findall(r"^(?:[\d.]+ to [\d.]+|over [\d.]+) +(\d+) +(\d+)$", shown, re.MULTILINE)
    assert len(counts) == 21
    assert [sum(map(int, column)) for column in zip(*counts, strict=True)] == [5, 5]
    assert counts[-1] == ("0", "1")  # the one far out
    assert shown.endswith("median        2   21")


def test_samples_that_are_all_the_same_are_counted_too():
    assert re.search(r"^7 to 8 +3$", str(plot({"a": [7, 7, 7]}, x="ns")), re.MULTILINE)


@pytest.mark.parametrize("series", [LINES, SAMPLES], ids=["lines", "distributions"])
def test_the_drawing_names_what_it_shows_on_a_white_ground(series):
    shown = plot(series, x="across", y="up", caption="the caption")
    for text in ("across", "up", "the caption", *series):
        assert text in words(shown)
    assert "fill: #ffffff" in unquote(html(shown))


@pytest.mark.parametrize("series", [LINES, SAMPLES], ids=["lines", "distributions"])
def test_who_cannot_see_it_is_told(series):
    says = re.search('alt="([^"]*)"', html(plot(series, x="across", caption="the caption")))[1]
    assert says.startswith("the caption: ")
    assert all(name in says for name in series)


def test_an_axis_that_counts_in_powers_has_the_numbers_that_were_measured():
    shown = words(plot({"memory": {1: 1, 2: 1, 64: 1}}, x="clients", y="y", log="xy"))
    assert {"1", "2", "64"} <= set(shown.split())


def test_the_numbers_on_an_axis_are_plain():
    shown = words(plot({"a": {0: 0.1, 2_000_000: 1000}}, x="x", y="y", log="y"))
    assert {"0.1", "1", "10", "100", "1000", "500000"} <= set(shown.split())
    assert "1e6" not in shown
    assert "$" not in shown


def test_the_numbers_on_an_axis_have_no_zeros_at_the_end():
    shown = words(plot({"a": {0: 30, 20: 50}}, x="x", y="y")).split()
    assert {"2.5", "7.5", "12.5"} <= set(shown)
    assert "2.50" not in shown


def test_long_names_stay_within_the_picture():
    names = [f"a name of some length, number {n}" for n in range(4)]
    svg = drawing(plot({name: [1, 2] for name in names}, x="x"))
    starts = [
        float(element.attrib["x"])
        for element in svg.iter("{http://www.w3.org/2000/svg}text")
        if "of some length" in "".join(element.itertext())
    ]
    assert len(starts) == 4
    assert all(0 < start < 300 for start in starts)


@pytest.mark.parametrize("series", [LINES, SAMPLES], ids=["lines", "distributions"])
def test_the_same_numbers_make_the_same_bytes(series):
    assert html(plot(series, x="x")) == html(plot(series, x="x"))
    assert "dc:date" not in html(plot(series, x="x"))


@pytest.mark.parametrize("text", HOSTILE)
def test_no_text_is_taken_for_markup_or_for_a_formula(text):
    for values in ({1: 2, 3: 4}, [1, 2]):
        shown = plot({text: values, "b": values}, x=text, y=text, caption=text)
        tags = {element.tag.rpartition("}")[2] for element in drawing(shown).iter()}
        assert not {"script", "img"} & tags
        assert "median" in str(shown) or "1" in str(shown)
        if text:
            assert words(shown).count(text if text.isprintable() else "\\x1b[31mc") >= 4


def test_the_readers_own_settings_and_figures_are_left_alone():
    code = """
import sys, matplotlib
matplotlib.rcParams["lines.linewidth"] = 7
matplotlib.rcParams["figure.facecolor"] = "black"
before = matplotlib.rcParams.copy()
from sessionlab.lab import plot
html = plot({"a": {1: 2}}, x="x")._repr_mimebundle_()["text/html"]
assert matplotlib.rcParams.copy() == before
assert "matplotlib.pyplot" not in sys.modules
assert "ffffff" in html
print("fine")
"""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert run.stdout == "fine\n", run.stderr


def test_matplotlib_is_imported_only_to_draw():
    code = "import sys\nfrom sessionlab.lab import plot\n" + (
        "print(plot({'a': [1]}, x='x'), 'matplotlib' in sys.modules)"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.endswith("False\n")


def test_without_matplotlib_the_numbers_are_shown(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    assert "<table" in html(plot(LINES, x="clients"))
    assert "2100" in html(plot(LINES, x="clients"))


@pytest.mark.parametrize(
    "series",
    [
        pytest.param({}, id="none"),
        pytest.param({"a": []}, id="no samples"),
        pytest.param({"a": [1], "b": {}}, id="no points"),
        pytest.param({"a": [1], "b": {1: 1}}, id="both kinds"),
        pytest.param({str(n): [1] for n in range(5)}, id="five"),
    ],
)
def test_what_cannot_be_drawn_is_refused(series):
    with pytest.raises(ValueError, match="write"):
        plot(series, x="x")


def test_this_matplotlib_is_one_of_those_we_name():
    assert tuple(map(int, matplotlib.__version__.split(".")[:2])) >= (3, 9)
