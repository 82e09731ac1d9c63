"""The table: means as the papers take them, their own numbers beside, bold only for what can be compared."""

import csv
import json

import numpy as np
import pytest

from diorama.evaluate.columns import COLUMN, COLUMNS
from diorama.evaluate.published import load_published
from diorama.evaluate.runs import RunRecord
from diorama.evaluate.scores import Scores, Series
from diorama.evaluate.table import make_table
from diorama.evaluate.table_files import as_csv, as_json, markdown, save_table


def record(sequence, method="default", error="", **columns):
    series = [Series(name, np.array(values, float)) for name, values in columns.items()]
    return RunRecord("key", "d", sequence, method, 2.0, error, "", None if error else Scores(tuple(series)))


def named(**columns):
    """Columns whose names are no Python words."""
    return {name.replace("_", "-"): values for name, values in columns.items()}


LONG = record("long", **named(WA_MPJPE=[10, 10, 10], ATE=[1.0], FFR=[0, 0, 0, 1], Frames=[1], People=[1]))
SHORT = record("short", **named(WA_MPJPE=[50], ATE=[4.0], FFR=[1], Frames=[1], People=[1]))


def test_frames_count_alike_in_people_and_sequences_in_cameras_and_floating():
    (mean,) = make_table("synthetic:none", [LONG, SHORT]).means
    assert mean.figures["WA-MPJPE"] == 20  # (10 + 10 + 10 + 50) / 4, not (10 + 50) / 2
    assert mean.figures["ATE"] == 2.5
    assert mean.figures["FFR"] == 62.5  # percent: (1/4 + 1) / 2
    assert mean.scored == (2, 2) and mean.seconds == 4


def test_weights_pool_what_they_count():
    one = Scores((Series("ContactP", np.array([0.5]), np.array([10.0])),))
    two = Scores((Series("ContactP", np.array([1.0, np.nan]), np.array([30.0, 0.0])),))
    records = [RunRecord("k", "d", name, "m", 1.0, scores=s) for name, s in (("a", one), ("b", two))]
    assert make_table("d", records).means[0].figures["ContactP"] == pytest.approx(0.875)


def test_the_papers_stand_beside_for_their_data_set_alone():
    table = make_table("emdb2", [LONG, SHORT])
    final = [row for row in table.published if row.method == "JOSH_3" and "W-MPJPE" in row.figures]
    assert any(row.figures["W-MPJPE"] == 174.7 and row.source.startswith("JOSH Table") for row in final)
    text = markdown(table)
    assert "174.7" in text and "JOSH_3 (JOSH Table 6)" in text and "W-MPJPE mm" in text
    assert make_table("synthetic:standard", [LONG]).published == ()
    # A row that another table of the paper repeats is printed once.
    assert sum(row.method == "WHAM" for row in table.published) == 1


def test_shares_own_sequences_stand_beside_ours():
    name = load_published().select(dataset="rich-share", by_sequence=True)[0].sequence
    table = make_table("rich-share", [record(name, MRPE=[1.0])])
    assert {row.sequence for row in table.published} == {"", name}


def test_contradictions_of_the_papers_are_told():
    assert any("RTE is 1.7" in text for text in make_table("sloper4d", [LONG]).doubts)
    assert "RTE is 1.7" in markdown(make_table("sloper4d", [LONG]))


def test_columns_have_the_units_and_directions_of_the_papers():
    for result in load_published().results:
        if result.metric in COLUMN:
            column = COLUMN[result.metric]
            assert column.unit == result.unit and (column.better == "high") == result.higher_is_better


def test_nothing_scored_is_a_dash():
    table = make_table("d", [record("a", MPJPE=[1.0]), record("a", "other", ATE=[0.5])])
    assert [c.name for c in table.columns] == ["MPJPE", "ATE"]
    rows = [line for line in markdown(table).splitlines() if line.startswith("| other")]
    assert rows and " - " in rows[0] and "nan" not in markdown(table)


def bold(records, column):
    table = make_table("d", records)
    return table.best(COLUMN[column])


def whole(sequence, method, value, frames=1.0, **more):
    return record(sequence, method, MPJPE=[value], Frames=[frames], People=[1.0], **more)


def test_bold_is_the_best_of_those_that_cover_as_much():
    good, bad = whole("a", "good", 10.0), whole("a", "bad", 20.0)
    assert bold([good, bad], "MPJPE") == {"good"}
    assert bold([whole("a", "good", 10.0, frames=0.8), bad], "MPJPE") == {"bad"}, "easy frames alone do not win"
    assert bold([whole("a", "good", 10.0, frames=0.96), bad], "MPJPE") == {"good"}
    assert bold([good], "MPJPE") == set(), "alone is not best"


def test_a_failure_does_not_win_either():
    records = [
        whole("a", "good", 10.0),
        record("b", "good", error="ValueError: no"),
        *(whole(s, "bad", 20.0) for s in "ab"),
    ]
    assert bold(records, "MPJPE") == {"bad"}
    text = markdown(make_table("d", records))
    assert "1/2" in text and "- b, good: ValueError: no" in text and "failed" in text


def test_high_is_better_where_it_is():
    records = [whole("a", m, 1.0, ContactP=[p]) for m, p in (("x", 0.9), ("y", 0.8))]
    assert bold(records, "ContactP") == {"x"} and bold(records, "MPJPE") == {"x", "y"}
    assert bold(records, "Frames") == set()


def test_markdown_csv_and_json_say_the_same(tmp_path):
    table = make_table("emdb2", [LONG, SHORT, record("third", error="KeyError: 'x'")])
    files = save_table(table, tmp_path)
    assert [f.name for f in files] == ["table.md", "table.csv", "table.json"]
    rows = list(csv.DictReader(files[1].read_text(encoding="utf-8").splitlines()))
    assert len(rows) == len(table.means) + len(table.published) + 3
    tree = json.loads(files[2].read_text(encoding="utf-8"))
    mean = next(r for r in rows if r["source"] == "measured" and not r["sequence"])
    assert float(mean["WA-MPJPE [mm]"]) == tree["means"][0]["figures"]["WA-MPJPE"] == 20
    assert mean["sequences_scored"] == "2" and mean["sequences"] == "3"
    assert tree["sequences"][2]["error"] == "KeyError: 'x'" and tree["sequences"][2]["figures"] == {}
    assert files[0].read_text(encoding="utf-8") == markdown(table)
    assert as_csv(table) == as_csv(table) and as_json(table) == as_json(table)


def test_every_row_has_every_cell():
    lines = [line for line in markdown(make_table("emdb2", [LONG, SHORT])).splitlines() if line.startswith("|")]
    tables = [len(line.split("|")) for line in lines]
    assert len(set(tables[: tables.index(tables[-1])])) <= 1 and len(COLUMNS) == len(COLUMN)
