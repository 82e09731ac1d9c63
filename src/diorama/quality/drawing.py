"""The quality card as one picture: trajectories from above, foot heights with contacts, residuals over time."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from jaxtyping import Float, UInt8

from diorama.assets import atomic_path
from diorama.body.contact_sites import FOOT_SITE_NAMES
from diorama.observations import Observations
from diorama.quality.card import figures_of
from diorama.quality.people import PersonFigures
from diorama.reconstruction import Reconstruction

INK, FAINT, PAPER = (40, 40, 40), (205, 205, 205), (255, 255, 255)
PALETTE = ((31, 119, 180), (214, 39, 40), (44, 160, 44), (255, 127, 14), (148, 103, 189), (23, 190, 207))
SIZE = (1500, 900)


def draw_card(
    reconstruction: Reconstruction, card: Mapping[str, Any], path: Path, observations: Observations | None = None
) -> Path:
    """Write the picture (PNG). Residuals need the observations."""
    observations = observations or Observations(
        reconstruction.cameras.width, reconstruction.cameras.height, reconstruction.times, reconstruction.frame_index,
        reconstruction.duplicate,
    )  # fmt: skip
    people = figures_of(reconstruction, observations)
    canvas = np.full((SIZE[1], SIZE[0], 3), 255, np.uint8)
    canvas[60:480, 20:740] = _top_view(reconstruction, 720, 420)
    canvas[60:480, 760:1480] = _text_panel(card, 720, 420)
    canvas[500:690, 20:1480] = _foot_heights(reconstruction, people, 1460, 190)
    canvas[700:890, 20:1480] = _residuals(reconstruction, people, 1460, 190)
    write_text(canvas, "quality card", (20, 38), 0.9)
    return save_picture(canvas, path)


def save_picture(canvas: UInt8[np.ndarray, "height width 3"], path: Path) -> Path:
    """Write an RGB picture as PNG; it appears when it is whole."""
    done, data = cv2.imencode(".png", canvas[..., ::-1])
    assert done
    with atomic_path(path) as temporary:
        temporary.write_bytes(data.tobytes())
    return path


def write_text(
    canvas: UInt8[np.ndarray, "height width 3"], text: str, at: tuple[int, int], size: float = 0.45,
    color: tuple[int, int, int] = INK,
) -> None:  # fmt: skip
    """Write at the left end of the base line (x, y)."""
    cv2.putText(canvas, text, at, cv2.FONT_HERSHEY_SIMPLEX, size, color, 1, cv2.LINE_AA)


def draw_curve(canvas: np.ndarray, points: np.ndarray, color: tuple[int, int, int], width: int = 1) -> None:
    """A line through pixels (n, 2); points that are NaN are left out."""
    finite = points[np.isfinite(points).all(1)]
    # Sixteenths of a pixel, so that lines are smooth.
    cv2.polylines(canvas, [np.round(finite * 16).astype(np.int32)], False, color, width, cv2.LINE_AA, 4)


def ground_plan(
    paths: Sequence[Float[np.ndarray, "_ 2"]], width: int, height: int
) -> tuple[UInt8[np.ndarray, "height width 3"], Callable[[np.ndarray], np.ndarray], int]:
    """An empty plan from above that holds all `paths` (metres), with a grid; the function that places points on it, and
    the distance of the grid's lines in metres."""
    canvas = np.full((height, width, 3), 255, np.uint8)
    everything = np.concatenate(paths)
    low, high = everything.min(0) - 1, everything.max(0) + 1
    scale = float(min((width - 20) / (high[0] - low[0]), (height - 40) / (high[1] - low[1])))

    def place(xy: np.ndarray) -> np.ndarray:
        return np.stack([10 + (xy[:, 0] - low[0]) * scale, height - 10 - (xy[:, 1] - low[1]) * scale], 1)

    step = max(1, int(np.ceil((high - low).max() / 40)))
    for axis in (0, 1):
        for at in np.arange(np.ceil(low[axis]), high[axis], step):
            ends = np.array([[at, low[1]], [at, high[1]]]) if axis == 0 else np.array([[low[0], at], [high[0], at]])
            draw_curve(canvas, place(ends), FAINT)
    return canvas, place, step


