"""What learners get wrong in chapter 3."""

import json
import sqlite3
import time
from contextlib import closing
from datetime import UTC, datetime
from threading import Lock

from trial import wrong

from sessionlab import MemoryStore, Record, StoreError, decode_record

CREATED = "what was created comes back as a Record, and an unknown id is None"
TAKEN = "create never writes over a record that is alive"
ENDS = "at its expires_at a record is gone, for all of the methods"
COMPARES = "replace refuses when the text is no longer the old one"
LOGOUT = "a logout is final, also for a request that was under way"
ONE_WINS = "of two that replace the same text at once, one wins"
PROMISES = "it keeps every promise of StoreContract"


class Good:
    """A right one over a dict; what follows changes a method of it."""

    def __init__(self, now):
        self.now, self.records, self.lock = now, {}, Lock()

    def get(self, session_id):
        record = self.records.get(session_id)
        return record if record and record.expires_at > self.now() else None

    def create(self, session_id, text, expires_at):
        with self.lock:
            if self.get(session_id):
                return False
            self.records[session_id] = Record(text, expires_at)
            return True

    def replace(self, session_id, old, new, expires_at):
        with self.lock:
            record = self.get(session_id)
            if record is None or record.text != old:
                return False
            self.records[session_id] = Record(new, expires_at)
            return True

    def touch(self, session_id, expires_at):
        with self.lock:
            record = self.get(session_id)
            if record is None:
                return False
            self.records[session_id] = Record(record.text, expires_at)
            return True

    def destroy(self, session_id):
        with self.lock:
            self.records.pop(session_id, None)


@wrong("ExpiringStore", CREATED)
class TheTextAlone(Good):
    def get(self, session_id):
        record = super().get(session_id)
        return record.text if record else None


@wrong("ExpiringStore", CREATED)
class APlainTuple(Good):
    def get(self, session_id):
        record = super().get(session_id)
        return tuple(record) if record else None


@wrong("ExpiringStore", CREATED, error=True)
class KeyErrorForNobody(Good):
    def get(self, session_id):
        record = self.records[session_id]
        return record if record.expires_at > self.now() else None


@wrong("ExpiringStore", CREATED)
class NoAnswerFromCreate(Good):
    def create(self, session_id, text, expires_at):
        self.records[session_id] = Record(text, expires_at)


@wrong("ExpiringStore", TAKEN)
class CreateOverwrites(Good):
    def create(self, session_id, text, expires_at):
        self.records[session_id] = Record(text, expires_at)
        return True


@wrong("ExpiringStore", ENDS)
class NoLookAtTheClock(Good):
    def get(self, session_id):
        return self.records.get(session_id)


@wrong("ExpiringStore", ENDS)
class TheInstantIncluded(Good):
    def get(self, session_id):
        record = self.records.get(session_id)
        return record if record and record.expires_at >= self.now() else None


@wrong("ExpiringStore", ENDS)
class AnotherClock(Good):
    def get(self, session_id):
        record = self.records.get(session_id)
        return record if record and record.expires_at > time.time() else None


@wrong("ExpiringStore", ENDS)
class TouchComesTooLate(Good):
    def touch(self, session_id, expires_at):
        if session_id not in self.records:
            return False
        self.records[session_id] = Record(self.records[session_id].text, expires_at)
        return True


@wrong("ExpiringStore", ENDS)
class AnEndedIdIsTaken(Good):
    def create(self, session_id, text, expires_at):
        if session_id in self.records:
            return False
        return super().create(session_id, text, expires_at)


@wrong("ExpiringStore", COMPARES)
class BlindReplace(Good):
    def replace(self, session_id, old, new, expires_at):
        if self.get(session_id) is None:
            return False
        self.records[session_id] = Record(new, expires_at)
        return True


