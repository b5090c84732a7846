"""Every notebook in a real JupyterLab in a real browser, run from cleared outputs, light and dark.

``pytest -m browser --screenshots FOLDER`` keeps the pictures. Needs Debian's chromium (or another
one, named in CHROMIUM) and ``pip install -e '.[browser]'``.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import threading

import nbformat
import pytest
from refresh_notebooks import NOTEBOOKS, all_notebooks

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium")

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="there is no chromium"),
]

KEY_LINES = {
    "00-quickstart": "Retrieved data: John Doe",
    "01-cookies": "visit 1000000",
    "02-signing": "['my-secret']",
    "03-stores": "{'memory': ['1', '2', '1'], 'file': ['1', '2', '3']}",
    "04-sessions": "(11, [1, 10])",
    "05-decisions": "64 of 64 cells are the same in both grids",
    "06-middleware": "the file is closed",
    "07-attacks": "refused after 8.0 hours",
    "08-races": "{'overwriting': 1, 'memory': 30, 'SQLite': 30}",
    "09-scaling-out": "{'user': 'Ada', 'cart': ['tea', 'milk']}",
    "exercises/01-cookies": "0 of 3 passed",
    "exercises/02-signing": "0 of 3 passed",
    "exercises/03-stores": "0 of 3 passed",
    "exercises/04-sessions": "0 of 3 passed",
    "exercises/05-decisions": "0 of 3 passed",
    "exercises/06-middleware": "0 of 3 passed",
    "exercises/07-attacks": "0 of 3 passed",
    "exercises/08-races": "0 of 4 passed",
}
THEMES = {"light": "JupyterLab Light", "dark": "JupyterLab Dark"}
SETTINGS = {
    "@jupyterlab/apputils-extension/notification": {"fetchNews": "false"},
    "@jupyterlab/notebook-extension/tracker": {"windowingMode": "none"},
}
# Playwright polls these; each is true when its time has come.
READY = """() => {
    const panel = window.jupyterapp?.shell.currentWidget;
    const context = panel?.sessionContext;
    return context?.isReady && context.session?.kernel?.status === 'idle';
}"""
RAN = """() => {
    const panel = window.jupyterapp.shell.currentWidget;
    const cells = [...panel.content.model.cells].filter(cell => cell.type === 'code');
    return cells.every(cell => cell.executionCount) &&
        panel.sessionContext.session.kernel.status === 'idle';
}"""
OUTPUTS = """() => [...window.jupyterapp.shell.currentWidget.content.model.cells]
    .filter(cell => cell.type === 'code').flatMap(cell => cell.toJSON().outputs)"""
TO_THE_TOP = """async () => {
    document.querySelector('.jp-WindowedPanel-outer').scrollTop = 0;
    for (let frame = 0; frame < 10; frame++) await new Promise(requestAnimationFrame);
}"""
HEIGHT = "() => document.querySelector('.jp-WindowedPanel-viewport').scrollHeight"


def copy_without_outputs(path, folder):
    notebook = nbformat.read(path, as_version=4)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    copy = folder / path.relative_to(NOTEBOOKS)
    copy.parent.mkdir(exist_ok=True)
    nbformat.write(notebook, copy)


def name_of(path):
    return path.relative_to(NOTEBOOKS).with_suffix("").as_posix()


def write_settings(folder, theme):
    themes = {"@jupyterlab/apputils-extension/themes": {"theme": THEMES[theme]}}
    for name, values in {**SETTINGS, **themes}.items():
        file = folder / f"{name}.jupyterlab-settings"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(values))


@pytest.fixture(scope="module", params=THEMES)
def theme(request):
    return request.param


@pytest.fixture(scope="module")
def lab(tmp_path_factory, theme):
    """The address of a JupyterLab that knows nothing of this machine's own."""
    tmp_path = tmp_path_factory.mktemp(theme)
    notebooks = tmp_path / "notebooks"
    notebooks.mkdir()
    for path in all_notebooks():
        copy_without_outputs(path, notebooks)
    settings = tmp_path / "settings"
    write_settings(settings, theme)
    folders = {
        f"JUPYTER_{kind}_DIR": str(tmp_path / kind) for kind in ("CONFIG", "DATA", "RUNTIME")
    }
    command = [sys.executable, "-m", "jupyterlab", "--no-browser", "--expose-app-in-browser"]
    command += ["--ip=127.0.0.1", "--port=0", "--ServerApp.allow_root=True"]
    process = subprocess.Popen(
        [*command, f"--LabApp.user_settings_dir={settings}", f"--notebook-dir={notebooks}"],
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
        env={**os.environ, **folders, "HOME": str(tmp_path), "NO_PROXY": "127.0.0.1"},
    )
    log = process.stderr
    # Its log is read to the end: a pipe that is full would stop it.
    reader = threading.Thread(target=log.read, daemon=True)
    try:
        found = (re.search(r"http://127\.0\.0\.1:\d+/lab\?token=\w+", line) for line in log)
        address = next(match[0] for match in found if match)
        reader.start()
        yield address
    finally:
        process.terminate()
        process.wait(timeout=30)
        if reader.ident:
            reader.join(timeout=30)
        log.close()


@pytest.fixture(scope="module")
def browser():
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def page(browser):
    """A page that shares nothing with those before it; ``new_page`` makes a profile of its own."""
    page = browser.new_page(viewport={"width": 1250, "height": 1000})
    yield page
    page.close()


@pytest.mark.parametrize("path", all_notebooks(), ids=name_of)
def test_a_notebook_runs_in_jupyterlab(path, theme, lab, page, pytestconfig):
    # A workspace of its own, or the notebook that was open before opens again in front of it.
    workspace = name_of(path).replace("/", "-")
    page.goto(lab.replace("/lab?", f"/lab/workspaces/{workspace}/tree/{name_of(path)}.ipynb?"))
    page.wait_for_function(READY, timeout=60_000)
    page.evaluate("() => window.jupyterapp.commands.execute('notebook:run-all-cells')")
    page.wait_for_function(RAN, timeout=120_000)
    outputs = page.evaluate(OUTPUTS)
    assert not [output for output in outputs if output["output_type"] == "error"]
    assert page.locator(".jp-OutputArea-output", has_text=KEY_LINES[name_of(path)]).count()
    if folder := pytestconfig.getoption("--screenshots"):
        page.evaluate("() => window.jupyterapp.commands.execute('application:toggle-left-area')")
        page.set_viewport_size({"width": 1250, "height": page.evaluate(HEIGHT) + 120})
        page.evaluate(TO_THE_TOP)
        page.screenshot(path=f"{folder}/{workspace}-{theme}.png")
