"""The papers' baselines: exact observations give the true world in any unit, and what is missing breaks nothing."""

from dataclasses import fields, is_dataclass, replace

import numpy as np
import pytest

from diorama.body.anny import load_free_body
from diorama.errors import DioramaError
from diorama.methods.background_scale import (
    BackgroundScaleConfig,
    background_points,
    keyframe_scale,
    scale_by_depth,
    triangulated,
    without_people,
)
from diorama.methods.carried import shaped_bodies
from diorama.methods.observed import metres_per_unit, reconstruct_observed
from diorama.methods.people_depth import AlignmentConfig, aligned_to_people, people_pixels, scale_and_shift
from diorama.methods.synchmr import reconstruct_synchmr
from diorama.methods.tram import reconstruct_tram
from diorama.observations import Bodies, Tracks
from diorama.synthetic.simulate import PRESETS, simulate
from simulated_world import simulated_world

FRAMES, UNIT = 28, 0.37
METHODS = {"synchmr": reconstruct_synchmr, "tram": reconstruct_tram}
both = pytest.mark.parametrize("method", METHODS.values(), ids=METHODS)


def exact(camera, unit=UNIT):
    try:
        load_free_body()
    except DioramaError as error:
        pytest.skip(f"no free body: {error}")
    truth, view = simulated_world(camera, FRAMES)
    config = replace(PRESETS["exact"], grid=96)
    return truth, simulate(truth, view, replace(config, cameras=replace(config.cameras, unit=unit)), seed=0)


@pytest.fixture(scope="module")
def walk():
    return exact("walk")


@pytest.fixture(scope="module")
def seen(walk):
    return walk[1]


def in_units(observations, factor):
    """The same observations in a cameras' world whose unit is `factor` times smaller; metric maps stay as they are."""
    lens, depth = observations.cameras, observations.depth
    poses = lens.T_world_camera.copy()
    poses[:, :3, 3] *= factor
    lens = replace(lens, T_world_camera=poses, points_world=factor * lens.points_world)
    if depth is not None:
        maps = depth.depth if depth.metric else (factor * depth.depth).astype(np.float32)
        depth = replace(depth, depth=maps, points=factor * depth.points)
    return replace(observations, cameras=lens, depth=depth)


def of_cameras(observations):
    """Depth in the cameras' unit, no other."""
    depth = replace(observations.depth, depth=UNIT * observations.depth.depth, metric=False)
    return replace(observations, depth=depth, depth_prior=None)


def spoilt(observations, factor):
    """Both depths too large by a factor."""
    parts = {name: getattr(observations, name) for name in ("depth", "depth_prior")}
    return replace(observations, **{name: replace(d, depth=factor * d.depth) for name, d in parts.items()})


# Scale


@both
def test_exact_observations_in_an_unknown_unit_are_the_true_world(walk, method):
    truth, observations = walk
    world = method(None, observations)
    assert world.quality["metres_per_unit"] == pytest.approx(1 / UNIT, rel=0.005)
    relative = np.linalg.inv(world.cameras.T_world_camera[0]) @ world.cameras.T_world_camera
    true = np.linalg.inv(truth.cameras.T_world_camera[0]) @ truth.cameras.T_world_camera
    assert np.abs(relative - true).max() < 0.005 * np.abs(true[:, :3, 3]).max()
    assert world.scene.depth == pytest.approx(observations.depth_prior.depth, rel=5e-3)
    for person in world.people:
        twin = truth.person(person.id)
        steps = [np.linalg.norm(np.ptp(p.joints_world[:, 0], axis=0)) for p in (person, twin)]
        assert steps[0] == pytest.approx(steps[1], rel=0.01)


@both
def test_the_unit_of_the_cameras_does_not_matter(seen, method):
    for observations in (seen, of_cameras(seen)):
        one, two = method(None, observations), method(None, in_units(observations, 2.0))
        assert two.quality["metres_per_unit"] == pytest.approx(one.quality["metres_per_unit"] / 2)
        assert two.cameras.T_world_camera == pytest.approx(one.cameras.T_world_camera, abs=1e-5)
        assert two.scene.depth == pytest.approx(one.scene.depth, rel=1e-5)
        assert two.scene.points_world == pytest.approx(one.scene.points_world, abs=1e-3)
        for a, b in zip(one.people, two.people, strict=True):
            assert b.joints_world == pytest.approx(a.joints_world, abs=1e-5)


