"""The condensed correspondence losses against a plain second implementation, residual by residual."""

from dataclasses import replace

import pytest
import torch

from diorama.body.image_terms import CAMERA_CENTRES, CAMERA_ROTATIONS, LOG_FOCAL
from diorama.geometry.rotations import exp_so3
from diorama.methods.josh.correspondences import Carried
from diorama.methods.josh.match_term import LOG_DEPTH, MatchConfig, match_term
from diorama.solver import GemanMcClure, Huber, Squared
from plain_matches import dense, match_cost, match_residuals, moved_by, random_matches, tangent_size

SIDE = 500.0
LOSSES = {"squared": Squared(), "huber": Huber(1.0), "geman-mcclure": GemanMcClure(2.0)}
# A pixel is a hundredth of the picture's side: the residuals of `random_matches` lie on both sides of the losses' scales.
EVEN = MatchConfig(sigma_2d=0.01, sigma_3d=0.05, stride=1)


def config_of(loss, **changes):
    return replace(EVEN, loss_2d=LOSSES[loss], loss_3d=LOSSES[loss], **changes)


def slope_of(term, values):
    """Gradient of the cost by back-propagation, along the tangent vector."""
    step = torch.zeros(tangent_size(values), dtype=torch.float64, requires_grad=True)
    (slope,) = torch.autograd.grad(term.cost(moved_by(values, step)), step)
    return slope


def same(found, expected, scale, tolerance):
    """Whether two gradients or Hessians agree, every unknown in units of its own deviation `scale`."""
    units = scale if expected.ndim == 1 else scale[:, None] * scale
    return float(((found - expected) * units).norm()) < tolerance * float((expected * units).norm())


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("weights", [(1.0, 0.0), (0.0, 1.0), (0.7, 2.0)])
def test_cost_equals_the_plain_one(loss, weights):
    carried, focal, values = random_matches()
    config = config_of(loss, weight_2d=weights[0], weight_3d=weights[1])
    expected = float(match_cost(carried, focal, SIDE, config, values))
    assert float(match_term(carried, focal, SIDE, config).cost(values)) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("weights", [(1.0, 0.0), (0.0, 1.0), (0.7, 2.0)])
def test_normal_equations_are_those_of_numeric_jacobians(loss, weights):
    """Gradient J'Wr, which is half of the cost's, and Hessian J'WJ, W with the losses' weights at the present values."""
    carried, focal, values = random_matches()
    config = config_of(loss, weight_2d=weights[0], weight_3d=weights[1])
    term = match_term(carried, focal, SIDE, config)
    gradient, hessian = dense(term.condense(values), values)
    size, step = tangent_size(values), 1e-5
    parts = [match_residuals(carried, focal, SIDE, config, values)]
    for entry in range(size):
        delta = step * torch.eye(size, dtype=torch.float64)[entry]
        parts += [match_residuals(carried, focal, SIDE, config, moved_by(values, s * delta)) for s in (1, -1)]
    expected_gradient, expected = torch.zeros(size).double(), torch.zeros(size, size).double()
    for which in (0, 1):
        weight, residual, rho = parts[0][which]
        weight = weight * rho.weight((residual**2).sum(1))
        jacobian = torch.stack(
            [(parts[1 + 2 * e][which][1] - parts[2 + 2 * e][which][1]) / (2 * step) for e in range(size)], -1
        )
        expected_gradient += torch.einsum("m,mk,mke->e", weight, residual, jacobian)
        expected += torch.einsum("m,mka,mkb->ab", weight, jacobian, jacobian)
    scale = expected.diagonal().clamp_min(1e-6).rsqrt()
    assert same(gradient, expected_gradient, scale, 1e-4)
    assert same(hessian, expected, scale, 1e-4)
    assert same(gradient, slope_of(term, values) / 2, scale, 1e-4)


def test_a_match_behind_the_other_camera_has_the_gradient_of_its_cost():
    carried, focal, values = random_matches(keys=2, points=4)
    turned = values[CAMERA_ROTATIONS].clone()
    turned[1, 0] = turned[1, 0] @ exp_so3(torch.tensor([0.0, 2.9, 0.0]).double())
    values = {**values, CAMERA_ROTATIONS: turned}
    term = match_term(carried, focal, SIDE, config_of("huber", weight_3d=0.0))
    gradient, hessian = dense(term.condense(values), values)
    assert same(gradient, slope_of(term, values) / 2, hessian.diagonal().clamp_min(1e-6).rsqrt(), 1e-3)


@pytest.mark.parametrize("weights", [(1.0, 0.0), (0.0, 1.0)])
def test_the_hessian_of_every_seventh_match_is_right_in_the_mean(weights):
    """The gradient is always that of all matches."""
    carried, focal, values = random_matches(keys=2, points=700)
    config = config_of("geman-mcclure", weight_2d=weights[0], weight_3d=weights[1])
    generator = torch.Generator().manual_seed(1)
    strided, full = [], []
    for _ in range(12):
        mixed = of_points(carried, torch.randperm(700, generator=generator))
        found = [
            dense(match_term(mixed, focal, SIDE, replace(config, stride=s)).condense(values), values) for s in (6, 1)
        ]
        scale = found[1][1].diagonal().clamp_min(1e-6).rsqrt()
        assert same(found[0][0], found[1][0], scale, 1e-6)
        assert same(found[0][1], found[1][1], scale, 0.3)
        strided.append(found[0][1])
        full.append(found[1][1])
    mean, expected = torch.stack(strided).mean(0), torch.stack(full).mean(0)
    assert same(mean, expected, expected.diagonal().clamp_min(1e-6).rsqrt(), 0.04)


