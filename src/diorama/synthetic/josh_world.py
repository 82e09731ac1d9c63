"""The world of JOSH's benchmark problem: people who hold on to tables or walk in a ring, walls and boxes, a camera that
travels around them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np
import torch
from jaxtyping import Bool, Float, Int

from diorama.body.anny import load_free_body
from diorama.body.contact_sites import CONTACT_SITE_NAMES
from diorama.body.joints import JOINT_INDEX
from diorama.body.model import ShapedBody
from diorama.errors import DioramaError
from diorama.geometry.cameras import intrinsics, project
from diorama.geometry.transforms import apply, invert, rigid
from diorama.render.depth import depth_and_ids
from diorama.render.raycast import Mesh
from diorama.synthetic.camera_moves import look_at
from diorama.synthetic.free_space import clearance, footprint, ground_distance, sees
from diorama.synthetic.layout import Layout, Slab
from diorama.synthetic.motion import Figure, Script, Stand, Walk, perform
from diorama.synthetic.motion.performance import frames_of
from diorama.synthetic.motion.planted import bent_lean, planted, random_aims, table_before
from diorama.synthetic.motion.steps import Walker
from diorama.synthetic.people import random_manner, random_person
from diorama.synthetic.sequences import bare_scenery
from diorama.synthetic.simulate.noise import stream
from diorama.synthetic.walk import Manner, Motion
from diorama.synthetic.world import Actor

ACTIONS = ("planted", "walking")
_AGES = (18.0, 70.0)
# Tables, as shares of the stature, and their sizes along and across, metres.
_TABLE_HIGH, _TABLE_LONG, _TABLE_DEEP = (0.48, 0.60), (0.9, 1.4), (0.45, 0.6)
# People who stand do so around the origin, this far from it, from each other, and from others' tables, metres.
_SPREAD, _SPREAD_PER_PERSON, _APART, _TABLE_APART = 0.7, 0.15, 1.1, 0.5
# Walkers share a ring of this radius (metres) and a speed (m/s).
_RING, _SPEED = (1.2, 1.6), (0.7, 1.0)
# A planted person looks away from the camera, turned aside by so much (radians): hands and feet are in sight.
_TURNED = (0.35, 1.5)
# Walkers are on their way for so long before the first frame, seconds.
_BEGUN = 3.0
# Walls: distance of the one behind, of those at the sides, and of the hall's around everything; height, thickness; metres.
_BEHIND, _BESIDE, _HALL, _WALL_HIGH, _WALL_THICK = (1.8, 3.0), (2.8, 4.2), 10.0, 5.0, 0.15
# The camera swings to and fro around the people; from one end to the other it takes so many seconds.
_SWING_SECONDS = 4.8
# Distance and height of the camera, and height at which it aims, metres.
_AWAY, _CAMERA_HIGH, _AIM = np.arange(2.8, 8.1, 0.3), (1.3, 1.9), (0.6, 1.0)
# Pixels (of 512) that people keep from the picture's border; free air around the camera, metres.
_BORDER, _CLEAR = 8.0, 0.35
# Above the head's joint; metres.
_CROWN = 0.22
# This share of the contacts of every person lies before the scenery, and in the picture.
_IN_SIGHT = 0.9
_DRAWS, _PATHS = 60, 8
_QUARTERS = tuple(np.pi / 2 * k for k in range(4))


@dataclass(frozen=True)
class WorldPlan:
    """What is asked of the world.

    Attributes:
        travel: shortest and longest path of the camera, metres per four seconds; (0, 0): it stands still. Videos of less
            than four seconds end on the way.
        focal: range of the focal length, picture widths.
        width, height: of the picture, pixels.
        keyframes, keyframe_seconds, frames_between: frames, and how many of them lie between two keyframes.
    """

    seed: int
    people: int
    action: str
    travel: tuple[float, float]
    focal: tuple[float, float]
    width: int
    height: int
    keyframes: int
    keyframe_seconds: float
    frames_between: int

    @cached_property
    def times(self) -> Float[np.ndarray, " frames"]:
        """Seconds of all frames."""
        step = 1 + self.frames_between
        return np.arange((self.keyframes - 1) * step + 1) * (self.keyframe_seconds / step)

    @cached_property
    def keys(self) -> Int[np.ndarray, " keys"]:
        """Rows of the keyframes."""
        return np.arange(self.keyframes) * (1 + self.frames_between)

    @property
    def seconds(self) -> float:
        """Of the whole video."""
        return max(float(self.times[-1]), self.keyframe_seconds)


@dataclass(frozen=True)
class JoshWorld:
    """The world, exact; an `ExactView`. `seen` is the share of the contacts at keyframes that are in the picture and
    not behind the scenery (other people may still hide them)."""

    plan: WorldPlan
    layout: Layout
    actors: tuple[Actor, ...]
    scenery: tuple[Mesh, ...]
    K: Float[np.ndarray, "3 3"]
    T_world_camera: Float[np.ndarray, "frames 4 4"]
    seen: float

    def depth_and_ids(
        self, row: int, width: int, height: int
    ) -> tuple[Float[np.ndarray, "height width"], Int[np.ndarray, "height width"]]:
        """As `simulate.ExactView`."""
        K = self.K * np.array([[width / self.plan.width], [height / self.plan.height], [1.0]])
        meshes = (*self.scenery, *(actor.mesh(row) for actor in self.actors))
        return depth_and_ids(meshes, K, self.T_world_camera[row], width, height)


@lru_cache(maxsize=4)
def build_josh_world(plan: WorldPlan) -> JoshWorld:
    """People, walls, boxes and a camera, drawn until everybody's hands and feet are in sight. The last four are kept.

    Raises:
        DioramaError: nothing fits.
    """
    problem: DioramaError | None = None
    for attempt in range(_DRAWS):
        rng = stream(plan.seed, "josh world", attempt)
        view = float(rng.uniform(-np.pi, np.pi))
        try:
            cast = _CASTS[plan.action](plan, view, rng)
            return _filmed(plan, _furnished(view, cast, rng), cast.actors, view, rng)
        except DioramaError as error:
            problem = error
    raise DioramaError(
        f"no such world was found ({problem})", where=f"seed {plan.seed}", fix="ask for fewer people or less travel"
    ) from problem


def _person(rng: np.random.Generator) -> tuple[ShapedBody, Figure, Manner]:
    body = load_free_body()
    shaped = body.shaped(random_person(rng, body, ages=_AGES))
    return shaped, Figure.of(shaped), random_manner(rng)


def _actor(id: int, shaped: ShapedBody, motion: Motion) -> Actor:
    arrays = (motion.global_orient, motion.body_pose, motion.transl)
    posed = shaped.posed(*(torch.from_numpy(a).to(shaped.betas.dtype) for a in arrays))
    return Actor(id, shaped, motion, posed, np.zeros((len(shaped.verts_rest), 3)))


@dataclass(frozen=True)
class _Cast:
    """The people, their tables, and the ground (x, y; metres) that they need."""

    actors: tuple[Actor, ...]
    tables: tuple[Slab, ...]
    ground: Float[np.ndarray, "places 2"]


def _planted_cast(plan: WorldPlan, view: float, rng: np.random.Generator) -> _Cast:
    """People at tables; `view` is the direction in which the camera stands, radians from +X."""
    people: list[tuple[ShapedBody, Walker]] = []
    tables: list[Slab] = []
    places: list[tuple[float, float]] = []
    headings: list[float] = []
    reach = _SPREAD + _SPREAD_PER_PERSON * plan.people
    for number in range(plan.people):
        shaped, figure, manner = _person(rng)
        walker = Walker(figure, Layout("josh"), manner)
        long, deep, high = (float(rng.uniform(*span)) for span in (_TABLE_LONG, _TABLE_DEEP, _TABLE_HIGH))
        size = (long, deep, high * figure.stature)
        ahead = bent_lean(walker, 0, size[2]).ahead
        for _ in range(_DRAWS):
            place = (float(rng.uniform(-reach, reach)), float(rng.uniform(-reach, reach)))
            heading = view + np.pi + float(rng.choice([-1, 1]) * rng.uniform(*_TURNED))
            table = table_before(ahead, place, heading, size, float(rng.uniform(-0.2, 0.2)))
            if _room(place, table, places, tables):
                break
        else:
            raise DioramaError(f"no room for person {number + 1}", where="josh world", fix="ask for fewer people")
        people.append((shaped, walker))
        tables.append(table)
        places.append(place)
        headings.append(heading)
    actors = []
    for number, (shaped, walker) in enumerate(people):
        aims = random_aims(rng, plan.seconds)
        motion = planted(walker, places[number], headings[number], tables[number].top, plan.seconds, aims)
        actors.append(_actor(number + 1, shaped, frames_of(motion, plan.times)))
    return _Cast(tuple(actors), tuple(tables), np.array(places).reshape(-1, 2))


def _room(place: tuple[float, float], table: Slab, places: list[tuple[float, float]], tables: list[Slab]) -> bool:
    """Whether a person and a table get in nobody's way."""
    here, others = np.array([place]), np.array(places).reshape(-1, 2)
    corners = footprint(table)
    edges = np.concatenate([corners + share * (np.roll(corners, 1, 0) - corners) for share in (0.0, 0.33, 0.67)])
    if (np.linalg.norm(others - here, axis=1) < _APART).any() or (ground_distance(table, others) < _TABLE_APART).any():
        return False
    return all(
        ground_distance(other, here)[0] >= _TABLE_APART and ground_distance(other, edges).min() >= 0.1
        for other in tables
    )


