"""What learners get wrong in chapter 6."""

from contextlib import suppress
from threading import Thread

from trial import wrong

from sessionlab import (
    BadSignature,
    MemoryStore,
    Session,
    SessionMiddleware,
    SessionSettings,
    StoreError,
    format_set_cookie,
    parse_cookies,
    sign,
    unsign,
)

IN_ENVIRON = 'the application finds a Session in environ["sessionlab.session"]'
NEXT_REQUEST = "what is written is there in the next request, and what is deleted is not"
WHOLE = "the application's answer comes through whole, its own Set-Cookie included"
STRANGER = "a stranger who writes nothing gets no cookie and leaves no record"
FORGED = "a forged id opens nothing, and an unknown one is never adopted"
STORED_FIRST = "the session is stored before the first byte goes out"
FAILING = "a store that fails is no success"


def cookie_of(session, secret):
    return "Set-Cookie", format_set_cookie("connect.sid", "s:" + sign(session.id, secret))


class Good:
    """A right one; what follows changes a part of it."""

    def __init__(self, app, secret, store):
        self.app, self.secret, self.store = app, secret, store

    def __call__(self, environ, start_response):
        session = self.load(environ)
        environ["sessionlab.session"] = session
        answer = []

        def start(status, headers, exc_info=None):
            answer[:] = status, headers

        body = list(self.app(environ, start))
        self.end(session, start_response, *answer)
        return body

    def load(self, environ):
        session_id = self.id_of(dict(parse_cookies(environ.get("HTTP_COOKIE", ""))))
        session = Session.load(self.store, session_id) if session_id else None
        return Session(self.store) if session is None else session

    def id_of(self, cookies):
        with suppress(BadSignature):
            return unsign(cookies.get("connect.sid", "").removeprefix("s:"), self.secret)

    def is_due(self, session):
        return session.changes().is_modified

    def end(self, session, start_response, status, headers):
        if self.is_due(session):
            session.save()
            if session.is_new:
                headers = [*headers, cookie_of(session, self.secret)]
        start_response(status, headers)


@wrong("SmallMiddleware", IN_ENVIRON)
class NothingInTheEnviron(Good):
    def __call__(self, environ, start_response):
        return self.app(environ, start_response)


@wrong("SmallMiddleware", IN_ENVIRON)
class ADict(Good):
    def __call__(self, environ, start_response):
        environ["sessionlab.session"] = {}
        return self.app(environ, start_response)


@wrong("SmallMiddleware", IN_ENVIRON)
class InACopy(Good):
    def __call__(self, environ, start_response):
        copy = dict(environ)
        copy["sessionlab.session"] = Session(self.store)
        return self.app(environ, start_response)


@wrong("SmallMiddleware", IN_ENVIRON)
class TheBodyReadTwiceHere(Good):
    def __call__(self, environ, start_response):
        body = iter(super().__call__(environ, start_response))
        list(body)
        return body


@wrong("SmallMiddleware", NEXT_REQUEST)
class NotSaved(Good):
    def end(self, session, start_response, status, headers):
        if session.is_new and session.changes().is_modified:
            headers = [*headers, cookie_of(session, self.secret)]
        start_response(status, headers)


@wrong("SmallMiddleware", NEXT_REQUEST)
class NoCookie(Good):
    def end(self, session, start_response, status, headers):
        if session.changes().is_modified:
            session.save()
        start_response(status, headers)


@wrong("SmallMiddleware", NEXT_REQUEST)
class SavedWhileItHoldsSomething(Good):
    def is_due(self, session):
        return bool(session) and session.changes().is_modified


@wrong("SmallMiddleware", NEXT_REQUEST)
class AStoreOfItsOwn(Good):
    def __init__(self, app, secret, store):
        super().__init__(app, secret, store or MemoryStore())


@wrong("SmallMiddleware", NEXT_REQUEST)
class WithoutTheMark(Good):
    def id_of(self, cookies):
        with suppress(BadSignature):
            return unsign(cookies.get("connect.sid", ""), self.secret)

    def end(self, session, start_response, status, headers):
        if session.changes().is_modified:
            session.save()
            text = format_set_cookie("connect.sid", sign(session.id, self.secret))
            headers = [*headers, ("Set-Cookie", text)]
        start_response(status, headers)


