"""The house: imports go down, and the core stands on the standard library alone."""

import ast
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "sessionlab"
FLOORS = {
    "cookies": 1,
    "signing": 1,
    "stores": 1,
    "session": 2,
    "policy": 2,
    "middleware": 3,
    "testing": 4,
    "lab": 5,
    "exercises": 6,
    "__main__": 6,
}
# For the type checker alone; within ``RedisStore.from_url`` alone.
EXCEPTIONS = {("middleware.py", "_typeshed"), ("redis.py", "redis")}
CORE = [name for name, floor in FLOORS.items() if floor < 4]


def module_of(path):
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imports(path):
    """Yield the absolute names of the modules that a file imports."""
    package = ["sessionlab", *path.relative_to(PACKAGE).parts[:-1]]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            parents = package[: len(package) - node.level + 1] if node.level else []
            yield ".".join([*parents, *([node.module] if node.module else [])])


SOURCES = [path for path in sorted(PACKAGE.rglob("*.py")) if path != PACKAGE / "__init__.py"]


@pytest.mark.parametrize("path", SOURCES, ids=[str(path.relative_to(PACKAGE)) for path in SOURCES])
def test_a_module_imports_only_from_floors_below(path):
    mine = module_of(path)
    assert mine in FLOORS, "give the new module a floor"
    for name in imports(path):
        root, _, rest = name.partition(".")
        theirs = rest.split(".")[0]
        if root == "sessionlab" and theirs and theirs != mine:
            assert FLOORS[theirs] < FLOORS[mine]
        if root == "sessionlab" and not theirs:
            assert FLOORS[mine] >= 4, "the core imports from its modules, not from the package"
        if root != "sessionlab" and mine in CORE and (path.name, root) not in EXCEPTIONS:
            assert root in sys.stdlib_module_names


def test_importing_the_library_pulls_in_no_laboratory():
    code = "import sys, json, sessionlab; print(json.dumps(sorted(sys.modules)))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
    loaded = json.loads(run.stdout)
    heavy = {
        "bottle",
        "requests",
        "redis",
        "sqlite3",
        "IPython",
        "pytest",
        "sessionlab.lab",
        "sessionlab.testing",
    }
    assert not heavy & set(loaded)


def test_importing_the_library_takes_under_40_ms(tmp_path):
    """More than an empty Python; the best of several, as other programs run beside it."""

    def seconds(code):
        command = [sys.executable, "-c", code]
        environ = {
            **os.environ,
            "PYTHONPYCACHEPREFIX": str(tmp_path),
            "PYTHONDONTWRITEBYTECODE": "",
        }
        started = time.perf_counter()
        subprocess.run(command, check=True, env=environ)
        return time.perf_counter() - started

    runs = []
    for _ in range(100):
        runs.append((seconds("pass"), seconds("import sessionlab")))
        empty, full = (min(times) for times in zip(*runs, strict=True))
        if len(runs) >= 5 and full - empty < 0.040:
            break
    assert full - empty < 0.040
