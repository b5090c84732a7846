"""The scenarios that were written by hand, by topic. They are data; `sides.py` says what they mean.

An action is a verb and what it needs, a value as JSON: ``set views 1``, ``append cart "tea"``,
``nest user name "Ada"``, ``delete views``, ``clear``; ``read`` and ``read views`` say what the
handler saw, as ``id``, ``age`` and ``original_age`` do; ``save``, ``reload``, ``touch``,
``destroy``, ``regenerate``; ``max_age 60``, ``expires 60`` (seconds from now), ``attribute path
"/"``; ``status 404``, ``header Name value``, ``send text`` (a piece of the body), ``raise``.
``wait 5`` lets time pass in the handler, ``elsewhere set views 9`` and ``elsewhere destroy`` are
another request at the same time, and ``held set views 1`` writes to the session that the handler
held from its start. Ages are seconds. The ids are 1a, 1b … in the first request, 2a … in the next.
"""

# One scenario a line, so that a topic is read from top to bottom.
# ruff: noqa: E501
# fmt: off

from sides import DEFAULT, OLDER, SECRET, Request, Scenario

TOPICS = {}


def topic(name, *scenarios):
    TOPICS[name] = list(scenarios)


def same(name, /, *requests, records=None, **options):
    """Return a scenario in which both sides do the same."""
    return Scenario(name, list(requests), options, records or {})


def differs(row, name, /, *requests, express=(), here=(), records=None, **options):
    """Return a scenario of a deliberate difference: a row of the README, and the lines of both."""
    return Scenario(name, list(requests), options, records or {}, row, tuple(express), tuple(here))


def get(*actions, **more):
    return Request(actions, **more)


PLAIN = '{"cookie":{"originalMaxAge":null,"expires":null,"secure":false,"httpOnly":true,"path":"/"}'
AGED = (
    '{"cookie":{"originalMaxAge":60000,"expires":"2096-10-02T07:07:40.000Z","secure":false,'
    '"httpOnly":true,"path":"/"}'
)
KNOWN = "connect.sid={sign known}"  # the cookie of a record that was there before

topic(
    "saving",
    same("a visitor whose session nobody wants leaves no trace", get(), get("read")),
    same("a visitor who writes gets a cookie and a record", get("set views 1"), get("read")),
    same("what is only read is touched", get("set views 1"), get("read views")),
    same("what nobody looks at is touched", get("set views 1"), get()),
    same("who reads is answered though the touch fails", get("set views 1"), get("read", failing=("touch",)), get("read")),
    same("a change is stored", get("set views 1"), get("set views 2"), get("read views")),
    same("the same value again is no change", get("set views 1"), get("set views 1")),
    same("an equal list is no change", get("set cart [1]"), get("set cart [1]")),
    same("a change that is taken back is none", get("set a 1"), get("set a 2", "set a 1")),
    same("a change to something nested counts", get("set cart []"), get('append cart "tea"')),
    same("a nested object may grow", get("set user {}"), get('nest user name "Ada"'), get("read")),
    same("a nested key called cookie counts", get("set a {}"), get("nest a cookie 1"), get("read")),
    same("a key that is deleted is gone", get("set a 1", "set b 2"), get("delete a"), get("read")),
    same("to delete what is not there is no change", get("set a 1"), get("delete b")),
    same("to delete and write again moves a key", get("set a 1", "set b 2"), get("delete a", "set a 1")),
    same("clear empties the session and keeps it", get("set a 1"), get("clear"), get("read")),
    same("to clear an empty session is no change", get("clear")),
    same("a new session emptied again is not stored", get("set a 1", "delete a"), get()),
    same("null is a value", get("set a null"), get("read a"), get("set a 0")),
    same("null is not nothing", get("set a null"), get("delete a"), get("read a")),
    same("false is not 0", get("set a 0"), get("set a false"), get("read")),
    same("a number is not its text", get("set a 1"), get('set a "1"')),
    same("an empty text is a value", get('set a ""'), get("read a")),
    same("two visitors have two sessions", get("set a 1"), get("set a 2", cookie="none"), get("read")),
    same("saveUninitialized keeps who writes nothing", get(), get(), save_uninitialized=True),
    same("saveUninitialized keeps who writes", get("set a 1"), get(), save_uninitialized=True),
    same("resave writes what nobody changed", get("set a 1"), get("read"), resave=True),
    same("resave writes what nobody looked at", get("set a 1"), get(), resave=True),
    same("resave keeps no stranger", get(), get("read"), resave=True),
    same("resave writes a change once", get("set a 1"), get("set a 2"), resave=True),
    same("a record lives a day without an age", get("set a 1"), get("read", wait=86399), get("read", wait=86401)),
    same("a record ends a day after its last use", get("set a 1"), get(wait=80000), get("read", wait=80000)),
)

topic(
    "rolling",
    same("rolling sends the cookie each time", get("set a 1"), get(), get("read"), rolling=True),
    same("rolling sends nothing to a stranger", get(), get("read"), rolling=True),
    same("rolling moves the expiry", get("set a 1"), get(wait=30), get(wait=50), rolling=True, max_age=60),
    same("rolling and resave", get("set a 1"), get(), rolling=True, resave=True),
    same("rolling and saveUninitialized", get(), get(), rolling=True, save_uninitialized=True),
    same("all three", get(), get("read"), get("set a 1"), rolling=True, resave=True, save_uninitialized=True),
    same("rolling and a change", get("set a 1"), get("set a 2", wait=9), rolling=True, max_age=60),
    same("rolling after destroy has nothing to send", get("destroy"), get(), rolling=True),
)

