"""JOSH's benchmark problem: exact worlds of people in contact before a camera that travels, and observations whose errors
are exactly those that the problem names.

    truth, observations = josh_problem(JoshProblem(seed=3))
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Literal

import numpy as np
from jaxtyping import Bool, Float, Int

from diorama.errors import DioramaError
from diorama.geometry.cameras import pixel_grid, unproject
from diorama.geometry.transforms import apply
from diorama.observations import MaskStack, Observations
from diorama.reconstruction import Cameras, Reconstruction, Scene
from diorama.synthetic.josh_world import ACTIONS, JoshWorld, WorldPlan, build_josh_world
from diorama.synthetic.simulate import PRESETS, SimulationConfig, josh_appendix_f, simulate
from diorama.synthetic.simulate.bodies import BodyConfig, PoseNoise
from diorama.synthetic.simulate.correspondences import MatchConfig
from diorama.synthetic.simulate.drifting_cameras import CameraConfig
from diorama.synthetic.simulate.exact_view import Frames, grid_size, look
from diorama.synthetic.simulate.faults import random_pairs, seen_only, with_nans
from diorama.synthetic.simulate.keypoints import KeypointConfig
from diorama.synthetic.simulate.point_maps import DepthConfig

# Points agree if their inverse depths do to this share: rounding of the depth maps, so that no false match is left (the
# usual 1 % lets some points behind an edge pass).
_AGREE = 5e-5
# Confidences of matches, if they are not all one, follow the true error as in the preset "typical".
_FOLLOWS = 0.6
_SCENE_POINTS = 40_000


@dataclass(frozen=True)
class JoshProblem:
    """All parameters of the problem. Deviations of depth are of its logarithm (0.05: five percent).

    Attributes:
        seed: another world, other people, another path, other errors.
        keyframes, keyframe_seconds, frames_between: every frame is a keyframe unless there are some between.
        people: 0 to 3.
        action: "planted" (both feet and both palms never move: six contacts) or "walking" (contacts as they come).
        width, height, focal: of the picture, pixels; focal length in widths, drawn from a range.
        travel: path of the camera, metres per four seconds, drawn from a range; (0, 0): a static camera.
        depth_step: pixels of the picture per pixel of depth maps, and of the lattice where matches start.
        mask_step: the same of masks; on coarser ones fewer contacts lie on people.
        depth_scale: a fixed factor on all depth (off scale).
        depth_keyframes: deviation of a factor per keyframe; `depth_pixels` of one per pixel.
        depth_metric: whether the maps are said to be metric; if not they are in the unit of the cameras.
        people_in_depth: whether people are in the depth maps (exact but for the scales); if not their depth is 0.
        prior_keyframes: deviation per keyframe of a second, metric depth (with people); None: there is none.
        window, matches: pairs of keyframes up to that far apart, and the most matches of a pair.
        match_px, match_outliers: deviation at one end of a match, per axis; share of ends that are anywhere.
        match_confidence: range of the confidences.
        body_depth: deviation of the distance of every body, new in every frame: the pelvis keeps its pixel.
        body_lateral: deviation of x and y, share of the stature (varies with half a second).
        pose_degrees: deviation of all rotations of the bodies, per axis. Shapes are exact.
        focal_factor: assumed / true focal length of cameras, depth maps, and bodies, whose z follows.
        keypoint_px: deviation of 2D keypoints per axis; None: none are given (confidence 0).
        contacts: "exact"; "free": the labels say that nothing ever touches; "none": no labels.
        cameras: "none"; "identity": all at the origin; "unit": exact but for an unknown unit; "exact".
        perturbed, perturbed_metres: share and size of the noise of JOSH's appendix F (0.2 and 1 there) on top.
        wrong_pairs: pairs all of whose matches are random.
        single: the last person is observed in the middle keyframe only.
        absent: first and last second (not included) between which the first person is not observed.
        nan_share: share of depth pixels and keypoint coordinates that are NaN.
    """

    seed: int = 0
    keyframes: int = 21
    keyframe_seconds: float = 0.2
    frames_between: int = 0
    people: int = 2
    action: Literal["planted", "walking"] = "planted"
    width: int = 512
    height: int = 288
    focal: tuple[float, float] = (0.9, 1.1)
    travel: tuple[float, float] = (2.0, 4.0)
    depth_step: int = 8
    mask_step: int = 2
    depth_scale: float = 0.7
    depth_keyframes: float = 0.05
    depth_pixels: float = 0.0
    depth_metric: bool = True
    people_in_depth: bool = False
    prior_keyframes: float | None = 0.03
    window: int = 10
    matches: int = 1500
    match_px: float = 0.0
    match_outliers: float = 0.0
    match_confidence: tuple[float, float] = (1.0, 1.0)
    body_depth: float = 0.1
    body_lateral: float = 0.0
    pose_degrees: float = 0.0
    focal_factor: float = 1.0
    keypoint_px: float | None = 2.0
    contacts: Literal["exact", "free", "none"] = "exact"
    cameras: Literal["none", "identity", "unit", "exact"] = "none"
    perturbed: float = 0.0
    perturbed_metres: float = 1.0
    wrong_pairs: int = 0
    single: bool = False
    absent: tuple[float, float] | None = None
    nan_share: float = 0.0

    def __post_init__(self) -> None:
        if self.action not in ACTIONS:
            raise DioramaError("there is no such action", where=self.action, fix=f"choose one of {', '.join(ACTIONS)}")
        if not 0 <= self.people <= 3 or self.keyframes < 1 or self.frames_between < 0 or self.seed < 0:
            raise DioramaError(
                "0 to 3 people, 1 keyframe at least, and no negative numbers",
                where="JOSH problem",
                fix="ask for others",
            )

    @property
    def world(self) -> WorldPlan:
        """What of this decides the world; all else is errors."""
        return WorldPlan(
            self.seed, self.people, self.action, self.travel, self.focal, self.width, self.height, self.keyframes,
            self.keyframe_seconds, self.frames_between,
        )  # fmt: skip

    @property
    def pairs(self) -> int:
        """Pairs of keyframes that are matched."""
        return sum(min(self.window, self.keyframes - 1 - n) for n in range(self.keyframes))


EXACT_PROBLEM = JoshProblem(
    depth_scale=1.0, depth_keyframes=0.0, prior_keyframes=0.0, body_depth=0.0, keypoint_px=0.0, cameras="exact"
)


@dataclass(frozen=True)
class PositionFloor:
    """What can be known of people's places without keypoints, in the mean over people and keyframes.

    Attributes:
        before_m: expected error of the observed pelvis before the camera, metres.
        after_m: the same after averaging one person's errors over all keyframes, metres: deviation / sqrt(keyframes).
            Somebody who never moves may be known better where cameras are: his lines of sight cross.
        scale: expected absolute relative error of the scene's scale, which all people's distances tell.
    """

    before_m: float
    after_m: float
    scale: float


def josh_problem(problem: JoshProblem) -> tuple[Reconstruction, Observations]:
    """The truth and what is observed of it: same problem, same bits. The last four worlds are kept.

    The truth's scene has exact depth maps (with people) at the keyframes, on the grid of the observed ones; its quality
    holds the people's statures, the camera's path, and the share of contacts in the picture and not behind scenery.

    Raises:
        DioramaError: no such world was found.
    """
    plan = problem.world
    truth, frames = _exact(plan, problem.depth_step)
    found = simulate(truth, _Looked(frames), simulation_of(problem), problem.seed)
    return truth, _damaged(_masked(found, _looked(plan, problem.mask_step)), truth, problem)


def simulation_of(problem: JoshProblem) -> SimulationConfig:
    """The errors of a problem in terms of `simulate`, without the damage to whole parts."""
    factor, longer = problem.focal_factor, max(problem.width, problem.height)
    prior = problem.prior_keyframes
    degrees = problem.pose_degrees
    config = replace(
        PRESETS["exact"],
        grid=longer // problem.depth_step,
        keyframe_seconds=problem.keyframe_seconds,
        keypoints=KeypointConfig(noise_px=problem.keypoint_px or 0.0),
        bodies=BodyConfig(
            pose=PoseNoise(*(degrees,) * len(dataclasses.fields(PoseNoise))), orient=degrees, depth=problem.body_depth,
            depth_white=1.0, lateral=problem.body_lateral, focal_factor=factor,
        ),
        depth=DepthConfig(
            metric=problem.depth_metric, scale=problem.depth_scale, keyframe_sigma=problem.depth_keyframes,
            noise=problem.depth_pixels, people=problem.people_in_depth, focal_factor=factor, points=0,
        ),
        depth_prior=None if prior is None else DepthConfig(keyframe_sigma=prior, focal_factor=factor, points=0),
        matches=MatchConfig(
            problem.window, problem.matches, problem.match_px / longer, problem.match_outliers, _AGREE,
            problem.match_confidence, _FOLLOWS,
        ),
        contacts=None if problem.contacts == "none" else PRESETS["exact"].contacts,
        cameras=_camera_config(problem),
    )  # fmt: skip
    return josh_appendix_f(config, share=problem.perturbed, metres=problem.perturbed_metres)


def _camera_config(problem: JoshProblem) -> CameraConfig | None:
    if problem.cameras == "none":
        return None
    return CameraConfig(focal_factor=problem.focal_factor, unit=None if problem.cameras == "unit" else 1.0, points=0)


def _damaged(observations: Observations, truth: Reconstruction, problem: JoshProblem) -> Observations:
    """What `simulate` has no errors for: parts that say nothing, and those that say nonsense."""
    out = _without_keypoints(observations, blank=problem.keypoint_px is None)
    if out.contacts is not None and problem.contacts == "free":
        free = tuple(np.zeros_like(p) for p in out.contacts.probability)
        out = replace(out, contacts=replace(out.contacts, probability=free))
    if out.cameras is not None and problem.cameras == "identity":
        poses = np.tile(np.eye(4), (len(truth), 1, 1))
        out = replace(out, cameras=replace(out.cameras, T_world_camera=poses, metric=False))
    if problem.wrong_pairs:
        out = random_pairs(out, problem.wrong_pairs, problem.seed)
    times, keys = truth.times, problem.world.keys
    if problem.absent is not None and problem.people:
        out = seen_only(out, 1, (times < problem.absent[0]) | (times >= problem.absent[1]))
    if problem.single and problem.people:
        out = seen_only(out, problem.people, np.arange(len(times)) == keys[len(keys) // 2])
    return with_nans(out, problem.nan_share, problem.seed)


def _without_keypoints(observations: Observations, *, blank: bool) -> Observations:
    """3D keypoints would tell the exact pose and are never given; 2D ones only if they are not `blank`."""
    assert observations.tracks is not None
    people = [
        replace(t, keypoints_3d=None, keypoints=np.zeros_like(t.keypoints) if blank else t.keypoints)
        for t in observations.tracks.people
    ]
    return replace(observations, tracks=replace(observations.tracks, people=tuple(people)))


def position_floor(problem: JoshProblem, truth: Reconstruction) -> PositionFloor:
    """The floor of a problem, from its body noise and the true distances at its keyframes."""
    keys, deviation = problem.world.keys, problem.body_depth * float(np.sqrt(2 / np.pi))
    if not truth.people:
        return PositionFloor(0.0, 0.0, 0.0)
    centres = truth.cameras.T_world_camera[keys, :3, 3]
    away = [np.linalg.norm(person.joints_world[keys, 0] - centres, axis=1) for person in truth.people]
    before = deviation * float(np.mean(away))
    count = len(keys)
    return PositionFloor(before, before / np.sqrt(count), deviation / np.sqrt(count * len(truth.people)))


@dataclass(frozen=True)
class _Looked:
    """A view whose pictures are there already: all frames, on one grid."""

    frames: Frames

    def depth_and_ids(
        self, row: int, width: int, height: int
    ) -> tuple[Float[np.ndarray, "height width"], Int[np.ndarray, "height width"]]:
        """As `ExactView`."""
        assert (width, height) == self.frames.size
        return self.frames.depth[row], self.frames.ids[row]


@lru_cache(maxsize=4)
def _exact(plan: WorldPlan, step: int) -> tuple[Reconstruction, Frames]:
    frames = _looked(plan, step)
    return _truth(build_josh_world(plan), frames), frames


@lru_cache(maxsize=4)
def _looked(plan: WorldPlan, step: int) -> Frames:
    """Every frame on a grid of every `step`-th pixel."""
    size = grid_size(plan.width, plan.height, max(plan.width, plan.height) // step)
    return look(build_josh_world(plan), np.arange(len(plan.times)), *size)


def _masked(observations: Observations, frames: Frames) -> Observations:
    """With exact masks on the grid of `frames`."""
    assert observations.tracks is not None
    people = []
    for track in observations.tracks.people:
        shown = [_windowed(frames.ids[row] == track.id) for row in track.frames]
        people.append(replace(track, masks=MaskStack.encode(shown, *frames.size)))
    return replace(observations, tracks=replace(observations.tracks, people=tuple(people)))


def _windowed(
    mask: Bool[np.ndarray, "height width"],
) -> tuple[tuple[int, int, int, int], Bool[np.ndarray, "h w"]]:
    """The smallest window that holds all of a mask."""
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    if not len(rows):
        return (0, 0, 0, 0), np.zeros((0, 0), bool)
    x0, y0, x1, y1 = int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1
    return (x0, y0, x1, y1), mask[y0:y1, x0:x1]


def _truth(world: JoshWorld, frames: Frames) -> Reconstruction:
    plan, count = world.plan, len(world.plan.times)
    kind = "translating" if plan.travel[1] > 0 else "static"
    cameras = Cameras(
        np.tile(world.K, (count, 1, 1)), world.T_world_camera, np.zeros((count, 1)), np.ones(count, bool), plan.width,
        plan.height, "given", kind,
    )  # fmt: skip
    path = np.linalg.norm(np.diff(cameras.T_world_camera[:, :3, 3], axis=0), axis=1).sum()
    quality = {
        "statures_m": {str(actor.id): float(actor.shaped.stature) for actor in world.actors},
        "camera_path_m": float(path),
        "contacts_in_sight": world.seen,
    }
    return Reconstruction(
        times=plan.times, frame_index=np.arange(count), duplicate=np.zeros(count, bool), cameras=cameras,
        people=tuple(actor.person() for actor in world.actors), scene=_scene(world, frames.of(plan.keys)), up="exact",
        quality=quality, provenance={"method": "synthetic", "plan": dataclasses.asdict(plan)},
    )  # fmt: skip


def _scene(world: JoshWorld, keys: Frames) -> Scene:
    """Exact depth of the keyframes, and points of the scenery."""
    plan, (width, height) = world.plan, keys.size
    K = world.K * np.array([[width / plan.width], [height / plan.height], [1.0]])
    pixels, rng = pixel_grid(width, height), np.random.default_rng([plan.seed, 9])
    parts = []
    for n, row in enumerate(keys.rows):
        y, x = np.nonzero((keys.depth[n] > 0) & (keys.ids[n] == 0))
        chosen = np.sort(rng.choice(len(y), min(len(y), _SCENE_POINTS // len(keys.rows)), replace=False))
        y, x = y[chosen], x[chosen]
        parts.append(apply(world.T_world_camera[row], unproject(pixels[y, x], keys.depth[n, y, x].astype(float), K)))
    points = np.concatenate(parts).astype(np.float32)
    return Scene(
        points, np.full((len(points), 3), 128, np.uint8), np.ones(len(points), np.float32), keys.depth,
        np.tile(K, (len(keys.rows), 1, 1)), keys.rows,
    )  # fmt: skip
