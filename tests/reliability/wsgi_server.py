"""One request, as a WSGI server makes it: what the tests of the rows ask an application with.

The rules of this file: it holds no bytes back, and says when they go out. What the application
raises before that, a server would answer with 500; here it is raised.
"""

from typing import NamedTuple
from wsgiref.util import setup_testing_defaults

TEXT = [("Content-Type", "text/plain")]


class Answer(NamedTuple):
    status: int
    headers: list
    body: bytes

    def all(self, name):
        return [value for key, value in self.headers if key.lower() == name.lower()]


def ask(app, cookie="", on_bytes=lambda answer: None, **environ):
    """One request. Whenever bytes go out, ``on_bytes`` is called with the answer up to there."""
    environ = {"SCRIPT_NAME": "", "PATH_INFO": "/", "QUERY_STRING": "", **environ}
    setup_testing_defaults(environ)
    if cookie:
        environ["HTTP_COOKIE"] = cookie
    head, chunks = [], []

    def start_response(status, headers, exc_info=None):
        if exc_info and chunks:
            raise exc_info[1]
        assert exc_info or not head, "the response began twice"
        head[:] = [int(status[:3]), headers]
        return send

    def send(chunk):
        if chunk:
            chunks.append(chunk)
            on_bytes(Answer(*head, b"".join(chunks)))

    body = app(environ, start_response)
    try:
        for chunk in body:
            send(chunk)
        assert head, "the response never began"
        if not chunks:
            on_bytes(Answer(*head, b""))  # now the head goes out alone
    finally:
        if hasattr(body, "close"):
            body.close()
    return Answer(*head, b"".join(chunks))