topic(
    "age",
    same("an age gives the cookie an expiry", get("set a 1"), max_age=60),
    same("an age is told", get("age", "original_age"), get("set a 1", "age"), max_age=60),
    same("no age is told as none", get("age", "original_age")),
    same("a read does not renew a dated cookie", get("set a 1"), get("read", wait=30), max_age=60),
    same("a change renews a dated cookie", get("set a 1"), get("set a 2", wait=30), max_age=60),
    same("a change does not send a browser-session cookie again", get("set a 1"), get("set a 2")),
    same("what remains of the age shrinks", get("set a 1"), get("age", "original_age", wait=20), max_age=60),
    same("touches keep a session alive", get("set a 1"), get(wait=40, cookie="kept"), get("read", "age", wait=40, cookie="kept"), max_age=60),
    same("an expired cookie is not sent", get("set a 1"), get("read", wait=61), max_age=60),
    same("an expired session is a new one", get("set a 1"), get("read", "set b 2", wait=61, cookie="kept"), max_age=60),
    same("a session ends at its instant", get("set a 1"), get("read", wait=60, cookie="kept"), max_age=60),
    same("a session lives until its instant", get("set a 1"), get("read", wait=59.999, cookie="kept"), max_age=60),
    same("an age of half a second", get("set a 1", "age"), get("age", wait=0.4, cookie="kept"), get("read", wait=0.5, cookie="kept"), max_age=0.5),
    same("an age of a year", get("set a 1"), get("age", wait=1), max_age=31536000),
    same("remember me, in a new session", get('set user "Ada"', "max_age 3600", "age"), get("age", wait=9)),
    same("remember me, with a change", get("set a 1"), get("set a 2", "max_age 3600"), get("age", wait=9)),
    same("forget me, in a new session", get("set a 1", "max_age null", "age"), get("age"), max_age=60),
    same("an expiry may be set instead", get("set a 1", "expires 90", "age"), get("original_age", wait=9)),
    same("no expiry may be set instead", get("set a 1", "expires null"), get("age"), max_age=60),
    same("a session keeps its age under other defaults", get("age", cookie=KNOWN), get("set b 1", cookie=KNOWN), max_age=9, records={"known": AGED + "}"}),
    same("touch renews in a new session", get("age", "wait 5", "age", "touch", "age", "set a 1"), max_age=60),
    same("time in the handler counts from its end", get("set a 1", "wait 5"), get("wait 5", "set a 2"), max_age=60),
    same("time in the handler and a touch", get("set a 1"), get("wait 20", "age"), get("age", wait=50, cookie="kept"), max_age=60),
    same("the same age again is no change", get("set a 1"), get("max_age 60"), max_age=60),
)

topic(
    "the cookie that comes",
    same("another id is refused", get("set a 1"), get("read", cookie="another id")),
    same("another signature is refused", get("set a 1"), get("read", cookie="another signature")),
    same("no signature is refused", get("set a 1"), get("read", cookie="no signature")),
    same("without s: it is not ours", get("set a 1"), get("read", cookie="no s:")),
    same("another server's signature is refused", get("set a 1"), get("read", cookie="another secret")),
    same("a refused cookie and a write make a new session", get("set a 1"), get("set a 2", cookie="another id"), get("read")),
    same("a refused cookie under saveUninitialized", get("set a 1"), get(cookie="another id"), save_uninitialized=True),
    same("an id that the store does not know", get("read", cookie="unknown id")),
    same("an unknown id is never taken over", get("id", "set a 1", cookie="unknown id"), get("read")),
    same("an unknown id under saveUninitialized", get(cookie="unknown id"), save_uninitialized=True),
    same("an unknown id under resave", get(cookie="unknown id"), get("set a 1", cookie="unknown id"), resave=True),
    same("an empty cookie", get("read", cookie="connect.sid="), get("set a 1", cookie="connect.sid=")),
    same("an empty id", get("read", cookie="connect.sid={sign }"), get("set a 1", cookie="connect.sid={sign }")),
    same("s: and nothing else", get("read", cookie="connect.sid=s:")),
    same("no dot", get("read", cookie="connect.sid=s:known")),
    same("a dot and nothing else", get("read", cookie="connect.sid=s:.")),
    same("the last dot splits", get("read", cookie="connect.sid={sign a.b}"), records={"a.b": PLAIN + ',"a":1}'}),
    same("an id of other characters", get("read", cookie="connect.sid={sign a:b/c+d=e}"), records={"a:b/c+d=e": PLAIN + ',"a":1}'}),
    same("quotes around the value", get("set a 1"), get("read", cookie='connect.sid="{jar}"')),
    same("one quote is refused", get("set a 1"), get("read", cookie='connect.sid="{jar}')),
    same("spaces around the value", get("set a 1"), get("read", cookie="connect.sid =  {jar} ; b=2")),
    same("a tab before the name", get("set a 1"), get("read", cookie="\tconnect.sid=\t{jar}")),
    same("an unescaped colon", get("set a 1"), get("read", cookie="connect.sid=s:1a.pT2")),
    same("broken escapes", get("read", cookie="connect.sid=s%3Ax%"), get("read", cookie="connect.sid=s%3A%zz.x")),
    same("escapes that are no UTF-8", get("read", cookie="connect.sid=s%3A%ff.x")),
    same("bytes beyond ASCII", get("read", cookie="connect.sid=s:\xe9.\xff")),
    same("other cookies beside it", get("set a 1"), get("read", cookie="a=1; connect.sid={jar}; b=2")),
    same("odd cookies beside it", get("set a 1"), get("read", cookie=";; =; x; a==; connect.sid={jar}; %")),
    same("a name that only begins like ours", get("set a 1"), get("read", cookie="connect.sid2={jar}; xconnect.sid={jar}")),
    same("the name has its case", get("set a 1"), get("read", cookie="Connect.Sid={jar}")),
    same("the cookie twice", get("set a 1"), get("read", cookie="connect.sid={jar}; connect.sid={jar}")),
    same("the good one first, a stale one second", get("set a 1"), get("read", cookie="connect.sid={jar}; connect.sid={sign stale}")),
    same("the good one first, a forged one second", get("set a 1"), get("read", cookie="connect.sid={jar}; connect.sid=s:stale.x")),
    same("a padded signature is refused", get("set a 1"), get("read", cookie="connect.sid={jar}%3D")),
    same("a signature cut short is refused", get("read", cookie="connect.sid=s%3Aknown.dqZ70"), records={"known": PLAIN + "}"}),
    same("a comma is no separator", get("set a 1"), get("read", cookie="a=1, connect.sid={jar}")),
)

