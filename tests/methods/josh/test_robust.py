"""JOSH on observations that are damaged or lack a part: a finite reconstruction, or one clear error."""

from dataclasses import fields, is_dataclass, replace

import numpy as np
import pytest

from diorama.errors import DioramaError
from diorama.methods.josh.method import JoshConfig, reconstruct_josh
from diorama.methods.josh.segments import SegmentConfig
from diorama.observations import Bodies, Matches, Tracks
from diorama.synthetic.josh_problem import JoshProblem, josh_problem
from diorama.synthetic.simulate.faults import seen_only

NAN = float("nan")
TINY = {"keyframes": 4, "matches": 60, "depth_step": 16, "mask_step": 8}
ALONE = JoshProblem(people=1, cameras="unit", **TINY)
PAIR = JoshProblem(people=2, cameras="unit", **TINY)


def quick(cases, *names):
    """The names of cases; all but these are slow, because there are many."""
    assert set(names) <= set(cases)
    return [name if name in names else pytest.param(name, marks=pytest.mark.slow) for name in cases]


def arrays_of(value, name=""):
    """All arrays and numbers of a reconstruction, by name."""
    if is_dataclass(value):
        for field in fields(value):
            yield from arrays_of(getattr(value, field.name), f"{name}.{field.name}")
    elif isinstance(value, (tuple, list)):
        for n, item in enumerate(value):
            yield from arrays_of(item, f"{name}[{n}]")
    elif isinstance(value, np.ndarray):
        yield name, value


def lawful(observations, config=None):
    """The reconstruction if it is finite; None if one error says why there is none."""
    try:
        found = reconstruct_josh(None, observations, config or JoshConfig())
    except DioramaError:
        return None
    bad = [n for n, a in arrays_of(found) if a.dtype.kind == "f" and not np.isfinite(a).all()]
    assert not bad, f"not finite: {bad}"
    assert len(found) == len(observations.times)
    return found


def damaged(problem, **changes):
    """Observations of a problem; a change is a new value, or a function of the part that it replaces."""
    _, observations = josh_problem(problem)
    parts = {n: c(getattr(observations, n)) if callable(c) else c for n, c in changes.items()}
    return replace(observations, **parts)


def filled(part, *names, value=NAN, rows=slice(None)):
    """A part with a value in some rows of some of its arrays."""
    out = {}
    for name in names:
        array = np.array(getattr(part, name), float)
        array[rows] = value
        out[name] = array
    return replace(part, **out)


def people_filled(parts, *names, value=NAN, rows=slice(None)):
    return replace(parts, people=tuple(filled(p, *names, value=value, rows=rows) for p in parts.people))


def contacts_filled(labels, value):
    return replace(labels, probability=tuple(np.full_like(p, value) for p in labels.probability))


def no_matches(matches):
    return Matches(matches.source, *(getattr(matches, f.name)[:0] for f in fields(Matches)[1:]))


def no_maps(depth):
    return replace(depth, **{n: getattr(depth, n)[:0] for n in ("frames", "depth", "confidence", "K")})


def no_rows(body):
    names = ("frames", "global_orient", "body_pose", "transl", "focal", "residual_px", "confidence")
    return replace(body, **{n: getattr(body, n)[:0] for n in names})


# What is observed is thinner than what is known to be right, but something is: these must give a result.
PROBLEMS = {
    "perturbed twice as much": replace(PAIR, perturbed=0.4, perturbed_metres=2.0),
    "no person": replace(ALONE, people=0),
    "no contact": replace(ALONE, contacts="none"),
    "nothing touches": replace(ALONE, contacts="free"),
    "one keyframe": replace(ALONE, keyframes=1),
    "one keyframe without cameras": replace(ALONE, keyframes=1, cameras="none"),
    "one keyframe of several frames": replace(ALONE, keyframes=1, frames_between=3),
    "two keyframes": replace(ALONE, keyframes=2),
    "static camera": replace(ALONE, travel=(0.0, 0.0)),
    "static camera, not observed": replace(ALONE, travel=(0.0, 0.0), cameras="none"),
    "a person in one keyframe": replace(PAIR, single=True),
    "a pair of wrong matches": replace(ALONE, wrong_pairs=1),
    "all matches wrong": replace(ALONE, wrong_pairs=6),
    "all cameras at the origin": replace(ALONE, cameras="identity"),
    "no keypoints": replace(ALONE, keypoint_px=None),
    "holes": replace(ALONE, nan_share=0.3),
    "holes everywhere": replace(ALONE, nan_share=0.999),
    "frames between": replace(ALONE, keyframes=3, frames_between=2, action="walking"),
}


@pytest.mark.parametrize("name", quick(PROBLEMS, "no person", "one keyframe", "one keyframe without cameras"))
def test_thin_observations_give_a_world(name):
    problem = PROBLEMS[name]
    _, observations = josh_problem(problem)
    found = lawful(observations)
    assert found is not None and len(found.people) == problem.people


def test_only_wrong_matches_without_cameras_are_said():
    assert lawful(damaged(replace(ALONE, wrong_pairs=6, cameras="none"))) is None


