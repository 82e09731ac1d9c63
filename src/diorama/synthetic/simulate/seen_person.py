"""The truth of one person as the cameras see it: camera-frame body, landmarks in the picture, and what hides them."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Bool, Float, Int

from diorama.body import load_body
from diorama.body.detected import landmark_points
from diorama.body.model import BodyModel, ShapedBody
from diorama.geometry.cameras import project
from diorama.geometry.rotations import matrix_of
from diorama.geometry.transforms import apply, invert
from diorama.reconstruction import Person, Reconstruction
from diorama.synthetic.simulate.exact_view import Frames

# Nobody is seen whose pelvis is nearer to the camera's plane than this, metres.
_NEAREST = 0.3
# Somebody else's surface hides a landmark if it is nearer by this, metres: rounding and coarse pixels.
_IN_FRONT = 0.05
# The own body hides a landmark if skin this close to its line of sight is nearer than the landmark by more than its depth
# under the skin and this, both metres. Vertices of the fitting subset are some 6 cm apart.
_BESIDE = 0.05
_DEEPER = 0.06


@dataclass(frozen=True)
class SeenPerson:
    """One person's exact truth in the camera frames of `rows` (those where the pelvis is before the camera).

    Attributes:
        rows, times: frames of the video, and their seconds.
        pelvis: the joint J0 in camera axes, metres; `orient` the body's rotation there, `pose` the 23 local rotations.
        landmarks, pixels: the joint set in camera axes and in the picture (NaN behind the camera).
        box: picture box x0 y0 x1 y1 of the body's surface, cut at the picture's border; hidden parts count.
        covered: per landmark, outside of the picture or behind another person or the scenery.
        under: per landmark, behind the person's own body.
        height: the standing height in the picture, pixels.
    """

    person: Person
    model: BodyModel
    stature: float
    rows: Int[np.ndarray, " n"]
    times: Float[np.ndarray, " n"]
    focal: Float[np.ndarray, " n"]
    pelvis: Float[np.ndarray, "n 3"]
    orient: Float[np.ndarray, "n 3 3"]
    pose: Float[np.ndarray, "n 23 3"]
    landmarks: Float[np.ndarray, "n landmarks 3"]
    pixels: Float[np.ndarray, "n landmarks 2"]
    box: Float[np.ndarray, "n 4"]
    covered: Bool[np.ndarray, "n landmarks"]
    under: Bool[np.ndarray, "n landmarks"]

    @property
    def id(self) -> int:
        """The true id."""
        return self.person.id

    @property
    def height(self) -> Float[np.ndarray, " n"]:
        """Standing height at the pelvis' distance, pixels: the unit of errors in the picture."""
        return self.focal * self.stature / self.pelvis[:, 2]

    @property
    def hidden(self) -> Bool[np.ndarray, "n landmarks"]:
        """Landmarks that nobody can see."""
        return self.covered | self.under

    def at(self, chosen: Int[np.ndarray, " m"] | Bool[np.ndarray, " n"]) -> SeenPerson:
        """Only some of the rows."""
        names = ("rows", "times", "focal", "pelvis", "orient", "pose", "landmarks", "pixels", "box", "covered", "under")
        return replace(self, **{name: getattr(self, name)[chosen] for name in names})


def see_person(person: Person, truth: Reconstruction, frames: Frames, joint_set: str) -> SeenPerson:
    """One person of a truth in its cameras; `frames` are the exact pictures of all rows of the truth.

    Raises:
        DioramaError: the person's body model needs files that are not here.
    """
    model = load_body(person.body)
    cameras = truth.cameras
    shaped = model.shaped(torch.from_numpy(np.asarray(person.betas, np.float32)))
    arrays = (person.global_orient, person.body_pose, person.transl)
    posed = shaped.posed(*(torch.from_numpy(np.asarray(a, np.float32)) for a in arrays))
    T_camera_world = invert(cameras.T_world_camera[person.frames])
    pelvis = apply(T_camera_world, posed.joints[:, 0].double().numpy())
    kept = np.flatnonzero(pelvis[:, 2] > _NEAREST)
    rows, T = person.frames[kept], T_camera_world[kept]
    K, distortion = cameras.K[rows], cameras.distortion[rows]
    landmarks = apply(T, landmark_points(posed, joint_set)[kept])
    pixels = project(landmarks, K, distortion)
    size = (cameras.width, cameras.height)
    surface = apply(T, posed.verts(model.subset).double().numpy()[kept])
    covered = _covered(person.id, landmarks[..., 2], pixels, frames.of(rows), size)
    under = _under_own_body(landmarks, surface, _depths_under_skin(shaped, joint_set))
    return SeenPerson(
        person, model, float(shaped.stature), rows, truth.times[rows], K[:, 0, 0], pelvis[kept],
        T[:, :3, :3] @ matrix_of(person.global_orient[kept]), np.asarray(person.body_pose[kept], np.float64),
        landmarks, pixels, _boxes(project(surface, K, distortion), size), covered, under,
    )  # fmt: skip