topic(
    "secrets",
    same("one secret in a list", get("set a 1"), get("read"), secret=[SECRET]),
    same("the first secret signs", get("set a 1"), get("read"), secret=[SECRET, OLDER]),
    same("a secret may hold any text", get("set a 1"), get("read"), secret="schlüssel ☕ 🔑, of 32 bytes or more"),
    same("a retired secret with rolling", get("read", cookie="connect.sid={sign older known}"), get("read"), records={"known": PLAIN + ',"a":1}'}, secret=[SECRET, OLDER], rolling=True),
    same("a retired secret and a change of a dated session", get("set a 2", cookie="connect.sid={sign older known}"), get("read"), records={"known": AGED + ',"a":1}'}, secret=[SECRET, OLDER]),
    same("a retired secret and an unknown id", get("read", cookie="connect.sid={sign older known}"), secret=[SECRET, OLDER]),
    same("a secret that was dropped is refused", get("read", cookie="connect.sid={sign older known}"), records={"known": PLAIN + "}"}),
)

topic(
    "the cookie that goes",
    same("another name", get("set a 1"), get("read"), name="sid"),
    same("a name with odd characters", get("set a 1"), get("read"), name="__!#$&'*+^`|~sid"),
    same("a domain", get("set a 1"), domain="example.com"),
    same("a path", get("set a 1", path="/app/x"), get("read", path="/app"), path="/app"),
    same("not HttpOnly", get("set a 1"), get("read"), http_only=False),
    same("SameSite=Strict", get("set a 1"), same_site="strict"),
    same("SameSite=Lax", get("set a 1"), get("set a 2"), same_site="lax"),
    same("SameSite=None", get("set a 1", https=True), same_site="none", secure=True, proxy=True),
    same("each priority", get("set a 1", 'attribute priority "low"'), get("set a 1", 'attribute priority "high"', cookie="none"), priority="medium"),
    same("Partitioned", get("set a 1", https=True), partitioned=True, secure=True, proxy=True),
    same("everything at once", get("set a 1", https=True, path="/app"), get("set a 2", https=True, path="/app"), domain="example.com", path="/app", max_age=60, secure=True, partitioned=True, priority="high", same_site="none", proxy=True),
    same("an attribute of one session alone", get("set a 1", 'attribute path "/app"'), get("set b 1", path="/app"), get("set c 1", cookie="none")),
    same("attributes live with the session", get("set b 2", cookie=KNOWN), records={"known": '{"cookie":{"originalMaxAge":60000,"expires":"2096-10-02T07:07:40.000Z","secure":false,"httpOnly":false,"domain":"old.example","path":"/","sameSite":"strict"},"a":1}'}, domain="new.example"),
    same("the application's own cookie stays", get("header Set-Cookie theme=dark; Path=/", "set a 1"), get("read")),
    same("the application's own cookies without a session", get("header Set-Cookie a=1", "header Set-Cookie b=2"), get()),
    same("the application's own cookie beside rolling", get("set a 1"), get("header Set-Cookie b=2"), rolling=True),
)

topic(
    "secure",
    same("Secure over http: stored, and not sent", get("set a 1"), secure=True),
    same("Secure over https", get("set a 1", https=True), get("read", https=True), secure=True, proxy=True),
    same("https is believed of a proxy alone", get("set a 1", https=True), secure=True, proxy=False),
    same("Secure and rolling over http", get("set a 1", https=True), get(), get(https=True), secure=True, proxy=True, rolling=True),
    same("Secure, for one session", get("set a 1", "attribute secure true", https=True), get("set a 2"), proxy=True, max_age=60),
    same("not Secure, for one session", get("set a 1", "attribute secure false"), secure=True),
    same("saveUninitialized and Secure over http", get(), save_uninitialized=True, secure=True),
    same("secure auto over http", get("set a 1"), get("read"), secure="auto", proxy=True),
    same("secure auto over https", get("set a 1", https=True), get("read", https=True), secure="auto", proxy=True),
    same("SameSite auto over http", get("set a 1"), secure="auto", same_site="auto", proxy=True),
    same("SameSite auto over https", get("set a 1", https=True), secure="auto", same_site="auto", proxy=True),
)

topic(
    "paths",
    same("a path of the application", get("set a 1", path="/app/x?y=1"), get("read", path="/app/"), path="/app"),
    same("outside the path there is no session", get("set a 1", path="/"), get("set a 1", path="/ap"), path="/app"),
    same("a cookie does not help outside the path", get("set a 1", path="/app"), get("read", path="/"), path="/app"),
    same("a path that ends in a slash", get("set a 1", path="/app/"), get("read", path="/app"), path="/app/"),
    same("a path has its case", get("set a 1", path="/APP"), path="/app"),
    same("a path with an escape", get("set a 1", path="/a%20b/c"), path="/a%20b"),
    same("HEAD has a session too", get("set a 1", method="HEAD"), get("read", method="HEAD")),
    same("POST has a session too", get("set a 1", method="POST"), get("read")),
)

topic(
    "regenerate",
    same("a login gets another id", get("set a 1"), get("regenerate", 'set user "Ada"'), get("read", "id")),
    same("a regenerated session is kept although empty", get("set a 1"), get("regenerate"), get("read", "id")),
    same("the old id is dead", get("set a 1"), get("regenerate"), get("read", cookie="first")),
    same("regenerate for a stranger", get("regenerate"), get("read")),
    same("regenerate for a stranger who wrote", get("set a 1", "regenerate", "set b 2"), get("read")),
    same("regenerate twice", get("set a 1"), get("regenerate", "regenerate", "set b 2"), get("read")),
    same("regenerate after save", get("set a 1", "save", "regenerate"), get("read")),
    same("regenerate brings the age back", get("set a 1", "max_age 9"), get("regenerate", "age"), max_age=60),
    same("regenerate and another age", get("set a 1"), get("regenerate", "max_age 9"), max_age=60),
    same("regenerate under rolling", get("set a 1"), get("regenerate"), rolling=True),
    same("regenerate under resave", get("set a 1"), get("regenerate"), resave=True),
    same("regenerate under saveUninitialized", get(), get("regenerate"), save_uninitialized=True),
    same("regenerate after a forged cookie", get("regenerate", cookie="connect.sid=s:x.y"), get("read")),
    same("regenerate after an unknown id", get("regenerate", cookie="unknown id"), get("read")),
    same("regenerate, then destroy", get("regenerate", "destroy")),
    same("regenerate over http with Secure", get("regenerate"), secure=True),
    same("write, and then regenerate, loses it", get("set a 1"), get("set b 2", "regenerate", "set c 3"), get("read")),
)

