"""What learners get wrong in chapter 8."""

import json
from threading import Lock

from trial import wrong

from sessionlab import MemoryStore, Record
from sessionlab import merge as good_merge

MINE = "what I added or changed is there"
THEIRS = "what they added or changed stays, where I left it alone"
THEY_DELETED = "what they deleted, and I left alone, stays deleted"
I_DELETED = "what I deleted is deleted"
BOTH_CHANGED = "where both changed the same key, mine holds, also if I deleted it"
NONE = "None is a value like any other"
AS_JSON = "1 and True are two values, as they are in JSON"


@wrong("merge", MINE)
def theirs_alone(base, mine, theirs):
    return theirs


@wrong("merge", MINE)
def theirs_over_mine(base, mine, theirs):
    return {**mine, **theirs}


@wrong("merge", MINE)
def only_what_i_added(base, mine, theirs):
    return {**theirs, **{key: mine[key] for key in mine if key not in base}}


@wrong("merge", MINE)
def changed_in_place_and_not_returned(base, mine, theirs):
    theirs.update(mine)


@wrong("merge", THEIRS)
def mine_alone(base, mine, theirs):
    return dict(mine)


@wrong("merge", THEIRS)
def mine_over_theirs(base, mine, theirs):
    return {**theirs, **mine}


@wrong("merge", THEY_DELETED)
def begun_with_base(base, mine, theirs):
    merged = dict(base)
    merged.update({key: theirs[key] for key in theirs if theirs[key] != base.get(key)})
    merged.update({key: mine[key] for key in mine if mine[key] != base.get(key)})
    return merged


@wrong("merge", THEY_DELETED)
def what_is_missing_in_theirs_put_back(base, mine, theirs):
    merged = dict(theirs)
    for key, value in mine.items():
        if key not in theirs or value != base.get(key):
            merged[key] = value
    return merged


@wrong("merge", I_DELETED)
def no_deletion(base, mine, theirs):
    return {**theirs, **{key: mine[key] for key in mine if mine[key] != base.get(key)}}


@wrong("merge", BOTH_CHANGED)
def theirs_wins(base, mine, theirs):
    merged = good_merge(base, mine, theirs)
    for key, value in theirs.items():
        if value != base.get(key):
            merged[key] = value
    return merged


@wrong("merge", BOTH_CHANGED)
def deleted_only_if_they_left_it(base, mine, theirs):
    merged = good_merge(base, mine, theirs)
    for key in base.keys() - mine.keys():
        if key in theirs and theirs[key] != base[key]:
            merged[key] = theirs[key]
    return merged


@wrong("merge", BOTH_CHANGED)
def gone_for_both_if_gone_for_one(base, mine, theirs):
    merged = good_merge(base, mine, theirs)
    for key in base.keys() - theirs.keys():
        merged.pop(key, None)
    return merged


@wrong("merge", NONE)
def get_for_in(base, mine, theirs):
    merged = dict(theirs)
    for key in base.keys() | mine.keys():
        if mine.get(key) != base.get(key):
            merged[key] = mine.get(key)
    return {key: value for key, value in merged.items() if value is not None}


@wrong("merge", NONE)
def none_in_base_is_missing(base, mine, theirs):
    merged = dict(theirs)
    for key, value in mine.items():
        if base.get(key) != value:
            merged[key] = value
    for key in base:
        if key not in mine:
            merged.pop(key, None)
    return merged


@wrong("merge", AS_JSON)
def compared_as_python_does(base, mine, theirs):
    merged = dict(theirs)
    for key, value in mine.items():
        if key not in base or base[key] != value:
            merged[key] = value
    for key in base.keys() - mine.keys():
        merged.pop(key, None)
    return merged


@wrong("merge", AS_JSON)
def types_compared_at_the_top_alone(base, mine, theirs):
    merged = dict(theirs)
    for key, value in mine.items():
        if key not in base or base[key] != value or type(base[key]) is not type(value):
            merged[key] = value
    for key in base.keys() - mine.keys():
        merged.pop(key, None)
    return merged


