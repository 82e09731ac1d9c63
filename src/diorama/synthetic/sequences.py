"""Exact sequences: people doing things on a layout before a camera, and everything about them without error."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Int

from diorama.body.anny import load_free_body
from diorama.errors import DioramaError
from diorama.geometry.cameras import pixel_grid, unproject
from diorama.geometry.transforms import apply
from diorama.observations import Observations
from diorama.reconstruction import Cameras, Reconstruction, Scene
from diorama.render.depth import depth_and_ids
from diorama.render.raycast import Mesh
from diorama.synthetic.clothing import dress, random_outfit
from diorama.synthetic.filming import CAMERAS, Filming, film, random_distortion
from diorama.synthetic.free_space import footprint, stage_of
from diorama.synthetic.layout import Layout, Slab
from diorama.synthetic.layouts import PRESETS, random_layout
from diorama.synthetic.motion import motion_from_amass, perform, random_script
from diorama.synthetic.motion.amass import read_recording
from diorama.synthetic.people import random_manner, random_person
from diorama.synthetic.simulate import PRESETS as ERRORS
from diorama.synthetic.simulate import CachedView, simulate
from diorama.synthetic.walk import Motion
from diorama.synthetic.world import Actor

# Raise when the same spec gives another sequence: suites are frozen, so their names carry a version of their own.
GENERATOR = 1
# Pixels of the longer side of the truth's depth maps; seconds between its keyframes; points of its scene.
_DEPTH_SIDE, _KEYFRAME_SECONDS, _SCENE_POINTS = 320, 0.4, 40_000
# People's pelvises keep this distance from each other, metres.
_APART = 0.6
_DRAWS, _SCRIPTS = 60, 25


@dataclass(frozen=True)
class SequenceSpec:
    """What decides a sequence to the last bit: the same spec is the same sequence.

    Attributes:
        preset: the layout, one of `layouts.PRESETS`.
        camera: the way of filming, one of `filming.CAMERAS`.
        people: how many, all of them in every frame.
        width, height: of the picture, pixels.
        zoom: the focal length changes once.
        distorted: the lens has small radial coefficients k1, k2; else none.
        ages: of the people, years.
        recordings: AMASS files of the user's; person k performs recording k, the others scripts.
    """

    name: str
    preset: str
    camera: str
    people: int = 1
    seed: int = 0
    frames: int = 120
    fps: float = 30.0
    width: int = 960
    height: int = 540
    zoom: bool = False
    distorted: bool = False
    ages: tuple[float, float] = (6.0, 75.0)
    recordings: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for what, value, known in (("preset", self.preset, PRESETS), ("camera", self.camera, CAMERAS)):
            if value not in known:
                raise DioramaError(f"there is no such {what}", where=value, fix=f"choose one of {', '.join(known)}")
        if not 1 <= self.people <= 6 or self.frames < 2:
            raise DioramaError("1 to 6 people and 2 frames at least", where=self.name, fix="ask for others")

    @property
    def times(self) -> Float[np.ndarray, " frames"]:
        """Seconds of all frames."""
        return np.arange(self.frames) / self.fps

    @property
    def key(self) -> str:
        """Short name of everything that decides the sequence, for caches."""
        text = json.dumps({"generator": GENERATOR, **dataclasses.asdict(self)}, sort_keys=True)
        return f"{self.name}-{hashlib.sha256(text.encode()).hexdigest()[:12]}"


@dataclass(frozen=True)
class ExactSequence:
    """A sequence as geometry: bare layout, bodies, cameras; `scenery` is what rays can meet besides people."""

    spec: SequenceSpec
    layout: Layout
    actors: tuple[Actor, ...]
    scenery: tuple[Mesh, ...]
    K: Float[np.ndarray, "frames 3 3"]
    T_world_camera: Float[np.ndarray, "frames 4 4"]
    distortion: Float[np.ndarray, " k"]
    kind: str

    def meshes(self, row: int) -> tuple[Mesh, ...]:
        """All surfaces of one frame."""
        return (*self.scenery, *(actor.mesh(row) for actor in self.actors))

    def depth_and_ids(
        self, row: int, width: int, height: int
    ) -> tuple[Float[np.ndarray, "height width"], Int[np.ndarray, "height width"]]:
        """As `simulate.ExactView`: depth z in metres (0: nothing) and ids (0: none) of a frame on any grid."""
        K = _scaled(self.K[row], width / self.spec.width, height / self.spec.height)
        return depth_and_ids(self.meshes(row), K, self.T_world_camera[row], width, height, distortion=self.distortion)

    @cached_property
    def truth(self) -> Reconstruction:
        """The sequence as a reconstruction that is right; depth at keyframes on a grid of its own."""
        spec, count = self.spec, self.spec.frames
        cameras = Cameras(
            self.K, self.T_world_camera, np.tile(self.distortion, (count, 1)), np.ones(count, bool), spec.width,
            spec.height, "given", self.kind,
        )  # fmt: skip
        statures = {str(actor.id): float(actor.shaped.stature) for actor in self.actors}
        return Reconstruction(
            times=spec.times, frame_index=np.arange(count), duplicate=np.zeros(count, bool), cameras=cameras,
            people=tuple(actor.person() for actor in self.actors), scene=self._scene(), up="exact",
            quality={"statures_m": statures},
            provenance={"method": "synthetic", "generator": GENERATOR, "spec": dataclasses.asdict(spec)},
        )  # fmt: skip

    def _scene(self) -> Scene:
        spec = self.spec
        scale = _DEPTH_SIDE / max(spec.width, spec.height)
        width, height = round(spec.width * scale), round(spec.height * scale)
        rows = np.arange(0, spec.frames, max(1, round(_KEYFRAME_SECONDS * spec.fps)))
        seen = [self.depth_and_ids(int(row), width, height) for row in rows]
        K = _scaled(self.K[rows], width / spec.width, height / spec.height)
        points = self._points(rows, seen, K)
        return Scene(
            points.astype(np.float32), np.full((len(points), 3), 128, np.uint8), np.ones(len(points), np.float32),
            np.stack([depth for depth, _ in seen]), K, rows,
        )  # fmt: skip

    def _points(self, rows: np.ndarray, seen: list[tuple[np.ndarray, np.ndarray]], K: np.ndarray) -> np.ndarray:
        """Points of the scenery that the keyframes see."""
        rng = np.random.default_rng([self.spec.seed, 9])
        parts = [np.zeros((0, 3))]
        for row, (depth, ids), matrix in zip(rows, seen, K, strict=True):
            pixels = pixel_grid(depth.shape[1], depth.shape[0])
            y, x = np.nonzero((depth > 0) & (ids == 0))
            kept = rng.choice(len(y), min(len(y), _SCENE_POINTS // len(rows)), replace=False)
            y, x = y[kept], x[kept]
            parts.append(apply(self.T_world_camera[row], unproject(pixels[y, x], depth[y, x], matrix, self.distortion)))
        return np.concatenate(parts)


def _scaled(K: Float[np.ndarray, "*n 3 3"], x: float, y: float) -> Float[np.ndarray, "*n 3 3"]:
    """K on a grid that has other pixels."""
    return K * np.array([[x], [y], [1.0]])


@lru_cache(maxsize=2)
def build_sequence(spec: SequenceSpec) -> ExactSequence:
    """The layout, the people and the camera of a spec; nothing is rendered. The last two are kept.

    Layouts and scripts are drawn until everybody finds a way past the others and the camera a place.

    Raises:
        DioramaError: nothing fits (many people in a small room before a difficult camera), or a recording is none.
    """
    for recording in spec.recordings:
        read_recording(recording)
    problem: DioramaError | None = None
    for attempt in range(_DRAWS):
        rng = np.random.default_rng([spec.seed, attempt])
        layout = random_layout(spec.preset, rng)
        try:
            actors = _cast(spec, layout, rng)
            return _filmed(spec, layout, actors, rng)
        except DioramaError as error:
            problem = error
    raise DioramaError(
        f"no such sequence was found ({problem})", where=spec.name, fix="ask for fewer people"
    ) from problem


def _filmed(spec: SequenceSpec, layout: Layout, actors: tuple[Actor, ...], rng: np.random.Generator) -> ExactSequence:
    distortion = random_distortion(rng) if spec.distorted else ()
    pelvises = np.stack([actor.posed.joints[:, 0].double().numpy() for actor in actors], 1)
    K, T_world_camera, kind = film(
        spec.camera, pelvises, layout, spec.times, (spec.width, spec.height), rng,
        Filming(zoom=spec.zoom, distortion=distortion),
    )  # fmt: skip
    lens = np.array(distortion if distortion else (0.0,))
    return ExactSequence(spec, layout, actors, bare_scenery(layout), K, T_world_camera, lens, kind)


def _cast(spec: SequenceSpec, layout: Layout, rng: np.random.Generator) -> tuple[Actor, ...]:
    """The people and what each does, nobody in anybody's way."""
    actors: list[Actor] = []
    for number in range(spec.people):
        shaped = load_free_body().shaped(random_person(rng, load_free_body(), ages=spec.ages))
        recording = spec.recordings[number] if number < len(spec.recordings) else ""
        for _ in range(1 if recording else _SCRIPTS):
            manner = random_manner(rng)
            if recording:
                motion = motion_from_amass(recording, shaped, spec.times)
            else:
                (x0, y0), (x1, y1) = stage_of(layout).low, stage_of(layout).high
                script = random_script(rng, layout, shaped, spec.times[-1], area=(x0, y0, x1, y1), manner=manner)
                motion = perform(shaped, script, layout, spec.times, manner)
            if all(_distance(motion, shaped, other).min() > _APART for other in actors):
                break
        else:
            raise DioramaError(f"no room for person {number + 1}", where=layout.name, fix="ask for fewer people")
        arrays = (motion.global_orient, motion.body_pose, motion.transl)
        posed = shaped.posed(*(torch.from_numpy(a).to(shaped.betas.dtype) for a in arrays))
        actors.append(Actor(number + 1, shaped, motion, posed, dress(shaped, random_outfit(rng))))
    return tuple(actors)