topic(
    "save",
    same("save, and nothing else", get("save"), get()),
    same("save on an untouched new session stores it and sends no cookie", get("save"), get("read")),
    same("save under saveUninitialized", get("save"), get("read"), save_uninitialized=True),
    same("save after a write", get("set a 1", "save"), get("read")),
    same("save, and then a write", get("save", "set a 1"), get("read")),
    same("a write, save, another write", get("set a 1", "save", "set b 2"), get("read")),
    same("a write, save, and back", get("set a 1", "save", "delete a"), get("read")),
    same("save on what was loaded", get("set a 1"), get("save"), get("read")),
    same("a change and save", get("set a 1"), get("set a 2", "save"), get("read")),
    same("save twice", get("set a 1", "save", "save"), get("save", "save")),
    same("save under resave", get("set a 1"), get("save"), resave=True),
    same("save under rolling", get("set a 1"), get("save"), rolling=True),
    same("change, save and back again", get("set a 1"), get("set a 2", "save", "set a 1"), get("read")),
)

topic(
    "reload",
    same("reload drops what was not saved", get("set a 1"), get("set a 2", "reload", "read")),
    same("reload of what nobody changed", get("set a 1"), get("reload"), get("read")),
    same("reload after save", get("set a 1", "save", "reload", "read"), get("set a 2", "save", "reload")),
    same("reload, and then a write", get("set a 1"), get("reload", "set b 2"), get("read")),
    same("reload under resave", get("set a 1"), get("reload"), resave=True),
    same("reload under rolling", get("set a 1"), get("reload"), rolling=True, max_age=60),
    same("reload brings the age back", get("set a 1"), get("max_age 9", "reload", "age"), max_age=60),
    same("reload brings a nested value back", get("set cart [1]"), get("append cart 2", "reload", "read")),
    same("reload twice", get("set a 1"), get("set a 2", "reload", "set a 3", "reload", "read")),
)

topic(
    "destroy",
    same("destroy for a stranger", get("destroy"), get("read")),
    same("destroy for a stranger who wrote", get("set a 1", "destroy"), get("read")),
    same("destroy after save", get("set a 1", "save", "destroy"), get("read")),
    same("destroy under saveUninitialized", get("destroy"), get(), save_uninitialized=True),
    same("to write after destroy is an error", get("destroy", "set a 1")),
    same("to save after destroy is an error", get("destroy", "save")),
    same("to touch after destroy is an error", get("destroy", "touch")),
    same("to reload after destroy is an error", get("destroy", "reload")),
    same("to destroy and answer in pieces", get("destroy", "send a", "send b")),
)

topic(
    "responses",
    same("another status", get("status 404", "set a 1"), get("read")),
    same("no content", get("status 204", "set a 1"), get("read")),
    same("a redirect", get("set a 1", "status 302", "header Location /"), get("read")),
    same("an error keeps what was written before it", get("set a 1", "raise"), get("read")),
    same("an error in an existing session", get("set a 1"), get("set a 2", "raise"), get("read")),
    same("an error keeps no stranger", get("raise"), get()),
    same("an error after regenerate", get("set a 1"), get("regenerate", "raise"), get("id")),
    same("an answer in pieces", get("set a 1", "send one, ", "send two"), get("read", "send three")),
    same("pieces of a stranger", get("send one, ", "send two"), get()),
    same("a read after the first piece", get("set a 1"), get("send one", "read a")),
    same("a write after the first piece, in a new session: no cookie", get("send one", "set a 1"), get("read")),
    same("pieces under rolling", get("set a 1"), get("send one", "send two"), rolling=True, max_age=60),
    same("pieces under resave", get("set a 1"), get("send one"), resave=True),
    same("pieces under saveUninitialized", get("send one"), get("send two"), save_uninitialized=True),
)

topic(
    "data",
    same("text of all languages", get('set a "Zoë ☕ 😀 שלום"'), get("read a")),
    same("escapes in text", get(r'set a "\" \\ \n \t \u0000 \u001f \u007f \u2028 /"'), get("read a")),
    same("half of a character", get(r'set a "\ud83d"'), get()),
    same("keys in other languages", get('nest a ключ "значение"'), get("read")),
    same("markup", get('set a "<script>&amp;</script>"'), get("read")),
    same("numbers", get("set a [0,-1,1.5,0.1,9007199254740991,-9007199254740991]"), get("read a")),
    same("deep nesting", get('set a {"b":[{"c":{"d":[[[null]]]}}]}'), get("read"), get("nest a e 1")),
    same("empty things", get('set a {"b":{},"c":[],"d":""}'), get("read")),
    same("a key with a dot, and one with a dollar", get("set a.b 1", "set $set 2"), get("read")),
    same("an empty key", get('set a {"":1}'), get("read")),
    same("many keys keep their order", get("set z 1", "set y 2", "set x 3"), get("set w 4"), get("read")),
    same("a long text", get('set a "' + "tea " * 500 + '"'), get("read a")),
    same("a nested object changes its key order", get('set a {"b":1,"c":2}'), get('set a {"c":2,"b":1}')),
)

topic(
    "records of others",
    same("a record without data", get("read", cookie=KNOWN), records={"known": PLAIN + "}"}),
    same("an empty cookie object is enough", get("read", "age", cookie=KNOWN), records={"known": '{"cookie":{},"a":1}'}),
    same("false for nothing", get("read", cookie=KNOWN), records={"known": '{"cookie":{"originalMaxAge":null,"expires":false},"a":1}'}),
    same("members of its own are dropped from the cookie", get("set b 2", cookie=KNOWN), get("read"), records={"known": '{"cookie":{"originalMaxAge":null,"expires":null,"secure":false,"httpOnly":true,"path":"/","hue":"red"},"a":1}'}),
    same("white space in the JSON", get("read", cookie=KNOWN), records={"known": '{ "cookie" : { "path" : "/" } , "a" : [ 1 , 2 ] }\n'}),
    same("escapes that nobody needs", get("read", cookie=KNOWN), records={"known": r'{"cookie":{},"a":"\u0041\/"}'}),
    same("a record that has expired", get("read", cookie=KNOWN, wait=61), records={"known": AGED + ',"a":1}'}),
)


# fmt: on
# The deliberate differences: each row of the README's table.

