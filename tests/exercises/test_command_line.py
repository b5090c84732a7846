"""The exercises from a terminal, over files that are fine, odd, or out to do harm."""

import csv
import json
import os
import subprocess
import sys

import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, writes
from refresh_notebooks import NOTEBOOKS

from sessionlab.exercises import files, grading
from sessionlab.exercises.__main__ import main
from sessionlab.exercises.chapters import CHAPTERS, find

NAMES = [exercise.name for exercises in CHAPTERS.values() for exercise in exercises]

GOOD = "import sessionlab\n\ndef sign(value, secret):\n    return sessionlab.sign(value, secret)\n"
WRONG = "def sign(value, secret):\n    return value\n"
FORGE = "from sessionlab import sign\n\ndef forge(secret, session_id):\n"
FORGE += "    return 'connect.sid=s:' + sign(session_id, secret)\n"


@pytest.fixture(autouse=True)
def nothing_stays(monkeypatch):
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.setitem(sys.modules, "attempt", None)
    monkeypatch.setattr(find("sign"), "hints_given", 0)


@pytest.fixture
def write(tmp_path):
    def write(name, text):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return str(path)

    return write


def notebook(*sources):
    return writes(new_notebook(cells=[new_markdown_cell("# Mine"), *map(new_code_cell, sources)]))


@pytest.fixture
def checked(capsys):
    """What ``check`` says of files: the exit status, and the text or with --json the states."""

    def check(*arguments):
        status = main(["check", *arguments])
        out, err = capsys.readouterr()
        assert err == ""
        return status, json.loads(out) if "--json" in arguments else out

    return check


def test_the_list_has_every_exercise_and_is_what_comes_without_a_command(capsys):
    assert main(["list"]) == 0
    listed = capsys.readouterr().out
    assert all(name in listed for name in NAMES)
    assert main([]) == 0
    assert capsys.readouterr().out == listed


def test_the_module_runs_as_a_program():
    command = [sys.executable, "-m", "sessionlab.exercises", "solution", "sign"]
    run = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "def sign(value: str, secret: str) -> str:" in run.stdout
    assert run.stderr == ""


def test_what_python_warns_of_in_a_file_stays_out_of_the_result(write):
    path = write("mine.py", "'\\d'\n" + GOOD)
    command = [
        sys.executable,
        "-W",
        "always",
        "-m",
        "sessionlab.exercises",
        "check",
        "--json",
        path,
    ]
    run = subprocess.run(command, capture_output=True, text=True, check=True)
    assert (run.stdout, run.stderr) == ('{"sign": "passed"}\n', "")


def test_hints_come_one_by_one_and_the_same_each_time(capsys):
    hints = find("sign").hints
    for many, expected in ((None, 1), ("1", 1), ("2", 2), ("77", len(hints)), ("0", 1)):
        assert main(["hint", "sign", *([many] if many else [])]) == 0
        assert capsys.readouterr().out.count("# sign, hint ") == expected


@pytest.mark.parametrize("command", ["hint", "solution"])
def test_an_unknown_exercise_is_a_bad_call_and_the_like_one_is_named(command, capsys):
    with pytest.raises(SystemExit) as exit_:
        main([command, "sgin"])
    assert exit_.value.code == 2
    assert "did you mean 'sign'?" in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments", [["check"], ["grade"], ["check", "--jason", "x.py"], ["frobnicate"]]
)
def test_a_bad_call_has_status_2(arguments, capsys):
    with pytest.raises(SystemExit) as exit_:
        main(arguments)
    assert exit_.value.code == 2


def test_a_file_that_is_not_there_is_a_bad_call_and_nothing_is_checked(write, capsys):
    assert main(["check", write("good.py", GOOD), "nowhere.py"]) == 2
    assert capsys.readouterr() == ("", "there is no file nowhere.py\n")


def test_a_right_answer_passes(checked, write):
    status, said = checked(write("mine.py", GOOD))
    assert status == 0
    assert said.startswith("sign\n\nstate  passed\n")


def test_a_wrong_answer_is_told_in_full(checked, write):
    status, said = checked(write("mine.py", WRONG))
    assert status == 1
    for part in ("what went in", "what came out", "expected", "why it matters", "hint"):
        assert part in said