@wrong("SmallMiddleware", NEXT_REQUEST)
class NewOnesAlone(Good):
    def is_due(self, session):
        return session.is_new and session.changes().is_modified


@wrong("SmallMiddleware", WHOLE)
class ADictOfHeaders(Good):
    def end(self, session, start_response, status, headers):
        super().end(session, start_response, status, list(dict(headers).items()))


@wrong("SmallMiddleware", WHOLE)
class OneSetCookieAlone(Good):
    def end(self, session, start_response, status, headers):
        if session.changes().is_modified and session.is_new:
            headers = [pair for pair in headers if pair[0] != "Set-Cookie"]
        super().end(session, start_response, status, headers)


@wrong("SmallMiddleware", WHOLE)
class AlwaysOk(Good):
    def end(self, session, start_response, status, headers):
        super().end(session, start_response, "200 OK", headers)


@wrong("SmallMiddleware", STRANGER)
class EverybodyIsSaved(Good):
    def is_due(self, session):
        return True


@wrong("SmallMiddleware", STRANGER)
class ACookieForEverybody(Good):
    def end(self, session, start_response, status, headers):
        if session.changes().is_modified:
            session.save()
        if session.is_new:
            headers = [*headers, cookie_of(session, self.secret)]
        start_response(status, headers)


@wrong("SmallMiddleware", FORGED)
class NotVerified(Good):
    def id_of(self, cookies):
        return cookies.get("connect.sid", "").removeprefix("s:").rpartition(".")[0]


@wrong("SmallMiddleware", FORGED)
class UnsignedIsTakenAsItIs(Good):
    def id_of(self, cookies):
        value = cookies.get("connect.sid", "").removeprefix("s:")
        return (super().id_of(cookies) or "") if "." in value else value


@wrong("SmallMiddleware", FORGED, error=True)
class BadSignatureIsAnError(Good):
    def id_of(self, cookies):
        value = cookies.get("connect.sid")
        return value is not None and unsign(value.removeprefix("s:"), self.secret)


@wrong("SmallMiddleware", FORGED)
class UnknownIsAdopted(Good):
    def load(self, environ):
        session_id = self.id_of(dict(parse_cookies(environ.get("HTTP_COOKIE", ""))))
        if not session_id:
            return Session(self.store)
        session = Session.load(self.store, session_id)
        settings = SessionSettings(genid=lambda: session_id)
        return Session(self.store, settings) if session is None else session


class TellsFirst(Good):
    def __call__(self, environ, start_response):
        session = self.load(environ)
        environ["sessionlab.session"] = session

        def start(status, headers, exc_info=None):
            if session.is_new and session.changes().is_modified:
                headers = [*headers, cookie_of(session, self.secret)]
            return start_response(status, headers)

        return self.saved_after(session, self.app(environ, start))


@wrong("SmallMiddleware", STORED_FIRST)
class SavedAfterTheBody(TellsFirst):
    def saved_after(self, session, body):
        yield from body
        if session.changes().is_modified:
            session.save()


@wrong("SmallMiddleware", STORED_FIRST)
class SavedFinally(TellsFirst):
    def saved_after(self, session, body):
        try:
            yield from body
        finally:
            if session.changes().is_modified:
                session.save()


class SavesAtClose(list):
    def close(self):
        if self.session.changes().is_modified:
            self.session.save()


@wrong("SmallMiddleware", STORED_FIRST)
class SavedAtClose(TellsFirst):
    def saved_after(self, session, body):
        closing = SavesAtClose(body)
        closing.session = session
        return closing


@wrong("SmallMiddleware", FAILING)
class SilentFailure(Good):
    def end(self, session, start_response, status, headers):
        if session.changes().is_modified:
            with suppress(StoreError):
                session.save()
            if session.is_new:
                headers = [*headers, cookie_of(session, self.secret)]
        start_response(status, headers)