topic(
    "differences",
    differs(
        "answers before the session is saved; a failed save is still a 200",
        "a save that fails",
        get("set a 1", failing=("set",)),
        express=[
            "1 status: 200",
            "1 Set-Cookie: connect.sid=s%3A1a.dqZ70T…; Path=/; HttpOnly",
        ],
        here=[
            "1 status: 503",
        ],
    ),
    differs(
        "answers before the session is saved; a failed save is still a 200",
        "a write before and after the first piece",
        get("set a 1", "send one", "set a 2"),
        here=[
            '1 store: set 1a, 86400 s: {"cookie":{…},"a":1}',
        ],
    ),
    differs(
        "answers before the session is saved; a failed save is still a 200",
        "a write after the first piece, in a loaded session",
        get("set a 1"),
        get("send one", "set a 2"),
        here=[
            "2 store: touch 1a, 86400 s",
        ],
    ),
    differs(
        "a save overwrites the record",
        "another request changes another key meanwhile",
        get("set a 1"),
        get("set b 2", "elsewhere set c 3"),
        get("read"),
        express=[
            '2 store: set 1a, 86400 s: {"cookie":{…},"a":1,"b":2}',
            '3 saw: read: {"a":1,"b":2}',
        ],
        here=[
            "2 store: set 1a: refused",
            "2 store: get 1a",
            '2 store: set 1a, 86400 s: {"cookie":{…},"a":1,"c":3,"b":2}',
            '3 saw: read: {"a":1,"c":3,"b":2}',
        ],
    ),
    differs(
        "a save overwrites the record",
        "a new visitor gets an id that is in use",
        get("set a 1"),
        records={"1a": PLAIN + ',"user":"Ada"}'},
        express=[
            "1 Set-Cookie: connect.sid=s%3A1a.dqZ70T…; Path=/; HttpOnly",
            '1 store: set 1a, 86400 s: {"cookie":{…},"a":1}',
            "1 holds: 1a, 86400 s: as set",
        ],
        here=[
            "1 Set-Cookie: connect.sid=s%3A1b.RkKrPg…; Path=/; HttpOnly",
            "1 store: set 1a: refused",
            '1 store: set 1b, 86400 s: {"cookie":{…},"a":1}',
            "1 holds: 1a, 86400 s: as before",
            "1 holds: 1b, 86400 s: as set",
        ],
    ),
    differs(
        "a slow request brings a logged-out session back",
        "a logout while another request writes",
        get("set a 1"),
        get("set b 2", "elsewhere destroy"),
        get("read", cookie="kept"),
        express=[
            "2 status: 200",
            '2 store: set 1a, 86400 s: {"cookie":{…},"a":1,"b":2}',
            "2 holds: 1a, 86400 s: as set",
            '3 saw: read: {"a":1,"b":2}',
            "3 store: get 1a",
            "3 store: touch 1a, 86400 s",
            "3 holds: 1a, 86400 s: as before",
        ],
        here=[
            "2 status: 409",
            "2 store: set 1a: refused",
            "2 store: get 1a: none",
            "3 saw: read: {}",
            "3 store: get 1a: none",
        ],
    ),
    differs(
        "a slow request brings a logged-out session back",
        "a logout while another request only reads, under rolling",
        get("set a 1"),
        get("read", "elsewhere destroy"),
        rolling=True,
        express=[
            "2 Set-Cookie: connect.sid=s%3A1a.dqZ70T…; Path=/; HttpOnly",
        ],
    ),
    differs(
        "each read touches the record",
        "three reads, soon, and later",
        get("set a 1"),
        get("read", wait=30),
        get("read", wait=31),
        touch_after=60,
        express=[
            "2 store: touch 1a, 86400 s",
            "2 holds: 1a, 86400 s: as before",
        ],
        here=[
            "2 holds: 1a, 86370 s: as before",
        ],
    ),
    differs(
        "`resave` and `saveUninitialized` are on unless set",
        "saveUninitialized is left out",
        get(),
        save_uninitialized=DEFAULT,
        express=[
            "1 Set-Cookie: connect.sid=s%3A1a.dqZ70T…; Path=/; HttpOnly",
            '1 store: set 1a, 86400 s: {"cookie":{…}}',
            "1 holds: 1a, 86400 s: as set",
        ],
    ),
    differs(
        "`resave` and `saveUninitialized` are on unless set",
        "resave is left out",
        get("set a 1"),
        get("read"),
        resave=DEFAULT,
        express=[
            '2 store: set 1a, 86400 s: {"cookie":{…},"a":1}',
            "2 holds: 1a, 86400 s: as set",
        ],
        here=[
            "2 store: touch 1a, 86400 s",
            "2 holds: 1a, 86400 s: as before",
        ],
    ),
    differs(
        "SameSite is not set",
        "same_site is left out",
        get("set a 1"),
        same_site=DEFAULT,
        express=[
            "1 Set-Cookie: connect.sid=s%3A1a.dqZ70T…; Path=/; HttpOnly",
            '1 store: set 1a, 86400 s: {"cookie":{…},"a":1}',
        ],
        here=[
            "1 Set-Cookie: connect.sid=s%3A1a.dqZ70T…; Path=/; HttpOnly; SameSite=Lax",
            '1 store: set 1a, 86400 s: {"cookie":{…,"sameSite":"lax"},"a":1}',
        ],
    ),
    differs(
        "`secure: 'auto'` is decided when the session is made",
        "a session born on http comes over https",
        get("set a 1"),
        get("read", https=True),
        get("read"),
        secure="auto",
        proxy=True,
        rolling=True,
        express=[
            "2 Set-Cookie: connect.sid=s%3A1a.dqZ70T…; Path=/; HttpOnly",
        ],
        here=[
            "2 Set-Cookie: connect.sid=s%3A1a.dqZ70T…; Path=/; HttpOnly; Secure",
        ],
    ),
    differs(
        "no `Vary`",
        "nobody looks at the session",
        get(),
        here=[
            "1 Vary: Cookie",
        ],
    ),
    differs(
        "no `Vary`",
        "the application varies by something else",
        get("header Vary Accept"),
        express=[
            "1 Vary: Accept",
        ],
        here=[
            "1 Vary: Accept, Cookie",
        ],
    ),
    differs(
        "a shared cache may keep a response that sends the cookie",
        "a visitor who writes, and one who reads",
        get("set a 1"),
        get("read"),
        here=[
            "1 Vary: Cookie",
            "1 Cache-Control: private",
            "2 Vary: Cookie",
        ],
    ),
    differs(
        "a shared cache may keep a response that sends the cookie",
        "an application that speaks to caches",
        get("set a 1", "header Cache-Control max-age=60"),
        express=[
            "1 Cache-Control: max-age=60",
        ],
        here=[
            "1 Vary: Cookie",
            "1 Cache-Control: max-age=60, private",
        ],
    ),
    differs(
        "a shared cache may keep a response that sends the cookie",
        "an application that says it itself",
        get("set a 1", "header Cache-Control no-store"),
        here=[
            "1 Vary: Cookie",
        ],
    ),
    differs(
        "a change of `cookie.maxAge` alone is not sent",
        "remember me",
        get("set a 1"),
        get("max_age 3600"),
        get("age", wait=9),
        express=[
            "2 store: touch 1a, 3600 s",
            "2 holds: 1a, 3600 s: as before",
            "3 saw: age: null",
            "3 store: touch 1a, 86400 s",
            "3 holds: 1a, 86400 s: as before",
        ],
        here=[
            "2 Set-Cookie: connect.sid=s%3A1a.dqZ70T…; Path=/; Expires=Tue, 02 Oct 2096 08:06:40 GMT; HttpOnly",
            '2 store: set 1a, 3600 s: {"cookie":{"originalMaxAge":3600000,"expires":"2096-10-02T08:06:40.000Z",…},"a":1}',
            "2 holds: 1a, 3600 s: as set",
            "3 saw: age: 3591000 ms",
            "3 store: touch 1a, 3600 s",
            "3 holds: 1a, 3600 s: as before",
        ],
    ),
    differs(
        "a change of `cookie.maxAge` alone is not sent",
        "forget me, with a change",
        get("set a 1"),
        get("set a 2", "max_age null"),
        max_age=60,
        here=[
            "2 Set-Cookie: connect.sid=s%3A1a.dqZ70T…; Path=/; HttpOnly",
        ],
    ),
    differs(
        "a change of `cookie.maxAge` alone is not sent",
        "another path for one session",
        get("set a 1"),
        get('attribute path "/app"'),
        express=[
            "2 store: touch 1a, 86400 s",
            "2 holds: 1a, 86400 s: as before",
        ],
        here=[
            "2 Set-Cookie: connect.sid=s%3A1a.dqZ70T…; Path=/app; HttpOnly",
            '2 store: set 1a, 86400 s: {"cookie":{"originalMaxAge":null,"expires":null,"secure":false,"httpOnly":true,"path":"/app"},"a":1}',
            "2 holds: 1a, 86400 s: as set",
        ],
    ),
    differs(
        "a change of `cookie.maxAge` alone is not sent",
        "remember me, in a session that nobody wrote to",
        get("max_age 60"),
        here=[
            "1 Set-Cookie: connect.sid=s%3A1a.dqZ70T…; Path=/; Expires=Tue, 02 Oct 2096 07:07:40 GMT; HttpOnly",
            '1 store: set 1a, 60 s: {"cookie":{"originalMaxAge":60000,"expires":"2096-10-02T07:07:40.000Z",…}}',
            "1 holds: 1a, 60 s: as set",
        ],
    ),
    differs(
        "`destroy()` leaves the browser's cookie",
        "a logout",
        get("set a 1"),
        get("destroy"),
        get("read"),
        domain="example.com",
        express=[
            "3 store: get 1a: none",
        ],
        here=[
            "2 Set-Cookie: connect.sid=; Domain=example.com; Path=/; Expires=Thu, 01 Jan 1970 00:00:00 GMT; HttpOnly",
        ],
    ),
    differs(
        "`destroy()` leaves the browser's cookie",
        "a logout with a forged cookie",
        get("destroy", cookie="connect.sid=s:x.y"),
        here=[
            "1 Set-Cookie: connect.sid=; Path=/; Expires=Thu, 01 Jan 1970 00:00:00 GMT; HttpOnly",
        ],
    ),
    differs(
        "`regenerate` loses the data",
        "a cart at the login",
        get('set cart ["tea"]'),
        get("regenerate keep", 'set user "Ada"'),
        get("read"),
        express=[
            '2 store: set 2a, 86400 s: {"cookie":{…},"user":"Ada"}',
            '3 saw: read: {"user":"Ada"}',
        ],
        here=[
            '2 store: set 2a, 86400 s: {"cookie":{…},"cart":["tea"]}',
            "2 store: set 1a, 86400 s: null",
            '2 store: set 2a, 86400 s: {"cookie":{…},"cart":["tea"],"user":"Ada"}',
            '3 saw: read: {"cart":["tea"],"user":"Ada"}',
        ],
    ),
    differs(
        "`touch()` moves the cookie's expiry, and the store learns of it at the end",
        "touch in a loaded session",
        get("set a 1"),
        get("touch", wait=9),
        max_age=60,
        here=[
            "2 store: touch 1a, 60 s",
        ],
    ),
    differs(
        "`/foo` matches `/foobar`",
        "beside the path",
        get("set a 1", path="/foobar"),
        path="/foo",
        express=[
            "1 Set-Cookie: connect.sid=s%3A1a.dqZ70T…; Path=/foo; HttpOnly",
            '1 store: set 1a, 86400 s: {"cookie":{"originalMaxAge":null,"expires":null,"secure":false,"httpOnly":true,"path":"/foo"},"a":1}',
            "1 holds: 1a, 86400 s: as set",
        ],
        here=[
            "1 saw: no session",
        ],
    ),
    differs(
        "the first cookie of our name counts",
        "a stale cookie before the good one",
        get("set a 1"),
        get("read", cookie="connect.sid={sign stale}; connect.sid={jar}"),
        express=[
            "2 saw: read: {}",
        ],
        here=[
            '2 saw: read: {"a":1}',
            "2 store: get 1a",
            "2 store: touch 1a, 86400 s",
        ],
    ),
    differs(
        "the first cookie of our name counts",
        "a forged cookie before the good one",
        get("set a 1"),
        get("read", cookie="connect.sid=s:x.y; connect.sid={jar}"),
        express=[
            "2 saw: read: {}",
        ],
        here=[
            '2 saw: read: {"a":1}',
            "2 store: get 1a",
            "2 store: touch 1a, 86400 s",
        ],
    ),
    differs(
        "a cookie signed with a retired secret stays",
        "a read with a cookie of the retired secret",
        get("read", cookie="connect.sid={sign older known}"),
        get("read"),
        records={"known": PLAIN + ',"a":1}'},
        secret=[SECRET, OLDER],
        express=[
            "2 saw: read: {}",
        ],
        here=[
            "1 Set-Cookie: connect.sid=s%3Aknown.S%2FcX…; Path=/; HttpOnly",
            '2 saw: read: {"a":1}',
            "2 store: get known",
            "2 store: touch known, 86400 s",
        ],
    ),
    *(
        differs(
            "an unreadable record is a 500, for ever",
            f"a record {name}",
            get("read", cookie=KNOWN),
            get("read", cookie=KNOWN),
            records={"known": text},
            express=["1 status: 500", "2 status: 500"],
            here=[
                "1 status: 200",
                "1 saw: read: {}",
                "2 status: 200",
                "2 saw: read: {}",
            ],
        )
        for name, text in {
            "without a cookie": '{"a":1}',
            "whose cookie is a number": '{"cookie":5,"a":1}',
        }.items()
    ),
    differs(
        "a store that is down at load is a 500, or no session at all",
        "a store whose get fails",
        get("set a 1"),
        get("read", failing=("get",)),
        get("read"),
        express=[
            "2 status: 500",
        ],
        here=[
            "2 status: 503",
        ],
    ),
    differs(
        "a store that is down at load is a 500, or no session at all",
        "a store that says it is disconnected",
        get("set a 1"),
        get("read", failing=("connection",)),
        get("read"),
        express=[
            "2 status: 200",
            "2 saw: no session",
        ],
        here=[
            "2 status: 503",
            "2 store: get fails",
        ],
    ),
    differs(
        "ages are milliseconds; 0 and less end a session",
        "an age of 0",
        get("set a 1"),
        get("set a 2", "max_age 0"),
        get("read"),
        express=[
            "2 Set-Cookie: connect.sid=s%3A1a.dqZ70T…; Path=/; Expires=Tue, 02 Oct 2096 07:06:40 GMT; HttpOnly",
            '2 store: set 1a, 0 s: {"cookie":{"originalMaxAge":0,"expires":"2096-10-02T07:06:40.000Z",…},"a":2}',
            "3 saw: read: {}",
        ],
        here=[
            "2 saw: max_age 0: error",
            '2 store: set 1a, 86400 s: {"cookie":{…},"a":2}',
            "2 holds: 1a, 86400 s: as set",
            '3 saw: read: {"a":2}',
            "3 store: get 1a",
            "3 store: touch 1a, 86400 s",
            "3 holds: 1a, 86400 s: as before",
        ],
    ),
    differs(
        "a session lasts as long as it is used",
        "a session in use beyond its absolute age",
        get("set a 1"),
        get("read", wait=60),
        get("read", wait=60),
        absolute_timeout=100,
        express=[
            '1 store: set 1a, 86400 s: {"cookie":{…},"a":1}',
            "1 holds: 1a, 86400 s: as set",
            "2 store: touch 1a, 86400 s",
            "2 holds: 1a, 86400 s: as before",
            '3 saw: read: {"a":1}',
            "3 store: get 1a",
            "3 store: touch 1a, 86400 s",
            "3 holds: 1a, 86400 s: as before",
        ],
        here=[
            '1 store: set 1a, 100 s: {"cookie":{…},"sessionlab.createdAt":4000000000000,"a":1}',
            "1 holds: 1a, 100 s: as set",
            "2 store: touch 1a, 40 s",
            "2 holds: 1a, 40 s: as before",
            "3 saw: read: {}",
            "3 store: get 1a: none",
        ],
    ),
    differs(
        "after `reload()`, what another request changed counts as a change, and is saved again",
        "reload of what another request changed",
        get("set a 1"),
        get("elsewhere set b 2", "reload", "read"),
        max_age=60,
        express=[
            "2 Set-Cookie: connect.sid=s%3A1a.dqZ70T…; Path=/; Expires=Tue, 02 Oct 2096 07:07:40 GMT; HttpOnly",
            '2 store: set 1a, 60 s: {"cookie":{"originalMaxAge":60000,"expires":"2096-10-02T07:07:40.000Z",…},"a":1,"b":2}',
            "2 holds: 1a, 60 s: as set",
        ],
        here=[
            "2 store: touch 1a, 60 s",
            '2 holds: 1a, 60 s: {"cookie":{"originalMaxAge":60000,"expires":"2096-10-02T07:07:40.000Z",…},"a":1,"b":2}',
        ],
    ),
    differs(
        "`save()` after `regenerate()` is followed by a second, equal save",
        "save at the login",
        get("set a 1"),
        get("regenerate", 'set user "Ada"', "save"),
        express=[
            '2 store: set 2a, 86400 s: {"cookie":{…},"user":"Ada"}',
        ],
    ),
    differs(
        "`save()` stores the expiry that was loaded",
        "a save in a dated session",
        get("set a 1"),
        get("set a 2", "save", wait=9),
        max_age=60,
        express=[
            '2 store: set 1a, 51 s: {"cookie":{"originalMaxAge":60000,"expires":"2096-10-02T07:07:40.000Z",…},"a":2}',
        ],
        here=[
            '2 store: set 1a, 60 s: {"cookie":{"originalMaxAge":60000,"expires":"2096-10-02T07:07:49.000Z",…},"a":2}',
        ],
    ),
    differs(
        "`reload()` of a session that was never stored asks the store",
        "reload in a new session",
        get("reload", "set a 1"),
        express=[
            "1 store: get 1a: none",
        ],
    ),
    differs(
        "a record leaves out `secure` unless it is set",
        "secure is left out",
        get("set a 1"),
        secure=DEFAULT,
        express=[
            '1 store: set 1a, 86400 s: {"cookie":{"originalMaxAge":null,"expires":null,"httpOnly":true,"path":"/"},"a":1}',
        ],
        here=[
            '1 store: set 1a, 86400 s: {"cookie":{…},"a":1}',
        ],
    ),
    differs(
        "the cookie of another writer's record is stored again as it stood",
        "members that say nothing",
        get("set b 2", cookie=KNOWN),
        records={
            "known": '{"cookie":{"originalMaxAge":null,"partitioned":false,"expires":null,"secure":false,"httpOnly":true,"path":"/","sameSite":true},"a":1}'
        },
        express=[
            '1 store: set known, 86400 s: {"cookie":{"originalMaxAge":null,"partitioned":false,"expires":null,…,"sameSite":true},"a":1,"b":2}',
        ],
        here=[
            '1 store: set known, 86400 s: {"cookie":{…,"sameSite":"strict"},"a":1,"b":2}',
        ],
    ),
    differs(
        "the cookie of another writer's record is stored again as it stood",
        "the cookie last",
        get("set b 2", cookie=KNOWN),
        records={
            "known": '{"a":1,"cookie":{"originalMaxAge":null,"expires":null,"secure":false,"httpOnly":true,"path":"/"}}'
        },
        express=[
            '1 store: set known, 86400 s: {"a":1,"cookie":{…},"b":2}',
        ],
        here=[
            '1 store: set known, 86400 s: {"cookie":{…},"a":1,"b":2}',
        ],
    ),
    differs(
        "numbers and the order of keys are JavaScript's",
        "large numbers, whole floats and keys like numbers",
        get("set a [9007199254740993,1.0,1e21,1e-7]", 'set b {"x":1,"2":2}'),
        get("read"),
        express=[
            '1 store: set 1a, 86400 s: {"cookie":{…},"a":[9007199254740992,1,1e+21,1e-7],"b":{"2":2,"x":1}}',
            '2 saw: read: {"a":[9007199254740992,1,1e+21,1e-7],"b":{"2":2,"x":1}}',
        ],
        here=[
            '1 store: set 1a, 86400 s: {"cookie":{…},"a":[9007199254740993,1.0,1e+21,1e-07],"b":{"x":1,"2":2}}',
            '2 saw: read: {"a":[9007199254740993,1.0,1e+21,1e-07],"b":{"x":1,"2":2}}',
        ],
    ),
    differs(
        "a key named like a method or property is lost or breaks the request",
        "constructor and id as keys",
        get("set constructor 1", "set id 5", "set a 1"),
        get("read"),
        express=[
            "1 saw: set id 5: error",
            '1 store: set 1a, 86400 s: {"cookie":{…},"constructor":1,"a":1}',
            '2 saw: read: {"a":1}',
            '2 store: set 1a, 86400 s: {"cookie":{…},"a":1}',
            "2 holds: 1a, 86400 s: as set",
        ],
        here=[
            '1 store: set 1a, 86400 s: {"cookie":{…},"constructor":1,"id":5,"a":1}',
            '2 saw: read: {"constructor":1,"id":5,"a":1}',
            "2 store: touch 1a, 86400 s",
            "2 holds: 1a, 86400 s: as before",
        ],
    ),
    differs(
        "a cookie of our name that the application sets stands beside ours",
        "the application sets our cookie",
        get("header Set-Cookie connect.sid=mine", "set a 1"),
        express=[
            "1 Set-Cookie: connect.sid=mine",
        ],
    ),
    differs(
        "after `regenerate`, `req.session` is another object",
        "a handler writes to the session it held",
        get("set a 1"),
        get("regenerate", "held set b 2"),
        get("read"),
        express=[
            '2 store: set 2a, 86400 s: {"cookie":{…}}',
            "3 saw: read: {}",
        ],
        here=[
            '2 store: set 2a, 86400 s: {"cookie":{…},"b":2}',
            '3 saw: read: {"b":2}',
        ],
    ),
    differs(
        "after `destroy`, there is no `req.session`",
        "read after destroy",
        get("set a 1"),
        get("destroy", "read"),
        express=[
            "2 saw: read: error",
        ],
        here=[
            "2 Set-Cookie: connect.sid=; Path=/; Expires=Thu, 01 Jan 1970 00:00:00 GMT; HttpOnly",
            "2 saw: read: {}",
        ],
    ),
    differs(
        "after `destroy`, there is no `req.session`",
        "regenerate after destroy",
        get("set a 1"),
        get("destroy", "regenerate", "set b 2"),
        express=[
            "2 saw: regenerate: error",
            "2 saw: set b 2: error",
        ],
        here=[
            "2 Set-Cookie: connect.sid=s%3A2b.%2FtvI…; Path=/; HttpOnly",
            "2 store: destroy 2a",
            '2 store: set 2b, 86400 s: {"cookie":{…},"b":2}',
            "2 holds: 2b, 86400 s: as set",
        ],
    ),
    differs(
        "half a character in a secret or an id is replaced before signing",
        "half a character in the secret",
        get("set a 1"),
        secret="half \ud83d of a character, of 32 bytes or more",
        express=[
            "1 Set-Cookie: connect.sid=s%3A1a.y83yHe…; Path=/; HttpOnly",
        ],
        here=[
            "1 Set-Cookie: connect.sid=s%3A1a.MicDDs…; Path=/; HttpOnly",
        ],
    ),
    differs(
        "a record may have any size",
        "more than max_bytes",
        get('set a "' + "tea " * 300 + '"'),
        max_bytes=1000,
        express=[
            "1 status: 200",
            "1 Set-Cookie: connect.sid=s%3A1a.dqZ70T…; Path=/; HttpOnly",
            '1 store: set 1a, 86400 s: {"cookie":{…},"a":"tea … "}',
            "1 holds: 1a, 86400 s: as set",
        ],
        here=[
            "1 status: 500",
        ],
    ),
    differs(
        "a cookie that browsers refuse is sent",
        "SameSite=None without Secure",
        get("set a 1", 'attribute same_site "none"'),
        express=[
            "1 Set-Cookie: connect.sid=s%3A1a.dqZ70T…; Path=/; HttpOnly; SameSite=None",
            '1 store: set 1a, 86400 s: {"cookie":{…,"sameSite":"none"},"a":1}',
        ],
        here=[
            "1 Set-Cookie: connect.sid=s%3A1a.dqZ70T…; Path=/; HttpOnly",
            '1 saw: attribute same_site "none": error',
            '1 store: set 1a, 86400 s: {"cookie":{…},"a":1}',
        ],
    ),
    differs(
        "the age of a new session's cookie counts from the request's beginning",
        "a slow handler asks for the age",
        get("wait 5", "age"),
        max_age=60,
        express=[
            "1 saw: age: 55000 ms",
        ],
        here=[
            "1 saw: age: 60000 ms",
        ],
    ),
)
