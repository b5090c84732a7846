"""The real express-session, under Node: installed once from the lock file, spoken to in JSON lines.

Programs stand in ``tests/express``. One reads a JSON value a line from its standard input and
answers each with one line; what it writes to standard error is shown when it fails. Without Node,
or without npm to install the packages, the test that asks is skipped by name.
"""

import json
import shutil
import subprocess
from pathlib import Path

import pytest

FOLDER = Path(__file__).parent / "express"
_INSTALLED = FOLDER / "node_modules" / ".package-lock.json"
_OLDEST = 20
_LONGEST_INSTALL = 300  # seconds


def find_node():
    """Return the path of Node, its packages installed; or skip the test."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        pytest.skip("no Node: install Node 20 or newer, with npm")
    version = subprocess.run([node, "--version"], capture_output=True, text=True, check=True).stdout
    if int(version.removeprefix("v").split(".")[0]) < _OLDEST:
        pytest.skip(f"Node is {version.strip()}: install Node {_OLDEST} or newer")
    if not _is_installed():
        _install(npm)
    return node


def _is_installed():
    # npm writes down what it installed; a lock file that is younger has changed since.
    lock = FOLDER / "package-lock.json"
    return _INSTALLED.exists() and _INSTALLED.stat().st_mtime >= lock.stat().st_mtime


def _install(npm):
    command = [npm, "ci", "--no-audit", "--no-fund", "--loglevel=error"]
    run = subprocess.run(
        command, cwd=FOLDER, capture_output=True, text=True, timeout=_LONGEST_INSTALL, check=False
    )
    if run.returncode:
        pytest.skip(f"npm can't install tests/express: {run.stderr.strip() or run.stdout.strip()}")


class Node:
    """A program of ``tests/express``, running: ``ask`` sends it a value and returns its answer."""

    def __init__(self, program, *arguments):
        self._program = program
        self._process = subprocess.Popen(
            [find_node(), str(FOLDER / program), *map(str, arguments)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            encoding="utf-8",
        )

    def send(self, value):
        """Send a value, whose answer is to be read with ``receive``."""
        self._process.stdin.write(json.dumps(value) + "\n")
        self._process.stdin.flush()

    def receive(self):
        """Return the next answer. Raises: ``RuntimeError`` with what the program complained of."""
        line = self._process.stdout.readline()
        if not line:
            self._process.wait(timeout=10)
            raise RuntimeError(f"{self._program} ended: {self._process.stderr.read()}")
        return json.loads(line)

    def ask(self, value):
        self.send(value)
        return self.receive()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._process.kill()
        self._process.communicate()
