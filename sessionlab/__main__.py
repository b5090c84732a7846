"""``python -m sessionlab``: the quickstart in a terminal.  Notebook: 00-quickstart."""

import argparse
import secrets
import shutil
import sys
import threading
from pathlib import Path

import requests

from . import MemoryStore, SessionMiddleware
from .lab import Exchange, anatomy, contents, fixed_ids, serve
from .lab.demo import demo_app, pages

_SECRET = "this one is printed on the internet: take another"  # noqa: S105  (signs this run only)
_NOTEBOOK = Path(__file__).parent.parent / "notebooks" / "00-quickstart.ipynb"


def main(arguments: list[str] | None = None) -> int:
    """Run the command; return its exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m sessionlab",
        description="Store something in a session, retrieve it in the next request, and see how.",
    )
    parser.add_argument(
        "--serve", action="store_true", help="keep the demo running for a browser, until Ctrl-C"
    )
    parser.add_argument("--port", type=_port, default=8000, help="of --serve on 127.0.0.1 (8000)")
    options = parser.parse_args(arguments)
    return keep_serving(options.port) if options.serve else converse()


def converse() -> int:
    """Print a conversation between a browser and a server, up to what it was all about."""
    # The ids are the same each time, so that this text can be compared with the one in the README.
    application = SessionMiddleware(demo_app(), secret=_SECRET, genid=fixed_ids("quickstart"))
    with serve(application, "conversation") as server, requests.Session() as browser:
        print("A Bottle server runs on 127.0.0.1, and a browser (requests) asks it twice.\n")
        browser.post(server.url + "/session", timeout=10)
        print_exchange(server.last)
        print("\nThe browser keeps the cookie. Taken apart:\n")
        print(anatomy(server.last.set_cookies[0], _SECRET))
        print("\nThe server keeps the data:\n")
        print(contents(application.store))
        print("\nThe next request brings the cookie back:\n")
        answer = browser.get(server.url + "/session", timeout=10)
        print_exchange(server.last)
        print(f"\n{answer.text}\n")
    print(how_to_open_the_notebooks())
    return 0


def print_exchange(exchange: Exchange) -> None:
    """Print a request and its response with the headers that matter, as ``curl -v`` does."""
    print(f"> {exchange.method} {exchange.path}")
    if exchange.cookie:
        print(f"> Cookie: {exchange.cookie}")
    print(f"< {exchange.status}")
    for text in exchange.set_cookies:
        print(f"< Set-Cookie: {text}")
    print(f"< Vary: {exchange.vary}\n<\n< {exchange.body}")


def how_to_open_the_notebooks() -> str:
    """Return the command that opens them here, or how to get there."""
    jupyter = shutil.which("jupyter", path=str(Path(sys.executable).parent))
    if not _NOTEBOOK.exists():
        return "The notebooks are in the project's repository; see its README."
    if jupyter is None:
        return "For the notebooks, install them first: pip install -e '.[notebooks]'"
    here = [_from_here(Path(jupyter)), _from_here(_NOTEBOOK)]
    return f"Now read how it works. Open the notebooks with:\n\n    {here[0]} lab {here[1]}"


def _from_here(path: Path) -> Path:
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path


def keep_serving(port: int) -> int:
    """Serve the demo's pages until Ctrl-C; return the exit status."""
    store = MemoryStore()
    application = SessionMiddleware(pages(store), secret=secrets.token_hex(32), store=store)
    try:
        server = serve(application, "demo", port=port)
    except OSError as error:
        print(
            f"Can't listen on 127.0.0.1:{port} ({error.strerror}); try another --port.",
            file=sys.stderr,
        )
        return 1
    print(f"Open {server.url}/ in a browser. Ctrl-C ends it.", flush=True)
    try:
        threading.Event().wait()
    except KeyboardInterrupt:
        print("\nEnded.")
    finally:
        server.stop()
    return 0


def _port(text: str) -> int:
    if not text.isdecimal() or int(text) > 65535:
        raise argparse.ArgumentTypeError(f"{text!r} is no port: write a number from 0 to 65535")
    return int(text)


if __name__ == "__main__":
    sys.exit(main())
