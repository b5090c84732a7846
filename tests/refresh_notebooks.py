"""Run the notebooks and store what they print.

What is stored is the same on every machine: no times, no versions, cell ids that stay. With
``--check`` nothing is written; where a stored notebook is not what a fresh run makes, the exit
status is 1 and the differences are shown. Cells tagged ``nbval-ignore-output`` keep their output.
"""

import argparse
import difflib
import sys
from copy import deepcopy
from pathlib import Path

import nbformat
from nbclient import NotebookClient

NOTEBOOKS = Path(__file__).parent.parent / "notebooks"
KERNEL = {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"}


def all_notebooks():
    """Return the paths of all notebooks, in reading order."""
    paths = sorted(NOTEBOOKS.rglob("*.ipynb"))
    return [path for path in paths if ".ipynb_checkpoints" not in path.parts]


def refreshed(path):
    """Return the text of the notebook as a fresh run leaves it."""
    stored = nbformat.read(path, as_version=4)
    notebook = deepcopy(stored)
    notebook.metadata = {"kernelspec": KERNEL, "language_info": {"name": "python"}}
    where = {"metadata": {"path": str(path.parent)}}
    options = {"timeout": 120, "record_timing": False, "coalesce_streams": True}
    NotebookClient(notebook, resources=where, **options).execute()
    notebook.metadata = {"kernelspec": KERNEL, "language_info": {"name": "python"}}
    for number, (cell, before) in enumerate(zip(notebook.cells, stored.cells, strict=True), 1):
        cell.id = before.get("id") or f"cell-{number:02}"
        tags = cell.metadata.get("tags", [])
        cell.metadata = {"tags": tags} if tags else {}
        if "nbval-ignore-output" in tags and before.outputs:
            cell.outputs = before.outputs
    return nbformat.writes(notebook) + "\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="write nothing; fail on a difference")
    parser.add_argument("notebooks", nargs="*", type=Path, help="all, unless some are named")
    arguments = parser.parse_args()
    is_stale = False
    for path in arguments.notebooks or all_notebooks():
        stored, fresh = path.read_text(encoding="utf-8"), refreshed(path)
        if not arguments.check:
            path.write_text(fresh, encoding="utf-8")
        elif fresh != stored:
            is_stale = True
            lines = stored.splitlines(), fresh.splitlines()
            print(
                *difflib.unified_diff(*lines, f"{path.name} stored", "fresh", lineterm=""), sep="\n"
            )
        print(f"{path.name}: {'checked' if arguments.check else 'written'}", flush=True)
    return 1 if is_stale else 0


if __name__ == "__main__":
    sys.exit(main())
