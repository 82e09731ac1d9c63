"""People in a GLB file: rest mesh, skin, joint nodes and their motion."""

from __future__ import annotations

from typing import Any

import numpy as np

from diorama.body.joints import JOINT_NAMES, JOINT_PARENTS
from diorama.body.model import ShapedBody
from diorama.export.gltf_buffer import ARRAY_BUFFER, ELEMENT_ARRAY_BUFFER
from diorama.export.gltf_scene import GltfScene
from diorama.export.skeleton import bones, local_rotations
from diorama.export.skin import (
    four_influences,
    person_color,
    quaternions_xyzw,
    shaped_person,
    srgb_to_linear,
    vertex_normals,
)
from diorama.geometry.transforms import rigid
from diorama.reconstruction import Person


def add_person(gltf: GltfScene, person: Person, seconds: np.ndarray, root: int) -> None:
    """Add one person: `person_1` under the root holds the joints, `person_1_body` the skinned mesh.

    The mesh node stands outside the root because glTF ignores the transform of a skinned mesh's own node.
    """
    if not len(person.frames):
        return
    body = shaped_person(person)
    name = f"person_{person.id}"
    rest = body.joints_rest.double().numpy()
    group = gltf.add_node({"name": name, "extras": _about(person)}, parent=root)
    joints = _add_joints(gltf, rest, person, group, gltf.add_keys(seconds[person.frames]))
    inverse_bind = rigid(np.broadcast_to(np.eye(3), (len(rest), 3, 3)), -rest).astype(np.float32)
    matrices = gltf.buffer.add(inverse_bind)
    gltf.skins.append({"name": name, "joints": joints, "inverseBindMatrices": matrices, "skeleton": group})
    gltf.meshes.append({"name": name, "primitives": [_primitive(gltf, body, person)]})
    node = {"name": f"{name}_body", "mesh": len(gltf.meshes) - 1, "skin": len(gltf.skins) - 1}
    gltf.roots.append(gltf.add_node(node))
    _hide_in_gaps(gltf, person, seconds, group)


def _about(person: Person) -> dict[str, Any]:
    touching = np.round(person.contacts, 3).tolist()
    return {
        "id": person.id,
        "body": person.body,
        "gender": person.gender,
        "betas": np.round(person.betas, 6).tolist(),
        "frames": person.frames.tolist(),
        "observed": person.observed.astype(int).tolist(),
        "contacts": {"sites": list(person.contact_sites), "probability": touching},
    }


def _add_joints(gltf: GltfScene, rest: np.ndarray, person: Person, group: int, keys: int) -> list[int]:
    """One node per joint, rotating about its rest offset from its parent; the pelvis also travels."""
    rotations = local_rotations(person)
    offsets = bones(rest)
    nodes: list[int] = []
    for joint, parent in enumerate(JOINT_PARENTS):
        node = {"name": f"{JOINT_NAMES[joint]}_{person.id}", "translation": offsets[joint].tolist()}
        nodes.append(gltf.add_node(node, parent=group if parent < 0 else nodes[parent]))
        gltf.animate(nodes[-1], "rotation", keys, quaternions_xyzw(rotations[:, joint]))
    gltf.animate(nodes[0], "translation", keys, person.transl + rest[0])
    return nodes


def _primitive(gltf: GltfScene, body: ShapedBody, person: Person) -> dict[str, Any]:
    vertices, faces = body.verts_rest.numpy(), body.model.faces.numpy()
    joints, weights = four_influences(body.model.skin)
    add = gltf.buffer.add
    attributes = {
        "POSITION": add(vertices, target=ARRAY_BUFFER, bounds=True),
        "NORMAL": add(vertex_normals(vertices, faces).astype(np.float32), target=ARRAY_BUFFER),
        "JOINTS_0": add(joints, target=ARRAY_BUFFER),
        "WEIGHTS_0": add(weights, target=ARRAY_BUFFER),
    }
    indices = add(faces.astype(np.uint32).reshape(-1), target=ELEMENT_ARRAY_BUFFER)
    color = srgb_to_linear(np.array(person_color(person.id)) / 255)
    material = gltf.add_material(f"person_{person.id}", color.tolist())
    return {"attributes": attributes, "indices": indices, "material": material}


def _hide_in_gaps(gltf: GltfScene, person: Person, seconds: np.ndarray, group: int) -> None:
    """Scale zero while the person is missing: glTF's way to hide a skinned mesh, as all its joints vanish at once."""
    seen = np.zeros(len(seconds), bool)
    seen[person.frames] = True
    if seen.all():
        return
    changes = np.flatnonzero(np.r_[True, seen[1:] != seen[:-1]])
    scales = np.repeat(seen[changes, None], 3, 1).astype(np.float32)
    gltf.animate(group, "scale", gltf.add_keys(seconds[changes]), scales, interpolation="STEP")
    gltf.nodes[group]["scale"] = [1.0, 1.0, 1.0]
