"""The quickstart's application, as it stands there and with pages for a browser; and the shop."""

from html import escape
from typing import Any

from bottle import Bottle, redirect, request, response

from ..stores import Store
from .displays import anatomy, contents
from .table import Display

_PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<meta name="color-scheme" content="light dark">
<title>sessionlab</title>
<body style="font-family: system-ui, sans-serif; line-height: 1.5; max-width: 60rem;
             margin: 2rem auto; padding: 0 1rem">
<h1>One browser, one session</h1>
<p><strong>{said}</strong></p>
<form action="/store" method="post">
  <label>Name <input name="name" value="John Doe" required maxlength="100"></label>
  <button>Store</button>
</form>
<form action="/retrieve"><button>Retrieve</button></form>
<form action="/logout" method="post"><button>Log out</button></form>
{displays}
<p>A second browser, or a private window, has another session. To see the headers, open this
browser's developer tools (F12), network, and reload.</p>
"""


def demo_app() -> Bottle:
    """Return the quickstart's application: store, retrieve, log out."""
    app = Bottle()

    @app.post("/session")
    def store() -> str:
        request.session["my_data"] = {"name": "John Doe"}
        return "Session data stored"

    @app.get("/session")
    def retrieve() -> str:
        my_data = request.session.get("my_data")
        if my_data is None:
            response.status = 404
            return "Nothing is stored in this session"
        return f"Retrieved data: {my_data['name']}"

    @app.post("/logout")
    def log_out() -> str:
        request.session.destroy()
        return "Logged out"

    return app


def shop_app() -> Bottle:
    """Return the shop that ``serve_express`` runs in Express: the same routes, in Bottle."""
    app = Bottle()

    def field(name: str) -> Any:
        return request.json[name] if request.json else request.forms.getunicode(name)

    @app.post("/login")
    def log_in() -> dict[str, Any]:
        request.session.regenerate()
        request.session["user"] = field("name")
        return {"user": request.session["user"]}

    @app.get("/whoami")
    def who_am_i() -> dict[str, Any]:
        return {"user": request.session.get("user"), "cart": request.session.get("cart", [])}

    @app.get("/cart")
    def look() -> dict[str, Any]:
        return {"cart": request.session.get("cart", [])}

    @app.post("/cart")
    def add() -> dict[str, Any]:
        request.session.setdefault("cart", []).append(field("item"))
        return {"cart": request.session["cart"]}

    @app.post("/logout")
    def log_out() -> dict[str, Any]:
        request.session.destroy()
        return {"user": None}

    return app


def pages(store: Store) -> Bottle:
    """Return an application that does the same with forms and shows what its visitor's session is.

    ``store`` is the one that the middleware around it uses.
    """
    app = Bottle()

    @app.get("/")
    def show() -> str:
        return _page("Nothing was asked for yet.", store)

    @app.post("/store")
    def keep() -> None:
        request.session["my_data"] = {"name": request.forms.name[:100]}
        redirect("/", 303)

    @app.get("/retrieve")
    def retrieve() -> str:
        my_data = request.session.get("my_data")
        if my_data is None:
            return _page("Nothing is stored in this session.", store)
        return _page(f"Retrieved data: {my_data['name']}", store)

    @app.post("/logout")
    def log_out() -> None:
        request.session.destroy()
        redirect("/", 303)

    return app


def _page(said: str, store: Store) -> str:
    # Of all sessions only the visitor's own: a store is nobody else's to read.
    session, own = request.session, {}
    record = None if session.is_new else store.get(session.id)
    if record is not None:
        own[session.id] = record
    displays: list[Display] = [contents(own)]
    if not session.is_new:
        displays.insert(0, anatomy(request.get_header("Cookie", "")))
    shown = "".join(display._repr_mimebundle_()["text/html"] for display in displays)
    return _PAGE.format(said=escape(said), displays=shown)
