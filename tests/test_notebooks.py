"""What nbval does not see: cells never run, places and dates in outputs, copies of the library."""

import ast
import re

import nbformat
import pytest
from refresh_notebooks import NOTEBOOKS, all_notebooks

import sessionlab

PATHS = all_notebooks()


@pytest.fixture(params=PATHS, ids=[path.stem for path in PATHS])
def notebook(request):
    return nbformat.read(request.param, as_version=4)


def code_cells(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def texts(cell):
    """Every text that a cell's outputs hold, in whatever form."""
    for output in cell.outputs:
        yield output.get("text", "")
        yield "\n".join(output.get("traceback", []))
        for kind, content in output.get("data", {}).items():
            if not kind.startswith("image/"):
                yield content if isinstance(content, str) else str(content)


def test_the_course_has_its_first_notebook():
    assert PATHS[0].name == "00-quickstart.ipynb"


def test_every_cell_was_run_once_in_order(notebook):
    counts = [cell.execution_count for cell in code_cells(notebook)]
    assert counts == list(range(1, len(counts) + 1))


def test_no_cell_failed_that_is_not_meant_to(notebook):
    for cell in code_cells(notebook):
        if any(output.output_type == "error" for output in cell.outputs):
            assert "raises-exception" in cell.metadata.get("tags", [])


def test_nothing_went_to_stderr(notebook):
    for cell in code_cells(notebook):
        assert not [output for output in cell.outputs if output.get("name") == "stderr"]


FORBIDDEN = {
    "an absolute path": r"(?<![\w.])/(home|root|work|tmp|usr|Users|opt|private)/|[A-Z]:\\",
    "a port": r"(127\.0\.0\.1|localhost):\d+",
    "a date of today": r"\b[A-Z][a-z]{2}, \d\d \w{3} 202[4-6]|\b202[4-6]-\d\d-\d\d",
    "a Python version": r"\b3\.1[0-9]\.\d+\b|CPython",
    "an address in memory": r"\bat 0x[0-9a-f]{6,}",
}


@pytest.mark.parametrize("what", FORBIDDEN)
def test_no_output_holds(notebook, what):
    for cell in code_cells(notebook):
        for text in texts(cell):
            assert not re.search(FORBIDDEN[what], text), cell.source


@pytest.mark.parametrize(
    ("what", "text"),
    [
        ("an absolute path", 'File "/root/lab.py"'),
        ("an absolute path", "C:\\Users"),
        ("a port", "http://127.0.0.1:8080/session"),
        ("a date of today", "Mon, 23 Nov 2026 18:59:36 GMT"),
        ("a date of today", "2026-11-23T18:59:36.000Z"),
        ("a Python version", "Python 3.11.7"),
        ("an address in memory", "<object object at 0x7f3c5c1d>"),
    ],
)
def test_the_patterns_find_what_they_are_for(what, text):
    assert re.search(FORBIDDEN[what], text)


def test_a_notebook_shows_the_library_and_does_not_copy_it(notebook):
    defined = set()
    for cell in code_cells(notebook):
        source = re.sub(r"^[%!].*", "", cell.source, flags=re.MULTILINE)
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, ast.FunctionDef | ast.ClassDef):
                defined.add(node.name)
    assert not defined & set(sessionlab.__all__)


def test_no_more_than_two_code_cells_stand_in_a_row(notebook):
    kinds = "".join("c" if cell.cell_type == "code" else " " for cell in notebook.cells)
    assert max(map(len, kinds.split())) <= 2


def test_the_quickstart_ends_where_the_question_wanted_to_go():
    notebook = nbformat.read(NOTEBOOKS / "00-quickstart.ipynb", as_version=4)
    lines = [
        line for cell in code_cells(notebook) for text in texts(cell) for line in text.split("\n")
    ]
    assert "Retrieved data: John Doe" in [line.strip("'") for line in lines]
