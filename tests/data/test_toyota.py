"""Toyota Smarthome: clips whose names say who does what; no truth."""

import pytest

from diorama.data import open_dataset
from diorama.data.toyota import ToyotaClip, parse_clip_name
from diorama.errors import DioramaError


def test_names_are_parsed():
    assert parse_clip_name("Walk_p04_r00_v04_c05") == ToyotaClip("Walk", 4, 0, 4, 5)
    assert parse_clip_name("Cook.Cleandishes_p02_r10_v02_c03") == ToyotaClip("Cook.Cleandishes", 2, 10, 2, 3)
    assert parse_clip_name("Walk_p04_r00_v04") is None and parse_clip_name("holiday") is None


def test_clips_have_pictures_and_no_truth(tmp_path):
    (tmp_path / "mp4").mkdir()
    for name in ("Walk_p04_r00_v04_c05.mp4", "Drink.Fromcup_p02_r01_v02_c03.mp4", "holiday.mp4"):
        (tmp_path / "mp4" / name).write_bytes(b"")
    sequences = open_dataset("toyota", tmp_path)
    assert [s.name for s in sequences] == ["Drink.Fromcup_p02_r01_v02_c03", "Walk_p04_r00_v04_c05"]
    assert sequences[1].pictures == tmp_path / "mp4" / "Walk_p04_r00_v04_c05.mp4"
    assert sequences[1].split == ("Walk", "p04", "c05") and sequences[1].fps == 20
    with pytest.raises(DioramaError, match="toyota Walk_p04_r00_v04_c05: it has no truth"):
        sequences[1].truth()
    with pytest.raises(DioramaError, match="it has no parameters"):
        sequences[1].parameters()


def test_a_wrong_folder_says_what_belongs_there(tmp_path):
    with pytest.raises(DioramaError, match="mp4"):
        open_dataset("toyota", tmp_path)
    (tmp_path / "mp4").mkdir()
    with pytest.raises(DioramaError, match=r"Walk_p04_r00_v04_c05\.mp4"):
        open_dataset("toyota", tmp_path)