def test_several_files_are_checked_and_one_that_fails_decides(checked, write):
    paths = [write("a.py", GOOD), write("b.py", FORGE)]
    assert checked("--json", *paths) == (0, {"sign": "passed", "forge": "passed"})
    paths.append(write("c.py", "def unsign(signed, secrets):\n    return signed\n"))
    expected = {"sign": "passed", "forge": "passed", "unsign": "wrong"}
    assert checked("--json", *paths) == (1, expected)


def test_a_starter_beside_the_answer_does_not_hide_it(checked, write):
    paths = [write("answer.py", GOOD), write("handed-out.ipynb", notebook(find("sign").starter))]
    assert checked("--json", *paths) == (0, {"sign": "passed"})
    assert checked("--json", *reversed(paths)) == (0, {"sign": "passed"})


def test_a_notebook_is_checked_and_what_ipython_alone_understands_is_passed_over(checked, write):
    cells = [
        "%matplotlib inline\n!ls\nsign?\n",
        "%%html\n<b>bold</b>",
        "if True:\n    %time 5",
        GOOD,
    ]
    assert checked("--json", write("mine.ipynb", notebook(*cells))) == (0, {"sign": "passed"})


def test_a_line_that_looks_like_magic_stays_where_it_is_python(checked, write):
    cell = 'TEXT = """\n%d\n"""\nassert TEXT == "\\n%d\\n"\n' + GOOD
    assert checked("--json", write("mine.ipynb", notebook(cell))) == (0, {"sign": "passed"})


def test_a_cell_that_fails_is_told_and_the_others_are_checked(checked, write):
    path = write("mine.ipynb", notebook("1 / 0", GOOD, "raise NotImplementedError('your turn')"))
    assert checked("--json", path) == (1, {"mine.ipynb": "error", "sign": "passed"})
    said = checked(path)[1]
    assert "mine.ipynb, cell 2, line 1" in said
    assert "1 / 0\n" in said


def test_an_error_in_an_answer_shows_the_line_of_its_cell(checked, write):
    cell = "def sign(value, secret):\n    return value / 0  # here\n"
    status, said = checked(write("mine.ipynb", notebook("x = 1", cell)))
    assert status == 1
    assert "mine.ipynb, cell 3, line 2, in sign" in said
    assert "return value / 0  # here" in said


def test_the_exercise_notebooks_as_they_are_handed_out_are_not_attempted(checked):
    paths = sorted(map(str, (NOTEBOOKS / "exercises").glob("*.ipynb")))
    assert checked("--json", *paths) == (0, dict.fromkeys(NAMES, "not attempted"))


def test_an_imported_solution_is_no_attempt(checked, write):
    status, said = checked(write("mine.py", "from sessionlab import *\nmine = sign\n"))
    assert status == 0
    assert "it defines none of the exercises" in said


def test_what_a_file_prints_stays_out_of_the_result(checked, write):
    shout = "import sys\nprint('out')\nprint('err', file=sys.stderr)\n"
    assert checked("--json", write("mine.py", shout + GOOD)) == (0, {"sign": "passed"})


@pytest.mark.parametrize(
    ("source", "text"),
    [
        pytest.param("def sign(:\n", "SyntaxError", id="no Python"),
        pytest.param("import sys\nsys.exit('bye')\n", "SystemExit: bye", id="sys.exit"),
        pytest.param("raise KeyboardInterrupt\n", "KeyboardInterrupt", id="KeyboardInterrupt"),
        pytest.param("import nowhere\n", "No module named 'nowhere'", id="a missing module"),
        pytest.param(b"\xff\xfe\x00", "SyntaxError", id="no text"),
        pytest.param("x = '\0'", "SyntaxError", id="a null"),
        pytest.param("def f():\n    f()\nf()\n", "RecursionError", id="no end"),
    ],
)
def test_a_file_that_fails_is_told_why(checked, write, source, text):
    status, said = checked(write("mine.py", source))
    assert status == 1
    assert "mine.py\n\nstate " in said
    assert text in said or "ValueError" in said  # a null, in older Pythons


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "{}", '{"cells": 5}', '{"cells": [5]}', '{"cells": [{}]}', "[" * 9999]
)
def test_a_notebook_that_is_none_is_told(checked, write, text):
    assert checked("--json", write("mine.ipynb", text)) == (1, {"mine.ipynb": "error"})


