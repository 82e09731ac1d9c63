"""SHARE on simulated observations of a standing camera: the true world without errors, and what happens when parts fail."""

from dataclasses import replace

import numpy as np
import pytest

from diorama.data import exact_truth
from diorama.errors import DioramaError
from diorama.evaluate.score import score
from diorama.methods.share.config import ABLATIONS, ShareConfig
from diorama.methods.share.method import reconstruct_share
from diorama.observations import Bodies, MaskStack, Observations
from diorama.reconstruction import load
from diorama.synthetic.simulate import PRESETS, simulate
from simulated_world import simulated_world

FROZEN = replace(ShareConfig(), steady=None)


@pytest.fixture(scope="module")
def truth(free_body):
    return simulated_world("static", 45)


@pytest.fixture(scope="module")
def exact(truth):
    return simulate(truth[0], truth[1], replace(PRESETS["exact"], grid=160), seed=0)


@pytest.fixture(scope="module")
def typical(truth):
    return simulate(truth[0], truth[1], replace(PRESETS["static"], grid=160), seed=3)


def figures(found, truth, *names):
    scores = score(found, exact_truth(truth[0]), 30.0)
    return {name: scores.figure(name) for name in names}


def far(seen: Observations, factor):
    """Bodies at another distance."""
    people = tuple(replace(body, transl=body.transl * factor) for body in seen.bodies.people)
    return replace(seen, bodies=Bodies(seen.bodies.source, people))


def deeper(seen, factor):
    return replace(seen, depth=replace(seen.depth, depth=(seen.depth.depth * factor).astype(np.float32)))


def finite(found):
    for person in found.people:
        assert np.isfinite(person.joints_world).all() and np.isfinite(person.contacts).all()
    for name in ("points_world", "confidence", "people_points"):
        value = getattr(found.scene, name)
        assert value is None or np.isfinite(value).all()
    return found


@pytest.mark.parametrize("name", ["share", "share-frozen-poses"])
def test_bodies_that_are_a_metre_off_come_back(exact, truth, name):
    found = finite(reconstruct_share(None, far(exact, 1.15), ABLATIONS[name][1]))
    got, before = (figures(world, truth, "MRPE") for world in (found, reconstruct_observed(exact)))
    assert got["MRPE"] < 0.03 and before["MRPE"] > 0.5
    assert found.provenance["method"] == "share" and "metric depth" in found.quality["scale_source"]


def reconstruct_observed(exact):
    from diorama.methods.observed import reconstruct_observed as observed

    return observed(None, far(exact, 1.15))


def test_it_is_better_than_published_under_errors_and_does_not_jump(typical, truth):
    ours, theirs = (reconstruct_share(None, typical, ABLATIONS[n][1]) for n in ("share", "share-published"))
    assert figures(ours, truth, "MRPE")["MRPE"] < 0.7 * figures(theirs, truth, "MRPE")["MRPE"]
    for person in ours.people:
        steps = np.linalg.norm(np.diff(person.joints_world[:, 0], axis=0), axis=1) / np.diff(person.frames)
        assert steps.max() < 0.08, "a walker moves 5 cm per frame"
    jumps = [
        (np.linalg.norm(np.diff(p.joints_world[:, 0], axis=0), axis=1) / np.diff(p.frames)).max() for p in theirs.people
    ]
    assert max(jumps) > 0.1, "the published form jumps at its keyframes"


def test_the_scene_holds_nobody_and_is_where_it_is(exact, truth):
    found = reconstruct_share(None, exact, FROZEN)
    T = found.cameras.T_world_camera[0]
    for person in truth[0].people:
        pelvis = person.joints_world[[0, -1], 0]
        moved = (np.linalg.inv(truth[0].cameras.T_world_camera[0]) @ np.c_[pelvis, np.ones(2)].T)[:3].T
        world = moved @ T[:3, :3].T + T[:3, 3]
        away = np.linalg.norm(found.scene.points_world[None] - world[:, None], axis=-1)
        assert away.min() > 0.25
    assert set(found.scene.people_points_id) == {p.id for p in found.people}
    heights = found.scene.points_world[:, 2]
    assert heights.min() > -0.05 and (np.abs(heights) < 0.01).mean() > 0.1, "floor and walls"


@pytest.mark.parametrize("factor", [0.7, 1.3])
def test_depth_that_is_wrong_by_a_third_is_found_out(typical, truth, factor):
    wrong = deeper(typical, factor)
    checked, believed = (
        figures(reconstruct_share(None, wrong, config), truth, "MRPE")["MRPE"]
        for config in (FROZEN, replace(FROZEN, check=None))
    )
    assert checked < 0.8 * believed and believed > 1.0


def test_a_person_who_is_missing_cut_off_or_hidden_in_keyframes(exact, truth):
    """Masks of the first keyframes gone; then all of them: who is in no map is placed by keypoints and floor."""
    track = exact.tracks.people[0]
    windows = [(tuple(map(int, track.masks.windows[n])), track.masks.window(n)) for n in range(len(track.masks))]
    for lost, allowed in ((20, 0.05), (len(windows), 0.6)):
        masks = [(window, mask & (n >= lost)) for n, (window, mask) in enumerate(windows)]
        blind = replace(track, masks=MaskStack.encode(masks, track.masks.width, track.masks.height))
        seen = replace(exact, tracks=replace(exact.tracks, people=(blind, *exact.tracks.people[1:])))
        found = finite(reconstruct_share(None, far(seen, 1.15), FROZEN))
        assert figures(found, truth, "MRPE")["MRPE"] < allowed
    assert any("in no depth map" in warning for warning in found.quality["warnings"])


