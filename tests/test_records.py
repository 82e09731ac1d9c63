"""Records come back equal from disk, the same bytes each time; damaged ones are refused."""

import dataclasses
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from diorama.errors import DioramaError
from diorama.observations import Depth, MaskStack, Source, Track, Tracks
from diorama.records import load_record, save_record


@dataclass(frozen=True)
class Inner:
    numbers: np.ndarray
    name: str


@dataclass(frozen=True)
class Outer:
    inner: tuple[Inner, ...]
    maybe: Inner | None
    pair: tuple[int, float]
    table: dict[str, float]
    place: Path
    flag: bool = False


TWO = (Inner(np.arange(6.0).reshape(2, 3), "a"), Inner(np.zeros((0, 3), np.uint8), "b"))
OUTER = Outer(TWO, None, (1, 2.5), {"x": 0.5}, Path("p"))


def equal(a, b) -> bool:
    if dataclasses.is_dataclass(a):
        return type(a) is type(b) and all(equal(getattr(a, f.name), getattr(b, f.name)) for f in dataclasses.fields(a))
    if isinstance(a, np.ndarray):
        return isinstance(b, np.ndarray) and a.dtype == b.dtype and np.array_equal(a, b, equal_nan=a.dtype.kind == "f")
    if isinstance(a, tuple):
        return isinstance(b, tuple) and len(a) == len(b) and all(map(equal, a, b))
    return a == b


def test_a_record_comes_back_equal(tmp_path):
    save_record(OUTER, tmp_path / "r.npz")
    assert equal(load_record(Outer, tmp_path / "r.npz"), OUTER)


def test_the_same_record_gives_the_same_bytes(tmp_path):
    for name in ("a.npz", "b.npz"):
        save_record(OUTER, tmp_path / name)
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()
    assert [p.name for p in tmp_path.iterdir() if p.name.startswith(".")] == []


def test_nothing_is_a_record_too(tmp_path):
    save_record(None, tmp_path / "none.npz")
    assert load_record(Depth, tmp_path / "none.npz") is None


def test_tracks_with_masks_come_back_equal(tmp_path):
    mask = np.zeros((5, 4), bool)
    mask[1:3, 2] = True
    stack = MaskStack.encode([((2, 3, 6, 8), mask), ((0, 0, 4, 5), ~mask)], 10, 9)
    track = Track(3, np.array([4, 5]), np.ones((2, 4)), np.ones((2, 33, 3)), "blazepose33", stack)
    tracks = Tracks(Source("test", notes=("a", "b")), (track,), ("one was too short",))
    save_record(tracks, tmp_path / "t.npz")
    back = load_record(Tracks, tmp_path / "t.npz")
    assert equal(back, tracks)
    assert np.array_equal(back.people[0].masks.window(1), ~mask)


def test_a_damaged_record_is_refused(tmp_path):
    path = tmp_path / "r.npz"
    save_record(OUTER, path)
    whole = path.read_bytes()
    flipped = bytearray(whole)
    flipped[len(whole) // 4 : len(whole) // 4 + 40] = b"x" * 40
    for damaged in (b"", b"no zip", whole[: len(whole) // 2], bytes(flipped)):
        path.write_bytes(damaged)
        with pytest.raises(DioramaError, match="not a readable record"):
            load_record(Outer, path)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("other.npy", b"")
    with pytest.raises(DioramaError, match="not a readable record"):
        load_record(Outer, path)
