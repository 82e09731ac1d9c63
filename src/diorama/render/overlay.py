"""Bodies drawn over a picture: shaded, half transparent, the nearer person in front; contact dots and labels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
from jaxtyping import Float, Int, UInt8

from diorama.geometry.cameras import project
from diorama.render.rays import RayScene, camera_rays

Rgb = tuple[int, int, int]


@dataclass(frozen=True)
class OverlayStyle:
    """`opacity` of bodies; `dot` is the radius of contact dots in px per 1000 px of picture height."""

    opacity: float = 0.72
    dot: float = 9.0
    contact: Rgb = (70, 255, 90)
    ink: Rgb = (255, 255, 255)


_STYLE = OverlayStyle()


@dataclass(frozen=True)
class BodyLayer:
    """One person in one frame, camera frame, metres: a mesh, or only joints with their parents (then a skeleton is
    drawn); `contact_points` are the sites that touch something now."""

    colour: Rgb
    label: str
    joints: Float[np.ndarray, "joints 3"]
    parents: tuple[int, ...]
    contact_points: Float[np.ndarray, "sites 3"]
    vertices: Float[np.ndarray, "verts 3"] | None = None
    faces: Int[np.ndarray, "faces 3"] | None = None


@dataclass(frozen=True)
class Lens:
    """Intrinsics of the picture that is drawn on: K in its pixels, radial distortion."""

    K: Float[np.ndarray, "3 3"]
    distortion: Float[np.ndarray, " k"]
    width: int
    height: int

    @property
    def rays(self) -> Float[np.ndarray, "height width 3"]:
        """Directions (z = 1) through all pixel centres."""
        return _rays(self.K.tobytes(), self.distortion.tobytes(), self.width, self.height)

    def pixels(self, points: Float[np.ndarray, "n 3"]) -> Float[np.ndarray, "n 2"]:
        """Projections; NaN behind the camera."""
        return project(np.asarray(points, np.float64), self.K, self.distortion)


@lru_cache(maxsize=2)
def _rays(K: bytes, distortion: bytes, width: int, height: int) -> np.ndarray:
    return camera_rays(np.frombuffer(K).reshape(3, 3), width, height, np.frombuffer(distortion))


def draw_bodies(
    picture: UInt8[np.ndarray, "height width 3"],
    layers: Sequence[BodyLayer],
    lens: Lens,
    style: OverlayStyle = _STYLE,
) -> UInt8[np.ndarray, "height width 3"]:
    """The picture with all people on it."""
    colour, nearest = cast_bodies(layers, lens)
    out = _blend(picture, colour, np.isfinite(nearest), style)
    for layer in sorted(layers, key=lambda one: -float(one.joints[0, 2])):
        if layer.vertices is None:
            draw_skeleton(out, layer, lens)
        _draw_contacts(out, layer, lens, style)
        _draw_label(out, layer, lens, style)
    return out


def cast_bodies(
    layers: Sequence[BodyLayer], lens: Lens
) -> tuple[Float[np.ndarray, "height width 3"], Float[np.ndarray, "height width"]]:
    """Shaded colour (0-255) and depth (metres, infinite where there is nobody) of the meshes, the nearest in front."""
    colour = np.zeros((lens.height, lens.width, 3), np.float32)
    nearest = np.full((lens.height, lens.width), np.inf, np.float32)
    for layer in layers:
        if layer.vertices is not None and layer.faces is not None:
            _cast(layer.vertices, layer.faces, layer.colour, lens, colour, nearest)
    return colour, nearest


def _cast(
    vertices: np.ndarray, faces: np.ndarray, rgb: Rgb, lens: Lens, colour: np.ndarray, nearest: np.ndarray
) -> None:
    """Draw one mesh into `colour` and `nearest` where it is nearer than what is there, inside its image box."""
    window = _window(lens.pixels(vertices), vertices[:, 2], lens)
    seen = _facing(vertices, faces)
    if window is None or not len(seen):
        return
    rows, columns = window
    directions = lens.rays[rows, columns]
    hits = RayScene([(vertices, seen)]).first_hits(
        np.zeros((directions.shape[0] * directions.shape[1], 3), np.float32), directions.reshape(-1, 3)
    )
    shape = directions.shape[:2]
    depth = np.where(hits.mesh >= 0, hits.distance, np.inf).reshape(shape)
    front = depth < nearest[rows, columns]
    view = directions[front] / np.linalg.norm(directions[front], axis=1, keepdims=True)
    slant = np.abs((hits.normal.reshape(*shape, 3)[front] * view).sum(1))
    nearest[rows, columns][front] = depth[front]
    colour[rows, columns][front] = (0.35 + 0.65 * slant)[:, None] * np.array(rgb, np.float32)


def _facing(vertices: np.ndarray, faces: np.ndarray) -> Int[np.ndarray, "faces 3"]:
    """Faces whose outside is seen from the origin (half of a closed body need not be built)."""
    a, b, c = (vertices[faces[:, k]] for k in range(3))
    return faces[(np.cross(b - a, c - a) * a).sum(1) < 0]


def _window(pixels: np.ndarray, depth: np.ndarray, lens: Lens) -> tuple[slice, slice] | None:
    """Rows and columns of the picture that a projected mesh may touch; the whole picture if it reaches behind us."""
    if not (depth > 0).any():
        return None
    if (depth <= 0.05).any():
        return slice(0, lens.height), slice(0, lens.width)
    x0, y0 = np.floor(pixels.min(0)).astype(int) - 1
    x1, y1 = np.ceil(pixels.max(0)).astype(int) + 1
    x0, y0, x1, y1 = max(x0, 0), max(y0, 0), min(x1, lens.width), min(y1, lens.height)
    return (slice(y0, y1), slice(x0, x1)) if x0 < x1 and y0 < y1 else None


def _blend(picture: np.ndarray, colour: np.ndarray, drawn: np.ndarray, style: OverlayStyle) -> np.ndarray:
    """Mix with soft borders: the cover of a pixel is the mean over its neighbours."""
    out = np.array(picture)
    rows, columns = np.flatnonzero(drawn.any(1)), np.flatnonzero(drawn.any(0))
    if not len(rows):
        return out
    part = slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
    cover = cv2.blur(drawn[part].astype(np.float32), (3, 3)) * drawn[part]
    alpha = (style.opacity * cover)[..., None]
    out[part] = (picture[part] * (1 - alpha) + colour[part] * alpha + 0.5).astype(np.uint8)
    return out


def draw_skeleton(out: UInt8[np.ndarray, "height width 3"], layer: BodyLayer, lens: Lens) -> None:
    """Lines between joints, on the picture itself."""
    pixels = lens.pixels(layer.joints)
    width = max(2, lens.height // 200)
    for joint, parent in enumerate(layer.parents):
        if parent >= 0 and np.isfinite(pixels[[joint, parent]]).all():
            cv2.line(out, _rounded(pixels[joint]), _rounded(pixels[parent]), layer.colour, width, cv2.LINE_AA)


def _draw_contacts(out: np.ndarray, layer: BodyLayer, lens: Lens, style: OverlayStyle) -> None:
    radius = max(2, round(style.dot * lens.height / 1000))
    for at in lens.pixels(layer.contact_points):
        if np.isfinite(at).all():
            cv2.circle(out, _rounded(at), radius + 1, (0, 0, 0), -1, cv2.LINE_AA)
            cv2.circle(out, _rounded(at), radius, style.contact, -1, cv2.LINE_AA)


def _draw_label(out: np.ndarray, layer: BodyLayer, lens: Lens, style: OverlayStyle) -> None:
    """Text above the highest point, kept inside the picture."""
    points = layer.joints if layer.vertices is None else layer.vertices[:: max(1, len(layer.vertices) // 500)]
    pixels = lens.pixels(points)
    pixels = pixels[np.isfinite(pixels).all(1)]
    if not layer.label or not len(pixels) or not _inside(pixels, lens).any():
        return
    scale = max(0.4, lens.height / 1100)
    (width, height), _ = cv2.getTextSize(layer.label, cv2.FONT_HERSHEY_SIMPLEX, scale, 1)
    x = int(np.clip(np.median(pixels[:, 0]) - width / 2, 2, max(2, lens.width - width - 2)))
    y = int(np.clip(pixels[:, 1].min() - 0.6 * height, height + 2, lens.height - 4))
    cv2.putText(out, layer.label, (x, y), cv2.FONT_HERSHEY_SIMPLEX, scale, (0, 0, 0), 3, cv2.LINE_AA)
    cv2.putText(out, layer.label, (x, y), cv2.FONT_HERSHEY_SIMPLEX, scale, style.ink, 1, cv2.LINE_AA)


def _inside(pixels: np.ndarray, lens: Lens) -> np.ndarray:
    return np.all((pixels > 0) & (pixels < np.array([lens.width, lens.height])), axis=1)


def _rounded(pixel: np.ndarray) -> tuple[int, int]:
    # OpenCV draws around pixel centres at integers; far outside is clipped to what it can hold.
    x, y = np.clip(np.round(pixel - 0.5), -30000, 30000).astype(int)
    return int(x), int(y)
