"""The note that goes with a file that holds a body model's mesh whose owners restrict its use."""

from __future__ import annotations

from diorama.body.smpl import SMPL_FAMILY
from diorama.reconstruction import Reconstruction


def mesh_licence(reconstruction: Reconstruction) -> str | None:
    """What a file with the people's meshes has to say; None where the bodies are free."""
    restricted = sorted({person.body for person in reconstruction.people} & set(SMPL_FAMILY))
    if not restricted:
        return None
    return f"contains mesh and weights of {', '.join(restricted)}: non-commercial licence of its owners"
