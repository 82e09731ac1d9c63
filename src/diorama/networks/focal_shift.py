"""Focal length and depth shift of a point map, for many pictures at once and without waiting for a GPU.

MoGe's recovery (Wang et al. 2024, arXiv:2410.19115), which UniSH uses: find t and f that bring f (x, y) / (z + t) to the
pixels' places on a plane at distance 1 whose half diagonal is 1. For each t the best f has a closed form, so t is the one
unknown. It is found by MINPACK's Levenberg-Marquardt (More 1978), which the release calls for each picture on the CPU;
here its rules, which are simple for one unknown, run on all pictures in step, so that even its early stop is the same.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn.functional import interpolate

from diorama.networks.blocks import full_precision

SAMPLES = 64  # per side, whatever the picture's aspect
RELEASE_TOLERANCE = 1e-3
_EVALUATIONS = 48
_FIRST_RADIUS = 100.0  # MINPACK's factor for a start at 0


def view_plane(height: int, width: int, device: torch.device) -> Float[Tensor, "height width 2"]:
    """Places (u, v) of the pixels' centres when half the diagonal is 1."""
    diagonal = (height**2 + width**2) ** 0.5
    u = (torch.arange(width, device=device, dtype=torch.float32) * 2 + 1 - width) / diagonal
    v = (torch.arange(height, device=device, dtype=torch.float32) * 2 + 1 - height) / diagonal
    return torch.stack(torch.meshgrid(u, v, indexing="xy"), -1)


@torch.no_grad()
def recover_focal_shift(
    points: Float[Tensor, "*batch height width 3"],
    mask: Bool[Tensor, "*batch height width"],
    *,
    focal: Float[Tensor, "*batch"] | None = None,
    tolerance: float = 1e-10,
) -> tuple[Float[Tensor, "*batch"], Float[Tensor, "*batch"]]:
    """Focal lengths (in half diagonals: times sqrt(W^2 + H^2) / 2 for pixels) and shifts (to be added to z).

    Args:
        points: camera points, affine in z.
        mask: pixels that count. Fewer than two of the 64 x 64 that are looked at give focal 1 and shift 0.
        focal: known focal lengths; then only the shift is found.
        tolerance: the search ends when a step changes the squared residual by less than this share of it. The release
            stops at 1e-3 (`RELEASE_TOLERANCE`), which leaves up to a few per cent on maps that are no pinhole's.
    """
    height, width = points.shape[-3:-1]
    batch = points.shape[:-3]
    with full_precision(points):
        problem = _sampled(points.reshape(-1, height, width, 3), mask.reshape(-1, height, width), focal)
        shift = _minimise(problem, tolerance).float()
        if focal is None:
            found = problem.at(shift.to(problem.depth.dtype)).focal.float()
        else:
            found = focal.reshape(-1).float()
    enough = problem.valid.sum(-1) >= 2
    focal_found = torch.where(enough, found, torch.ones_like(found)) if focal is None else found
    return focal_found.reshape(batch), torch.where(enough, shift, torch.zeros_like(shift)).reshape(batch)


@dataclass(frozen=True)
class _State:
    """Residuals at a shift, condensed: their squared sum, J.J, J.r, and the focal length that belongs to it."""

    squared: Float[Tensor, " maps"]
    jj: Float[Tensor, " maps"]
    jr: Float[Tensor, " maps"]
    focal: Float[Tensor, " maps"]

    def where(self, condition: Bool[Tensor, " maps"], other: _State) -> _State:
        """This state where the condition holds, the other elsewhere."""
        mine = (self.squared, self.jj, self.jr, self.focal)
        theirs = (other.squared, other.jj, other.jr, other.focal)
        return _State(*(torch.where(condition, a, b) for a, b in zip(mine, theirs, strict=True)))


@dataclass(frozen=True)
class _Problem:
    """Samples of every map; those that do not count are 0 with depth 1."""

    xy: Float[Tensor, "maps samples 2"]
    depth: Float[Tensor, "maps samples 1"]
    uv: Float[Tensor, "maps samples 2"]
    valid: Bool[Tensor, "maps samples"]
    focal: Float[Tensor, " maps"] | None

    def at(self, shift: Float[Tensor, " maps"]) -> _State:
        """Residual f p - uv with p = xy / (z + t), and its derivative by t with f = p.uv / p.p."""
        place = torch.where(self.valid[..., None], self.depth + shift[:, None, None], self.depth)
        p = self.xy / place
        dp = -p / place
        pp = _total(p * p)
        if self.focal is None:
            f = _total(p * self.uv) / pp
            df = (_total(dp * self.uv) - 2 * f * _total(p * dp)) / pp
        else:
            f, df = self.focal, torch.zeros_like(self.focal)
        residual = f[:, None, None] * p - self.uv
        slope = df[:, None, None] * p + f[:, None, None] * dp
        return _State(_total(residual**2), _total(slope**2), _total(slope * residual), f)


def _total(values: Tensor) -> Tensor:
    return values.sum((-2, -1))


