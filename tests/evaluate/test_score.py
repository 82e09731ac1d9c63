"""Scores of known worlds: an exact result, a moved one, known errors, and what is missing."""

from dataclasses import replace

import numpy as np
import pytest

from diorama.data import exact_truth
from diorama.data.truth import Extras, Labels, Truth
from diorama.evaluate.columns import COLUMNS
from diorama.evaluate.score import score
from evaluated_world import FRAMES, moved, only_rows, people_pixels, shifted, with_people

PERFECT = {
    **dict.fromkeys(("WA-MPJPE", "W-MPJPE", "RTE", "PA-MPJPE", "MPJPE", "PVE", "Accel", "MRPE", "V2V"), 0.0),
    **dict.fromkeys(("ATE", "ATE-sim3", "Scale", "AbsRel", "FFR"), 0.0),
    **dict.fromkeys(("ContactP", "ContactR", "delta1.25"), 1.0),
    **dict.fromkeys(("People", "Frames", "Cameras", "DepthPx"), 100.0),
}


def figures(found, truth, **options):
    scores = score(found, truth if isinstance(truth, Truth) else exact_truth(truth), 30.0, **options)
    return {column.name: scores.figure(column.name) for column in COLUMNS}


@pytest.mark.parametrize("turned", [False, True])
def test_the_truth_has_no_error_in_any_world(exact, turned):
    """Figures of two worlds that differ by a rigid move are those of one; the move keeps +Z up, for Sink."""
    found = figures(moved(exact) if turned else exact, exact)
    for name, value in PERFECT.items():
        assert found[name] == pytest.approx(value, abs=2e-3), name
    # The prediction alone: what real feet do, and the voxels of a turned grid.
    assert found["CD"] < (0.1 if turned else 1e-6)
    assert found["FS"] < 1 and found["Sink"] < 5 and found["Jitter"] > 0
    assert set(PERFECT) | {"CD", "FS", "Sink", "Jitter"} == {column.name for column in COLUMNS}


def test_a_constant_shift_is_seen_by_mrpe_alone(exact):
    found = figures(with_people(exact, lambda p: shifted(p, [0.03, 0.04, 0.0])), exact)
    assert found["MRPE"] == pytest.approx(0.05) and found["V2V"] == pytest.approx(0.05, abs=1e-5)
    for name in ("WA-MPJPE", "W-MPJPE", "RTE", "PA-MPJPE", "MPJPE", "PVE", "Accel", "ATE"):
        assert found[name] == pytest.approx(0, abs=2e-3), name


def test_feet_that_slide_by_five_millimetres_per_frame(exact):
    drift = 0.005 * np.arange(FRAMES)[:, None] * [1.0, 0, 0]
    found = figures(with_people(exact, lambda p: shifted(p, drift)), exact)
    assert found["FS"] == pytest.approx(5, abs=0.5)
    assert found["RTE"] > 0.5 and found["PA-MPJPE"] == pytest.approx(0, abs=1e-3)


def test_feet_in_the_air_and_in_the_ground(exact):
    empty = replace(exact.scene, depth=np.where(people_pixels(), 0, exact.scene.depth))
    high = figures(with_people(exact, lambda p: shifted(p, [0, 0, 0.35])).replace(scene=empty), exact)
    assert high["FFR"] == 100 and high["Sink"] == 0
    low = figures(with_people(exact, lambda p: shifted(p, [0, 0, -0.1])), exact)
    assert low["Sink"] == pytest.approx(100 + figures(exact, exact)["Sink"], abs=3)


def test_nobody_stands_on_himself(exact):
    """The pixels of a result's own people are no scene."""
    alone = np.where(people_pixels(), exact.scene.depth, 0)
    ground = np.zeros_like(exact.scene.depth)
    ground[0, 0, 0] = 500
    scene = replace(exact.scene, depth=np.maximum(alone, ground))
    assert figures(exact.replace(scene=scene), exact)["FFR"] > 95


@pytest.mark.parametrize(("factor", "inliers"), [(1.2, 1.0), (0.7, 0.0)])
def test_depth_that_is_off_scale(exact, factor, inliers):
    scene = replace(exact.scene, depth=(factor * exact.scene.depth).astype(np.float32))
    found = figures(exact.replace(scene=scene), exact)
    assert found["AbsRel"] == pytest.approx(abs(factor - 1), abs=1e-5) and found["delta1.25"] == inliers
    aligned = figures(exact.replace(scene=scene), exact, dataset="bonn")
    assert aligned["AbsRel"] == pytest.approx(0, abs=1e-5) and aligned["delta1.25"] == 1


def test_half_of_the_depth_is_half_of_the_pixels(exact):
    depth = exact.scene.depth.copy()
    depth[:, ::2] = 0
    found = figures(exact.replace(scene=replace(exact.scene, depth=depth)), exact)
    assert found["AbsRel"] == pytest.approx(0, abs=1e-6) and found["DepthPx"] == pytest.approx(50, abs=1)


def test_a_scene_that_is_elsewhere(exact):
    away = replace(exact.scene, depth=None, depth_K=None, depth_frames=None)
    away = replace(away, points_world=away.points_world + np.array([0, 0, 40.0]))
    found = figures(exact.replace(scene=away), exact)
    assert found["CD"] > 5 and found["FFR"] == 100 and np.isnan(found["AbsRel"])


def test_a_world_that_is_a_tenth_too_big(exact):
    lens = exact.cameras
    T = lens.T_world_camera.copy()
    T[:, :3, 3] *= 1.1
    found = figures(exact.replace(cameras=replace(lens, T_world_camera=T)), exact)
    assert found["Scale"] == pytest.approx(10) and found["ATE-sim3"] == pytest.approx(0, abs=1e-6)
    assert found["ATE"] > 0.01
    josh = figures(exact.replace(cameras=replace(lens, T_world_camera=T)), exact, dataset="emdb2")
    assert josh["ATE"] != pytest.approx(found["ATE"], rel=1e-3)


