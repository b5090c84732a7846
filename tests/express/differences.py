"""The deliberate differences: the README's table, and what each does to a trace of Express.

A rewriting turns what Express does into what is done here, for one row of the table and nothing
else. The random scenarios need it; each is as narrow as it can be, so that it hides no other
difference. It is applied before the browser sees the answer, for what comes next depends on it.

No rewriting is possible, and so the random scenarios leave these out: a store that fails, other
requests at the same time and ``reload`` after them, ``touch_after``, ``absolute_timeout``,
``keep_data``, ``secure="auto"``, the defaults, several cookies of our name, records that can't be
read, ages of 0 and less, paths, and what follows ``destroy`` in the same request.
"""

import re
from pathlib import Path

README = Path(__file__).parents[2] / "README.md"


def rows():
    """Return the first cell of each row of the README's table, in order."""
    _, _, section = README.read_text("utf-8").partition("## Differences from express-session\n")
    table = [line for line in section.partition("\n## ")[0].splitlines() if line.startswith("|")]
    return [re.split(r"(?<!\\)\|", line)[1].strip() for line in table[2:]]


def for_caches(trace, name="connect.sid"):
    """Rows: no `Vary`; a shared cache may keep a response that sends the cookie.

    A response whose handler had a session gets the one, one that sends our cookie both.
    """
    return [
        entry if "no session" in entry.get("seen", []) else _told(entry, name) for entry in trace
    ]


def _told(entry, name):
    told = {**entry, "vary": ", ".join(filter(None, [entry.get("vary"), "Cookie"]))}
    if any(text.startswith(f"{name}=") for text in entry.get("set_cookie", [])):
        own = told.get("cache_control", "")
        if not re.search("private|no-store", own):
            told["cache_control"] = ", ".join(filter(None, [own, "private"]))
    return told


def rewrite(side, number, answer, facts):
    """Turn an answer of Express into the one that is expected here."""
    drop_second_save(answer)
    drop_vain_reload(number, answer)
    clear_after_destroy(answer, facts)
    if "id" in facts:
        store_changed_cookie(side, answer, facts)
        send_changed_cookie(answer, facts)


# Two are in parity.js, where the handler is: with ``rewritten``, its `touch()` tells the store at
# once (row: `touch()` moves the cookie's expiry, and the store learns of it at the end), and its
# `save()` renews the expiry before (row: `save()` stores the expiry that was loaded).


def drop_second_save(answer):
    """Row: `save()` after `regenerate()` is followed by a second, equal save."""
    calls = answer["calls"]
    is_regenerated = any(line.startswith("destroy ") for line in calls)
    if is_regenerated and calls[-1:] == calls[-2:-1] and calls[-1].startswith("set "):
        calls.pop()


def drop_vain_reload(number, answer):
    """Row: `reload()` of a session that was never stored asks the store for it.

    An id that begins with the number of the request was made in it, and came with no cookie.
    """
    vain = re.compile(f"get {number}[a-z]: none")
    answer["calls"] = [line for line in answer["calls"] if not vain.fullmatch(line)]


def clear_after_destroy(answer, facts):
    """Row: `destroy()` leaves the browser's cookie."""
    if facts["ended"] and "id" not in facts and facts["cameSigned"]:
        answer["set_cookie"].append(facts["ended"])


def store_changed_cookie(side, answer, facts):
    """Row: a change of `cookie.maxAge` alone is not sent (nor is it stored)."""
    is_due = facts["isCookieStored"] is False or (
        facts["isCookieStored"] is None and facts["isCookieChanged"]
    )
    if not is_due:
        return
    calls, key = answer["calls"], facts["id"]
    if facts["isLoaded"] and calls[-1].startswith(f"touch {key},"):
        calls.pop()
    text, seconds = facts["text"], facts["seconds"]
    calls.append(f"set {key}, {seconds} s: {text}")
    answer["records"][key] = {"seconds": seconds, "text": text}
    side.tell("put", id=key, text=text, seconds=seconds)


def send_changed_cookie(answer, facts):
    """Rows: a change of `cookie.maxAge` alone is not sent; a retired secret's cookie stays."""
    is_due = facts["isCookieChanged"] or facts["isRetired"]
    start = facts["setCookie"].partition("=")[0] + "="
    is_sent = any(text.startswith(start) for text in answer["set_cookie"])
    if is_due and not facts["isInsecure"] and not is_sent:
        answer["set_cookie"].append(facts["setCookie"])
