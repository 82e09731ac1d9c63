"""`diorama reconstruct --method josh3r`: its steps, their reuse, poor videos, and what is said without weights."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from diorama import cli
from diorama.body.detected import as_detected
from diorama.body.joints import BLAZEPOSE_33
from diorama.frontends import mast3r_scene
from diorama.frontends.clock_keyframes import keyframes
from diorama.frontends.patch_windows import window_of
from diorama.geometry.cameras import intrinsics, project
from diorama.observations import Source, Track, Tracks
from diorama.reconstruct import pipeline, reconstruct
from diorama.reconstruct.plan import phases_of
from diorama.reconstruction import load
from diorama.video import open_video
from seen_planes import Oracle, Room, walking
from tiny_networks import RANDOM_LICENCE, josh3r_weights
from tiny_videos import moving, write_video

WIDTH, HEIGHT, FRAMES = 96, 64, 13


@pytest.fixture
def weights(tmp_path):
    return josh3r_weights(tmp_path / "weights")


@pytest.fixture
def video(tmp_path):
    return write_video(tmp_path / "street.mp4", moving(FRAMES, WIDTH, HEIGHT))


def walker(body, id, rows, width=WIDTH, height=HEIGHT):
    """Somebody who stands upright 4 m away and moves aside."""
    shaped = as_detected(body, "blazepose33").shaped(body.default_betas)
    rotations = np.zeros((len(rows), 24, 3))
    rotations[:, 0] = (np.pi, 0, 0)  # upright before a camera whose y is down
    places = np.stack([0.4 * id - 0.6 + 0.02 * rows, np.full(len(rows), 0.2), np.full(len(rows), 4.0)], 1)
    parts = [torch.from_numpy(np.asarray(part, np.float32)) for part in (rotations[:, 0], rotations[:, 1:], places)]
    marks = shaped.posed(*parts).landmarks(BLAZEPOSE_33).double().numpy()
    pixels = project(marks, intrinsics(0.96 * max(width, height), width, height))
    points = np.concatenate([pixels, np.full((*pixels.shape[:2], 1), 0.9)], 2)
    boxes = np.concatenate([pixels.min(1) - 2, pixels.max(1) + 2], 1)
    around = marks - marks[:, 23:25].mean(1, keepdims=True)
    return Track(id, rows, boxes, points, "blazepose33", keypoints_3d=around)


@pytest.fixture
def seen(monkeypatch, free_body):
    """People as they are put into `people`; counts how often they are tracked. No other front end may be asked."""

    class Seen:
        people = (walker(free_body, 1, np.arange(FRAMES)),)
        calls = 0

    def track_people(video, config, *, progress=True):
        Seen.calls += 1
        return Tracks(Source("fake"), Seen.people)

    monkeypatch.setattr(pipeline, "track_people", track_people)
    monkeypatch.setattr(pipeline, "prepare_models", lambda plan: None)
    for name in ("estimate_cameras", "triangulate_scene", "reconstruct_josh", "reconstruct_unish"):
        monkeypatch.setattr(pipeline, name, None)
    return Seen


def run(video, weights, tmp_path, **options):
    """With a told lens, since networks of random numbers see any."""
    given = {"method": "josh3r", "out": tmp_path / "out", "overlay": False, "progress": False, "focal": 92.0, **options}
    return reconstruct(video, weights=weights, **given)


def is_whole(world):
    arrays = [world.cameras.T_world_camera, world.scene.points_world, *(p.joints_world for p in world.people)]
    assert all(np.isfinite(array).all() for array in arrays)
    np.testing.assert_allclose(np.linalg.det(world.cameras.T_world_camera[:, :3, :3]), 1)


def test_the_job_from_end_to_end(seen, video, weights, tmp_path):
    """Real loading, real bodies, the overlay, all files; then everything is reused."""
    world = run(video, weights, tmp_path, overlay=True, focal=None)
    out = tmp_path / "out"
    steps = {path.stem for path in (out / "steps").glob("*.json")}
    assert steps == {"scan", "tracks", "lens", "bodies", "method", "result", "overlay"}
    is_whole(world)
    assert len(world) == FRAMES and world.people[0].frames.tolist() == list(range(FRAMES))
    assert (out / "overlay.mp4").stat().st_size and (out / "quality.png").stat().st_size
    assert world.quality["keyframes"] == 4 and world.quality["steps_without_people"] == 0
    credits = {model["name"]: model["licence"] for model in world.provenance["models"]}
    assert credits["JOSH3R"] == credits["MASt3R"] == RANDOM_LICENCE
    assert world.provenance["method"] == "josh3r" and world.cameras.focal_source in ("recovered", "assumed")
    written = (out / "reconstruction.json").read_bytes()
    again = run(video, weights, tmp_path, overlay=True, focal=None)
    assert seen.calls == 1 and (out / "reconstruction.json").read_bytes() == written
    np.testing.assert_array_equal(again.people[0].transl, load(out).people[0].transl)


def test_other_weights_and_options_redo_what_follows_from_them(seen, video, weights, tmp_path):
    first = run(video, weights, tmp_path)
    times = {path.stem: path.stat().st_mtime_ns for path in (tmp_path / "out" / "steps").glob("*.npz")}
    josh3r_weights(weights, seed=1)
    other = run(video, weights, tmp_path)
    after = {path.stem: path.stat().st_mtime_ns for path in (tmp_path / "out" / "steps").glob("*.npz")}
    # The same lens comes out, so that bodies stay.
    assert {name for name in times if times[name] != after[name]} == {"lens", "method"}
    assert not np.allclose(other.cameras.T_world_camera, first.cameras.T_world_camera)
    told = run(video, weights, tmp_path, focal=120.0, stature={1: 1.9})
    assert told.cameras.focal_source == "given" and (told.cameras.K[:, 0, 0] == 120).all()
    assert told.quality["statures_m"]["1"] == pytest.approx(1.9) and seen.calls == 1


@pytest.mark.parametrize("size", [(64, 96), (90, 50), (100, 61)])
def test_portrait_and_odd_sizes(seen, free_body, weights, tmp_path, size):
    width, height = (side - side % 2 for side in size)
    seen.people = (walker(free_body, 1, np.arange(7), width, height),)
    path = write_video(tmp_path / "odd.mp4", moving(7, width, height))
    is_whole(run(path, weights, tmp_path))


def test_poor_people(seen, free_body, video, weights, tmp_path):
    """One in a single frame, one with empty boxes, one whose boxes are not there: the others go on."""
    whole = walker(free_body, 1, np.arange(FRAMES))
    flat, lost = (walker(free_body, id, np.arange(FRAMES)) for id in (3, 4))
    once = walker(free_body, 2, np.array([5]))
    boxes = flat.boxes.copy()
    boxes[:, 2] = boxes[:, 0]
    flat, lost = replace(flat, boxes=boxes), replace(lost, boxes=np.full_like(boxes, np.nan))
    seen.people = (whole, once, flat, lost)
    world = run(video, weights, tmp_path)
    is_whole(world)
    assert {p.id: len(p.frames) for p in world.people} == {1: FRAMES, 2: 1, 3: FRAMES, 4: FRAMES}
    assert world.quality["votes"] == 3 and world.cameras.registered.all()


@pytest.mark.parametrize("frames", [1, FRAMES])
def test_nobody_and_a_single_picture(seen, weights, tmp_path, frames):
    seen.people = ()
    path = write_video(tmp_path / "empty.mp4", moving(frames, WIDTH, HEIGHT))
    world = run(path, weights, tmp_path)
    is_whole(world)
    assert world.people == () and len(world) == frames
    np.testing.assert_allclose(world.cameras.T_world_camera, world.cameras.T_world_camera[:1].repeat(frames, 0))
    assert world.quality["scale_source"].startswith("none")


def test_somebody_in_a_single_picture(seen, free_body, weights, tmp_path):
    seen.people = (walker(free_body, 1, np.arange(1)),)
    world = run(write_video(tmp_path / "one.mp4", moving(1, WIDTH, HEIGHT)), weights, tmp_path)
    is_whole(world)
    assert len(world.people) == 1 and world.cameras.kind == "static"


def test_the_lens_is_what_mast3r_sees(seen, video, weights, tmp_path, monkeypatch):
    opened = open_video(video)
    keys = keyframes(opened.times, opened.duplicate, 0.2)
    window = window_of(WIDTH, HEIGHT, crop=1.0, longest=512)
    monkeypatch.setattr(
        mast3r_scene, "load_mast3r", lambda config: Oracle(Room(walking(FRAMES), 130.0, (WIDTH, HEIGHT)), keys, window)
    )
    world = run(video, weights, tmp_path, focal=None)
    assert world.cameras.focal_source == "recovered"
    np.testing.assert_allclose(world.cameras.K[:, 0, 0], 130, rtol=0.01)


def test_the_plan_has_only_the_steps_of_the_method():
    assert [p.name for p in phases_of("josh3r")] == ["tracks", "lens", "bodies", "method", "result", "overlay"]
    needs = pipeline.needs_of("josh3r")
    assert all(set(read) <= {"scan", *needs} for read in needs.values())
    assert set(needs) == {phase.name for phase in phases_of("josh3r")}


@pytest.mark.parametrize("words", [(), ("--weights", "no/such/file")])
def test_without_weights_one_line_says_how_to_get_them(capsys, video, tmp_path, words):
    with pytest.raises(SystemExit) as ended:
        cli.main(["reconstruct", str(video), "-o", str(tmp_path / "out"), "--method", "josh3r", *words])
    told = capsys.readouterr().err
    assert ended.value.code == 2 and told.count("\n") == 1
    assert "--weights" in told and "3 GB" in told and "CC BY-NC-SA 4.0" in told
    assert not (tmp_path / "out").exists()


def test_weights_of_another_network_are_one_line(seen, capsys, video, weights, tmp_path):
    place = weights / "mast3r"
    words = ["reconstruct", str(video), "-o", str(tmp_path / "out"), "--method", "josh3r", "--weights", str(place)]
    with pytest.raises(SystemExit) as ended:
        cli.main(words)
    told = [line for line in capsys.readouterr().err.splitlines() if line.startswith("diorama: ")]
    assert ended.value.code == 2 and len(told) == 1 and "'mast3r', not of 'josh3r'" in told[0]