def _boxes(surface: Float[np.ndarray, "n verts 2"], size: tuple[int, int]) -> Float[np.ndarray, "n 4"]:
    behind = ~np.isfinite(surface)
    low, high = np.where(behind, np.inf, surface).min(1), np.where(behind, -np.inf, surface).max(1)
    return np.concatenate([np.clip(low, 0, size), np.clip(high, 0, size)], 1).astype(np.float64)


def _depths_under_skin(shaped: ShapedBody, joint_set: str) -> Float[np.ndarray, " landmarks"]:
    """Distance of each landmark to the nearest skin vertex, metres, in the rest pose."""
    still = torch.zeros(1, 24, 3)
    posed = shaped.posed(still[:, 0], still[:, 1:], still[:, 0])
    skin = posed.verts(shaped.model.subset).double().numpy()[0]
    return np.linalg.norm(landmark_points(posed, joint_set)[0][:, None] - skin[None], axis=-1).min(1)


def _under_own_body(
    landmarks: Float[np.ndarray, "n landmarks 3"], surface: Float[np.ndarray, "n verts 3"],
    under_skin: Float[np.ndarray, " landmarks"],
) -> Bool[np.ndarray, "n landmarks"]:  # fmt: skip
    """Whether the person's own body lies between the camera and each landmark (all in camera axes)."""
    sights = surface[..., :2] / np.maximum(surface[..., 2:], 0.05)
    out = np.zeros(landmarks.shape[:2], bool)
    for index, depth in enumerate(under_skin):
        x, y, z = np.moveaxis(landmarks[:, index, None], -1, 0)
        z = np.maximum(z, 0.05)
        beside = np.hypot(sights[..., 0] - x / z, sights[..., 1] - y / z) * z
        out[:, index] = ((beside < _BESIDE) & (surface[..., 2] < z - depth - _DEEPER)).any(1)
    return out


def _covered(
    id: int, z: Float[np.ndarray, "n landmarks"], pixels: Float[np.ndarray, "n landmarks 2"], frames: Frames,
    size: tuple[int, int],
) -> Bool[np.ndarray, "n landmarks"]:  # fmt: skip
    """Landmarks outside of the picture, or behind scenery or another person.

    Behind means that everything in the 3 x 3 grid pixels around is nearer: so a thin limb between two pixels is not lost,
    nor a foot on a floor that falls by its own length from one pixel to the next.
    """
    known = np.nan_to_num(pixels, nan=-1.0)
    inside = ((known >= 0) & (known < np.array(size))).all(-1)
    width, height = frames.size
    cells = np.clip(known * (width / size[0], height / size[1]), 0, (width - 1, height - 1)).astype(int)
    x, y = cells[..., 0], cells[..., 1]
    n = np.arange(len(z))[:, None]
    farthest = np.zeros_like(z)
    for dy in (-1, 0, 1):
        for dx in (-1, 0, 1):
            around = frames.depth[n, np.clip(y + dy, 0, height - 1), np.clip(x + dx, 0, width - 1)]
            farthest = np.maximum(farthest, np.where(around > 0, around, np.inf))
    return ~inside | ((frames.ids[n, y, x] != id) & (farthest < z - _IN_FRONT))


def touching_pairs(frames: Frames) -> dict[int, set[tuple[int, int]]]:
    """Per row of the video, the pairs of people (smaller id first) whose pixels lie side by side."""
    out: dict[int, set[tuple[int, int]]] = {}
    for row, ids in zip(frames.rows, frames.ids, strict=True):
        found: set[tuple[int, int]] = set()
        for a, b in ((ids[:, 1:], ids[:, :-1]), (ids[1:], ids[:-1])):
            beside = (a != b) & (a > 0) & (b > 0)
            found |= {(int(min(pair)), int(max(pair))) for pair in zip(a[beside], b[beside], strict=True)}
        if found:
            out[int(row)] = found
    return out
