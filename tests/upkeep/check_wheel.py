"""Build the sdist and from it the wheel, look into both, and use the wheel where nothing else is.

    python tests/upkeep/check_wheel.py                  # needs pip install -e '.[release]'
    python tests/upkeep/check_wheel.py --keep dist      # a release: what was checked, to upload

The wheel is installed into an empty environment in a temporary folder, far from this repository.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from pathlib import Path
from tempfile import TemporaryDirectory

ROOT = Path(__file__).parents[2]
# What no import would miss: the types' marker, and the program of 09-scaling-out.
DATA = {"sessionlab/py.typed", "sessionlab/lab/express.js", "sessionlab/lab/express.json"}
SDIST_FILES = {"CHANGELOG.md", "LICENSE", "README.md", "environment.yml", "pyproject.toml"}
SDIST_FOLDERS = ["sessionlab", "notebooks", "tests", ".ci", ".github"]
LITTER = {"__pycache__", ".ipynb_checkpoints", ".pytest_cache", "node_modules"}
LITTER_SUFFIXES = {".pyc", ".db", ".db-wal", ".db-shm"}


def run(*command, cwd=ROOT):
    """Run a command and return what it printed; a failure ends the check and shows it."""
    environ = {key: text for key, text in os.environ.items() if key != "PYTHONPATH"}
    words = [str(word) for word in command]
    done = subprocess.run(words, cwd=cwd, env=environ, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{' '.join(words)} failed:\n{done.stdout}{done.stderr}")
    return done.stdout


def files_of(folder):
    """Return the paths of the files in a folder of the repository, without what git ignores."""
    paths = [path.relative_to(ROOT) for path in (ROOT / folder).rglob("*") if path.is_file()]
    return {
        path.as_posix()
        for path in paths
        if not LITTER & set(path.parts) and path.suffix not in LITTER_SUFFIXES
    }


def compare(what, found, expected):
    if found != expected:
        missing, surplus = sorted(expected - found), sorted(found - expected)
        sys.exit(f"{what}: missing {missing}, and there should be no {surplus}")
    print(f"{what}: {len(found)} files, as it should be")


def check_contents(sdist, wheel, version):
    """Compare what the two hold with the repository's files, name by name."""
    top = f"sessionlab-{version}/"
    with tarfile.open(sdist) as archive:
        found = {member.name.removeprefix(top) for member in archive if member.isfile()}
    expected = SDIST_FILES.union(*map(files_of, SDIST_FOLDERS))
    compare(sdist.name, found, expected | {"PKG-INFO", ".gitignore"})  # hatchling's own
    with zipfile.ZipFile(wheel) as archive:
        found = set(archive.namelist())
    info = f"sessionlab-{version}.dist-info/"
    extra = {info + name for name in ("METADATA", "RECORD", "WHEEL", "licenses/LICENSE")}
    package = files_of("sessionlab")
    compare(wheel.name, found, package | extra)
    if not package >= DATA:
        sys.exit(f"the package has lost {sorted(DATA - package)}")


def check_use(wheel, folder):
    """Install the wheel into an empty environment, and run what the README says of it."""
    run(sys.executable, "-m", "venv", folder / "empty")
    python = folder / "empty" / "bin" / "python"
    run(python, "-m", "pip", "install", "--quiet", wheel, cwd=folder)
    run(python, "-m", "pip", "check", cwd=folder)
    place = run(python, "-c", "import sessionlab; print(sessionlab.__file__)", cwd=folder)
    if not Path(place.strip()).is_relative_to(folder):
        sys.exit(f"sessionlab was imported from {place}, not from the wheel")
    conversation = run(python, "-m", "sessionlab", cwd=folder)
    if "Retrieved data: John Doe" not in conversation.splitlines():
        sys.exit(f"python -m sessionlab printed:\n{conversation}")
    if "sign" not in run(python, "-m", "sessionlab.exercises", cwd=folder):
        sys.exit("python -m sessionlab.exercises does not list the exercises")
    print("installed into an empty environment: the conversation and the exercises run")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="put what was checked there")
    arguments = parser.parse_args()
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    with TemporaryDirectory() as temporary:
        folder = Path(temporary).resolve()
        run(sys.executable, "-m", "build", "--outdir", folder, ROOT)
        (sdist,), (wheel,) = folder.glob("*.tar.gz"), folder.glob("*.whl")
        check_contents(sdist, wheel, project["version"])
        check_use(wheel, folder)
        if arguments.keep:
            arguments.keep.mkdir(parents=True, exist_ok=True)
            for path in (sdist, wheel):
                print(shutil.copy(path, arguments.keep))


if __name__ == "__main__":
    main()