def _walking_cast(plan: WorldPlan, view: float, rng: np.random.Generator) -> _Cast:
    """People who walk round one ring, evenly spaced, at one speed."""
    del view
    radius, speed, start = (float(rng.uniform(*span)) for span in (_RING, _SPEED, (-np.pi, np.pi)))
    turn = float(rng.choice([-1, 1]))
    actors = []
    for number in range(plan.people):
        shaped, figure, manner = _person(rng)
        angle = start + 2 * np.pi * number / plan.people
        walk = Walk(speed * (_BEGUN + plan.seconds + 3.0), speed, turn / radius)
        place = (radius * float(np.cos(angle)), radius * float(np.sin(angle)))
        script = Script(place, angle + turn * np.pi / 2, (walk, Stand(0.1)), _BEGUN)
        motion = perform(figure, script, Layout("josh"), plan.times, manner)
        actors.append(_actor(number + 1, shaped, motion))
    around = np.linspace(0, 2 * np.pi, 36, endpoint=False)
    return _Cast(tuple(actors), (), radius * np.stack([np.cos(around), np.sin(around)], 1))


_CASTS = {"planted": _planted_cast, "walking": _walking_cast}


def _furnished(view: float, cast: _Cast, rng: np.random.Generator) -> Layout:
    """A hall; in it three walls away from the camera, boxes between them and some low ones before the people."""
    behind, left, right = float(rng.uniform(*_BEHIND)), float(rng.uniform(*_BESIDE)), float(rng.uniform(*_BESIDE))
    slabs = [
        *(_standing("wall", view + turn, _HALL, 0.0, (_WALL_THICK, 2 * _HALL, _WALL_HIGH)) for turn in _QUARTERS),
        _standing("wall", view, -behind, (left - right) / 2, (_WALL_THICK, left + right + 1.0, _WALL_HIGH)),
        _standing("wall", view, -behind / 2, left, (behind + 1.2, _WALL_THICK, _WALL_HIGH)),
        _standing("wall", view, -behind / 2, -right, (behind + 1.2, _WALL_THICK, _WALL_HIGH)),
        *cast.tables,
    ]
    for number in range(int(rng.integers(9, 14))):
        low = number < 3
        high = float(rng.uniform(0.1, 0.3) if low else rng.uniform(0.3, 1.8))
        size = (float(rng.uniform(0.3, 0.9)), float(rng.uniform(0.3, 0.9)), high)
        for _ in range(20):
            ahead = float(rng.uniform(0.6, 2.2) if low else rng.uniform(0.3 - behind, 0.3))
            box = _standing(
                "clutter", view, ahead, float(rng.uniform(0.4 - right, left - 0.4)), size, float(rng.uniform(0, np.pi))
            )
            if _is_clear(box, cast):
                slabs.append(box)
                break
    return Layout("josh", tuple(slabs))