def test_masks_that_overlap_everywhere_leave_a_hole(exact):
    one = exact.tracks.people[0]
    everywhere = MaskStack.encode([((0, 0, 8, 8), np.ones((8, 8), bool))] * len(one.frames), 8, 8)
    both = tuple(replace(track, masks=everywhere) for track in exact.tracks.people)
    found = finite(reconstruct_share(None, replace(exact, tracks=replace(exact.tracks, people=both)), FROZEN))
    assert not len(found.scene.points_world) and len(found.people) == 2
    assert found.quality["scene_seen_percent"] == 0


def test_somebody_who_stands_still_hides_the_same_scenery_always(exact):
    track = exact.tracks.people[0]
    window = (tuple(map(int, track.masks.windows[0])), track.masks.window(0))
    still = replace(track, masks=MaskStack.encode([window] * len(track.masks), track.masks.width, track.masks.height))
    alone = replace(exact, tracks=replace(exact.tracks, people=(still,)))
    alone = replace(alone, bodies=replace(exact.bodies, people=exact.bodies.people[:1]))
    found = finite(reconstruct_share(None, alone, FROZEN))
    assert 0 < found.quality["scene_seen_percent"] < 100


def test_track_gaps_are_frames_not_rows(exact, truth):
    """Half of the track's frames in the middle are lost: the others stay where they were."""
    whole = reconstruct_share(None, far(exact, 1.1), FROZEN)
    rows = np.r_[0:15, 32:45]
    people = tuple(
        replace(body, **{name: getattr(body, name)[np.isin(body.frames, rows)] for name in (
            "frames", "global_orient", "body_pose", "transl", "focal", "residual_px", "confidence")})
        for body in exact.bodies.people
    )  # fmt: skip
    gap = replace(exact, bodies=replace(exact.bodies, people=people))
    found = finite(reconstruct_share(None, far(gap, 1.1), FROZEN))
    for person in found.people:
        same = whole.person(person.id)
        at = np.isin(same.frames, person.frames)
        before = [np.linalg.inv(w.cameras.T_world_camera[0]) for w in (found, whole)]
        ours, theirs = (
            p.joints_world[sel, 0] @ T[:3, :3].T + T[:3, 3]
            for p, sel, T in ((person, slice(None), before[0]), (same, at, before[1]))
        )
        assert np.linalg.norm(ours - theirs, axis=1).max() < 0.05
    assert figures(found, truth, "MRPE")["MRPE"] < 0.05


def test_bodies_that_are_too_large_do_not_go_through_the_floor(exact, truth):
    """Told to be 15 % taller, and believed: feet stay on the floor that the maps show."""
    config = replace(FROZEN, sizes=replace(FROZEN.sizes, told={p.id: 1.95 for p in exact.bodies.people}), check=None)
    found = finite(reconstruct_share(None, exact, config))
    assert all(p.joints_world[:, [10, 11], 2].min() > -0.12 for p in found.people)
    assert max(found.quality["size_against_depth_percent"].values()) > 15, "the card says it"
    assert figures(found, truth, "MRPE")["MRPE"] < 0.5


@pytest.mark.parametrize("count", [1, 2, 5])
def test_clips_of_a_few_frames(truth, count, free_body):
    short = simulated_world("static", count)
    seen = simulate(short[0], short[1], replace(PRESETS["exact"], grid=96), seed=0)
    for name in ("share", "share-published"):
        found = finite(reconstruct_share(None, far(seen, 1.1), ABLATIONS[name][1]))
        assert len(found) == count and len(found.people) == 2


def test_a_told_height_is_taken(exact):
    first = exact.bodies.people[0].id
    config = replace(FROZEN, sizes=replace(FROZEN.sizes, told={first: 1.5}))
    found = reconstruct_share(None, exact, config)
    person = found.person(first)
    tall = person.joints_world[:, 15, 2].max() - person.joints_world[:, [10, 11], 2].min()
    assert tall < 1.5


def test_nobody_is_a_scene(exact):
    alone = replace(exact, bodies=None, tracks=None, contacts=None)
    found = finite(reconstruct_share(None, alone))
    assert not found.people and len(found.scene.points_world) > 1000


def test_without_depth_the_ground_plane_takes_its_place_and_says_so(exact, tmp_path):
    found = finite(reconstruct_share(None, replace(exact, depth=None), FROZEN))
    assert "ground plane" in found.quality["scale_source"] and found.people
    assert any("no metric depth" in warning for warning in found.quality["warnings"])
    assert len(load(found.save(tmp_path / "out")).people) == 2


def test_what_is_not_for_share_is_refused(exact):
    moving = replace(exact, cameras=replace(exact.cameras, kind="translating"))
    with pytest.raises(DioramaError, match="--method josh"):
        reconstruct_share(None, moving)
    with pytest.raises(DioramaError, match="metres"):
        reconstruct_share(None, replace(exact, depth=replace(exact.depth, metric=False)))
    with pytest.raises(DioramaError, match="cameras"):
        reconstruct_share(None, replace(exact, cameras=None))


@pytest.mark.slow
def test_every_improvement_has_an_effect_under_errors(typical):
    """Switched off one by one, each gives another result: no switch is dead."""
    whole = reconstruct_share(None, typical, FROZEN)
    for name, (_, config) in ABLATIONS.items():
        if name in ("share", "share-frozen-poses", "share-published", "share-no-check"):
            continue
        other = reconstruct_share(None, typical, replace(config, steady=None))
        apart = [np.abs(a.transl - b.transl).max() for a, b in zip(whole.people, other.people, strict=True)]
        assert max(apart) > 1e-4, name