@wrong("ExpiringStore", COMPARES)
class ReplaceKeepsTheEnd(Good):
    def replace(self, session_id, old, new, expires_at):
        with self.lock:
            record = self.get(session_id)
            if record is None or record.text != old:
                return False
            self.records[session_id] = record._replace(text=new)
            return True


@wrong("ExpiringStore", LOGOUT)
class ReplaceBringsBack(Good):
    def replace(self, session_id, old, new, expires_at):
        with self.lock:
            record = self.records.get(session_id)
            if record and (record.text != old or record.expires_at <= self.now()):
                return False
            self.records[session_id] = Record(new, expires_at)
            return True


@wrong("ExpiringStore", LOGOUT)
class TouchBringsBack(Good):
    def __init__(self, now):
        super().__init__(now)
        self.texts = {}

    def create(self, session_id, text, expires_at):
        self.texts[session_id] = text
        return super().create(session_id, text, expires_at)

    def touch(self, session_id, expires_at):
        record = self.records.get(session_id)
        if record and record.expires_at <= self.now():
            return False
        self.records[session_id] = Record(self.texts[session_id], expires_at)
        return True


@wrong("ExpiringStore", LOGOUT, error=True)
class KeyErrorForATouch(Good):
    def touch(self, session_id, expires_at):
        record = self.records[session_id]
        if record.expires_at <= self.now():
            return False
        self.records[session_id] = Record(record.text, expires_at)
        return True


@wrong("ExpiringStore", ONE_WINS)
class NoLock(Good):
    def replace(self, session_id, old, new, expires_at):
        record = self.get(session_id)
        if record is None or record.text != old:
            return False
        self.records[session_id] = Record(new, expires_at)
        return True


@wrong("ExpiringStore", ONE_WINS)
class TheLockAroundTheWriteAlone(Good):
    def replace(self, session_id, old, new, expires_at):
        record = self.get(session_id)
        if record is None or record.text != old:
            return False
        with self.lock:
            self.records[session_id] = Record(new, expires_at)
        return True


@wrong("ExpiringStore", ONE_WINS)
class ALockForEachCall(Good):
    def replace(self, session_id, old, new, expires_at):
        self.lock = Lock()
        return super().replace(session_id, old, new, expires_at)


@wrong("ExpiringStore", PROMISES)
class TouchOnlyLengthens(Good):
    def touch(self, session_id, expires_at):
        record = self.get(session_id)
        return record is not None and super().touch(session_id, max(expires_at, record.expires_at))


@wrong("ExpiringStore", PROMISES)
class BigAndSmallAlike(Good):
    def destroy(self, session_id):
        for key in list(self.records):
            if key.lower() == session_id.lower():
                del self.records[key]


@wrong("ExpiringStore", PROMISES)
class DestroyWantsTheRecord(Good):
    def destroy(self, session_id):
        del self.records[session_id]


OPENED_AGAIN = "it is there when the file is opened again"
IN_A_SERVER = "a real server can use it, in each of its threads, and a logout is final"
PARAMETERS = "ids and texts are parameters: nothing that a visitor writes becomes SQL"

TABLE = "CREATE TABLE IF NOT EXISTS sessions (sid TEXT PRIMARY KEY, sess TEXT, expires_at REAL)"
SELECT = "SELECT sess, expires_at FROM sessions WHERE sid = ? AND expires_at > ?"
INSERT = """
    INSERT INTO sessions VALUES (?, ?, ?) ON CONFLICT (sid) DO UPDATE
    SET sess = excluded.sess, expires_at = excluded.expires_at WHERE sessions.expires_at <= ?"""
REPLACE = """
    UPDATE sessions SET sess = ?, expires_at = ? WHERE sid = ? AND sess = ? AND expires_at > ?"""
TOUCH = "UPDATE sessions SET expires_at = ? WHERE sid = ? AND expires_at > ?"


