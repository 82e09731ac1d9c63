"""JOSH's tables: every row and column of the paper is there, and a changed order is told, computed from the numbers."""

import itertools

import pytest

from diorama.evaluate.methods import METHODS
from diorama.evaluate.paper_tables import (
    JOSH_TABLES,
    order_difference,
    paper_table,
    printed_figures,
    runs_needed,
    table_of_methods,
)
from diorama.evaluate.published import load_published
from diorama.evaluate.table import Row
from diorama.synthetic.simulate import PRESETS

TABLES = list(JOSH_TABLES.values())
by_table = pytest.mark.parametrize("table", TABLES, ids=[t.name for t in TABLES])


def measured(table, change=lambda row, column, value: value):
    """The paper's own numbers as if they were measured."""
    out = {}
    for row in table.rows:
        figures = {c: change(row, c, v) for c, v in printed_figures(table, row).items()}
        out[row.label] = Row(row.method, "", "measured", figures, (14, 14))
    return out


@by_table
def test_every_column_and_row_of_the_paper_is_there(table):
    results = [r for r in load_published().select(paper="JOSH", dataset="sloper4d") if r.table == table.name]
    assert tuple(dict.fromkeys(r.metric for r in results)) == table.columns
    left_out = {"JOSH_1", "JOSH_2"} if table.name == "Table 1" else set()
    assert {r.method for r in results} - {row.printed for row in table.rows} == left_out
    for row in table.rows:
        assert set(printed_figures(table, row)) == set(table.columns)
        assert not row.errors or row.errors in PRESETS
    assert len({row.label for row in table.rows}) == len(table.rows)


@by_table
def test_the_same_numbers_have_the_same_order(table):
    text = paper_table(table, measured(table))
    assert "best first" not in text and "No column orders the methods otherwise" in text
    for row in table.rows:
        lines = {line.split("|")[1].strip(): line for line in text.splitlines() if line.startswith("| ")}
        line = lines[row.label]
        assert line.count("(") >= len(table.columns) and "- (" not in line
        assert all(f"({value:g})" in line for value in printed_figures(table, row).values())


@by_table
def test_the_opposite_numbers_differ_in_every_column(table):
    text = paper_table(table, measured(table, lambda row, column, value: 1000 - value))
    for column in table.columns:
        assert f"- {column}, best first" in text


def test_any_other_order_is_told_and_the_same_is_not():
    theirs = {"a": 1.0, "b": 2.0, "c": 3.0}
    for order in itertools.permutations([10.0, 20.0, 30.0]):
        told = order_difference("ATE", dict(zip("abc", order, strict=True)), theirs)
        assert (told is None) == (order == (10.0, 20.0, 30.0))
    told = order_difference("ATE", {"a": 3.0, "b": 1.0, "c": 2.0}, theirs)
    assert told == "ATE, best first: here b < c < a; the paper a < b < c."


def test_more_is_better_where_it_is():
    theirs = {"a": 0.9, "b": 0.5}
    assert order_difference("delta1.25", {"a": 0.7, "b": 0.6}, theirs) is None
    assert (
        order_difference("delta1.25", {"a": 0.6, "b": 0.7}, theirs)
        == "delta1.25, best first: here b < a; the paper a < b."
    )


def test_equal_numbers():
    """What the paper prints as equal may stand anyhow; what differs there must differ here, as it is printed."""
    assert order_difference("RTE", {"a": 1.0, "b": 2.0}, {"a": 1.8, "b": 1.8}) is None
    told = order_difference("RTE", {"a": 1.001, "b": 1.002}, {"a": 1.7, "b": 1.8})
    assert told == "RTE, best first: here a = b; the paper a < b."


def test_what_was_not_scored_has_no_order():
    assert order_difference("FFR", {"a": 2.0}, {"a": 1.0, "b": 0.5}) is None
    assert order_difference("FFR", {"b": 1.0, "c": 0.0}, {"a": 1.0, "b": 0.5}) is None
    table = JOSH_TABLES[1]
    text = paper_table(table, {"synchmr": Row("synchmr", "", "measured", {"FS": 60.0}, (13, 14))})
    assert "synchmr (13/14 sequences)" in text and "60.0 (67.4)" in text and "- (28.2)" in text
    assert "orders the methods" not in text, "one method has no order"


def test_omission_is_told():
    table = JOSH_TABLES[1]
    rows = measured(table)
    full, half = ({**rows[m].figures, "DepthPx": share} for m, share in (("synchmr", 99.0), ("josh", 50.0)))
    text = paper_table(table, {m: Row(m, "", "measured", f, (1, 1)) for m, f in (("synchmr", full), ("josh", half))})
    assert "josh covers 50 % of DepthPx, others up to 99 %." in text
    assert "synchmr covers" not in text and "covers" not in paper_table(table, rows)


def test_every_contradiction_of_the_paper_stands_below():
    assert "the other way round" in paper_table(JOSH_TABLES[7], {})
    assert "1053.5" in paper_table(JOSH_TABLES[2], {})


def test_what_is_run():
    every = runs_needed(TABLES, "standard")
    assert set(every) == {
        "synthetic:standard", *(f"synthetic:standard+josh_{e}" for e in ("focal", "f_depth", "f_contact", "f_human"))
    }  # fmt: skip
    for table in TABLES:
        for row in table.rows:
            assert row.method in every["synthetic:standard" + (f"+{row.errors}" if row.errors else "")]
    assert all(len(set(names)) == len(names) for names in every.values())


def test_other_rows_in_table_1():
    table = table_of_methods(("observations", "synchmr", "tram"))
    assert runs_needed([table], "standard") == {"synthetic:standard": ("observations", "synchmr", "tram")}
    assert {row.method for row in table.rows} <= set(METHODS)
    assert printed_figures(table, table.rows[0]) == {}
    assert printed_figures(table, table.rows[2]) == {"WA-MPJPE": 215.1, "W-MPJPE": 1285.3, "RTE": 3.0}