def test_people_tell_how_wrong_depth_is(seen):
    """With depth too large by a quarter TRAM's world is too, SynCHMR's is not; with depth in any unit it has a scale too."""
    wrong = spoilt(seen, 1.25)
    assert reconstruct_tram(None, wrong).quality["metres_per_unit"] == pytest.approx(1.25 / UNIT, rel=0.005)
    for observations in (wrong, of_cameras(seen)):
        world = reconstruct_synchmr(None, observations)
        assert world.quality["metres_per_unit"] == pytest.approx(1 / UNIT, rel=0.005)
        assert world.scene.depth == pytest.approx(seen.depth.depth, rel=5e-3)


def test_points_that_are_triangulated_do_as_well(walk, seen):
    bare = replace(
        seen, cameras=replace(seen.cameras, points_world=np.zeros((0, 3)), colors=np.zeros((0, 3), np.uint8))
    )
    points, what = background_points(bare, BackgroundScaleConfig())
    assert what == "triangulated matches" and len(points) > 1000
    # Midpoints of exact rays lie on both: they are seen where they were matched.
    metric = points / UNIT
    centres = seen.cameras.T_world_camera[:, :3, 3] / UNIT
    far = np.linalg.norm(metric - centres[0], axis=1)
    assert far.min() > 1 and far.max() < 60
    scale, _ = scale_by_depth(bare.depth, bare)
    assert scale == pytest.approx(1 / UNIT, rel=0.01)


def test_matches_without_parallax_or_that_miss_each_other_are_no_points(seen):
    still = replace(seen.cameras, T_world_camera=np.tile(np.eye(4), (FRAMES, 1, 1)))
    assert not len(triangulated(seen.matches, still, BackgroundScaleConfig()))
    rng = np.random.default_rng(0)
    wrong = replace(seen.matches, xy_j=rng.permutation(seen.matches.xy_j))
    right = len(triangulated(seen.matches, seen.cameras, BackgroundScaleConfig()))
    assert len(triangulated(wrong, seen.cameras, BackgroundScaleConfig())) < 0.1 * right


def test_background_out_of_reach_counts_where_there_is_no_other(seen):
    scale, source = scale_by_depth(seen.depth, seen, BackgroundScaleConfig(reach=0.1))
    assert scale == pytest.approx(1 / UNIT, rel=0.005) and "within" not in source
    assert scale_by_depth(seen.depth, seen, BackgroundScaleConfig(fewest=10**6)) is None


def test_people_are_no_background(seen):
    """People at half their depth change nothing, and nothing is left where their masks are."""
    depth = without_people(seen.depth, seen, 0.0)
    for index, row in enumerate(depth.frames):
        for track in seen.tracks.people:
            at = int(np.flatnonzero(track.frames == row)[0])
            assert not depth.depth[index][track.masks.full(at, (96, 54))].any()
    near = np.where(depth.depth > 0, seen.depth.depth, 0.5 * seen.depth.depth)
    disturbed = replace(seen.depth, depth=near)
    assert scale_by_depth(disturbed, seen) == scale_by_depth(seen.depth, seen)