@wrong("SmallMiddleware", FAILING)
class FailureWithoutACookie(Good):
    def end(self, session, start_response, status, headers):
        try:
            super().end(session, start_response, status, headers)
        except StoreError:
            start_response(status, headers)


@wrong("SmallMiddleware", FAILING)
class ARedirectToTheLogin(Good):
    def end(self, session, start_response, status, headers):
        try:
            super().end(session, start_response, status, headers)
        except StoreError:
            start_response("302 Found", [("Location", "/login")])


PAGE_AFTER = "the page after the login knows who came, however slow the store is"
LOGIN_FAILS = "a login that can't be stored is told as a failure"
NO_COOKIE = "and it comes without a cookie"
STILL_WHOLE = "the answer comes through whole"
STILL_SPARING = "who only reads costs the store nothing, and a stranger gets no cookie, as before"


class Mended(SessionMiddleware):
    """A right one; what follows changes a part of it."""

    def __call__(self, environ, start_response):
        session, _ = self.load(environ, self.settings)
        environ["sessionlab.session"] = session

        def start(status, headers, exc_info=None):
            return start_response(*self.end(session, status, headers), exc_info)

        return self.app(environ, start)

    def end(self, session, status, headers):
        if session.changes().is_modified:
            session.save()
            headers = self.with_cookie(session, headers)
        return status, headers

    def with_cookie(self, session, headers):
        if session.is_new and session.changes().is_modified:
            return [*headers, cookie_of(session, self.secrets[0])]
        return headers


class Unsaved(Mended):
    def end(self, session, status, headers):
        return status, self.with_cookie(session, headers)

    def __call__(self, environ, start_response):
        return self.then_save(environ, super().__call__(environ, start_response))


@wrong("AnswersFirst", PAGE_AFTER)
class FinallySaved(Unsaved):
    def then_save(self, environ, body):
        try:
            yield from body
        finally:
            if environ["sessionlab.session"].changes().is_modified:
                environ["sessionlab.session"].save()


@wrong("AnswersFirst", PAGE_AFTER)
class SavedWithTheLastPiece(Unsaved):
    def then_save(self, environ, body):
        for chunk in body:
            yield chunk
            if environ["sessionlab.session"].changes().is_modified:
                environ["sessionlab.session"].save()


@wrong("AnswersFirst", PAGE_AFTER)
class ClosedAndThenSaved(Unsaved):
    def then_save(self, environ, body):
        closing = SavesAtClose(body)
        closing.session = environ["sessionlab.session"]
        return closing


@wrong("AnswersFirst", LOGIN_FAILS)
class FailureSwallowed(Mended):
    def end(self, session, status, headers):
        with suppress(StoreError):
            return super().end(session, status, headers)
        return status, headers


@wrong("AnswersFirst", LOGIN_FAILS)
class SavedInAThreadOfItsOwn(Mended):
    def end(self, session, status, headers):
        def save():
            with suppress(StoreError):
                session.save()

        if session.changes().is_modified:
            thread = Thread(target=save)
            thread.start()
            thread.join()
        return status, self.with_cookie(session, headers)


@wrong("AnswersFirst", NO_COOKIE)
class FailureWithACookie(Mended):
    def end(self, session, status, headers):
        headers = self.with_cookie(session, headers)
        try:
            if session.changes().is_modified:
                session.save()
        except StoreError:
            status = "503 Service Unavailable"
        return status, headers


@wrong("AnswersFirst", STILL_WHOLE)
class TheBodyReadTwice(Mended):
    def __call__(self, environ, start_response):
        body = iter(super().__call__(environ, start_response))
        list(body)
        return body


@wrong("AnswersFirst", STILL_WHOLE)
class OkForAll(Mended):
    def end(self, session, status, headers):
        return "200 OK", super().end(session, status, headers)[1]


@wrong("AnswersFirst", STILL_WHOLE)
class HeadersInADict(Mended):
    def end(self, session, status, headers):
        headers = self.with_cookie(session, headers)
        super().end(session, status, headers)
        return status, list(dict(headers).items())


@wrong("AnswersFirst", STILL_SPARING)
class SavedAlways(Mended):
    def end(self, session, status, headers):
        session.save()
        return status, self.with_cookie(session, headers)


