"""What learners get wrong in chapter 5."""

from trial import wrong

CHANGED = "what was changed is saved"
UNCHANGED = "a loaded session that nobody changed is not written again, unless resave is on"
STRANGERS = "a stranger who stored nothing leaves no record, also with resave"
EMPTY = "with save_uninitialized a stranger's empty session is kept"


@wrong("should_save", CHANGED)
def new_ones_alone(is_new, is_modified, save_uninitialized, resave):
    return is_new


@wrong("should_save", CHANGED)
def text_for_a_truth(is_new, is_modified, save_uninitialized, resave):
    return "yes" if is_modified else "no"


@wrong("should_save", UNCHANGED)
def resave_forgotten(is_new, is_modified, save_uninitialized, resave):
    return is_modified or (is_new and save_uninitialized)


@wrong("should_save", UNCHANGED)
def always(is_new, is_modified, save_uninitialized, resave):
    return True


@wrong("should_save", UNCHANGED)
def uninitialized_for_all(is_new, is_modified, save_uninitialized, resave):
    return is_modified or save_uninitialized or (resave and not is_new)


@wrong("should_save", STRANGERS)
def resave_for_all(is_new, is_modified, save_uninitialized, resave):
    return is_modified or resave or (is_new and save_uninitialized)


@wrong("should_save", STRANGERS)
def each_stranger(is_new, is_modified, save_uninitialized, resave):
    return is_modified or resave or is_new


@wrong("should_save", EMPTY)
def uninitialized_forgotten(is_new, is_modified, save_uninitialized, resave):
    return is_modified or (resave and not is_new)


READ = "a session that was only read is renewed"
NEW = "a new session is not touched"
SAVED = "a session that is saved is not touched as well"


@wrong("should_touch", READ)
def the_changed_ones(is_new, is_modified, resave):
    return is_modified


@wrong("should_touch", READ)
def never(is_new, is_modified, resave):
    return False


@wrong("should_touch", NEW)
def whatever_is_not_changed(is_new, is_modified, resave):
    return not is_modified and not resave


@wrong("should_touch", SAVED)
def all_that_were_loaded(is_new, is_modified, resave):
    return not is_new


@wrong("should_touch", SAVED)
def without_a_look_at_resave(is_new, is_modified, resave):
    return not is_new and not is_modified


TOLD = "a new session that was written to is told to the browser"
STRANGER = "a stranger gets a cookie only if his empty session is kept, whatever rolling says"
ROLLING = "rolling sends it with each response"
AGE = "a cookie with an age is sent again when the data changed"
AGAIN = "what the browser has already is not sent again"


@wrong("should_set_cookie", TOLD)
def kept_strangers_alone(is_new, is_modified, save_uninitialized, rolling, has_expiry):
    return rolling or (is_new and save_uninitialized)


@wrong("should_set_cookie", STRANGER)
def every_new_one(is_new, is_modified, save_uninitialized, rolling, has_expiry):
    return is_new or rolling or (has_expiry and is_modified)


@wrong("should_set_cookie", STRANGER)
def rolling_for_strangers(is_new, is_modified, save_uninitialized, rolling, has_expiry):
    return rolling or (is_new and (is_modified or save_uninitialized))


@wrong("should_set_cookie", ROLLING)
def rolling_with_an_age_alone(is_new, is_modified, save_uninitialized, rolling, has_expiry):
    if is_new:
        return is_modified or save_uninitialized
    return has_expiry and (rolling or is_modified)


@wrong("should_set_cookie", AGE)
def rolling_alone(is_new, is_modified, save_uninitialized, rolling, has_expiry):
    if is_new:
        return is_modified or save_uninitialized
    return rolling


@wrong("should_set_cookie", AGAIN)
def with_each_change(is_new, is_modified, save_uninitialized, rolling, has_expiry):
    if is_new:
        return is_modified or save_uninitialized
    return rolling or is_modified


@wrong("should_set_cookie", AGAIN)
def each_that_has_an_age(is_new, is_modified, save_uninitialized, rolling, has_expiry):
    if is_new:
        return is_modified or save_uninitialized
    return rolling or has_expiry