class GoodOnDisk:
    """A right one, with a connection for each statement; what follows changes a part of it."""

    def __init__(self, path, now):
        self.path, self.now = path, now
        self.run(TABLE)

    def run(self, statement, *values):
        with closing(sqlite3.connect(self.path)) as connection, connection:
            cursor = connection.execute(statement, values)
            return cursor.fetchone() if statement.startswith("SELECT") else cursor.rowcount

    def get(self, session_id):
        row = self.run(SELECT, session_id, self.now())
        return Record(*row) if row else None

    def create(self, session_id, text, expires_at):
        return self.run(INSERT, session_id, text, expires_at, self.now()) == 1

    def replace(self, session_id, old, new, expires_at):
        return self.run(REPLACE, new, expires_at, session_id, old, self.now()) == 1

    def touch(self, session_id, expires_at):
        return self.run(TOUCH, expires_at, session_id, self.now()) == 1

    def destroy(self, session_id):
        self.run("DELETE FROM sessions WHERE sid = ?", session_id)


@wrong("SQLStore", CREATED)
class ARow(GoodOnDisk):
    def get(self, session_id):
        return self.run(SELECT, session_id, self.now())


@wrong("SQLStore", CREATED, error=True)
class ARecordOfNone(GoodOnDisk):
    def get(self, session_id):
        return Record(*self.run(SELECT, session_id, self.now()))


@wrong("SQLStore", CREATED)
class NobodyCommits(GoodOnDisk):
    def run(self, statement, *values):
        with closing(sqlite3.connect(self.path)) as connection:
            cursor = connection.execute(statement, values)
            return cursor.fetchone() if statement.startswith("SELECT") else cursor.rowcount


@wrong("SQLStore", CREATED)
class WholeSeconds(GoodOnDisk):
    def create(self, session_id, text, expires_at):
        return super().create(session_id, text, int(expires_at))


class OneConnection(GoodOnDisk):
    def __init__(self, path, now):
        self.connection = sqlite3.connect(path, check_same_thread=False)
        super().__init__(path, now)

    def run(self, statement, *values):
        cursor = self.connection.execute(statement, values)
        return cursor.fetchone() if statement.startswith("SELECT") else cursor.rowcount


@wrong("SQLStore", OPENED_AGAIN)
class OneConnectionThatNobodyCommits(OneConnection):
    pass


@wrong("SQLStore", OPENED_AGAIN)
class InMemory(OneConnection):
    def __init__(self, path, now):
        super().__init__(":memory:", now)


@wrong("SQLStore", OPENED_AGAIN)
class ANewTableEachTime(GoodOnDisk):
    def __init__(self, path, now):
        self.path = path
        self.run("DROP TABLE IF EXISTS sessions")
        super().__init__(path, now)


@wrong("SQLStore", OPENED_AGAIN, error=True)
class TheTableTwice(GoodOnDisk):
    def __init__(self, path, now):
        self.path, self.now = path, now
        self.run(TABLE.replace("IF NOT EXISTS", ""))


@wrong("SQLStore", IN_A_SERVER)
class TheConnectionOfOneThread(GoodOnDisk):
    def __init__(self, path, now):
        self.connection = sqlite3.connect(path)
        super().__init__(path, now)

    def run(self, statement, *values):
        with self.connection:
            cursor = self.connection.execute(statement, values)
            return cursor.fetchone() if statement.startswith("SELECT") else cursor.rowcount


@wrong("SQLStore", IN_A_SERVER)
class InsertOrReplace(GoodOnDisk):
    def replace(self, session_id, old, new, expires_at):
        row = self.run("SELECT sess FROM sessions WHERE sid = ?", session_id)
        if row is not None and row[0] != old:
            return False
        self.run("INSERT OR REPLACE INTO sessions VALUES (?, ?, ?)", session_id, new, expires_at)
        return True


@wrong("SQLStore", ENDS)
class TouchComesTooLateOnDisk(GoodOnDisk):
    def touch(self, session_id, expires_at):
        update = "UPDATE sessions SET expires_at = ? WHERE sid = ?"
        return self.run(update, expires_at, session_id) == 1


