"""What nbval does not see: cells never run, places and dates in outputs, copies of the library."""

import ast
import re

import nbformat
import pytest
from nbclient import NotebookClient
from refresh_notebooks import NOTEBOOKS, all_notebooks

import sessionlab

PATHS = all_notebooks()
CHAPTERS = [path for path in PATHS if path.parent == NOTEBOOKS]  # the rest are exercises


def name_of(path):
    return str(path.relative_to(NOTEBOOKS).with_suffix(""))


@pytest.fixture(params=PATHS, ids=name_of)
def path(request):
    return request.param


@pytest.fixture
def notebook(path):
    return nbformat.read(path, as_version=4)


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


def nodes(path):
    """Every part of the code of a notebook."""
    for cell in code_cells(nbformat.read(path, as_version=4)):
        yield from ast.walk(ast.parse(re.sub(r"^[%!].*", "", cell.source, flags=re.MULTILINE)))


@pytest.mark.parametrize("path", CHAPTERS, ids=name_of)
def test_a_chapter_shows_the_library_and_does_not_copy_it(path):
    defined = {n.name for n in nodes(path) if isinstance(n, ast.FunctionDef | ast.ClassDef)}
    assert not defined & set(sessionlab.__all__)


def shown_names(path):
    """The first names of what a notebook gives to ``show``: Session of ``Session.save``."""
    for node in nodes(path):
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "show":
            for part in node.args:
                while isinstance(part, ast.Attribute):
                    part = part.value
                yield getattr(part, "id", None)


def test_every_public_name_is_shown_in_some_chapter():
    shown = {name for path in CHAPTERS for name in shown_names(path)}
    assert not set(sessionlab.__all__) - shown


def test_each_chapter_links_to_its_neighbours():
    names = [path.name for path in CHAPTERS]
    for number, path in enumerate(CHAPTERS):
        text = "".join(
            cell.source
            for cell in nbformat.read(path, as_version=4).cells
            if cell.cell_type == "markdown"
        )
        for neighbour in names[max(number - 1, 0) : number] + names[number + 1 : number + 2]:
            assert f"({neighbour})" in text
        for link in re.findall(r"\]\(([^)#:]+\.\w+)[^)]*\)", text):
            assert (path.parent / link).exists(), link


def test_a_second_run_in_the_same_kernel_prints_the_same_in_any_folder(path, tmp_path):
    """As does somebody who runs all cells again, in a JupyterLab that was started elsewhere."""
    notebook = nbformat.read(path, as_version=4)
    stored = [cell.outputs for cell in code_cells(notebook)]
    where = {"metadata": {"path": tmp_path}}
    client = NotebookClient(notebook, timeout=120, coalesce_streams=True, resources=where)
    with client.setup_kernel():
        for _ in range(2):
            for number, cell in enumerate(notebook.cells):
                client.execute_cell(cell, number)
    for cell, outputs in zip(code_cells(notebook), stored, strict=True):
        if "nbval-ignore-output" not in cell.metadata.get("tags", []):
            assert without_counts(cell.outputs) == without_counts(outputs), cell.source


def without_counts(outputs):
    return [{**output, "execution_count": None} for output in outputs]


def test_no_more_than_two_code_cells_stand_in_a_row(notebook):
    kinds = "".join("c" if cell.cell_type == "code" else " " for cell in notebook.cells)
    assert max(map(len, kinds.split())) <= 2


def test_the_quickstart_ends_where_the_question_wanted_to_go():
    notebook = nbformat.read(NOTEBOOKS / "00-quickstart.ipynb", as_version=4)
    lines = [
        line for cell in code_cells(notebook) for text in texts(cell) for line in text.split("\n")
    ]
    assert "Retrieved data: John Doe" in [line.strip("'") for line in lines]