def _standing(
    kind: str, view: float, ahead: float, aside: float, size: tuple[float, float, float], turned: float = 0.0
) -> Slab:
    """A box `ahead` metres from the origin towards the camera and `aside` metres to the left of that direction."""
    c, s = float(np.cos(view)), float(np.sin(view))
    return Slab(kind, (ahead * c - aside * s, ahead * s + aside * c, 0.0), size, view + turned)


def _is_clear(box: Slab, cast: _Cast) -> bool:
    """Whether a box keeps away from people and tables; boxes may touch walls and each other."""
    corners = np.concatenate([footprint(box), [box.base[:2]]])
    if any(ground_distance(table, corners).min() < 0.1 for table in cast.tables):
        return False
    return bool((ground_distance(box, cast.ground) > 0.6).all())


def _filmed(
    plan: WorldPlan, layout: Layout, actors: tuple[Actor, ...], view: float, rng: np.random.Generator
) -> JoshWorld:
    """The nearest camera path that shows everybody."""
    K = intrinsics(float(rng.uniform(*plan.focal)) * plan.width, plan.width, plan.height)
    bodies = _outlines(plan, actors)
    best = 0.0
    for away in _AWAY:
        for _ in range(_PATHS):
            T_world_camera = _path(plan, view, float(away), rng)
            centres = T_world_camera[plan.keys, :3, 3]
            if not _length_fits(plan, centres) or clearance(layout, centres).min() < _CLEAR:
                continue
            if not _in_picture(plan, bodies, K, T_world_camera[plan.keys]).all():
                continue
            seen = _contacts_seen(plan, layout, actors, K, T_world_camera)
            best = max(best, min(seen, default=1.0))
            if min(seen, default=1.0) >= _IN_SIGHT:
                mean = float(np.mean(seen)) if seen else 1.0
                return JoshWorld(plan, layout, actors, bare_scenery(layout), K, T_world_camera, mean)
    raise DioramaError(f"no path for the camera (best {best:.2f})", where=layout.name, fix="draw again")


