"""``python -m sessionlab`` as one runs it in a terminal, and what the README says of it."""

import os
import re
import signal
import socket
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import requests

from sessionlab import __main__ as command
from sessionlab.lab import serve

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def conversation():
    run = subprocess.run(
        [sys.executable, "-m", "sessionlab"], capture_output=True, text=True, cwd=ROOT, timeout=60
    )
    assert (run.returncode, run.stderr) == (0, "")
    return run.stdout


def spoken(text):
    """The lines of requests and responses."""
    return [line for line in text.splitlines() if line.startswith((">", "<"))]


def test_the_conversation_ends_in_what_was_stored(conversation):
    assert "Retrieved data: John Doe" in conversation.splitlines()


def test_the_conversation_shows_the_cookie_the_record_and_the_way_to_the_notebooks(conversation):
    assert "signature" in conversation
    assert '{"my_data": {"name": "John' in conversation
    assert "00-quickstart.ipynb" in conversation


def test_the_conversation_is_the_same_each_time(conversation, capsys):
    assert command.main([]) == 0
    assert capsys.readouterr().out == conversation


def readme_block(kind):
    return re.search(rf"```{kind}\n(.*?)```", README, re.DOTALL)[1]


def test_the_readme_prints_the_conversation_as_it_is(conversation):
    assert spoken(readme_block("text")) == spoken(conversation)


def test_the_readmes_program_has_the_readmes_conversation(capsys):
    names = {"SECRET": command._SECRET}
    exec(readme_block("python"), names)
    with serve(names["application"], "readme") as server, requests.Session() as browser:
        for method in ("POST", "GET"):
            browser.request(method, server.url + "/session", timeout=10).close()
            command.print_exchange(server.last)

    def without_ids(text):
        return re.sub(r"s%3A[^;\s]+", "(id)", "\n".join(spoken(text)))

    assert without_ids(capsys.readouterr().out) == without_ids(readme_block("text"))


def test_every_link_of_the_readme_leads_somewhere():
    for target in re.findall(r"\]\((?!https:)([^)#]+)\)", README):
        assert (ROOT / target).exists(), target


@pytest.mark.parametrize("end", [signal.SIGINT])
def test_serve_keeps_going_until_ctrl_c_and_ends_without_a_traceback(end):
    process = subprocess.Popen(
        [sys.executable, "-m", "sessionlab", "--serve", "--port", "0"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env={**os.environ, "NO_PROXY": "127.0.0.1"},
    )
    url = re.search(r"http://\S+/", process.stdout.readline())[0]
    with requests.Session() as browser:
        assert "Nothing was asked for yet." in browser.get(url, timeout=10).text
        browser.post(url + "store", data={"name": "<b>Zoë</b>"}, timeout=10)
        page = browser.get(url + "retrieve", timeout=10).text
        assert "Retrieved data: &lt;b&gt;Zoë&lt;/b&gt;" in page
        assert "<b>Zoë" not in page
        assert "signature" in page
        assert "signature" not in browser.post(url + "logout", timeout=10).text
        assert "Nothing is stored" in browser.get(url + "retrieve", timeout=10).text
    process.send_signal(end)
    out, err = process.communicate(timeout=10)
    assert (process.returncode, err) == (0, "")
    assert "Ended." in out


def test_a_port_in_use_is_one_clear_line_and_exit_1(capsys):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert command.main(["--serve", "--port", str(port)]) == 1
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert f"127.0.0.1:{port}" in error
    assert "--port" in error


@pytest.mark.parametrize("port", ["x", "-1", "65536", "80.5"])
def test_what_is_no_port_is_refused_with_advice(capsys, port):
    with pytest.raises(SystemExit) as ended:
        command.main(["--serve", f"--port={port}"])
    assert ended.value.code == 2
    assert "write a number from 0 to 65535" in capsys.readouterr().err


def test_help_says_what_it_does(capsys):
    with pytest.raises(SystemExit) as ended:
        command.main(["--help"])
    assert ended.value.code == 0
    assert "--serve" in capsys.readouterr().out


def test_environment_yml_is_in_step_with_pyproject():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    wanted = [*project["dependencies"], *extras["notebooks"], *extras["test"]]
    listed = re.findall(r"^  - (\S+)$", (ROOT / "environment.yml").read_text(), re.MULTILINE)
    conda = [package for package in listed if package not in ("conda-forge", "pip", "pip:")]
    assert f"python{project['requires-python']}" in conda
    assert {re.match(r"\w+", package)[0] for package in conda} >= {
        *("jupyter", "bottle", "requests", "nbval")
    }
    for package in conda:
        assert package.startswith("python>") or package in wanted