@pytest.mark.parametrize("seed", range(3))
def test_the_scale_of_a_keyframe_is_the_robust_optimum(seed):
    rng = np.random.default_rng(seed)
    config = BackgroundScaleConfig()
    camera = rng.uniform(0.5, 3, 400)
    metric = 3.0 * camera
    wrong = rng.random(400) < 0.3
    metric[wrong] = rng.uniform(0.5, 9, wrong.sum())
    assert keyframe_scale(metric, camera, config) == pytest.approx(3.0, rel=0.02)
    assert keyframe_scale(metric[~wrong], camera[~wrong], config) == pytest.approx(3.0, rel=1e-9)
    # The unit of the cameras divides the scale.
    assert keyframe_scale(metric, 7 * camera, config) == pytest.approx(keyframe_scale(metric, camera, config) / 7)
    # By another way: the least of the loss on a fine grid, over the points that agree with it.
    noisy = 3.0 * camera + rng.normal(scale=0.1, size=400)
    kept = (noisy < config.reach) & (3.0 * camera < config.reach)
    grid = np.linspace(2.9, 3.1, 4001)
    squared = ((grid[:, None] * camera[kept] - noisy[kept]) / config.sigma) ** 2
    best = grid[(squared / (1 + squared)).sum(1).argmin()]
    assert keyframe_scale(noisy, camera, config) == pytest.approx(best, abs=1e-4)


def test_far_points_and_few_points_tell_nothing():
    config = BackgroundScaleConfig()
    camera = np.linspace(1, 4, 60)
    metric = np.where(camera < 2, 5 * camera, 50.0)
    assert keyframe_scale(metric, camera, config) == pytest.approx(5)
    assert np.isnan(keyframe_scale(metric[:5], camera[:5], config))
    assert np.isnan(keyframe_scale(np.full(60, 50.0), camera, config))


# Alignment with people


@pytest.mark.parametrize("seed", range(5))
def test_scale_and_shift_are_recovered_from_seven_in_ten(seed):
    rng = np.random.default_rng(seed)
    source = rng.uniform(2, 7, 500)
    scale, shift = rng.uniform(0.5, 2), rng.uniform(-0.8, 0.8)
    target = scale * source + shift
    wrong = rng.random(500) < 0.3
    # Half of the wrong ones are background behind a mask that is too large: far in the map.
    target[wrong] = rng.uniform(0.5, 15, wrong.sum())
    source[wrong & (rng.random(500) < 0.5)] += 20
    found = scale_and_shift(source, target, 0.01)
    assert found == pytest.approx((scale, shift), abs=1e-3), "a tenth of sigma"
    # Units of the map divide the scale and leave the shift.
    assert scale_and_shift(4 * source, target, 0.01) == pytest.approx((found[0] / 4, found[1]), abs=1e-6)


def test_the_prior_of_the_shift_decides_where_depth_has_no_range():
    source = np.full(50, 4.0)
    scale, shift = scale_and_shift(source, np.full(50, 5.0), 0.3, shift_sigma=0.5)
    assert 4 * scale + shift == pytest.approx(5, abs=1e-3) and abs(shift) < 0.3
    falling = np.linspace(3, 4, 50)
    assert scale_and_shift(falling, 8 - falling, 0.01)[0] > 0


def test_a_known_scale_and_shift_of_the_maps_is_undone(seen):
    shaped, config = shaped_bodies(seen), AlignmentConfig(sigma=0.05, shift_sigma=100.0)
    wrong = replace(seen.depth, depth=((seen.depth.depth - 0.3) / 1.2).astype(np.float32))
    aligned = aligned_to_people(wrong, seen, shaped, config)
    assert aligned is not None and aligned.metric
    assert aligned.depth == pytest.approx(seen.depth.depth, rel=0.01, abs=0.02)
    pixels = people_pixels(seen.depth, seen, shaped, config)
    assert np.median(np.abs(pixels.shown - pixels.body)) < 1e-3, "bodies are rendered where they were seen"
    assert pixels.weight.sum() <= len(seen.depth.frames) * len(seen.bodies.people) + 1e-9


# What is missing


def arrays_of(value):
    """All float arrays of a record."""
    if isinstance(value, np.ndarray):
        yield value
    elif is_dataclass(value):
        for field in fields(value):
            yield from arrays_of(getattr(value, field.name))
    elif isinstance(value, tuple):
        for item in value:
            yield from arrays_of(item)


