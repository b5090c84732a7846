"""The grid of decisions: 64 cells of ``policy``, beside those that Express was asked for."""

import re
from html.parser import HTMLParser
from itertools import product

import pytest
import test_policy

from sessionlab import Decision, Facts, Options, decide
from sessionlab.lab import RECORDED, SITUATIONS, Row, Table, differences, grid, why
from sessionlab.policy import Verdict


def never(facts, options):
    no = Verdict(False, "never")
    return Decision(no, no, no, no)


def without_resave(facts, options):
    return decide(facts, options._replace(resave=False))


class Head(HTMLParser):
    """The texts of the cells of a table's head and body, each with its attributes."""

    def __init__(self, html):
        super().__init__()
        self.cells = []
        self.feed(html)

    def handle_starttag(self, tag, attributes):
        if tag in ("th", "td"):
            self.cells.append([dict(attributes), ""])

    def handle_data(self, data):
        if self.cells:
            self.cells[-1][1] += data


def cells(display):
    """The letters in the grid's 64 cells, as they are read."""
    (table,) = display.tables()
    return [cell for row in table.rows for cell in row.cells[2:]]


class TestGrid:
    def test_the_recording_is_the_one_that_the_tests_of_policy_use(self):
        assert RECORDED == test_policy.EXPRESS

    def test_what_decide_says_is_what_express_did(self):
        assert grid(decide).digits == RECORDED

    def test_each_cell_is_asked_of_the_function_that_was_given(self):
        asked = []

        def note(facts, options):
            asked.append((facts, options))
            return decide(facts, options)

        grid(note)
        assert len(set(asked)) == 64
        assert set(cells(grid(never))) == {"· · ·"}

    @pytest.mark.parametrize(
        ("letters", "count"),
        [("· · ·", 8), ("· T ·", 4), ("· T C", 4), ("S · ·", 8), ("S · C", 40)],
    )
    def test_the_letters_say_what_the_digits_say(self, letters, count):
        assert cells(grid(RECORDED)).count(letters) == count

    @pytest.mark.parametrize("number", range(64))
    def test_each_digit_has_a_place_of_its_own(self, number):
        digits = "".join("7" if index == number else "0" for index in range(64))
        found = cells(grid(digits)).index("S T C")
        new, modified, save_uninitialized, resave, rolling, expiry = list(
            product((False, True), repeat=6)
        )[number]
        across = 4 * save_uninitialized + 2 * rolling + resave
        down = 2 * {(1, 0): 0, (1, 1): 1, (0, 0): 2, (0, 1): 3}[new, modified] + expiry
        assert found == 8 * down + across

    def test_the_text_is_complete_and_narrow(self):
        text = str(grid(decide))
        assert max(map(len, text.split("\n"))) <= 100
        assert text.count("loaded, changed") == 2
        assert re.search(r"^loaded, only read +no +· T · +S · · +· T C +S · C", text, re.MULTILINE)
        assert text.split("\n")[2].split("  ")[-1].strip() == "save_uninitialized on"

    def test_a_tint_only_repeats_the_letters(self):
        (table,) = grid(decide).tables()
        pairs = {pair for row in table.rows for pair in zip(row.cells, row.tints, strict=True)}
        shown = {pair for pair in pairs if "·" in pair[0]}
        assert len({tint for _, tint in shown}) == len(shown) == 5

    def test_a_recording_may_be_written_in_groups(self):
        digits = " ".join(RECORDED[at : at + 16] for at in range(0, 64, 16))
        assert grid(digits).digits == RECORDED

    @pytest.mark.parametrize("digits", ["", "0" * 63, "0" * 63 + "8", "x" * 64])
    def test_what_is_no_recording_is_refused(self, digits):
        with pytest.raises(ValueError, match="64 digits"):
            grid(digits)


class TestDifferences:
    def test_equal_grids_have_none(self):
        table = differences(grid(decide), grid(RECORDED))
        assert table.caption.startswith("64 of 64")
        assert len(table.rows) == 1

    def test_each_cell_that_differs_is_shown_with_both_answers(self):
        table = differences(grid(without_resave), grid(RECORDED))
        assert table.caption.startswith("56 of 64")
        assert ["loaded, only read", "no", "resave", "· T ·", "S · ·"] in [
            list(row.cells) for row in table.rows
        ]
        assert "as without_resave says" in table.columns


class TestWhy:
    @pytest.mark.parametrize("situation", SITUATIONS)
    def test_the_reasons_are_those_of_policy_in_every_case(self, situation):
        for expiry, unread, resave, rolling in product((False, True), repeat=4):
            known = {"save_uninitialized": unread, "resave": resave, "rolling": rolling}
            table = why(situation, has_expiry=expiry, **known)
            facts = SITUATIONS[situation]._replace(has_expiry=expiry)
            decision = decide(facts, Options(resave, rolling, unread))
            (row,) = table.rows
            said = [cell.partition(": ") for cell in row.cells[1:]]
            assert [(yes == "yes", text) for yes, _, text in said] == list(decision[:3])

    def test_only_what_matters_is_named(self):
        table = why("new, ignored")
        assert [row.cells[0] for row in table.rows] == [
            ["save_uninitialized off"],
            ["save_uninitialized on"],
        ]
        assert why("loaded, changed", rolling=True).rows[0].cells[0] == ["always"]

    def test_every_case_stands_in_one_row(self):
        for situation in SITUATIONS:
            rows = why(situation).rows
            shares = [0 if row.cells[0] == ["always"] else len(row.cells[0]) for row in rows]
            assert sum(2**-share for share in shares) == 1

    def test_facts_beyond_the_64_may_be_asked(self):
        facts = Facts(is_new=False, is_destroyed=True, had_cookie=True)
        table = why(facts, resave=False)
        assert table.columns[-1] == "clear cookie"
        assert table.rows[0].cells[-1].startswith("yes: ")

    def test_a_name_that_is_not_known_is_answered_with_those_that_are(self):
        with pytest.raises(ValueError, match="'new, ignored'"):
            why("old")
        with pytest.raises(ValueError, match="resave"):
            why("new, ignored", unset=True)


class TestTable:
    table = Table(
        "a caption",
        ["one", "two", "three"],
        [Row(["1", "2", "3"], ["transparent", "rgba(1,2,3,0.25)", "transparent"])],
        groups=[("", 1), ("a heading", 2)],
    )

    def test_a_heading_stands_over_its_columns(self):
        assert str(self.table).split("\n")[2:4] == ["     a heading", "one  two  three"]
        heading = next(c for c in Head(self.table.html()).cells if c[1] == "a heading")
        assert (heading[0]["scope"], heading[0]["colspan"]) == ("colgroup", "2")

    def test_a_long_heading_is_wrapped(self):
        table = Table("", ["a", "b"], [Row(["1", "2"])], groups=[("one two", 2)])
        assert str(table).split("\n")[2:4] == ["one", "two"]

    def test_each_cell_may_have_a_tint_of_its_own(self):
        tinted = [
            text for found, text in Head(self.table.html()).cells if "(1,2,3" in found["style"]
        ]
        assert tinted == ["2"]

    def test_a_heading_is_escaped(self):
        table = Table("", ["a"], [Row(["1"])], groups=[("<b>\x00", 1)])
        assert "<b>" not in table.html()
        assert "\x00" not in table.html() + str(table)