def of_points(carried, chosen):
    """Some points of all sides, in another order."""
    names = [n for n in carried.__dataclass_fields__ if n not in ("source", "target")]
    return replace(carried, **{n: getattr(carried, n)[:, chosen] for n in names})


def of_sides(carried, chosen):
    return Carried(*(getattr(carried, n)[chosen] for n in carried.__dataclass_fields__))


@pytest.mark.parametrize("stride", [1, 6])
def test_padding_has_no_effect(stride):
    """Points of no weight, whatever they say, and the number of sides that are worked on at a time."""
    carried, focal, values = random_matches(points=120)
    config = config_of("geman-mcclure", stride=stride)
    names = [n for n in carried.__dataclass_fields__ if n not in ("source", "target")]
    generator = torch.Generator().manual_seed(2)
    padding = {}
    for name in names:
        shape = list(getattr(carried, name).shape)
        shape[1] = 50
        junk = 100 * torch.rand(*shape, generator=generator)
        padding[name] = 0 * junk if name in ("weight", "depth_weight") else junk
    padded = replace(carried, **{n: torch.cat([getattr(carried, n), padding[n]], 1) for n in names})
    small = replace(config, block=1)
    terms = [match_term(c, focal, SIDE, o) for c, o in ((carried, config), (padded, config), (carried, small))]
    costs = [float(t.cost(values)) for t in terms]
    assert costs[1] == pytest.approx(costs[0], rel=1e-6)
    assert costs[2] == pytest.approx(costs[0], rel=1e-6)
    gradients, hessians = zip(*(dense(t.condense(values), values) for t in terms), strict=True)
    scale = hessians[0].diagonal().clamp_min(1e-6).rsqrt()
    for n in (1, 2):
        assert same(gradients[n], gradients[0], scale, 1e-5)
        assert same(hessians[n], hessians[0], scale, 1e-5)


@pytest.mark.parametrize("points", [9, 40])
def test_a_pair_with_few_matches_beside_one_with_many_keeps_its_hessian(points):
    """In the mean over the order of its matches. (With fewer than eight, a side's 3D distances may be left out.)"""
    carried, focal, values = random_matches(keys=2, points=points)
    config = config_of("squared", weight_2d=0.0, stride=6)
    ones = torch.ones_like(carried.weight)
    carried = replace(carried, weight=ones, depth_weight=ones)
    generator = torch.Generator().manual_seed(3)
    padded, full = [], []
    for _ in range(24):
        mixed = of_points(carried, torch.randperm(points, generator=generator))
        beside = of_points(mixed, torch.arange(200).clamp_max(points - 1))
        inside = (torch.arange(200) < points).float()
        beside = replace(beside, weight=beside.weight * inside, depth_weight=beside.depth_weight * inside)
        padded.append(dense(match_term(beside, focal, SIDE, config).condense(values), values)[1].diagonal())
        full.append(dense(match_term(mixed, focal, SIDE, config).condense(values), values)[1].diagonal())
    mean, expected = torch.stack(padded).mean(0), torch.stack(full).mean(0)
    known = expected > 1e-6
    assert float((mean[known] / expected[known]).mean()) == pytest.approx(1, abs=0.1)


def test_the_order_of_sides_and_of_pairs_of_matches_does_not_matter():
    carried, focal, values = random_matches(points=20)
    config = config_of("huber")
    sides = torch.randperm(len(carried.source), generator=torch.Generator().manual_seed(4))
    # Even matches stay even.
    points = torch.cat([torch.arange(0, 20, 2).flip(0)[:, None], torch.arange(1, 20, 2)[:, None]], 1).reshape(-1)
    mixed = of_points(of_sides(carried, sides), points)
    one, other = (match_term(c, focal, SIDE, config) for c in (carried, mixed))
    assert float(other.cost(values)) == pytest.approx(float(one.cost(values)), rel=1e-6)
    gradients, hessians = zip(*(dense(t.condense(values), values) for t in (one, other)), strict=True)
    scale = hessians[0].diagonal().clamp_min(1e-6).rsqrt()
    assert same(gradients[1], gradients[0], scale, 1e-4) and same(hessians[1], hessians[0], scale, 1e-5)