def lacking(seen):
    """Observations that lack something."""
    depth = seen.depth
    unknown = np.zeros_like(depth.depth)
    holes = depth.depth.copy()
    holes[:, ::2] = np.nan
    no_points = {"points_world": np.zeros((0, 3)), "colors": np.zeros((0, 3), np.uint8)}
    none = {name: getattr(depth, name)[:0] for name in ("frames", "depth", "confidence", "K")}
    everyone = replace(
        seen.bodies, people=tuple(replace(b, frames=b.frames[:0], **rows(b)) for b in seen.bodies.people)
    )
    return {
        "prior": replace(seen, depth_prior=None),
        "depth": replace(seen, depth=None, depth_prior=None),
        "depth but the prior": replace(seen, depth=None),
        "any known pixel": replace(seen, depth=replace(depth, depth=unknown), depth_prior=None),
        "half of the pixels": replace(seen, depth=replace(depth, depth=holes), depth_prior=None),
        "keyframes": replace(seen, depth=replace(depth, **none), depth_prior=None),
        "bodies": replace(seen, bodies=None),
        "people": replace(seen, bodies=Bodies(seen.bodies.source, ()), tracks=Tracks(seen.tracks.source, ())),
        "frames of people": replace(seen, bodies=everyone),
        "tracks, contacts": replace(seen, tracks=None, contacts=None),
        "points": replace(seen, cameras=replace(seen.cameras, **no_points)),
        "points, matches": replace(seen, cameras=replace(seen.cameras, **no_points), matches=None),
        "people, depth, points": replace(
            seen, cameras=replace(seen.cameras, **no_points), bodies=None, depth=None, depth_prior=None
        ),
        "registered cameras": replace(seen, cameras=replace(seen.cameras, registered=np.zeros(FRAMES, bool))),
    }


def rows(body):
    names = ("global_orient", "body_pose", "transl", "focal", "residual_px", "confidence")
    return {name: getattr(body, name)[:0] for name in names}


def check(world, observations):
    for array in arrays_of(world):
        assert np.isfinite(np.asarray(array, np.float64)).all()
    people = observations.bodies.people if observations.bodies else ()
    assert [p.id for p in world.people] == [b.id for b in people] and len(world.times) == FRAMES
    assert world.quality["metres_per_unit"] > 0 and world.provenance["scale_source"]


@both
def test_what_is_missing_breaks_nothing(seen, method):
    for what, observations in lacking(seen).items():
        world = method(None, observations)
        check(world, observations)
        if observations.depth is None and observations.depth_prior is None:
            # Nothing but the raw observations is left: the world is theirs.
            raw = reconstruct_observed(None, observations)
            assert np.array_equal(world.cameras.T_world_camera, raw.cameras.T_world_camera), what
    with pytest.raises(ValueError, match="cameras"):
        method(None, replace(seen, cameras=None))


@both
@pytest.mark.parametrize("camera", ["pan", "static"])
def test_cameras_that_do_not_travel(method, camera):
    """There is nothing to scale but the maps: people stay before their cameras, which turn as they did."""
    truth, observations = exact(camera)
    for seen in (observations, replace(observations, depth=None, depth_prior=None), of_cameras(observations)):
        world = method(None, seen)
        check(world, seen)
        centres = world.cameras.T_world_camera[:, :3, 3]
        assert np.ptp(centres, axis=0).max() < 1e-6
        ups = world.cameras.T_world_camera[:, 2, 1] - truth.cameras.T_world_camera[:, 2, 1]
        assert np.abs(ups).max() < 0.1, "up is up"


@both
def test_metric_cameras_keep_their_size(seen, method):
    metric = replace(in_units(seen, 1 / UNIT), cameras=replace(in_units(seen, 1 / UNIT).cameras, metric=True))
    assert method(None, metric).quality["metres_per_unit"] == 1
    assert metres_per_unit(metric, {}) == (1.0, "the cameras are metric")


def test_points_are_made_of_maps_that_have_none(seen):
    """Every point lies on a map where no person is."""
    world = reconstruct_tram(None, seen)
    assert not len(seen.depth_prior.points) and 5_000 < len(world.scene.points_world) < 30_000
    raw = reconstruct_observed(None, seen)
    low, high = raw.scene.points_world.min(0), raw.scene.points_world.max(0)
    assert (world.scene.points_world > low - 0.5).all() and (world.scene.points_world < high + 0.5).all()