@wrong("AnswersFirst", STILL_SPARING)
class CookieAlways(Mended):
    def with_cookie(self, session, headers):
        return [*headers, cookie_of(session, self.secrets[0])]

    def end(self, session, status, headers):
        super().end(session, status, headers)
        return status, self.with_cookie(session, headers)


@wrong("AnswersFirst", STILL_SPARING)
class SavedWhileThereIsData(Mended):
    def end(self, session, status, headers):
        if session:
            session.save()
        return super().end(session, status, headers)


STALE_FIRST = "a cookie whose session has ended does not hide the good one behind it"
FORGED_FIRST = "a forged cookie does not hide the good one, either"
STALE_LAST = "nor does one that comes behind it"
UNKNOWN = "an id that the store does not know is not taken"
OURS_ALONE = "only what bears our name, our mark s: and our signature counts"


def values_of(header):
    values = [value for name, value in parse_cookies(header) if name == "connect.sid"]
    return [value[2:] for value in values if value.startswith("s:")]


def ids_of(header, secret):
    ids = []
    for value in values_of(header):
        with suppress(BadSignature):
            ids.append(unsign(value, secret))
    return ids


@wrong("find_session_id", STALE_FIRST)
def the_first_that_is_signed(header, secret, store):
    ids = ids_of(header, secret)
    return ids[0] if ids and store.get(ids[0]) else None


@wrong("find_session_id", STALE_FIRST)
def none_as_soon_as_one_is_unknown(header, secret, store):
    for session_id in ids_of(header, secret):
        return session_id if store.get(session_id) else None
    return None


@wrong("find_session_id", FORGED_FIRST)
def none_as_soon_as_one_is_forged(header, secret, store):
    for value in values_of(header):
        try:
            session_id = unsign(value, secret)
        except BadSignature:
            return None
        if store.get(session_id):
            return session_id
    return None


@wrong("find_session_id", FORGED_FIRST)
def a_bad_signature_gets_out(header, secret, store):
    for value in values_of(header):
        session_id = unsign(value, secret)
        if store.get(session_id):
            return session_id
    return None


@wrong("find_session_id", STALE_LAST)
def the_last(header, secret, store):
    values = dict(parse_cookies(header))
    value = values.get("connect.sid", "")
    if not value.startswith("s:"):
        return None
    try:
        session_id = unsign(value[2:], secret)
    except BadSignature:
        return None
    return session_id if store.get(session_id) else None


@wrong("find_session_id", STALE_LAST)
def the_last_that_is_signed(header, secret, store):
    ids = ids_of(header, secret)
    return ids[-1] if ids and store.get(ids[-1]) else None


@wrong("find_session_id", UNKNOWN)
def the_first_for_want_of_a_better(header, secret, store):
    ids = ids_of(header, secret)
    known = [session_id for session_id in ids if store.get(session_id)]
    return (known or ids or [None])[0]


@wrong("find_session_id", UNKNOWN)
def empty_text_for_none(header, secret, store):
    known = [session_id for session_id in ids_of(header, secret) if store.get(session_id)]
    return known[0] if known else ""


@wrong("find_session_id", OURS_ALONE)
def of_any_name(header, secret, store):
    for _, value in parse_cookies(header):
        with suppress(BadSignature):
            session_id = unsign(value[2:], secret) if value.startswith("s:") else ""
            if store.get(session_id):
                return session_id
    return None


@wrong("find_session_id", OURS_ALONE)
def without_a_look_at_the_mark(header, secret, store):
    for _, value in parse_cookies(header, only="connect.sid"):
        with suppress(BadSignature):
            session_id = unsign(value.removeprefix("s:"), secret)
            if store.get(session_id):
                return session_id
    return None


@wrong("find_session_id", OURS_ALONE)
def without_a_look_at_the_case(header, secret, store):
    for name, value in parse_cookies(header):
        if name.lower() == "connect.sid" and value.startswith("s:"):
            with suppress(BadSignature):
                session_id = unsign(value[2:], secret)
                if store.get(session_id):
                    return session_id
    return None