@wrong("SQLStore", ENDS)
class AnEndedIdIsTakenOnDisk(GoodOnDisk):
    def create(self, session_id, text, expires_at):
        try:
            self.run("INSERT INTO sessions VALUES (?, ?, ?)", session_id, text, expires_at)
        except sqlite3.IntegrityError:
            return False
        return True


@wrong("SQLStore", ENDS)
class TheClockOfSQLite(GoodOnDisk):
    def get(self, session_id):
        select = "SELECT sess, expires_at FROM sessions WHERE sid = ? AND expires_at > unixepoch()"
        row = self.run(select, session_id)
        return Record(*row) if row else None


@wrong("SQLStore", PARAMETERS)
class PastedIds(GoodOnDisk):
    def get(self, session_id):
        where = f"sid = '{session_id}' AND expires_at > {self.now()}"
        row = self.run(f"SELECT sess, expires_at FROM sessions WHERE {where}")  # noqa: S608
        return Record(*row) if row else None


@wrong("SQLStore", PARAMETERS)
class PastedInDoubleQuotes(GoodOnDisk):
    def destroy(self, session_id):
        self.run(f'DELETE FROM sessions WHERE sid = "{session_id}"')  # noqa: S608


@wrong("SQLStore", PARAMETERS)
class PastedTexts(GoodOnDisk):
    def create(self, session_id, text, expires_at):
        insert = INSERT.replace("?, ?, ?", f"?, '{text}', ?")
        return self.run(insert, session_id, expires_at, self.now()) == 1


@wrong("SQLStore", PARAMETERS)
class PastedTextsAndItsOwnError(PastedTexts):
    def create(self, session_id, text, expires_at):
        try:
            return super().create(session_id, text, expires_at)
        except sqlite3.Error as error:
            raise StoreError("SQLite") from error


@wrong("SQLStore", ONE_WINS)
class ComparedInPython(GoodOnDisk):
    def replace(self, session_id, old, new, expires_at):
        record = self.get(session_id)
        if record is None or record.text != old:
            return False
        update = "UPDATE sessions SET sess = ?, expires_at = ? WHERE sid = ?"
        return self.run(update, new, expires_at, session_id) == 1


@wrong("SQLStore", ONE_WINS)
class ComparedInAStatementOfItsOwn(GoodOnDisk):
    def replace(self, session_id, old, new, expires_at):
        if self.run(SELECT + " AND sess = ?", session_id, self.now(), old) is None:
            return False
        update = "UPDATE sessions SET sess = ?, expires_at = ? WHERE sid = ?"
        return self.run(update, new, expires_at, session_id) == 1


@wrong("SQLStore", ONE_WINS, error=True)
class ATransactionThatBeginsAsAReader(GoodOnDisk):
    def replace(self, session_id, old, new, expires_at):
        with closing(sqlite3.connect(self.path)) as connection, connection:
            connection.execute("BEGIN")
            row = connection.execute(SELECT, (session_id, self.now())).fetchone()
            if row is None or row[0] != old:
                return False
            update = "UPDATE sessions SET sess = ?, expires_at = ? WHERE sid = ?"
            connection.execute(update, (new, expires_at, session_id))
            return True


@wrong("SQLStore", ONE_WINS)
class NotCompared(GoodOnDisk):
    def replace(self, session_id, old, new, expires_at):
        update = "UPDATE sessions SET sess = ?, expires_at = ? WHERE sid = ? AND expires_at > ?"
        return self.run(update, new, expires_at, session_id, self.now()) == 1


@wrong("SQLStore", ONE_WINS)
class BothAreTold(GoodOnDisk):
    def replace(self, session_id, old, new, expires_at):
        super().replace(session_id, old, new, expires_at)
        return self.get(session_id) is not None


