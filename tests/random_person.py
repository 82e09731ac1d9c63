"""A random body of points on the 24 joints, in random poses before random cameras."""

import torch

from diorama.body.contact_terms import FLOOR
from diorama.body.image_terms import CAMERA_CENTRES, CAMERA_ROTATIONS, LOG_FOCAL
from diorama.body.unknown_person import UnknownPerson
from diorama.geometry.rotations import exp_so3

FRAMES, POINTS, BETAS = 4, 6, 2
NAMES = [f"p{i}" for i in range(POINTS)]
OWNERS = (0, 5, 21, 15, 8, 20)


def random_person(seed=2):
    """The person, values of him, the cameras and the floor, and a maker of random tensors."""
    generator = torch.Generator().manual_seed(seed)
    make = lambda *shape: torch.randn(*shape, generator=generator, dtype=torch.float64)  # noqa: E731
    joints, points = 0.3 * make(24, 3), 0.3 * make(POINTS, 3)
    joints_by, points_by = 0.1 * make(24, 3, BETAS), 0.1 * make(POINTS, 3, BETAS)
    person = UnknownPerson(
        0, NAMES, torch.tensor(OWNERS), lambda b: (joints + joints_by @ b, points + points_by @ b), FRAMES
    )
    values = {
        person.transl: make(FRAMES, 3) + torch.tensor([0.0, 0.0, 8.0]).double(),
        person.rotations: exp_so3(0.15 * make(FRAMES, 24, 3)),
        person.betas: make(1, BETAS),
        CAMERA_ROTATIONS: exp_so3(0.1 * make(FRAMES, 1, 3)),
        CAMERA_CENTRES: 0.2 * make(FRAMES, 3),
        LOG_FOCAL: torch.tensor([[0.1]]).double(),
        FLOOR: torch.tensor([[0.05, -0.1, 8.0]]).double(),
    }
    return person, values, make
