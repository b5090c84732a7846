"""The decisions, against a table recorded from express-session 1.19 over HTTP."""

from itertools import product

import pytest

from sessionlab import Facts, Options, decide, should_save, should_set_cookie, should_touch

# 4·save + 2·touch + 1·set-cookie for each row of product((False, True), repeat=6) over
# (new, modified, saveUninitialized, resave, rolling, has expiry).
EXPRESS = "2233445522334455455545554555455500000000555555555555555555555555"
ROWS = list(product((False, True), repeat=6))


@pytest.mark.parametrize(("row", "code"), list(zip(ROWS, EXPRESS, strict=True)))
def test_each_decision_is_the_one_that_express_session_takes(row, code):
    is_new, is_modified, save_uninitialized, resave, rolling, has_expiry = row
    facts = Facts(
        is_new=is_new,
        is_modified=is_modified,
        is_saved=not is_new and not is_modified,
        has_expiry=has_expiry,
    )
    options = Options(resave=resave, rolling=rolling, save_uninitialized=save_uninitialized)
    save, touch, set_cookie, _ = map(bool, decide(facts, options))
    assert 4 * save + 2 * touch + set_cookie == int(code)


LOADED = Facts(is_new=False, is_saved=True)
CHANGED = LOADED._replace(is_modified=True, is_saved=False)
NEW = Facts(is_new=True)
DEFAULTS = Options()


def test_a_read_renews_the_record_only_when_that_is_due():
    assert should_touch(LOADED, DEFAULTS)
    assert not should_touch(LOADED._replace(is_touch_due=False), DEFAULTS)


def test_a_cookie_that_is_sent_again_renews_the_record_even_before_that_is_due():
    facts = LOADED._replace(is_touch_due=False)
    assert should_touch(facts, Options(rolling=True))
    assert should_touch(facts._replace(is_secret_retired=True), DEFAULTS)


def test_a_change_of_the_cookie_alone_reaches_store_and_browser():
    facts = CHANGED._replace(is_cookie_changed=True)
    assert should_save(facts, DEFAULTS)
    assert should_set_cookie(facts, DEFAULTS)


def test_a_changed_browser_session_cookie_is_not_sent_again():
    assert should_save(CHANGED, DEFAULTS)
    assert not should_set_cookie(CHANGED, DEFAULTS)


def test_a_cookie_signed_with_a_retired_secret_is_sent_again():
    assert should_set_cookie(LOADED._replace(is_secret_retired=True), DEFAULTS)


@pytest.mark.parametrize("facts", [NEW._replace(is_modified=True), CHANGED], ids=["new", "changed"])
def test_a_secure_cookie_never_goes_over_http_but_the_session_is_saved(facts):
    decision = decide(facts._replace(is_insecure=True), Options(rolling=True))
    assert decision.save
    assert not decision.set_cookie


def test_what_was_saved_by_hand_is_not_saved_again():
    facts = CHANGED._replace(was_saved=True, is_saved=True)
    assert not should_save(facts, DEFAULTS)
    assert not should_save(facts, Options(resave=True))


def test_what_changed_after_it_was_saved_by_hand_is_saved_again():
    assert should_save(CHANGED._replace(was_saved=True), DEFAULTS)
    assert should_save(NEW._replace(was_saved=True), DEFAULTS)


def test_a_new_session_saved_by_hand_but_empty_gets_no_cookie():
    assert not should_set_cookie(NEW._replace(was_saved=True, is_saved=True), DEFAULTS)


@pytest.mark.parametrize("ended", ["is_destroyed", "is_gone"])
@pytest.mark.parametrize("options", [Options(*flags) for flags in product((False, True), repeat=3)])
def test_nothing_is_stored_or_sent_for_a_session_that_has_ended(ended, options):
    for facts in (LOADED, CHANGED, NEW._replace(is_modified=True)):
        decision = decide(facts._replace(**{ended: True}), options)
        assert not any([decision.save, decision.touch, decision.set_cookie])


def test_the_cookie_is_cleared_after_a_logout_of_a_browser_that_has_one():
    gone = NEW._replace(is_destroyed=True)
    assert decide(gone._replace(had_cookie=True), DEFAULTS).clear_cookie
    assert not decide(gone, DEFAULTS).clear_cookie
    assert not decide(LOADED._replace(had_cookie=True), DEFAULTS).clear_cookie
    assert not decide(LOADED._replace(had_cookie=True, is_gone=True), DEFAULTS).clear_cookie


def test_every_decision_has_a_reason():
    for flags in product((False, True), repeat=len(Facts._fields)):
        for options in (Options(), Options(resave=True), Options(True, True, True)):
            for verdict in decide(Facts(*flags), options):
                assert verdict.why


def test_the_options_are_off_unless_somebody_turns_them_on():
    assert Options() == (False, False, False)