def test_a_cell_may_be_one_text_or_lines(checked, write):
    for source in (GOOD, GOOD.splitlines(keepends=True)):
        text = json.dumps({"cells": [{"cell_type": "code", "source": source}]})
        assert checked("--json", write("mine.ipynb", text)) == (0, {"sign": "passed"})


def test_what_was_defined_before_a_file_failed_is_checked(checked, write):
    path = write("mine.py", GOOD + "1 / 0\n" + FORGE)
    assert checked("--json", path) == (1, {"mine.py": "error", "sign": "passed"})


def test_a_file_that_does_not_end_is_ended(checked, write, monkeypatch):
    monkeypatch.setattr(files, "_LONGEST_FILE", 0.2)
    status, said = checked(write("mine.py", GOOD + "while True:\n    pass\n"))
    assert status == 1
    assert "it is not through after 0.2 s" in said


def test_a_file_may_be_in_another_encoding_or_begin_with_a_mark(checked, write):
    for text in (b"\xef\xbb\xbf" + GOOD.encode(), b"# coding: latin-1\n# \xe9\n" + GOOD.encode()):
        assert checked("--json", write("mine.py", text)) == (0, {"sign": "passed"})


def test_a_file_may_have_dataclasses_and_import_its_neighbour(checked, write):
    write("my_neighbour.py", "from sessionlab import sign as made\n")
    start = "from __future__ import annotations\nfrom dataclasses import dataclass\n"
    body = "@dataclass\nclass Point:\n    x: 'int'\n\nfrom my_neighbour import made\n"
    answer = "def sign(value, secret):\n    return made(value, secret)\n"
    assert checked("--json", write("mine.py", start + body + answer)) == (0, {"sign": "passed"})


LEAVES = """import subprocess, sys
subprocess.Popen([sys.executable, "-c", "import time; time.sleep(9)"])
"""
SUBMISSIONS = {
    "=1+1.py": GOOD,
    "-draft.py": FORGE,
    "Ada, Countess/week 1/sign.py": GOOD,
    "Ada, Countess/week 2/forge.ipynb": notebook(FORGE),
    "Ada, Countess/.ipynb_checkpoints/forge.ipynb": notebook("1 / 0"),
    "a_meddler.py": "import sessionlab, sessionlab.exercises.files as files\n"
    "sessionlab.sign = files.check = None\n" + FORGE,
    "chatty.py": "import os\nprint('{}')\nos.system('echo 5')\n" + GOOD,
    "crashing.py": "import os\nos._exit(0)\n" + GOOD,
    "empty/read me.txt": "nothing",
    "garbled.py": 'import atexit\natexit.register(print, \'{"sign": "great"}\')\n' + GOOD,
    "nothing.py": "",
    "photo.png": b"\x89PNG",
    "wrong.py": WRONG,
    "z_good.py": GOOD,
    "__MACOSX/._z_good.py": b"\0",
}
if os.name == "posix":
    SUBMISSIONS['"quoted", too.py'] = GOOD


@pytest.fixture(scope="module")
def graded(tmp_path_factory):
    """The exit status, what was printed, and the rows of the CSV by the submission's name."""
    folder = tmp_path_factory.mktemp("submissions")
    for name, text in SUBMISSIONS.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
    table = folder / "grades.csv"
    table.write_text("of last week")
    command = [sys.executable, "-m", "sessionlab.exercises", "grade", str(folder)]
    command += ["--csv", str(table)]
    run = subprocess.run(
        command, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL
    )
    with table.open(encoding="utf-8-sig", newline="") as file:
        rows = {row["submission"]: row for row in csv.DictReader(file)}
    return run, rows


def test_each_submission_has_a_row_and_each_exercise_a_column(graded):
    _, rows = graded
    folders = {name.partition("/")[0] for name in SUBMISSIONS} - {"__MACOSX"}
    assert {name.removeprefix("'") for name in rows} == folders
    for row in rows.values():
        assert list(row) == ["submission", *NAMES, "passed", "remarks"]


