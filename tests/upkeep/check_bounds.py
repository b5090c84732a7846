"""Run all checks with the lowest versions that pyproject.toml allows, and with the newest.

    python tests/upkeep/check_bounds.py                            # this Python, both ends
    python tests/upkeep/check_bounds.py --python 3.11 3.12 3.13    # those that are installed
    python tests/upkeep/check_bounds.py --end lowest --quick       # a part of the tests

Each Python and end gets a new environment in a temporary folder, with all extras. A lower bound is
taken literally, as ``==``, so it has to be a release that exists and was not withdrawn; the build
backend's is included. What those packages need in their turn is always the newest that fits. pip
installs it all, so that it comes from wherever pip is set up to look.
"""

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import time
import tomllib
from itertools import chain
from pathlib import Path
from tempfile import TemporaryDirectory

ROOT = Path(__file__).parents[2]
PYPROJECT = ROOT / "pyproject.toml"
QUICK = ["tests/test_[!n]*.py", "notebooks/0*.ipynb"]  # nbval runs what test_notebooks runs twice
LINES = 40  # of its output that a failed step shows


def requirements():
    """Return every requirement of pyproject.toml, but for the extras that name each other."""
    content = tomllib.loads(PYPROJECT.read_text(encoding="utf-8"))
    project = content["project"]
    groups = [content["build-system"]["requires"], project["dependencies"]]
    listed = chain(*groups, *project["optional-dependencies"].values())
    return [each for each in listed if not each.startswith(f"{project['name']}[")]


def lowest(requirement):
    """Return ``name==1.2`` for ``name>=1.2,<2``.  Raises: ``ValueError`` if a bound is missing."""
    bounds = re.match(r"([\w.-]+)>=([\w.]+),<[\w.]+(;|$)", requirement.replace(" ", ""))
    if bounds is None:
        raise ValueError(f"{requirement!r} in pyproject.toml: write it as 'name>=1.2,<3'")
    return f"{bounds[1]}=={bounds[2]}"


def find_python(version):
    """Return the path of a Python of that version, from the PATH or pyenv; else None."""
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    found = [shutil.which(f"python{version}"), *pyenv.glob(f"versions/{version}.*/bin/python")]
    for path in filter(None, found):
        # pyenv has a ``python3.12`` on the PATH that answers only where 3.12 is chosen.
        code = "import sys; print('%d.%d' % sys.version_info[:2])"
        run = subprocess.run([path, "-c", code], capture_output=True, text=True, check=False)
        if run.stdout.strip() == version:
            return str(path)
    return None


class Trial:
    """One Python with one end of the bounds: an environment, and what is run in it."""

    def __init__(self, folder, python, end):
        self.folder, self.python, self.end = Path(folder), python, end
        self.bin = self.folder / "environment" / "bin"
        self.failed = []

    def run(self, name, *command, **environ):
        """Run a step, note whether it failed, and return what it printed."""
        started = time.monotonic()
        run = subprocess.run(
            [str(part) for part in command],
            cwd=ROOT,
            env={**os.environ, **environ},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        print(f"   {name}: {time.monotonic() - started:.0f} s", flush=True)
        if run.returncode:
            self.failed.append(name)
            print(f"   {name} ended with {run.returncode}:")
            print(*run.stdout.splitlines()[-LINES:], sep="\n", flush=True)
        return run.stdout

    def install(self):
        """Make the environment.  Return whether it is as it was asked for."""
        self.run("environment", self.python, "-m", "venv", self.bin.parent)
        pins = self.folder / "pins.txt"
        wanted = map(lowest, requirements()) if self.end == "lowest" else []
        pins.write_text("\n".join(wanted), encoding="utf-8")
        extras = "browser,lint,bench,release"
        said = self.run(
            "install",
            *(self.bin / "pip", "install", "--editable", f".[{extras}]"),
            PIP_CONSTRAINT=str(pins),
            PIP_BUILD_CONSTRAINT=str(pins),  # newer pips keep the build backend's apart
        )
        withdrawn = [line for line in said.splitlines() if "yanked version" in line]
        if withdrawn:
            self.failed.append("a bound that was withdrawn")
            print(*withdrawn, sep="\n")
        return not self.failed

    def tell_what_is_newer(self):
        """Print which of our requirements have releases that the bounds, or others, keep out."""
        said = subprocess.run(
            [self.bin / "pip", "list", "--outdated", "--format", "json"],
            capture_output=True,
            text=True,
            check=False,
        ).stdout
        ours = {re.match(r"[\w.-]+", each)[0].lower() for each in requirements()}
        for package in json.loads(said or "[]"):
            if package["name"].lower() in ours:
                newest, tested = package["latest_version"], package["version"]
                print(f"   {package['name']}: {tested} fits, and {newest} is out", flush=True)

    def check(self, *, is_quick):
        """Run the checks of ``.ci/run`` in the environment."""
        python = self.bin / "python"
        tests = [path for pattern in QUICK for path in sorted(ROOT.glob(pattern))]
        pytest = (python, "-m", "pytest", "-q", "-p", "no:cacheprovider")
        self.run("tests", *pytest, *(tests if is_quick else []))
        if is_quick:
            return
        self.run("notebooks as stored", python, "tests/refresh_notebooks.py", "--check")
        self.run("ruff check", self.bin / "ruff", "check", "--no-cache", ".")
        self.run("ruff format", self.bin / "ruff", "format", "--no-cache", "--check", ".")
        self.run("mypy", self.bin / "mypy", "--cache-dir", self.folder / "mypy")
        self.run("wheel", python, "tests/upkeep/check_wheel.py")
        self.run("peers", python, "tests/benchmarks/peers.py")  # what they answer may be otherwise
        self.run("cost", python, "tests/benchmarks/cost_of_a_request.py", "--rounds", "2")
        self.run("throughput", python, "tests/benchmarks/throughput.py", "--quick")
        self.run("growth", python, "tests/benchmarks/growth.py", "--quick")
        if os.environ.get("CHROMIUM") or shutil.which("chromium"):
            self.run("browser", *pytest, "-m", "browser", "tests/browser")
        else:
            print("   browser: skipped, there is no chromium")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    here = "{}.{}".format(*sys.version_info)
    parser.add_argument("--python", nargs="+", default=[here], metavar="3.N", help=f"not {here}")
    parser.add_argument("--end", choices=["lowest", "newest"], help="of the bounds, and not both")
    parser.add_argument(
        "--quick", action="store_true", help="a part of the tests, and nothing else"
    )
    arguments = parser.parse_args()
    results = {}
    for version in arguments.python:
        python = sys.executable if version == here else find_python(version)
        for end in [arguments.end] if arguments.end else ["lowest", "newest"]:
            name = f"Python {version}, {end}"
            print(f"== {name}", flush=True)
            if python is None:
                results[name] = "skipped: this Python is not installed"
                continue
            with TemporaryDirectory() as folder:
                trial = Trial(folder, python, end)
                if trial.install():
                    if end == "newest":
                        trial.tell_what_is_newer()
                    trial.check(is_quick=arguments.quick)
            results[name] = f"FAILED: {', '.join(trial.failed)}" if trial.failed else "passed"
    print("\n== summary", *(f"{name}: {result}" for name, result in results.items()), sep="\n")
    return 0 if "passed" in results.values() and "FAILED" not in str(results) else 1


if __name__ == "__main__":
    sys.exit(main())