@pytest.mark.slow
@pytest.mark.parametrize("frames", [(0, 4), (4, 8), (2, 6)])
def test_a_person_absent_from_a_segment_stays_where_he_is_seen(frames):
    problem = replace(PAIR, keyframes=10, absent=(0.2 * frames[0] - 0.1, 0.2 * frames[1] - 0.1), matches=30)
    config = JoshConfig(segments=SegmentConfig(frames=4, overlap=2))
    found = lawful(damaged(problem), config)
    away = range(*frames)
    assert [p.id for p in found.people] == [1, 2]
    assert not np.isin(found.person(1).frames, away).any()


@pytest.mark.slow
def test_people_never_seen_together():
    _, observations = josh_problem(PAIR)
    early = np.arange(4) < 2
    found = lawful(seen_only(seen_only(observations, 1, early), 2, ~early))
    assert [list(p.frames) for p in found.people] == [[0, 1], [2, 3]]


# Each part of the observations as nothing, or as nonsense.
DAMAGE = {
    "no tracks": {"tracks": None},
    "tracks of nobody": {"tracks": lambda t: replace(t, people=())},
    "keypoints nan": {"tracks": lambda t: people_filled(t, "keypoints")},
    "keypoints nan once": {"tracks": lambda t: people_filled(t, "keypoints", rows=1)},
    "keypoints infinite": {"tracks": lambda t: people_filled(t, "keypoints", value=np.inf)},
    "boxes nan": {"tracks": lambda t: people_filled(t, "boxes")},
    "no masks": {"tracks": lambda t: replace(t, people=tuple(replace(p, masks=None) for p in t.people))},
    "no bodies": {"bodies": None},
    "bodies of nobody": {"bodies": lambda b: replace(b, people=())},
    "bodies without rows": {"bodies": lambda b: replace(b, people=tuple(no_rows(p) for p in b.people))},
    "bodies nan": {"bodies": lambda b: people_filled(b, "transl")},
    "bodies nan once": {"bodies": lambda b: people_filled(b, "body_pose", rows=2)},
    "one row of bodies": {"bodies": lambda b: people_filled(b, "global_orient", rows=slice(1, None))},
    "shapes nan": {"bodies": lambda b: people_filled(b, "betas")},
    "shapes infinite": {"bodies": lambda b: people_filled(b, "betas", value=np.inf)},
    "bodies behind the camera": {"bodies": lambda b: people_filled(b, "transl", value=-3.0)},
    "bodies far away": {"bodies": lambda b: people_filled(b, "transl", value=1e6)},
    "body confidence nan": {"bodies": lambda b: people_filled(b, "confidence", "residual_px")},
    "body confidence zero": {"bodies": lambda b: people_filled(b, "confidence", value=0.0)},
    "body focal nan": {"bodies": lambda b: people_filled(b, "focal")},
    "body focal zero": {"bodies": lambda b: people_filled(b, "focal", value=0.0)},
    "no depth": {"depth": None},
    "depth without maps": {"depth": no_maps},
    "depth nan": {"depth": lambda d: filled(d, "depth")},
    "depth zero": {"depth": lambda d: filled(d, "depth", value=0.0)},
    "depth infinite": {"depth": lambda d: filled(d, "depth", value=np.inf)},
    "depth negative": {"depth": lambda d: filled(d, "depth", value=-1.0)},
    "depth tiny": {"depth": lambda d: filled(d, "depth", value=1e-30)},
    "depth nan once": {"depth": lambda d: filled(d, "depth", rows=0)},
    "depth confidence nan": {"depth": lambda d: filled(d, "confidence")},
    "depth confidence zero": {"depth": lambda d: filled(d, "confidence", value=0.0)},
    "depth K nan": {"depth": lambda d: filled(d, "K")},
    "no prior": {"depth_prior": None},
    "prior nan": {"depth_prior": lambda d: filled(d, "depth")},
    "prior without maps": {"depth_prior": no_maps},
    "prior only": {"depth": None, "matches": None},
    "no matches": {"matches": None},
    "matches empty": {"matches": no_matches},
    "matches nan": {"matches": lambda m: filled(m, "xy_i")},
    "some matches nan": {"matches": lambda m: filled(m, "xy_j", rows=slice(0, None, 2))},
    "match confidence nan": {"matches": lambda m: filled(m, "confidence")},
    "match confidence zero": {"matches": lambda m: filled(m, "confidence", value=0.0)},
    "matches far outside": {"matches": lambda m: filled(m, "xy_j", value=1e7)},
    "contacts nan": {"contacts": lambda c: contacts_filled(c, NAN)},
    "contacts of nobody": {"contacts": lambda c: replace(c, ids=(), frames=(), probability=())},
    "contacts everywhere": {"contacts": lambda c: contacts_filled(c, 1.0)},
    "contacts of others": {"contacts": lambda c: replace(c, ids=tuple(i + 7 for i in c.ids))},
    "nothing": {"tracks": None, "bodies": None, "depth": None, "matches": None, "contacts": None, "depth_prior": None},
}
# Cameras that were observed, in part.
CAMERAS = {
    "cameras nan": lambda c: filled(c, "T_world_camera"),
    "a camera nan": lambda c: filled(c, "T_world_camera", rows=2),
    "K nan": lambda c: filled(c, "K"),
    "K zero": lambda c: filled(c, "K", value=0.0),
    "a K nan": lambda c: filled(c, "K", rows=0),
    "distortion nan": lambda c: filled(c, "distortion"),
    "unregistered": lambda c: replace(c, registered=np.zeros_like(c.registered)),
    "half unregistered": lambda c: replace(c, registered=np.arange(len(c.registered)) % 2 == 0),
    "rotating": lambda c: replace(c, kind="rotating"),
}