@wrong("SQLStore", PROMISES)
class CreateOverwritesOnDisk(GoodOnDisk):
    def create(self, session_id, text, expires_at):
        insert = "INSERT OR REPLACE INTO sessions VALUES (?, ?, ?)"
        return self.run(insert, session_id, text, expires_at) == 1


@wrong("SQLStore", PROMISES)
class Like(GoodOnDisk):
    def destroy(self, session_id):
        self.run("DELETE FROM sessions WHERE sid LIKE ?", session_id)


@wrong("SQLStore", PROMISES)
class NoCase(GoodOnDisk):
    def __init__(self, path, now):
        self.path, self.now = path, now
        self.run(TABLE.replace("TEXT PRIMARY KEY", "TEXT COLLATE NOCASE PRIMARY KEY"))


READS = "who reads stays logged in"
IDLE = "who does nothing is logged out at the end of the time"
TEXT_STAYS = "touch leaves the text as it is"
ANY_TEXT = "it keeps every promise of StoreContract, whatever the text is"


class Readers(MemoryStore):
    def __init__(self, now):
        super().__init__(now)
        self.now = now

    def is_over(self, record):
        expires = decode_record(record.text)[0].get("expires")
        return bool(expires) and datetime.fromisoformat(expires).timestamp() <= self.now()


@wrong("ReadersStore", READS)
class AQuarterOfGrace(Readers):
    def get(self, session_id):
        record = super().get(session_id)
        if record is None:
            return None
        expires = decode_record(record.text)[0].get("expires")
        is_over = expires and datetime.fromisoformat(expires).timestamp() + 900 <= self.now()
        return None if is_over else record


@wrong("ReadersStore", READS)
class BothMustBeAlive(Readers):
    def get(self, session_id):
        record = super().get(session_id)
        return record if record and not self.is_over(record) else None


@wrong("ReadersStore", READS)
class TouchThatAsksFirst(BothMustBeAlive):
    def touch(self, session_id, expires_at):
        return self.get(session_id) is not None and super().touch(session_id, expires_at)


@wrong("ReadersStore", IDLE)
class NoEndAtAll(Readers):
    def get(self, session_id):
        return self._records.get(session_id)


@wrong("ReadersStore", IDLE)
class TheInstantIncludedNow(Readers):
    def get(self, session_id):
        record = self._records.get(session_id)
        return record if record and record.expires_at >= self.now() else None


@wrong("ReadersStore", TEXT_STAYS)
class TouchWritesBoth(BothMustBeAlive):
    def touch(self, session_id, expires_at):
        record = self.get(session_id)
        if record is None:
            return False
        data = json.loads(record.text)
        if data["cookie"].get("expires"):
            data["cookie"]["expires"] = datetime.fromtimestamp(expires_at, UTC).isoformat()
        text = json.dumps(data, separators=(",", ":"))
        return self.replace(session_id, record.text, text, expires_at)


@wrong("ReadersStore", TEXT_STAYS)
class TouchTakesItOut(BothMustBeAlive):
    def touch(self, session_id, expires_at):
        record = self.get(session_id)
        if record is None:
            return False
        data = json.loads(record.text)
        data["cookie"]["expires"] = None
        return self.replace(session_id, record.text, json.dumps(data), expires_at)


@wrong("ReadersStore", ANY_TEXT)
class BothMustBeOver(Readers):
    def get(self, session_id):
        record = self._records.get(session_id)
        if record is None or (self.is_over(record) and record.expires_at <= self.now()):
            return None
        return super().get(session_id)


@wrong("ReadersStore", ANY_TEXT)
class StillDecoded(Readers):
    def get(self, session_id):
        record = super().get(session_id)
        if record is not None:
            decode_record(record.text)
        return record


@wrong("ReadersStore", ANY_TEXT)
class OnlyWhatCanBeRead(Readers):
    def get(self, session_id):
        record = super().get(session_id)
        try:
            return record and decode_record(record.text) and record
        except ValueError:
            return None