def _top_view(reconstruction: Reconstruction, width: int, height: int) -> UInt8[np.ndarray, "height width 3"]:
    """Pelvis paths, foot contacts and the camera path seen from above, one grid cell a metre."""
    camera = reconstruction.cameras.T_world_camera[:, :2, 3]
    paths = [camera, *(person.joints_world[:, 0, :2] for person in reconstruction.people)]
    canvas, place, step = ground_plan(paths, width, height)
    draw_curve(canvas, place(camera), INK, 2)
    for index, person in enumerate(reconstruction.people):
        color = PALETTE[index % len(PALETTE)]
        path = place(person.joints_world[:, 0, :2])
        draw_curve(canvas, path, color, 2)
        cv2.circle(canvas, tuple(int(v) for v in path[0]), 4, color, -1, cv2.LINE_AA)
        write_text(canvas, str(person.id), (int(path[-1, 0]) + 4, int(path[-1, 1]) - 4))
    write_text(canvas, f"from above; black: camera; dots: starts; grid {step} m", (10, 16))
    return canvas


def _text_panel(card: Mapping[str, Any], width: int, height: int) -> UInt8[np.ndarray, "height width 3"]:
    canvas = np.full((height, width, 3), 255, np.uint8)
    plain = [(k, v) for k, v in card.items() if isinstance(v, (str, int, float)) or v is None]
    for row, (key, value) in enumerate(plain[: (height - 10) // 20]):
        shown = f"{value:.3g}" if isinstance(value, float) else str(value)
        write_text(canvas, key, (10, 20 + 20 * row))
        write_text(canvas, shown[:48], (350, 20 + 20 * row))
    return canvas


def time_chart(title: str, times: np.ndarray, top: float, width: int, height: int) -> tuple[np.ndarray, Any]:
    """An empty chart over time with a line at every half of `top`, and the function that places (time, value)."""
    canvas = np.full((height, width, 3), 255, np.uint8)
    span = max(float(times[-1] - times[0]), 1e-6)

    def place(t: np.ndarray, value: np.ndarray) -> np.ndarray:
        x = 60 + (t - times[0]) / span * (width - 80)
        return np.stack([x, height - 20 - np.clip(value / top, -0.05, 1.05) * (height - 50)], 1)

    for level in (0, 0.5, 1):
        draw_curve(canvas, place(times[[0, -1]], np.full(2, level * top)), FAINT)
        write_text(canvas, f"{level * top:.3g}", (5, int(height - 16 - level * (height - 50))))
    write_text(canvas, f"{title}; time {times[0]:.1f}-{times[-1]:.1f} s", (60, 16))
    return canvas, place


def _foot_heights(
    reconstruction: Reconstruction, people: list[PersonFigures], width: int, height: int
) -> UInt8[np.ndarray, "height width 3"]:
    """Lower of heel and toe per foot; thick where in contact."""
    canvas, place = time_chart(
        "height of feet above the floor (cm), thick: contact", reconstruction.times, 30.0, width, height
    )
    sides = [[i for i, name in enumerate(FOOT_SITE_NAMES) if name.startswith(side)] for side in ("left", "right")]
    for index, person in enumerate(people):
        times = reconstruction.times[person.frames]
        for columns in sides:
            points = place(times, 100 * person.foot_sites[:, columns, 2].min(1))
            draw_curve(canvas, points, PALETTE[index % len(PALETTE)])
            resting = np.any(person.foot_contacts[:, columns], axis=1)
            for a, b in zip(points[:-1][resting[:-1]], points[1:][resting[:-1]], strict=True):
                draw_curve(canvas, np.stack([a, b]), PALETTE[index % len(PALETTE)], 3)
    return canvas


def _residuals(
    reconstruction: Reconstruction, people: list[PersonFigures], width: int, height: int
) -> UInt8[np.ndarray, "height width 3"]:
    canvas, place = time_chart(
        "landmark residual (% of height), median per frame", reconstruction.times, 3.0, width, height
    )
    for index, person in enumerate(people):
        draw_curve(
            canvas, place(reconstruction.times[person.frames], person.residual_percent), PALETTE[index % len(PALETTE)]
        )
    return canvas