COMES_BACK = "what was created comes back as a Record, and an unknown id is None"
TOO_LATE = "create never overwrites, touch never makes a record, and to destroy twice is fine"
REPLACES = "replace puts text and expiry in the place of the old ones, and says True"
RACED = "of ten changes that ten requests make at once, ten are there"
NOT_REPLACED = "what was changed or destroyed is not replaced"
ONE_STEP = "nobody comes between the comparison and the write"
STAYS_GONE = "what is destroyed before the write stays destroyed"

wrong_store = "CompareAndSetStore"


class Locked:
    """A right answer, of which each wrong one has a part changed."""

    def __init__(self):
        self.records = {}
        self.lock = Lock()

    def get(self, session_id):
        return self.records.get(session_id)

    def create(self, session_id, text, expires_at):
        with self.lock:
            if session_id in self.records:
                return False
            self.records[session_id] = Record(text, expires_at)
            return True

    def replace(self, session_id, old, new, expires_at):
        with self.lock:
            record = self.records.get(session_id)
            if record is None or record.text != old:
                return False
            self.records[session_id] = Record(new, expires_at)
            return True

    def touch(self, session_id, expires_at):
        with self.lock:
            record = self.records.get(session_id)
            if record is None:
                return False
            self.records[session_id] = Record(record.text, expires_at)
            return True

    def destroy(self, session_id):
        with self.lock:
            self.records.pop(session_id, None)


class NoLock:
    def __enter__(self):
        return self

    def __exit__(self, *error):
        return None


@wrong(wrong_store, COMES_BACK, error=True)
class AnUnknownIdIsAnError(Locked):
    def get(self, session_id):
        return self.records[session_id]


@wrong(wrong_store, COMES_BACK)
class TuplesForRecords(Locked):
    def get(self, session_id):
        record = self.records.get(session_id)
        return record and tuple(record)


@wrong(wrong_store, COMES_BACK)
class NothingReturnedByCreate(Locked):
    def create(self, session_id, text, expires_at):
        self.records[session_id] = Record(text, expires_at)


@wrong(wrong_store, TOO_LATE)
class CreateOverwrites(Locked):
    def create(self, session_id, text, expires_at):
        self.records[session_id] = Record(text, expires_at)
        return True


@wrong(wrong_store, TOO_LATE)
class TouchMakesARecord(Locked):
    def touch(self, session_id, expires_at):
        with self.lock:
            record = self.records.get(session_id, Record("{}", 0))
            self.records[session_id] = Record(record.text, expires_at)
            return session_id in self.records


@wrong(wrong_store, TOO_LATE, error=True)
class DestroyExpectsOne(Locked):
    def destroy(self, session_id):
        with self.lock:
            del self.records[session_id]


@wrong(wrong_store, REPLACES)
class NothingReturnedByReplace(Locked):
    def replace(self, session_id, old, new, expires_at):
        if not super().replace(session_id, old, new, expires_at):
            return False


@wrong(wrong_store, REPLACES)
class TheExpiryComparedToo(Locked):
    def replace(self, session_id, old, new, expires_at):
        with self.lock:
            if self.records.get(session_id) != Record(old, expires_at):
                return False
            self.records[session_id] = Record(new, expires_at)
            return True


@wrong(wrong_store, REPLACES)
class TheOldExpiryKept(Locked):
    def replace(self, session_id, old, new, expires_at):
        record = self.records.get(session_id)
        return super().replace(session_id, old, new, record.expires_at if record else 0)


@wrong(wrong_store, RACED)
class OldNeverLookedAt(Locked):
    def replace(self, session_id, old, new, expires_at):
        with self.lock:
            if session_id not in self.records:
                return False
            self.records[session_id] = Record(new, expires_at)
            return True