@pytest.mark.parametrize("name", quick(DAMAGE, "nothing", "no bodies", "bodies nan", "depth nan", "keypoints nan once"))
def test_damaged_parts(name):
    lawful(damaged(ALONE, **DAMAGE[name]))


@pytest.mark.parametrize("name", quick(DAMAGE, "nothing", "bodies nan", "matches nan"))
def test_damaged_parts_without_cameras(name):
    lawful(damaged(replace(ALONE, cameras="none"), **DAMAGE[name]))


@pytest.mark.parametrize("name", quick(CAMERAS, "cameras nan", "a camera nan"))
def test_damaged_cameras(name):
    lawful(damaged(ALONE, cameras=CAMERAS[name]))


@pytest.mark.slow
def test_bodies_and_tracks_of_different_people():
    _, observations = josh_problem(PAIR)
    bodies, tracks = observations.bodies, observations.tracks
    one, other = Bodies(bodies.source, bodies.people[:1]), Tracks(tracks.source, tracks.people[1:])
    found = lawful(replace(observations, bodies=one, tracks=other))
    assert [p.id for p in found.people] == [1]


@pytest.mark.slow
def test_tracks_of_other_frames_than_bodies():
    _, observations = josh_problem(ALONE)
    (track,) = seen_only(observations, 1, np.arange(4) < 2).tracks.people
    lawful(replace(observations, tracks=replace(observations.tracks, people=(track,))))


@pytest.mark.slow
@pytest.mark.parametrize("times", [(0.0, 0.2, 0.2, 0.4), (0.0, 0.0, 0.0, 0.0)])
def test_frames_of_one_time(times):
    duplicate = np.diff(times, prepend=-1.0) == 0
    found = lawful(damaged(ALONE, times=np.array(times), duplicate=duplicate))
    np.testing.assert_array_equal(found.times, times)


@pytest.mark.parametrize("times", [(0.0, NAN, 0.4, 0.6), (0.0, 0.4, 0.2, 0.6)])
def test_times_of_no_video_are_said(times):
    assert lawful(damaged(ALONE, times=np.array(times))) is None


def test_two_bodies_of_one_id_are_said():
    observations = damaged(ALONE, bodies=lambda b: replace(b, people=b.people * 2))
    with pytest.raises(DioramaError, match="one id"):
        reconstruct_josh(None, observations)


FUZZED = {
    "tracks": ("keypoints", "boxes"),
    "bodies": ("global_orient", "body_pose", "betas", "transl", "focal", "residual_px", "confidence"),
    "depth": ("depth", "confidence", "K"),
    "depth_prior": ("depth", "confidence", "K"),
    "matches": ("xy_i", "xy_j", "confidence"),
    "contacts": ("probability",),
    "cameras": ("K", "distortion", "T_world_camera"),
}
NONSENSE = (NAN, np.inf, -np.inf, 0.0, -1.0, 1e-20, 1e12)


def spoilt(array, rng):
    """A random share of an array's entries, or of its rows, with one kind of nonsense."""
    out = np.array(array, float)
    places = out.shape if rng.random() < 0.5 else out.shape[:1]
    out[rng.random(places) < rng.choice([0.02, 0.3, 1.0])] = rng.choice(NONSENSE)
    return out


def fuzzed(observations, rng):
    """Some parts missing, some with nonsense in some arrays of some people."""
    for part, names in FUZZED.items():
        value, fate = getattr(observations, part), rng.random()
        if value is None or fate < 0.5:
            continue
        name = str(rng.choice(names))
        if fate < 0.6:
            value = None
        elif part in ("tracks", "bodies"):
            people = tuple(replace(p, **{name: spoilt(getattr(p, name), rng)}) for p in value.people)
            value = replace(value, people=people)
        elif part == "contacts":
            value = replace(value, probability=tuple(spoilt(p, rng) for p in value.probability))
        else:
            value = replace(value, **{name: spoilt(getattr(value, name), rng)})
        observations = replace(observations, **{part: value})
    return observations


@pytest.mark.parametrize("seed", [0, *(pytest.param(n, marks=pytest.mark.slow) for n in range(1, 60))])
def test_random_damage(seed):
    rng = np.random.default_rng(seed)
    cameras = ("none", "unit", "identity", "exact")[seed % 4]
    problem = replace(PAIR if seed % 3 == 0 else ALONE, cameras=cameras, frames_between=seed % 2)
    lawful(fuzzed(damaged(problem), rng))