def _sampled(points: Tensor, mask: Tensor, focal: Tensor | None) -> _Problem:
    """Nearest samples (torch's rule: the lower index) on the fixed grid, in float64 where there is any."""
    wide = torch.float32 if points.device.type == "mps" else torch.float64
    height, width = points.shape[1:3]
    size = (SAMPLES, SAMPLES)
    chosen = interpolate(points.float().permute(0, 3, 1, 2), size=size, mode="nearest").flatten(2).mT.to(wide)
    plane = view_plane(height, width, points.device).permute(2, 0, 1)[None]
    uv = interpolate(plane, size=size, mode="nearest").flatten(2).mT.to(wide)
    valid = interpolate(mask.float()[:, None], size=size, mode="nearest").flatten(1) > 0
    counted = valid[..., None]
    zero = torch.zeros_like(chosen[..., :2])
    return _Problem(
        xy=torch.where(counted, chosen[..., :2], zero),
        depth=torch.where(counted, chosen[..., 2:], torch.ones_like(chosen[..., 2:])),
        uv=torch.where(counted, uv, zero),
        valid=valid,
        focal=None if focal is None else focal.reshape(-1).to(wide),
    )


@dataclass(frozen=True)
class _Search:
    """Where each map's search stands: shift, damping, trust radius, whether a step was ever taken, whether it is over."""

    shift: Float[Tensor, " maps"]
    damping: Float[Tensor, " maps"]
    radius: Float[Tensor, " maps"]
    moved: Bool[Tensor, " maps"]
    over: Bool[Tensor, " maps"]
    state: _State


def _minimise(problem: _Problem, tolerance: float) -> Float[Tensor, " maps"]:
    """Shifts from a start at 0. A fixed number of evaluations on accelerators; on a CPU it ends when all are over."""
    zero = problem.depth.new_zeros(len(problem.depth))
    state = problem.at(zero)
    search = _Search(zero, zero, zero + _FIRST_RADIUS, zero > 0, _flat(state), state)
    for _ in range(_EVALUATIONS):
        search = _step(problem, search, tolerance)
        if _may_ask(search.over.device) and bool(search.over.all()):
            break
    return search.shift


def _may_ask(device: torch.device) -> bool:
    """Whether looking at a value costs nothing: an accelerator would have to be waited for, a compiled graph broken."""
    return device.type == "cpu" and not torch.compiler.is_compiling()


def _flat(state: _State) -> Bool[Tensor, " maps"]:
    """No slope (its cosine with the residual below 1e-8), or no residual."""
    return (state.jr.abs() <= 1e-8 * (state.jj * state.squared).sqrt()) | (state.squared == 0)


def _damped_step(search: _Search) -> tuple[Tensor, Tensor]:
    """Step and damping such that the step is within a tenth of the radius; no damping if Gauss-Newton's step is inside."""
    slope, jj = search.state.jr, search.state.jj
    steep = slope.abs()
    inside = steep <= 1.1 * search.radius * jj
    exact = steep / search.radius - jj
    kept = torch.minimum(torch.maximum(search.damping, exact), steep / search.radius)
    near = (steep / (jj + kept) - search.radius).abs() <= 0.1 * search.radius
    damping = torch.where(inside, torch.zeros_like(exact), torch.where(near, kept, exact))
    bottom = jj + damping
    return torch.where(bottom > 0, -slope / bottom, torch.zeros_like(slope)), damping


def _step(problem: _Problem, search: _Search, tolerance: float) -> _Search:
    """One evaluation: try a step, judge it by what it promised, adapt radius and damping, stop where it is enough."""
    step, damping = _damped_step(search)
    length = step.abs()
    radius = torch.where(search.moved, search.radius, torch.minimum(search.radius, length))
    tried = problem.at(search.shift + step)
    old, new = search.state.squared, tried.squared
    gained = torch.where(new < 100 * old, 1 - new / old, -torch.ones_like(old))
    linear, damped = search.state.jj * length**2 / old, damping * length**2 / old
    promised = linear + 2 * damped
    ratio = torch.where(promised > 0, gained / promised, torch.zeros_like(gained))
    radius, damping = _adapted(radius, damping, length, ratio, gained, -(linear + damped), new >= 100 * old)
    taken = (ratio >= 1e-4) & ~search.over
    shift = torch.where(taken, search.shift + step, search.shift)
    state = tried.where(taken, search.state)
    small = (gained.abs() <= tolerance) & (promised <= tolerance) & (ratio <= 2)
    over = search.over | small | (radius <= 1e-8 * shift.abs()) | (taken & _flat(state))
    return _Search(shift, damping, radius, search.moved | taken, over, state)


def _adapted(
    radius: Tensor, damping: Tensor, length: Tensor, ratio: Tensor, gained: Tensor, slope: Tensor, far: Tensor
) -> tuple[Tensor, Tensor]:
    """A poor step shrinks the radius (by a half, or down to a tenth by the parabola through it), a good one doubles it."""
    parabola = 0.5 * slope / (slope + 0.5 * gained)
    factor = torch.where(gained >= 0, torch.full_like(gained, 0.5), parabola)
    factor = torch.where(far | (factor < 0.1), torch.full_like(factor, 0.1), factor)
    poor = ratio <= 0.25
    good = ~poor & ((damping == 0) | (ratio >= 0.75))
    smaller = factor * torch.minimum(radius, 10 * length)
    radius = torch.where(poor, smaller, torch.where(good, 2 * length, radius))
    return radius, torch.where(poor, damping / factor, torch.where(good, 0.5 * damping, damping))
