"""What learners get wrong in chapter 7."""

from trial import wrong

NAME = "connect.sid"

PLANTED = "a cookie named connect.sid is planted in Ada's browser"
LOGS_IN = "Ada logs in, and does so after that"
KNOWN = "what was planted is a session that the bank itself has opened"
SEES = "Mallory sees Ada's account"
REFUSED = "a bank that calls regenerate at each login is not open to it"


@wrong("fix_session", PLANTED)
def mallory_just_looks(ada, mallory):
    ada.log_in()
    return mallory.get("/account").text


@wrong("fix_session", PLANTED)
def a_password_guessed(ada, mallory):
    mallory.post("/login", data={"user": "ada", "password": "1234"})
    return mallory.get("/account").text


@wrong("fix_session", PLANTED)
def another_name(ada, mallory):
    mallory.get("/")
    ada.plant("sid", mallory.cookies[NAME])
    ada.log_in()
    return mallory.get("/account").text


@wrong("fix_session", PLANTED, error=True)
def a_cookie_before_any_visit(ada, mallory):
    ada.plant(NAME, mallory.cookies[NAME])
    ada.log_in()
    return mallory.get("/account").text


@wrong("fix_session", PLANTED)
def adas_own_cookie_taken(ada, mallory):
    ada.log_in()
    mallory.cookies.update(ada.browser.cookies)
    return mallory.get("/account").text


@wrong("fix_session", LOGS_IN)
def nobody_logs_in(ada, mallory):
    mallory.get("/")
    ada.plant(NAME, mallory.cookies[NAME])
    return mallory.get("/account").text


@wrong("fix_session", LOGS_IN)
def planted_too_late(ada, mallory):
    mallory.get("/")
    ada.log_in()
    ada.plant(NAME, mallory.cookies[NAME])
    return mallory.get("/account").text


@wrong("fix_session", KNOWN)
def an_invented_id(ada, mallory):
    mallory.cookies.set(NAME, "mallorys-choice")
    ada.plant(NAME, "mallorys-choice")
    ada.log_in()
    return mallory.get("/account").text


@wrong("fix_session", KNOWN)
def an_id_without_its_signature(ada, mallory):
    mallory.get("/")
    ada.plant(NAME, mallory.cookies[NAME].partition(".")[0])
    ada.log_in()
    return mallory.get("/account").text


@wrong("fix_session", SEES)
def mallory_comes_too_early(ada, mallory):
    mallory.get("/")
    ada.plant(NAME, mallory.cookies[NAME])
    page = mallory.get("/account").text
    ada.log_in()
    return page


@wrong("fix_session", SEES)
def nothing_returned(ada, mallory):
    mallory.get("/")
    ada.plant(NAME, mallory.cookies[NAME])
    ada.log_in()
    mallory.get("/account")


@wrong("fix_session", SEES)
def the_answer_for_its_text(ada, mallory):
    mallory.get("/")
    ada.plant(NAME, mallory.cookies[NAME])
    ada.log_in()
    return mallory.get("/account")


@wrong("fix_session", SEES)
def with_another_cookie(ada, mallory):
    mallory.get("/")
    ada.plant(NAME, mallory.cookies[NAME])
    ada.log_in()
    mallory.cookies.clear()
    mallory.get("/")
    return mallory.get("/account").text


@wrong("fix_session", REFUSED)
def adas_own_look(ada, mallory):
    mallory.get("/")
    ada.plant(NAME, mallory.cookies[NAME])
    ada.log_in()
    return ada.browser.get("/account").text


@wrong("fix_session", REFUSED)
def theft(ada, mallory):
    mallory.get("/")
    ada.plant(NAME, mallory.cookies[NAME])
    ada.log_in()
    mallory.cookies.update(ada.browser.cookies)
    return mallory.get("/account").text


NAMED = "it sets a cookie named connect.sid"
CROSSES = "the bank gets it, which is another host than the blog"
REACHES = "it is sent to /account"
IN_FRONT = "it stands before Ada's own"
IN_MALLORYS = "Ada is in Mallory's account, and does not know"


@wrong("toss_cookie", NAMED)
def the_headers_name_in_it(mallorys):
    return f"Set-Cookie: connect.sid={mallorys}; Domain=bank.example; Path=/account"


@wrong("toss_cookie", NAMED)
def another_cookies_name(mallorys):
    return f"sid={mallorys}; Domain=bank.example; Path=/account"


@wrong("toss_cookie", NAMED)
def a_tuple(mallorys):
    return NAME, mallorys


@wrong("toss_cookie", CROSSES)
def no_domain(mallorys):
    return f"connect.sid={mallorys}; Path=/account"


@wrong("toss_cookie", CROSSES)
def the_blogs_own_domain(mallorys):
    return f"connect.sid={mallorys}; Domain=blog.bank.example; Path=/account"


