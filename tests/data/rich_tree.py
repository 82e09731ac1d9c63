"""Writes RICH's published tree, tiny: one place with three calibrated cameras, bodies per frame, small pictures."""

import json
import pickle

import numpy as np
from scipy.spatial.transform import Rotation
from worlds import write_picture

# RICH's world is the frame of the first camera, which looks a little down: up is neither axis of it.
TILT = Rotation.from_euler("xyz", [0.35, 0.1, -0.05])
UP = TILT.apply([0.0, -1.0, 0.0])
K = np.array([[3100.0, 0, 2050.0], [0, 3110.0, 1500.0], [0, 0, 1]])
DISTORTION = (-0.08, 0.02)
SMALL = (257, 188)


def camera_matrices(count=3):
    """World-to-camera matrices of cameras around the place, each looking down by about as much as it looks inwards."""
    matrices = []
    for number in range(count):
        around = Rotation.from_rotvec(UP * (2 * np.pi * number / count))
        turn = TILT * Rotation.from_rotvec([-0.3, 0, 0])
        axes = (around * turn).as_matrix()
        T = np.eye(4)
        T[:3, :3] = axes.T
        T[:3, 3] = [0.1 * number, -0.2, 5.0]
        matrices.append(T)
    return np.array(matrices)


def calibration_xml(T, K=K, distortion=DISTORTION):
    def matrix(name, rows, cols, values):
        numbers = "\n    ".join(f"{v:.17g}" for v in np.ravel(values))
        return (
            f'<{name} type_id="opencv-matrix">\n  <rows>{rows}</rows>\n  <cols>{cols}</cols>\n  <dt>f</dt>\n'
            f"  <data>\n    {numbers}</data></{name}>\n"
        )

    body = matrix("CameraMatrix", 3, 4, T[:3]) + matrix("Intrinsics", 3, 3, K)
    body += matrix("Distortion", len(distortion), 1, distortion)
    return f'<?xml version="1.0"?>\n<opencv_storage>\n{body}</opencv_storage>\n'


def write_place(root, scene, *, survey=True):
    folder = root / "scan_calibration" / scene / "calibration"
    folder.mkdir(parents=True)
    for number, T in enumerate(camera_matrices()):
        (folder / f"{number:03d}.xml").write_text(calibration_xml(T))
    header = (
        "ply\nformat ascii 1.0\nelement vertex 2\nproperty float x\nproperty float y\nproperty float z\nend_header\n"
    )
    (root / "scan_calibration" / scene / "scan_camcoord.ply").write_text(header + "0 0 0\n1 2 3\n")
    if survey:
        # Row vectors: world = c x R + t, with up the third axis of the surveyed world.
        R = Rotation.align_vectors([[0, 0, 1.0]], [UP])[0].as_matrix().T
        (root / "multicam2world").mkdir(exist_ok=True)
        survey = {"c": 1.0, "R": R.tolist(), "t": [[1.0, 2.0, 3.0]]}
        (root / "multicam2world" / f"{scene}_multicam2world.json").write_text(json.dumps(survey))


def smpl_parameters(motion, row, *, matrices=False):
    """What a converted file holds; some tools write rotation vectors, others matrices."""
    turns = {"global_orient": motion["orient"][row][None], "body_pose": motion["pose"][row]}
    for key, value in turns.items():
        turns[key] = Rotation.from_rotvec(value).as_matrix()[None] if matrices else value.reshape(1, -1)
    return turns | {"betas": motion["betas"][None], "transl": motion["transl"][row][None]}


def write_bodies(folder, motion, frames, subject="011", *, name="{}_smpl", matrices=False):
    """One folder per frame, numbered from 10 on."""
    for row in range(frames):
        frame = folder / f"{row + 10:05d}"
        frame.mkdir(parents=True, exist_ok=True)
        content = smpl_parameters(motion, row, matrices=matrices)
        (frame / f"{name.format(subject)}.pkl").write_bytes(pickle.dumps(content))


def write_pictures(folder, camera, numbers, size=SMALL):
    for number in numbers:
        write_picture(folder / f"{number:05d}_{camera:02d}.jpeg", *size)
