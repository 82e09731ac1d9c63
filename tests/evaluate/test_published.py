"""The papers' numbers: complete, named as the readers name data sets, and consistent where the papers are."""

from collections import defaultdict

import numpy as np
import pytest

from diorama.data import DATASETS
from diorama.data.rich_names import SHARE
from diorama.evaluate.published import load_published

PUBLISHED = load_published()


def one(**wanted):
    (result,) = PUBLISHED.select(**wanted)
    return result


def test_every_record_is_typed_and_named_as_the_readers_do():
    assert len(PUBLISHED.select()) == 365 and len(PUBLISHED.select(by_sequence=True)) == 33 * 4 * 2
    for result in PUBLISHED.results:
        assert result.dataset is None or result.dataset in DATASETS
        assert result.paper in PUBLISHED.papers and result.unit and np.isfinite(result.value)
        assert (result.dataset is None) == (result.metric == "FPS")


def test_filters_narrow_down():
    table = PUBLISHED.select(dataset="emdb2", metric="W-MPJPE", paper="JOSH")
    assert {r.dataset for r in table} == {"emdb2"} and {r.metric for r in table} == {"W-MPJPE"}
    assert {r.value for r in table if r.method == "JOSH_3"} == {174.7}
    assert PUBLISHED.select(dataset="toyota", metric="ATE") == ()
    final = one(method="UniSH, teacher MoGe-2 (final)", dataset="bonn", metric="AbsRel")
    assert (final.value, final.unit, final.paper, final.table) == (0.035, "ratio", "UniSH", "Suppl. Table 5")
    assert not final.higher_is_better and "scale" in final.note
    assert one(method="SHARE", metric="Score").higher_is_better


def test_missing_entries_of_a_table_are_no_records():
    metrics = {r.metric for r in PUBLISHED.select(method="WHAC", dataset="emdb2")}
    assert metrics == {"WA-MPJPE", "W-MPJPE"}


def test_what_differs_between_tables_is_listed_as_a_contradiction():
    """Among numbers of one paper, method, data set and metric, every disagreement is known."""
    groups = defaultdict(set)
    for result in PUBLISHED.select():
        groups[result.paper, result.dataset, result.method, result.metric].add(result.value)
    differing = {key for key, values in groups.items() if len(values) > 1}
    assert differing == {("JOSH", "sloper4d", "SynCHMR*", m) for m in ("Jitter", "FS")} | {
        ("JOSH", "sloper4d", "JOSH_3", m) for m in ("RTE", "AbsRel")
    }
    for paper, dataset, method, metric in differing:
        for result in PUBLISHED.select(paper=paper, dataset=dataset, method=method, metric=metric):
            assert PUBLISHED.doubts(result)
    assert not PUBLISHED.doubts(one(method="WHAM", dataset="emdb2", metric="FS"))


@pytest.mark.parametrize("method", ["SHARE", "TRAM", "MHMocap", "BEV"])
@pytest.mark.parametrize("metric", ["MRPE", "V2V"])
def test_shares_sequences_average_to_its_table(method, metric):
    rows = PUBLISHED.select(dataset="rich-share", method=method, metric=metric, by_sequence=True)
    expected = {f"{name}_batch{batch:02d}" for name, _, batches in SHARE for batch in batches}
    assert {row.sequence for row in rows} == expected
    mean = np.mean([row.value for row in rows])
    assert one(dataset="rich-share", method=method, metric=metric).value == pytest.approx(mean, abs=0.0051)


def test_contradictions_speak_of_numbers_that_are_there():
    for doubt in PUBLISHED.contradictions:
        assert doubt.text and doubt.paper in PUBLISHED.papers
        concerned = [r for r in PUBLISHED.select() if doubt in PUBLISHED.doubts(r)]
        assert concerned, doubt