@pytest.mark.parametrize(
    ("name", "sign", "forge", "passed", "remarks"),
    [
        ("z_good.py", "passed", "", "1", ""),
        ("wrong.py", "wrong", "", "0", ""),
        ("Ada, Countess", "passed", "passed", "2", ""),
        ("chatty.py", "passed", "", "1", ""),
        ("empty", "", "", "0", "no .py or .ipynb file: not attempted"),
        ("photo.png", "", "", "0", "no .py or .ipynb file: not attempted"),
        ("nothing.py", "", "", "0", "nothing.py: not attempted"),
        ("crashing.py", "", "", "0", "it ended, or was ended, before its checks were done: error"),
        ("garbled.py", "", "", "0", "it ended, or was ended, before its checks were done: error"),
    ],
)
def test_a_submission_is_graded(graded, name, sign, forge, passed, remarks):
    row = graded[1][name]
    assert (row["sign"], row["forge"]) == (sign, forge)
    assert (row["passed"], row["remarks"]) == (passed, remarks)


def test_a_name_that_a_spreadsheet_would_compute_is_made_text(graded):
    assert graded[1]["'=1+1.py"]["sign"] == "passed"
    assert graded[1]["'-draft.py"]["forge"] == "passed"
    assert not [
        cell for row in graded[1].values() for cell in row.values() if cell[:1] in "=+-@\t" and cell
    ]


@pytest.mark.skipif(os.name != "posix", reason="no such file names")
def test_quotes_and_commas_in_a_name_survive(graded):
    assert graded[1]['"quoted", too.py']["passed"] == "1"


def test_a_submission_cannot_alter_the_result_of_another(graded):
    assert graded[1]["a_meddler.py"]["passed"] == "0"
    assert graded[1]["z_good.py"]["sign"] == "passed"


def test_the_terminal_shows_who_passed_what_and_says_who_is_being_checked(graded):
    run, _ = graded
    assert run.returncode == 1
    lines = [line.split("  ") for line in run.stdout.splitlines()]
    shown = {line[0]: [part.strip() for part in line[1:] if part] for line in lines}
    assert shown["z_good.py"] == [f"1 of {len(NAMES)}", "nothing"]
    assert shown["wrong.py"] == [f"0 of {len(NAMES)}", "sign: wrong"]
    assert run.stderr.count("checking ") == len(graded[1])


def test_a_class_in_which_all_is_well_has_status_0(write, tmp_path, capsys):
    write("class/good.py", GOOD)
    (tmp_path / "class" / "absent").mkdir()
    assert main(["grade", str(tmp_path / "class")]) == 0
    assert f"1 of {len(NAMES)}" in capsys.readouterr().out


def test_an_empty_folder_is_told(tmp_path, capsys):
    assert main(["grade", str(tmp_path)]) == 0
    assert "the folder has no submissions" in capsys.readouterr().out


def test_what_is_no_folder_is_a_bad_call(tmp_path, capsys):
    assert main(["grade", str(tmp_path / "nowhere")]) == 2
    assert "is no folder" in capsys.readouterr().err


def test_a_table_that_cannot_be_written_is_told_after_it_was_printed(write, tmp_path, capsys):
    write("class/good.py", GOOD)
    table = tmp_path / "nowhere" / "grades.csv"
    assert main(["grade", str(tmp_path / "class"), "--csv", str(table)]) == 2
    out, err = capsys.readouterr()
    assert "good.py" in out
    assert "the table is not written" in err


def test_a_submission_that_never_ends_is_ended(write, tmp_path, monkeypatch):
    monkeypatch.setattr(grading, "_LONGEST", 1)
    path = write("sleepy.py", "import time\ntime.sleep(60)\n")
    (remark,) = grading.grade(tmp_path / path)
    assert remark.startswith("it ended, or was ended")


def test_a_program_that_a_submission_leaves_behind_does_not_hold_up_the_grading(
    write, tmp_path, monkeypatch
):
    monkeypatch.setattr(grading, "_LONGEST", 8)
    states = grading.grade(tmp_path / write("leaving.py", LEAVES + GOOD))
    assert {name: state.value for name, state in states.items()} == {"sign": "passed"}