def test_a_still_camera_has_the_scale_of_its_people(exact):
    def still(world):
        T = np.tile(world.cameras.T_world_camera[:1], (FRAMES, 1, 1))
        return world.replace(cameras=replace(world.cameras, T_world_camera=T, kind="static"))

    centre = exact.cameras.T_world_camera[0, :3, 3]
    bigger = with_people(still(exact), lambda p: replace(p, joints_world=centre + 1.2 * (p.joints_world - centre)))
    found = figures(bigger, still(exact))
    assert found["Scale"] == pytest.approx(20) and np.isnan(found["ATE-sim3"]) and found["ATE"] == pytest.approx(0)


def test_late_contacts(exact):
    late = figures(with_people(exact, lambda p: replace(p, contacts=np.roll(p.contacts, 5, 0))), exact)
    near = figures(with_people(exact, lambda p: replace(p, contacts=np.roll(p.contacts, 2, 0))), exact)
    assert late["ContactP"] < 1 and late["ContactR"] < 1
    assert near["ContactP"] > late["ContactP"]


def test_what_was_not_found_is_told_and_not_scored(exact):
    one = exact.replace(people=exact.people[:1])
    found = figures(one, exact)
    assert found["People"] == 50 and found["Frames"] == pytest.approx(50, abs=5) and found["MPJPE"] == 0
    half = figures(with_people(exact, lambda p: only_rows(p, np.arange(len(p.frames) // 2))), exact)
    assert half["People"] == 100 and half["Frames"] == pytest.approx(50, abs=3)
    nobody = figures(exact.replace(people=()), exact)
    assert nobody["People"] == nobody["Frames"] == 0 and np.isnan(nobody["W-MPJPE"]) and np.isnan(nobody["FS"])
    assert nobody["ATE"] == pytest.approx(0, abs=1e-9)


def test_frames_that_the_labels_call_invalid_are_not_scored(exact):
    wild = np.zeros((FRAMES, 3))
    wild[:10] = [0.2, 0, 0]
    valid = np.arange(FRAMES) >= 10
    labels = tuple(Labels(p.id, valid[p.frames]) for p in exact.people)
    found = figures(with_people(exact, lambda p: shifted(p, wild[p.frames])), Truth(exact, labels))
    assert found["MRPE"] == pytest.approx(0, abs=1e-6) and found["Frames"] == 100


def test_a_shot_inside_the_sequence_covers_its_rows(exact):
    """Rows 6 to 25 of the sequence as a video of their own."""
    inside = np.arange(6, 26)
    people = tuple(replace(only_rows(p, np.isin(p.frames, inside)), id=p.id + 7) for p in exact.people)
    people = tuple(replace(p, frames=p.frames - 6) for p in people)
    lens = exact.cameras
    cut = {n: getattr(lens, n)[inside] for n in ("K", "T_world_camera", "distortion", "registered")}
    kept = np.isin(exact.scene.depth_frames, inside)
    scene = replace(
        exact.scene, depth=exact.scene.depth[kept], depth_K=exact.scene.depth_K[kept],
        depth_frames=exact.scene.depth_frames[kept] - 6,
    )  # fmt: skip
    found = exact.replace(
        times=exact.times[inside], frame_index=inside, duplicate=exact.duplicate[inside], people=people,
        cameras=replace(lens, **cut), scene=scene,
    )  # fmt: skip
    got = figures(found, exact, rows=inside)
    share = 100 * len(inside) / FRAMES
    assert got["Cameras"] == pytest.approx(share) and got["Frames"] == pytest.approx(share, abs=3)
    for name in ("MPJPE", "ATE", "AbsRel", "RTE"):
        assert got[name] == pytest.approx(0, abs=1e-4), name
    with pytest.raises(ValueError, match="outside"):
        figures(found, exact, rows=inside + 20)


def test_a_body_whose_model_is_not_here_has_joints_only(exact):
    plain = with_people(exact, lambda p: replace(p, body="nobody"))
    found = figures(plain, plain)
    assert found["MPJPE"] == 0 and found["WA-MPJPE"] == pytest.approx(0, abs=1e-4)
    assert all(np.isnan(found[name]) for name in ("PVE", "V2V", "FS", "FFR", "Sink"))


def test_unknown_cameras_leave_the_people_and_the_scene(exact):
    """As in RICH: people are matched by their poses, the scene is placed by the first root pose."""
    nonsense = np.tile(np.eye(4), (FRAMES, 1, 1))
    blind = exact.replace(cameras=replace(exact.cameras, T_world_camera=nonsense))
    truth = Truth(
        blind, tuple(Labels(p.id, np.ones(len(p.frames), bool)) for p in exact.people), Extras(cameras_known=False)
    )
    found = figures(moved(exact).replace(people=moved(exact).people[::-1]), truth)
    assert found["People"] == 100 and found["WA-MPJPE"] == pytest.approx(0, abs=1e-3)
    assert found["CD"] < 0.1
    for name in ("ATE", "MPJPE", "MRPE"):
        assert np.isnan(found[name])


def test_traces_lie_on_the_truth(exact):
    scores = score(moved(exact), exact_truth(exact), 30.0)
    assert [t.name for t in scores.traces] == [*(f"person {p.id}" for p in exact.people), "camera"]
    for trace in scores.traces:
        np.testing.assert_allclose(trace.found, trace.true, atol=1e-4)
        assert trace.world_mm.max() < 1e-2 and len(trace.times) == len(trace.found)