def _distance(motion: Motion, shaped, other: Actor) -> Float[np.ndarray, " frames"]:
    """Between the pelvises of somebody new and of somebody who is there, metres."""
    place = motion.transl + shaped.joints_rest[0].double().numpy()
    return np.linalg.norm(place - other.posed.joints[:, 0].double().numpy(), axis=1)


def bare_scenery(layout: Layout) -> tuple[Mesh, ...]:
    """Floor and boxes of a layout without looks: exactly what people stand on and walk around."""
    reach = 60.0
    ground = np.array([[-reach, -reach], [reach, -reach], [reach, reach], [-reach, reach]])
    floor = Mesh(np.c_[ground, layout.floor_height(ground)], np.array([[0, 1, 2], [0, 2, 3]]))
    return (floor, *(_box(slab) for slab in layout.slabs))


def _box(slab: Slab) -> Mesh:
    """Sides and top; the sides go on below the base, so that none hangs over a slope."""
    corners = footprint(slab)
    low, high = np.full((4, 1), slab.base[2] - 0.5), np.full((4, 1), slab.top)
    vertices = np.concatenate([np.hstack([corners, low]), np.hstack([corners, high])])
    sides = [[a, b, b + 4] for a, b in ((0, 1), (1, 2), (2, 3), (3, 0))]
    sides += [[a, b + 4, a + 4] for a, b in ((0, 1), (1, 2), (2, 3), (3, 0))]
    return Mesh(vertices, np.array([*sides, [4, 5, 6], [4, 6, 7]]))


def simulated(
    spec: SequenceSpec, cache: Path | None = None, *, errors: str = "typical"
) -> tuple[Reconstruction, Observations]:
    """The truth of a spec, and observations with the errors of a simulation preset (docs/simulation.md), of the spec's
    seed. Exact depth is kept in `cache`.

    Raises:
        DioramaError: there is no such preset of errors.
    """
    if errors not in ERRORS:
        raise DioramaError("there is no such preset of errors", where=errors, fix=f"choose one of {', '.join(ERRORS)}")
    sequence = build_sequence(spec)
    view = sequence if cache is None else CachedView(sequence, Path(cache), spec.key)
    return sequence.truth, simulate(sequence.truth, view, ERRORS[errors], spec.seed)