def test_both_ends_of_a_match_are_carried_and_its_distance_counts_once():
    """Two matches between two keyframes: four pixel distances, and one 3D distance each, in one keyframe each."""
    carried, focal, values = random_matches(keys=2, points=2)
    ones = torch.ones_like(carried.weight)
    carried = replace(carried, weight=ones, depth_weight=ones)
    for chosen in (0, 1):
        alone = replace(carried, depth_weight=ones * (torch.arange(2) == chosen))
        (_, flat, _), (weight, _, _) = match_residuals(alone, focal, SIDE, EVEN, values)
        assert len(flat) == 4 and weight.tolist().count(1.0) == 1
        side = int(torch.nonzero(weight)[0, 0]) // 2
        assert int(carried.target[side]) == (1 if chosen == 0 else 0)
        config = config_of("squared", weight_2d=0.0)
        expected = float(match_cost(alone, focal, SIDE, config, values))
        assert float(match_term(alone, focal, SIDE, config).cost(values)) == pytest.approx(expected, rel=1e-5)


def test_a_world_that_shrinks_gains_nothing():
    """Centres and depth together, down to a tenth: the same cost, and no slope along it. In metres it would be a tenth."""
    carried, focal, values = random_matches()
    for weights in ((1.0, 0.0), (0.0, 1.0)):
        term = match_term(carried, focal, SIDE, config_of("huber", weight_2d=weights[0], weight_3d=weights[1]))
        before = float(term.cost(values))
        for factor in (0.1, 0.7, 3.0):
            small = {**values, CAMERA_CENTRES: factor * values[CAMERA_CENTRES], LOG_DEPTH: values[LOG_DEPTH].clone()}
            small[LOG_DEPTH][:, 0] += torch.tensor(factor, dtype=torch.float64).log()
            assert float(term.cost(small)) == pytest.approx(before, rel=1e-4)
        gradient, hessian = dense(term.condense(values), values)
        along = shrinking(values)
        curvature = float(along @ hessian @ along)
        assert abs(float(gradient @ along)) < 1e-4 * float((gradient.abs() * along.abs()).sum())
        assert curvature < 1e-4 * float(hessian.diagonal() @ along**2)


def shrinking(values):
    """Tangent vector of a world that grows about the origin."""
    parts = {
        CAMERA_ROTATIONS: torch.zeros(len(values[CAMERA_CENTRES]), 3),
        CAMERA_CENTRES: values[CAMERA_CENTRES],
        LOG_DEPTH: torch.eye(values[LOG_DEPTH].shape[1])[:1].expand(len(values[LOG_DEPTH]), -1),
        LOG_FOCAL: torch.zeros(1, 1),
    }
    return torch.cat([part.double().reshape(-1) for part in parts.values()])


def test_the_world_may_turn_and_shift():
    carried, focal, values = random_matches()
    term = match_term(carried, focal, SIDE, config_of("geman-mcclure"))
    turn, shift = exp_so3(torch.tensor([0.9, 0.3, -1.4]).double()), torch.tensor([2.0, -1.0, 0.5]).double()
    moved = {
        **values, CAMERA_ROTATIONS: turn @ values[CAMERA_ROTATIONS],
        CAMERA_CENTRES: values[CAMERA_CENTRES] @ turn.T + shift,
    }  # fmt: skip
    assert float(term.cost(moved)) == pytest.approx(float(term.cost(values)), rel=1e-4)


def test_exact_matches_cost_nothing():
    carried, focal, values = random_matches(pixels=0.0)
    generator = torch.Generator().manual_seed(0)
    # Exact depth, from the same world: both maps agree where each says what the other one sees.
    R, c = (
        exp_so3(0.1 * torch.randn(3, 3, generator=generator).double()),
        torch.randn(3, 3, generator=generator).double(),
    )
    world = torch.randn(20, 3, generator=generator).double() + torch.tensor([0.0, 0.0, 7.0])
    camera = (world - c[:, None]) @ R
    pixel = focal[:, None, None] * camera[..., :2] / camera[..., 2:]
    pairs = [(i, j) for i in range(3) for j in range(3) if i != j]
    i, j = torch.tensor(pairs).T
    nodes, ones = torch.full((6, 20, 4), 0.25), torch.ones(6, 20)
    scale = torch.tensor([0.3, -0.2, 0.1]).double()
    depth = camera[..., 2] * torch.exp(-scale[:, None])
    carried = Carried(
        i, j, pixel[i].float(), depth[i].float(), nodes, pixel[j].float(), depth[j].float(), nodes, ones, ones
    )
    values = {
        CAMERA_ROTATIONS: R[:, None], CAMERA_CENTRES: c, LOG_FOCAL: torch.zeros(1, 1).double(),
        LOG_DEPTH: torch.cat([scale[:, None] - 0.1, torch.full((3, 4), 0.1)], 1),
    }  # fmt: skip
    config = MatchConfig()
    assert float(match_term(carried, focal, SIDE, config).cost(values)) < 1e-4
    wrong = {**values, CAMERA_CENTRES: c + 0.1 * torch.eye(3).double()}
    assert float(match_term(carried, focal, SIDE, config).cost(wrong)) > 100


def test_no_matches_cost_nothing():
    carried, focal, values = random_matches()
    for nothing in (of_sides(carried, torch.zeros(0, dtype=torch.long)), of_points(carried, torch.zeros(0).long())):
        term = match_term(nothing, focal, SIDE, MatchConfig())
        assert float(term.cost(values)) == 0 and list(term.condense(values)) == []
