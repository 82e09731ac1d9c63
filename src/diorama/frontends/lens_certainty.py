"""How well a map determines its focal: the standard deviation that its own residuals imply."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float
from scipy import sparse

from diorama.frontends.mapping import SegmentMap
from diorama.frontends.resection import point_jacobians, pose_residuals
from diorama.geometry.transforms import invert

# What a lens may bend beyond k1 without anybody knowing: the deviation of an unmodelled k2. Assumed, not measured.
K2_SIGMA = 0.03


def focal_certainty(found: SegmentMap, *, max_points: int = 1500, k2_sigma: float = K2_SIGMA) -> float:
    """Relative standard deviation of the focal with poses, points, k1 and k2 free (normal equations, points eliminated).

    The map itself has k2 = 0; here it is an unknown with the prior deviation `k2_sigma`, because a focal that moves
    when the lens model is refined is not known better than that. The gauge is left to a faint damping. It is a lower
    bound: noise is taken as independent between observations.
    """
    points = np.unique(found.seen_point)
    chosen = points[np.linspace(0, len(points) - 1, min(max_points, len(points))).astype(int)]
    use = np.isin(found.seen_point, chosen)
    key, point, xy = found.seen_key[use], np.searchsorted(chosen, found.seen_point[use]), found.seen_xy[use]
    Ts = invert(found.T_world_camera)
    centre = np.array(found.size) / 2
    n, keys = len(key), len(found.rows)
    residual, by_pose, by_point, by_lens = (np.zeros((n, 2, k)) for k in (1, 6, 3, 3))
    for index in range(keys):
        mine = key == index
        world = found.points[chosen[point[mine]]]
        residual[mine, :, 0], by_pose[mine] = pose_residuals(world, xy[mine], Ts[index], found.focal, found.k1, centre)
        by_point[mine], by_lens[mine] = point_jacobians(world, Ts[index], found.focal, found.k1)
    rows = np.arange(2 * n).reshape(n, 2, 1)
    own = _sparse(rows, 3 * point[:, None, None] + np.arange(3), by_point, (2 * n, 3 * len(chosen)))
    pose = _sparse(rows, 6 * key[:, None, None] + np.arange(6), by_pose, (2 * n, 6 * keys))
    shared = sparse.hstack([pose, sparse.csr_matrix(by_lens.reshape(2 * n, 3))]).tocsr()
    blocks = np.zeros((len(chosen), 3, 3))
    np.add.at(blocks, point, np.einsum("nri,nrj->nij", by_point, by_point))
    trace = np.trace(blocks, axis1=1, axis2=2)[:, None, None]
    inverse = sparse.block_diag(list(np.linalg.inv(blocks + 1e-9 * trace * np.eye(3))), format="csr")
    cross = (shared.T @ own).tocsr()
    reduced = (shared.T @ shared - cross @ inverse @ cross.T).toarray()
    reduced += 1e-9 * np.diag(np.maximum(np.diag(reduced), 1e-9))
    variance = np.median((residual**2).sum((1, 2))) / (2 * np.log(2))
    reduced[-1, -1] += variance / k2_sigma**2
    return float(np.sqrt(max(np.linalg.inv(reduced)[-3, -3], 0) * variance) / found.focal)


def _sparse(rows: np.ndarray, columns: np.ndarray, values: Float[np.ndarray, "n 2 k"], shape: tuple[int, int]):
    index = np.broadcast_arrays(rows, columns, values)
    return sparse.csr_matrix((values.ravel(), (index[0].ravel(), index[1].ravel())), shape=shape)