@wrong(wrong_store, RACED)
class TheLastWins(Locked):
    def replace(self, session_id, old, new, expires_at):
        with self.lock:
            self.records[session_id] = Record(new, expires_at)
            return True


@wrong(wrong_store, RACED)
class ToldAndWrittenAllTheSame(Locked):
    def replace(self, session_id, old, new, expires_at):
        with self.lock:
            record = self.records.get(session_id)
            self.records[session_id] = Record(new, expires_at)
            return record is not None and record.text == old


@wrong(wrong_store, RACED)
class MergedIntoTrue(Locked):
    def replace(self, session_id, old, new, expires_at):
        with self.lock:
            record = self.records.get(session_id)
            if record is not None and record.text == old:
                self.records[session_id] = Record(new, expires_at)
            return record is not None


@wrong(wrong_store, NOT_REPLACED)
class WhatIsGoneIsPutBack(Locked):
    def replace(self, session_id, old, new, expires_at):
        with self.lock:
            record = self.records.get(session_id)
            if record is not None and record.text != old:
                return False
            self.records[session_id] = Record(new, expires_at)
            return True


@wrong(wrong_store, NOT_REPLACED)
class TheExpiryMovedAllTheSame(Locked):
    def replace(self, session_id, old, new, expires_at):
        with self.lock:
            record = self.records.get(session_id)
            if record is None:
                return False
            is_old = record.text == old
            self.records[session_id] = Record(new if is_old else record.text, expires_at)
            return is_old


@wrong(wrong_store, NOT_REPLACED, error=True)
class WhatIsGoneIsAnError(Locked):
    def replace(self, session_id, old, new, expires_at):
        with self.lock:
            if self.records[session_id].text != old:
                return False
            self.records[session_id] = Record(new, expires_at)
            return True


@wrong(wrong_store, ONE_STEP)
class WithoutALock(Locked):
    def __init__(self):
        super().__init__()
        self.lock = NoLock()


@wrong(wrong_store, ONE_STEP)
class ALockForEachCall(Locked):
    def replace(self, session_id, old, new, expires_at):
        with Lock():
            if session_id not in self.records or self.records[session_id].text != old:
                return False
            self.records[session_id] = Record(new, expires_at)
            return True


@wrong(wrong_store, ONE_STEP)
class TheLockForTheWriteAlone(Locked):
    def replace(self, session_id, old, new, expires_at):
        record = self.get(session_id)
        if record is None or record.text != old:
            return False
        with self.lock:
            self.records[session_id] = Record(new, expires_at)
        return True


@wrong(wrong_store, ONE_STEP)
class CreateWithoutTheLock(Locked):
    def create(self, session_id, text, expires_at):
        if self.get(session_id) is not None:
            return False
        self.records[session_id] = Record(text, expires_at)
        return True


@wrong(wrong_store, STAYS_GONE)
class DestroyWithoutTheLock(Locked):
    def destroy(self, session_id):
        self.records.pop(session_id, None)


@wrong(wrong_store, STAYS_GONE)
class TouchWithoutTheLock(Locked):
    def touch(self, session_id, expires_at):
        record = self.records.get(session_id)
        if record is None:
            return False
        self.records[session_id] = record._replace(expires_at=expires_at)
        return True


@wrong(wrong_store, STAYS_GONE)
class AnotherLockForDestroy(MemoryStore):
    def destroy(self, session_id):
        with Lock():
            self._records.pop(session_id, None)


ALL_STEPS = "it is the list of all five steps, each once"
OWN_ORDER = "each request takes its own steps in their order"
AFTER_LOGOUT = "the copy comes when Ada has logged out"
REVIVED = "the copy opens Ada's account"


@wrong("revive_logout", ALL_STEPS)
def without_the_last_step(steps):
    return ["page: get", "logout: get", "logout: destroy", "page: set"]


@wrong("revive_logout", ALL_STEPS)
def an_answer_in_one_text(steps):
    return "page: get, logout: get, logout: destroy, page: set, copy: get"


