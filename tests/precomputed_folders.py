"""A small set of observations that holds every part and every optional array, and edits of the folder it is written to."""

import json
from dataclasses import fields, is_dataclass

import numpy as np
from scipy.spatial.transform import Rotation

from diorama.observations import (
    Bodies,
    ContactLabels,
    Depth,
    MaskStack,
    Matches,
    Observations,
    ObservedBody,
    ObservedCameras,
    Source,
    Track,
    Tracks,
)

WIDTH, HEIGHT, FRAMES = 96, 64, 6
MASK = (48, 32)


def every_part(seed=0):
    rng = np.random.default_rng(seed)
    times = np.cumsum(rng.uniform(0.03, 0.05, FRAMES))
    cameras = some_cameras(rng)
    return Observations(
        WIDTH, HEIGHT, times, np.arange(FRAMES) * 2 + 3, np.arange(FRAMES) == 4,
        tracks=Tracks(Source("t", "m", "l", ("n",)), tuple(a_track(id, rng) for id in (1, 3)), ("id 2: gone",)),
        bodies=Bodies(Source("b"), tuple(a_body(id, rng) for id in (1, 3))),
        depth=some_depth(rng, False),
        matches=Matches(
            Source("x"), np.array([0, 0, 1]), np.array([1, 2, 4]), *rng.uniform(0, 64, (2, 3, 2)), rng.uniform(size=3)
        ),
        contacts=ContactLabels(
            Source("c"), (1, 3), (np.arange(4), np.array([0, 5])), ("left_heel", "seat"),
            (rng.uniform(size=(4, 2)), rng.uniform(size=(2, 2))),
        ),
        cameras=cameras,
        depth_prior=some_depth(rng, True),
    )  # fmt: skip


def some_cameras(rng):
    K = np.tile([[80.0, 0, 50], [0, 82, 30], [0, 0, 1]], (FRAMES, 1, 1))
    K[:, 0, 0] += np.arange(FRAMES)
    T = np.tile(np.eye(4), (FRAMES, 1, 1))
    T[:, :3, :3] = Rotation.random(FRAMES, random_state=1).as_matrix()
    T[:, :3, 3] = rng.normal(size=(FRAMES, 3))
    return ObservedCameras(
        Source("k", notes=("a", "b")), "translating", "given", K, rng.normal(size=(FRAMES, 2)) * 0.01, T,
        np.arange(FRAMES) != 2, False, rng.normal(size=(5, 3)), rng.integers(0, 255, (5, 3)).astype(np.uint8), 0.7,
        {"parallax": 0.25}, ("slow",),
    )  # fmt: skip


def a_track(id, rng):
    frames = np.array([0, 1, 3, 5])
    masks = []
    for n in range(len(frames)):
        window = rng.random((6, 4)) > 0.5
        window[[0, -1]], window[:, [0, -1]] = True, True
        x = 5 + 20 * (id > 1) + n
        masks.append(((x, 7, x + 4, 13), window))
    masks[1] = ((0, 0, 0, 0), np.zeros((0, 0), bool))
    keypoints = np.concatenate([rng.uniform(0, 60, (4, 17, 2)), rng.uniform(0, 1, (4, 17, 1))], 2)
    boxes = np.concatenate([rng.uniform(0, 30, (4, 2)), rng.uniform(31, 60, (4, 2))], 1)
    return Track(
        id, frames, boxes, keypoints, "coco17", MaskStack.encode(masks, *MASK), rng.normal(size=(4, 17, 3)),
        rng.random(4) > 0.5,
    )  # fmt: skip


def a_body(id, rng):
    return ObservedBody(
        id, np.arange(5), "smpl", "female", rng.normal(size=10), rng.normal(size=(5, 3)), rng.normal(size=(5, 23, 3)) * 0.3,
        rng.normal((0, 0, 5), size=(5, 3)), rng.uniform(70, 90, 5), np.full(5, np.nan), rng.uniform(size=5),
    )  # fmt: skip


def some_depth(rng, metric):
    frames = np.array([0, 2, 5])
    depth = rng.uniform(0, 9, (3, 16, 24)).astype(np.float32)
    K = np.tile([[20.0, 0, 12.5], [0, 20, 8], [0, 0, 1]], (3, 1, 1))
    points = 0 if metric else 7
    return Depth(
        Source("d"), frames, depth, rng.uniform(size=depth.shape).astype(np.float32), K, metric,
        rng.normal(size=(points, 3)), rng.integers(0, 255, (points, 3)).astype(np.uint8), rng.uniform(size=points),
    )  # fmt: skip


def assert_same(a, b, tolerance=0.0, where="observations"):
    """The same values everywhere; masks as pictures, since their windows are free to be wider."""
    if isinstance(a, MaskStack):
        assert (a.width, a.height, len(a)) == (b.width, b.height, len(b)), where
        assert all(np.array_equal(a.full(n), b.full(n)) for n in range(len(a))), where
    elif is_dataclass(a):
        assert type(a) is type(b), where
        for f in fields(a):
            assert_same(getattr(a, f.name), getattr(b, f.name), tolerance, f"{where}.{f.name}")
    elif isinstance(a, np.ndarray):
        assert a.shape == b.shape and a.dtype.kind == b.dtype.kind, (where, a.shape, b.shape)
        limit = max(tolerance, 1e-13 if where.endswith("T_world_camera") else 0.0)
        np.testing.assert_allclose(b, a, rtol=0, atol=limit, err_msg=where)
    elif isinstance(a, tuple):
        assert len(a) == len(b), where
        for n, (x, y) in enumerate(zip(a, b, strict=True)):
            assert_same(x, y, tolerance, f"{where}.{n}")
    else:
        assert a == b or (a != a and b != b), (where, a, b)


def edit_json(path, **changes):
    """Change entries; None takes one away."""
    content = json.loads(path.read_text()) if path.exists() else {}
    content = {key: value for key, value in {**content, **changes}.items() if value is not None}
    path.write_text(json.dumps(content))


def edit_npz(path, **changes):
    """Change arrays (a function of the old one, or a value); None takes one away."""
    with np.load(path) as file:
        content = dict(file)
    for name, change in changes.items():
        content[name] = change(content[name]) if callable(change) else change
    np.savez(path, **{name: array for name, array in content.items() if array is not None})
