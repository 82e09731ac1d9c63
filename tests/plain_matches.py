"""A second implementation of JOSH's 2D and 3D correspondence losses, residual by residual in float64, and random matches."""

import torch

from diorama.body.image_terms import CAMERA_CENTRES, CAMERA_ROTATIONS, LOG_FOCAL
from diorama.geometry.rotations import exp_so3
from diorama.methods.josh.correspondences import Carried
from diorama.methods.josh.match_term import LOG_DEPTH
from diorama.solver import Variable

UNKNOWNS = [
    Variable(CAMERA_ROTATIONS, rotations=True), Variable(CAMERA_CENTRES), Variable(LOG_DEPTH), Variable(LOG_FOCAL),
]  # fmt: skip


def match_residuals(carried, focal, longer_side, config, values):
    """((weights, residuals, loss) of the 2D loss, the same of the 3D loss), side after side, match after match."""
    flat, solid, weights = [], [], ([], [])
    zoom = torch.exp(values[LOG_FOCAL][0, 0])
    for side in range(len(carried.source)):
        i, j = int(carried.source[side]), int(carried.target[side])
        R_i, R_j = values[CAMERA_ROTATIONS][i, 0], values[CAMERA_ROTATIONS][j, 0]
        depth = mapped_depth(carried.depth[side], carried.nodes[side], values[LOG_DEPTH][i])
        world = (depth[:, None] * rays(carried.pixel[side], focal[i] * zoom)) @ R_i.T + values[CAMERA_CENTRES][i]
        there = (world - values[CAMERA_CENTRES][j]) @ R_j
        pixels = focal[j] * zoom * there[:, :2] / there[:, 2:]
        flat.append((pixels - carried.seen[side]) / (config.sigma_2d * longer_side))
        weights[0].append(config.weight_2d * carried.weight[side].double())
        # Matches with an even number are measured in the later keyframe, the others in the earlier one.
        parity = torch.arange(len(depth)) % 2 == (0 if i < j else 1)
        other = mapped_depth(carried.seen_depth[side], carried.seen_nodes[side], values[LOG_DEPTH][j])
        apart = there - other[:, None] * rays(carried.seen[side], focal[j] * zoom)
        solid.append(apart / other[:, None] / config.sigma_3d)
        weights[1].append(config.weight_3d * carried.depth_weight[side].double() * parity)
    both = [(torch.cat(w), torch.cat(r)) for w, r in zip(weights, (flat, solid), strict=True)]
    return (*both[0], config.loss_2d), (*both[1], config.loss_3d)


def mapped_depth(depth, nodes, log_depth):
    return depth.double() * torch.exp(log_depth[0] + nodes.double() @ log_depth[1:])


def rays(pixels, focal):
    return torch.cat([pixels.double() / focal, torch.ones(len(pixels), 1, dtype=torch.float64)], 1)


def match_cost(carried, focal, longer_side, config, values):
    parts = match_residuals(carried, focal, longer_side, config, values)
    return sum((w * loss.rho((r**2).sum(1))).sum() for w, r, loss in parts)


def random_matches(seed=0, keys=3, points=12, nodes=4, pixels=5.0):
    """Matches between all keyframes of a random world, `pixels` px and 5 % of depth wrong, and values near the truth.

    Returns the matches, focal lengths, and values.
    """
    generator = torch.Generator().manual_seed(seed)
    make = lambda *shape: torch.randn(*shape, generator=generator, dtype=torch.float64)  # noqa: E731
    R, c = exp_so3(0.15 * make(keys, 3)), make(keys, 3)
    focal, scale = 500 + 5 * make(keys), 0.3 * make(keys)
    sides = []
    for i in range(keys):
        for j in range(i + 1, keys):
            world = make(points, 3) * torch.tensor([2.0, 1.5, 1.5]) + torch.tensor([0.0, 0.0, 7.0])
            ends = []
            for k in (i, j):
                camera = (world - c[k]) @ R[k]
                pixel = focal[k] * camera[:, :2] / camera[:, 2:] + pixels * make(points, 2)
                depth = camera[:, 2] * torch.exp(0.05 * make(points) - scale[k])
                ends.append((pixel, depth, torch.softmax(make(points, nodes), 1)))
            weight = 0.3 + make(points).sigmoid()
            depth_weight = weight * (make(points) > -1)
            sides += [
                (i, j, *ends[0], *ends[1], weight, depth_weight),
                (j, i, *ends[1], *ends[0], weight, depth_weight),
            ]
    columns = list(zip(*sides, strict=True))
    names = ("pixel", "depth", "nodes", "seen", "seen_depth", "seen_nodes", "weight", "depth_weight")
    tensors = dict(zip(names, (torch.stack(a).float() for a in columns[2:]), strict=True))
    carried = Carried(torch.tensor(columns[0]), torch.tensor(columns[1]), **tensors)
    values = {
        CAMERA_ROTATIONS: (R @ exp_so3(0.01 * make(keys, 3)))[:, None],
        CAMERA_CENTRES: c + 0.05 * make(keys, 3),
        LOG_DEPTH: torch.cat([scale[:, None], torch.zeros(keys, nodes)], 1) + 0.05 * make(keys, 1 + nodes),
        LOG_FOCAL: 0.05 * make(1, 1),
    }
    return carried, focal, values


def moved_by(values, step):
    """Values moved by one long tangent vector, in the order of UNKNOWNS."""
    out, at = dict(values), 0
    for variable in UNKNOWNS:
        shape = len(values[variable.name]), variable.tangent(values[variable.name])
        size = shape[0] * shape[1]
        out[variable.name] = variable.retract(values[variable.name], step[at : at + size].reshape(shape))
        at += size
    return out


def tangent_size(values):
    return sum(len(values[v.name]) * v.tangent(values[v.name]) for v in UNKNOWNS)


def dense(parts, values):
    """Gradient and Hessian of condensed normal equations over the long tangent vector."""
    first, at = {}, 0
    for variable in UNKNOWNS:
        first[variable.name] = at
        at += len(values[variable.name]) * variable.tangent(values[variable.name])
    gradient, hessian = torch.zeros(at).double(), torch.zeros(at, at).double()
    for part in parts:
        for item in range(len(part.gradient)):
            columns = []
            for span in part.spans:
                width = {v.name: v.tangent(values[v.name]) for v in UNKNOWNS}[span.variable]
                start = first[span.variable] + int(span.rows[item]) * width + span.first
                columns += list(range(start, start + span.width))
            for a, p in enumerate(columns):
                gradient[p] += part.gradient[item, a]
                for b, q in enumerate(columns):
                    hessian[p, q] += part.hessian[item, a, b]
    return gradient, hessian
