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

import nbformat
import pytest
from refresh_notebooks import all_notebooks

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium")

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="there is no chromium"),
]

KEY_LINES = {
    "00-quickstart": "Retrieved data: John Doe",
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
    nbformat.write(notebook, folder / path.name)


def write_settings(folder, theme):
    themes = {"@jupyterlab/apputils-extension/themes": {"theme": THEMES[theme]}}
    for name, values in {**SETTINGS, **themes}.items():
        file = folder / f"{name}.jupyterlab-settings"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(values))


@pytest.fixture(params=THEMES)
def theme(request):
    return request.param


@pytest.fixture
def lab(tmp_path, theme):
    """The address of a JupyterLab that knows nothing of this machine's own."""
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
    try:
        found = (
            re.search(r"http://127\.0\.0\.1:\d+/lab\?token=\w+", line) for line in process.stderr
        )
        yield next(match[0] for match in found if match)
    finally:
        process.terminate()
        process.communicate(timeout=30)


@pytest.fixture
def page():
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser.new_page(viewport={"width": 1250, "height": 1000})
        browser.close()


@pytest.mark.parametrize("path", all_notebooks(), ids=lambda path: path.stem)
def test_a_notebook_runs_in_jupyterlab(path, theme, lab, page, pytestconfig):
    page.goto(lab.replace("/lab?", f"/lab/tree/{path.name}?"))
    page.wait_for_function(READY, timeout=60_000)
    page.evaluate("() => window.jupyterapp.commands.execute('notebook:run-all-cells')")
    page.wait_for_function(RAN, timeout=120_000)
    outputs = page.evaluate(OUTPUTS)
    assert not [output for output in outputs if output["output_type"] == "error"]
    assert page.locator(".jp-OutputArea-output", has_text=KEY_LINES[path.stem]).count()
    if folder := pytestconfig.getoption("--screenshots"):
        page.evaluate("() => window.jupyterapp.commands.execute('application:toggle-left-area')")
        page.set_viewport_size({"width": 1250, "height": page.evaluate(HEIGHT) + 120})
        page.evaluate(TO_THE_TOP)
        page.screenshot(path=f"{folder}/{path.stem}-{theme}.png")
