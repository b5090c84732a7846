"""The shop in processes of its own."""

import subprocess
import sys

import pytest
import requests
from valkey_server import wait_until

from sessionlab.lab import serve_shop
from sessionlab.lab.process import open_store
from sessionlab.stores.redis import RedisStore


def log_in(url, name="Ada"):
    return requests.post(url + "/login", data={"name": name}, timeout=10)


def who(url, cookies):
    return requests.get(url + "/whoami", cookies=cookies, timeout=10).json()["user"]


def test_processes_with_one_file_share_their_sessions(tmp_path):
    path = str(tmp_path / "sessions.db")
    one, two = serve_shop(path, "tested one"), serve_shop(path, "tested two")
    cookies = log_in(one.url).cookies
    assert who(two.url, cookies) == who(one.url, cookies) == "Ada"
    one.stop(), two.stop()


def test_memory_is_a_process_s_own():
    one, two = serve_shop("memory", "tested one"), serve_shop("memory", "tested two")
    cookies = log_in(one.url).cookies
    assert who(one.url, cookies) == "Ada"
    assert who(two.url, cookies) is None
    one.stop(), two.stop()


def test_a_second_of_the_same_name_ends_the_first():
    first = serve_shop("memory", "tested one")
    assert repr(first) == "<Process 'tested one': running>"
    second = serve_shop("memory", "tested one")
    assert repr(first) == "<Process 'tested one': stopped>"
    second.stop(), second.stop()


def test_one_that_can_not_start_says_why(tmp_path):
    broken = serve_shop(str(tmp_path / "nowhere" / "sessions.db"), "tested one")
    with pytest.raises(RuntimeError, match=r"the shop can't start: .*there is no folder"):
        _ = broken.url


def test_it_ends_with_a_process_that_was_killed():
    code = "from sessionlab.lab import serve_shop; p = serve_shop('memory', 'x'); print(p.url, "
    command = [sys.executable, "-c", f"{code}p._process.pid, flush=True); input()"]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as parent:
        url = parent.stdout.readline().split()[0]
        assert log_in(url).status_code == 200
        parent.kill()

    def is_gone():
        try:
            return not log_in(url)
        except requests.ConnectionError:
            return True

    wait_until(is_gone, "gone")


def test_a_text_names_a_store():
    assert isinstance(open_store("redis://127.0.0.1:1/0"), RedisStore)