@wrong("toss_cookie", CROSSES)
def a_host_beside_it(mallorys):
    return f"connect.sid={mallorys}; Domain=www.bank.example; Path=/account"


@wrong("toss_cookie", CROSSES)
def a_domain_too_wide(mallorys):
    return f"connect.sid={mallorys}; Domain=example; Path=/account"


@wrong("toss_cookie", CROSSES)
def over_at_once(mallorys):
    return f"connect.sid={mallorys}; Domain=bank.example; Path=/account; Max-Age=0"


@wrong("toss_cookie", CROSSES)
def separated_by_commas(mallorys):
    return f"connect.sid={mallorys}, Domain=bank.example, Path=/account"


@wrong("toss_cookie", REACHES)
def a_slash_at_the_end(mallorys):
    return f"connect.sid={mallorys}; Domain=bank.example; Path=/account/"


@wrong("toss_cookie", REACHES)
def the_page_of_the_login(mallorys):
    return f"connect.sid={mallorys}; Domain=bank.example; Path=/login"


@wrong("toss_cookie", IN_FRONT)
def no_path(mallorys):
    return f"connect.sid={mallorys}; Domain=bank.example"


@wrong("toss_cookie", IN_FRONT)
def the_same_path(mallorys):
    return f"connect.sid={mallorys}; Domain=bank.example; Path=/"


@wrong("toss_cookie", IN_FRONT)
def a_path_without_its_slash(mallorys):
    return f"connect.sid={mallorys}; Domain=bank.example; Path=account"


@wrong("toss_cookie", IN_MALLORYS)
def logged_out_alone(mallorys):
    return "connect.sid=anything; Domain=bank.example; Path=/account"


@wrong("toss_cookie", IN_MALLORYS)
def one_value_for_all(mallorys):
    return "connect.sid=mallorys-session; Domain=bank.example; Path=/account"


@wrong("toss_cookie", IN_MALLORYS)
def marked_as_signed(mallorys):
    return f"connect.sid=s:{mallorys}; Domain=bank.example; Path=/account"


CLOSED = "a copy of the cookie does not open the account any more"
NOTHING_LEFT = "nor does it show anything else of the session"
RECORD_GONE = "the store has no record under the old id"
COOKIE_GONE = "Ada's browser is left without a session cookie"
TWICE = "a second click on logout is answered as the first was"


@wrong("log_out", CLOSED)
def an_empty_cookie_in_the_past(session, response):
    response.set_cookie(NAME, "", path="/", expires=0)
    return "Goodbye"


@wrong("log_out", CLOSED)
def each_cookie_deleted(session, response):
    for path in ("/", "/account", "/session"):
        response.delete_cookie(NAME, path=path)
    return "Goodbye"


@wrong("log_out", CLOSED)
def a_cookie_of_a_second(session, response):
    session.cookie.max_age = 1
    session.save()
    response.delete_cookie(NAME, path="/")
    return "Goodbye"


@wrong("log_out", CLOSED, error=True)
def written_after_the_end(session, response):
    session.destroy()
    session["message"] = "Goodbye"
    return session["message"]


@wrong("log_out", NOTHING_LEFT)
def the_user_taken_out(session, response):
    session.pop("user", None)
    response.delete_cookie(NAME, path="/")
    return "Goodbye"


@wrong("log_out", NOTHING_LEFT)
def the_user_taken_out_and_told(session, response):
    if "user" in session:
        del session["user"]
        session["message"] = "Goodbye"
    return "Goodbye"


@wrong("log_out", RECORD_GONE)
def emptied(session, response):
    session.clear()
    response.delete_cookie(NAME, path="/")
    return "Goodbye"


@wrong("log_out", RECORD_GONE)
def each_key_deleted(session, response):
    for key in list(session):
        del session[key]
    session.save()
    return "Goodbye"


@wrong("log_out", COOKIE_GONE)
def a_new_session(session, response):
    session.regenerate()
    return "Goodbye"


@wrong("log_out", COOKIE_GONE)
def a_new_id_and_the_data_kept(session, response):
    session.regenerate(keep_data=True)
    response.delete_cookie(NAME, path="/")
    return "Goodbye"


@wrong("log_out", TWICE, error=True)
def a_user_is_expected(session, response):
    user = session["user"]
    session.destroy()
    return f"Goodbye, {user}"


@wrong("log_out", TWICE)
def who_is_not_logged_in_is_told_off(session, response):
    if "user" not in session:
        response.status = 401
        return "Please log in"
    session.destroy()
    return "Goodbye"


@wrong("log_out", TWICE, error=True)
def the_user_popped(session, response):
    user = session.pop("user")
    session.destroy()
    return f"Goodbye, {user}"