@wrong("revive_logout", ALL_STEPS)
def set_twice(steps):
    order = ["page: get", "page: set", "logout: get", "logout: destroy", "page: set", "copy: get"]
    return order


@wrong("revive_logout", OWN_ORDER)
def turned_round(steps):
    return steps[::-1]


@wrong("revive_logout", OWN_ORDER)
def written_before_it_was_read(steps):
    return ["logout: get", "logout: destroy", "page: set", "page: get", "copy: get"]


@wrong("revive_logout", AFTER_LOGOUT)
def the_copy_first(steps):
    return ["copy: get", "page: get", "page: set", "logout: get", "logout: destroy"]


@wrong("revive_logout", AFTER_LOGOUT)
def the_copy_between(steps):
    return ["page: get", "logout: get", "copy: get", "logout: destroy", "page: set"]


@wrong("revive_logout", REVIVED)
def one_after_the_other(steps):
    return steps


@wrong("revive_logout", REVIVED)
def the_page_after_the_logout(steps):
    return ["logout: get", "logout: destroy", "page: get", "page: set", "copy: get"]


@wrong("revive_logout", REVIVED)
def written_before_the_end(steps):
    return ["page: get", "logout: get", "page: set", "logout: destroy", "copy: get"]


@wrong("revive_logout", REVIVED)
def the_copy_before_the_write(steps):
    return ["page: get", "logout: get", "logout: destroy", "copy: get", "page: set"]


IN_A_ROW = "visits that come one after the other get 2, 3, 4 after a first one"
COUNTED = "a visit that comes while another is at work is counted"
TOLD = "no number is told twice"
BETWEEN = (
    "a visit that another process counts between your reading and your writing is counted, too"
)

lock = Lock()


def add_one(data):
    data["visits"] = data.get("visits", 0) + 1
    return data["visits"]


@wrong("count_visits", IN_A_ROW)
def nothing_returned_from_atomic(session):
    def count(data):
        data["visits"] = data.get("visits", 0) + 1

    return session.atomic(count)


@wrong("count_visits", IN_A_ROW)
def a_dict_returned_for_a_change(session):
    return session.atomic(lambda data: {"visits": data["visits"] + 1}["visits"])


@wrong("count_visits", IN_A_ROW)
def the_session_changed_within_atomic(session):
    def count(data):
        session["visits"] = session.get("visits", 0) + 1
        return session["visits"]

    return session.atomic(count)


@wrong("count_visits", IN_A_ROW, error=True)
def atomic_called_with_a_number(session):
    return session.atomic(session["visits"] + 1)


@wrong("count_visits", COUNTED)
def get_for_setdefault(session):
    session["visits"] = session.get("visits", 0) + 1
    return session["visits"]


@wrong("count_visits", COUNTED)
def saved_at_once(session):
    session["visits"] += 1
    session.save()
    return session["visits"]


@wrong("count_visits", COUNTED)
def within_a_lock(session):
    with lock:
        session["visits"] += 1
        session.save()
        return session["visits"]


@wrong("count_visits", COUNTED)
def atomic_with_an_old_number(session):
    number = session["visits"] + 1
    session.atomic(lambda data: data.update(visits=number))
    return number


@wrong("count_visits", TOLD)
def a_number_from_before(session):
    number = session["visits"] + 1
    session.atomic(add_one)
    return number


@wrong("count_visits", TOLD)
def the_number_read_first(session):
    told = json.loads(json.dumps(session["visits"]))
    session.atomic(add_one)
    return told + 1


@wrong("count_visits", BETWEEN)
def reloaded_and_saved(session):
    session.reload()
    session["visits"] += 1
    session.save()
    return session["visits"]


@wrong("count_visits", BETWEEN)
def reloaded_and_saved_within_a_lock(session):
    with lock:
        session.reload()
        session["visits"] += 1
        session.save()
        return session["visits"]
