"""BVH per person: a skeleton of 24 joints and its motion, for Blender, Maya, MotionBuilder, Unity.

+Y up and centimetres unless told otherwise, as the tools that read BVH expect; the person faces +Z in the rest pose (a
T-pose, the left at +X). The pelvis has six channels (position of the pelvis itself, then rotation), the others three:
degrees, Z X Y, that is R = Rz Rx Ry. Rotations never jump by a turn from one frame to the next. BVH knows only one
frame time: a video with uneven times is resampled. Gaps of a track up to half a second are bridged; at longer ones the
motion goes on in another file (`_part2`). What BVH cannot say is in `index.csv` beside the files: which frame of the
common timeline each starts with, so that several people fit together.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO

import numpy as np
from jaxtyping import Float

from diorama.assets import atomic_path
from diorama.body.joints import JOINT_NAMES, JOINT_PARENTS
from diorama.export.axes import Axes
from diorama.export.options import DEFAULTS, ExportOptions
from diorama.export.parts import Part, part_path, parts
from diorama.export.resampling import evenly
from diorama.export.skeleton import bones, local_rotations, rest_joints
from diorama.reconstruction import Reconstruction

CHANNELS = "Zrotation Xrotation Yrotation"
# Length of the bones that end in nothing (head, toes, fingers), metres, away from their parent.
_END = 0.1
_CHILDREN = [[child for child, parent in enumerate(JOINT_PARENTS) if parent == joint] for joint in range(24)]


def joint_order(joint: int = 0) -> Iterator[int]:
    """Joints in the order in which a BVH file names them: every joint before its children, branch after branch."""
    yield joint
    for child in _CHILDREN[joint]:
        yield from joint_order(child)


def write_bvh(reconstruction: Reconstruction, path: str | Path, options: ExportOptions = DEFAULTS) -> list[Path]:
    """Write `person_001.bvh`, ... and `index.csv` into a folder; for `walk.bvh`, it, if there is one stretch of one
    person, else `walk_person_001.bvh`, ...

    Raises:
        DioramaError: a motion is not finite, or the path is not writable.
    """
    path, axes = Path(path), Axes.chosen(options, "y", "cm")
    moving, fps = evenly(reconstruction, options)
    found = parts(moving)
    files = [part_path(path, part.name, ".bvh", alone=len(found) == 1) for part in found]
    for part, file in zip(found, files, strict=True):
        _write(file, part, moving, fps, axes)
    index = path.with_name(f"{path.stem}_index.csv") if path.suffix.lower() == ".bvh" else path / "index.csv"
    with atomic_path(index) as temporary:
        temporary.write_text(_index(found, files, moving, fps, axes), encoding="utf-8")
    return [*files, index]


def _index(found: list[Part], files: list[Path], moving: Reconstruction, fps: float, axes: Axes) -> str:
    lines = ["file,person,first_frame,start_s,frames_per_s,up,unit"]
    for part, file in zip(found, files, strict=True):
        first = part.person.frames[part.rows[0]]
        start = moving.times[first]
        lines.append(f"{file.name},{part.person.id},{first},{start:.6f},{fps:.9g},{axes.up},{axes.unit}")
    return "\n".join(lines) + "\n"


def _write(path: Path, part: Part, moving: Reconstruction, fps: float, axes: Axes) -> None:
    first, last = part.person.frames[part.rows[[0, -1]]]
    person = part.at(moving.times[first : last + 1])
    rest = rest_joints(part.person)
    rotations = local_rotations(person)
    rotations[:, 0] = axes.rotation @ rotations[:, 0]
    angles = np.degrees(euler_zxy(rotations))[:, list(joint_order())]
    with atomic_path(path) as temporary, temporary.open("w", encoding="ascii", newline="\n") as file:
        file.write("HIERARCHY\n")
        _write_joint(file, 0, axes.scale * bones(rest), axes.scale * _END, 0)
        file.write(f"MOTION\nFrames: {len(angles)}\nFrame Time: {1 / fps:.12f}\n")
        pelvis = axes.points(person.transl + rest[0])
        for place, turns in zip(pelvis, angles.reshape(len(angles), -1), strict=True):
            file.write(_numbers([*place, *turns]) + "\n")


def _write_joint(file: IO[str], joint: int, offsets: np.ndarray, end_length: float, depth: int) -> None:
    """One joint and, inside its braces, those below it; the root stands at the origin."""
    indent, inner = "\t" * depth, "\t" * (depth + 1)
    root = depth == 0
    offset = np.zeros(3) if root else offsets[joint]
    channels = f"6 Xposition Yposition Zposition {CHANNELS}" if root else f"3 {CHANNELS}"
    file.write(f"{indent}{'ROOT' if root else 'JOINT'} {JOINT_NAMES[joint]}\n{indent}{{\n")
    file.write(f"{inner}OFFSET {_numbers(offset)}\n{inner}CHANNELS {channels}\n")
    for child in _CHILDREN[joint]:
        _write_joint(file, child, offsets, end_length, depth + 1)
    if not _CHILDREN[joint]:
        length = max(float(np.linalg.norm(offset)), 1e-9)
        end = offset / length * end_length
        file.write(f"{inner}End Site\n{inner}{{\n{inner}\tOFFSET {_numbers(end)}\n{inner}}}\n")
    file.write(f"{indent}}}\n")


def _numbers(values: np.ndarray | Sequence[float]) -> str:
    return " ".join(f"{value:.6f}" for value in values)


def euler_zxy(rotations: Float[np.ndarray, "frames joints 3 3"]) -> Float[np.ndarray, "frames joints 3"]:
    """Angles (a, b, c), radians, with rotation = Rz(a) Rx(b) Ry(c), continuous over the frames.

    Of the two solutions (a, b, c) and (a + pi, pi - b, c + pi), and their full turns, that nearest the frame before.
    """
    R = rotations
    b = np.arctan2(R[..., 2, 1], np.hypot(R[..., 2, 0], R[..., 2, 2]))
    upright = np.abs(R[..., 2, 1]) < 1 - 1e-12
    a = np.where(upright, np.arctan2(-R[..., 0, 1], R[..., 1, 1]), np.arctan2(R[..., 1, 0], R[..., 0, 0]))
    c = np.where(upright, np.arctan2(-R[..., 2, 0], R[..., 2, 2]), 0.0)
    both = np.stack([np.stack([a, b, c], -1), np.stack([a + np.pi, np.pi - b, c + np.pi], -1)])
    out = both[0]
    for row in range(1, len(out)):
        near = both[:, row] - 2 * np.pi * np.round((both[:, row] - out[row - 1]) / (2 * np.pi))
        distance = np.abs(near - out[row - 1]).sum(-1)
        out[row] = np.where((distance[0] <= distance[1])[:, None], near[0], near[1])
    return out