def _path(plan: WorldPlan, view: float, away: float, rng: np.random.Generator) -> Float[np.ndarray, "frames 4 4"]:
    """A swing around the origin, nearer and farther and up and down on the way, that looks at the people."""
    share = plan.travel[1] > 0
    phases = rng.uniform(-np.pi, np.pi, 4)
    beat = np.pi * (plan.times - 2.0) / _SWING_SECONDS
    swing = share * rng.choice([-1, 1]) * rng.uniform(*plan.travel) / (1.9 * away)
    angle = view + float(rng.uniform(-0.5, 0.5)) + swing * np.sin(beat)
    radius = away * (1 + share * 0.06 * np.sin(1.3 * beat + phases[0]))
    high = rng.uniform(*_CAMERA_HIGH) + share * 0.12 * np.sin(1.1 * beat + phases[1])
    centres = np.stack([radius * np.cos(angle), radius * np.sin(angle), high], 1)
    wander = 0.1 * share * np.stack([np.sin(beat + phases[2]), np.sin(beat + phases[3])], 1)
    aim = np.c_[wander, np.full(len(beat), rng.uniform(*_AIM))]
    return rigid(look_at(centres, aim), centres)


def _length_fits(plan: WorldPlan, centres: Float[np.ndarray, "keys 3"]) -> bool:
    """Whether the camera travels as far as it should per four seconds; of shorter videos nothing is asked."""
    length = float(np.linalg.norm(np.diff(centres, axis=0), axis=1).sum())
    return plan.seconds < 3.99 or plan.travel[0] <= 4 * length / plan.seconds <= plan.travel[1]


def _outlines(plan: WorldPlan, actors: tuple[Actor, ...]) -> Float[np.ndarray, "keys points 3"]:
    """Joints, crowns and contact sites of everybody at keyframes."""
    parts = [np.zeros((len(plan.keys), 0, 3))]
    for actor in actors:
        joints = actor.posed.joints.double().numpy()[plan.keys]
        crown = joints[:, [JOINT_INDEX["head"]]] + [0.0, 0.0, _CROWN]
        sites = actor.posed.contact_sites(CONTACT_SITE_NAMES).double().numpy()[plan.keys]
        parts += [joints, crown, sites]
    return np.concatenate(parts, 1)


def _in_picture(
    plan: WorldPlan, points: Float[np.ndarray, "keys points 3"], K: np.ndarray, T_world_camera: np.ndarray
) -> Bool[np.ndarray, "keys points"]:
    """Which points (world) are in the picture, with room around them."""
    pixels = project(apply(invert(T_world_camera), points), K)
    border = _BORDER * plan.width / 512
    with np.errstate(invalid="ignore"):
        inside = (pixels > border) & (pixels < np.array([plan.width, plan.height]) - border)
    return inside[..., 0] & inside[..., 1]


def _contacts_seen(
    plan: WorldPlan, layout: Layout, actors: tuple[Actor, ...], K: np.ndarray, T_world_camera: np.ndarray
) -> list[float]:
    """Per person, the share of the contacts at keyframes that are in the picture and before the scenery."""
    shares = []
    T = T_world_camera[plan.keys]
    for actor in actors:
        sites = actor.posed.contact_sites(actor.motion.sites).double().numpy()[plan.keys]
        touching = actor.motion.contacts[plan.keys]
        start = np.broadcast_to(T[:, None, :3, 3], sites.shape)
        clear = sees(layout, start, sites + np.array([0.0, 0.0, 0.02])) & _in_picture(plan, sites, K, T)
        shares.append(float(clear[touching].mean()) if touching.any() else 1.0)
    return shares
