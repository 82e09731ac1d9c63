"""An independent player of GLB files for the tests: nodes, skins and cameras at a time, straight from the standard."""

from __future__ import annotations

import numpy as np
from scipy.spatial.transform import Rotation, Slerp

from diorama.export.gltf_buffer import Glb


class Player:
    """Poses of the nodes of a GLB file at the times of its only animation."""

    def __init__(self, glb: Glb) -> None:
        self.glb, self.nodes = glb, glb.document["nodes"]
        self.parent = {child: n for n, node in enumerate(self.nodes) for child in node.get("children", ())}
        self.tracks = {}
        for animation in glb.document.get("animations", ()):
            for channel in animation["channels"]:
                sampler = animation["samplers"][channel["sampler"]]
                keys, values = glb.array(sampler["input"]), glb.array(sampler["output"])
                target = channel["target"]["node"], channel["target"]["path"]
                self.tracks[target] = keys.astype(float), values.astype(float), sampler["interpolation"]

    def node(self, name: str) -> int:
        return next(n for n, node in enumerate(self.nodes) if node.get("name") == name)

    def value(self, node: int, path: str, default: list[float], time: float) -> np.ndarray:
        if (node, path) not in self.tracks:
            return np.array(self.nodes[node].get(path, default), float)
        keys, values, interpolation = self.tracks[node, path]
        time = float(np.clip(time, keys[0], keys[-1]))
        if interpolation == "STEP" or len(keys) == 1:
            return values[np.searchsorted(keys, time, side="right") - 1]
        if path == "rotation":
            return Slerp(keys, Rotation.from_quat(values))(time).as_quat()
        return np.array([np.interp(time, keys, column) for column in values.T])

    def local(self, node: int, time: float) -> np.ndarray:
        out = np.eye(4)
        rotation = Rotation.from_quat(self.value(node, "rotation", [0, 0, 0, 1], time)).as_matrix()
        out[:3, :3] = rotation * self.value(node, "scale", [1, 1, 1], time)
        out[:3, 3] = self.value(node, "translation", [0, 0, 0], time)
        return out

    def transform(self, node: int, time: float) -> np.ndarray:
        """Node to glTF's (Y-up) world."""
        own = self.local(node, time)
        return self.transform(self.parent[node], time) @ own if node in self.parent else own

    def place(self, name: str, time: float) -> np.ndarray:
        """Where a node's origin is, in glTF's world."""
        return self.transform(self.node(name), time)[:3, 3]

    def skinned(self, name: str, time: float) -> np.ndarray:
        """Vertices of a skinned mesh node, in glTF's world."""
        node = self.nodes[self.node(name)]
        skin = self.glb.document["skins"][node["skin"]]
        attributes = self.glb.document["meshes"][node["mesh"]]["primitives"][0]["attributes"]
        rest, joints, weights = (self.glb.array(attributes[a]) for a in ("POSITION", "JOINTS_0", "WEIGHTS_0"))
        bind = self.glb.array(skin["inverseBindMatrices"])
        moves = np.stack([self.transform(j, time) @ bind[n] for n, j in enumerate(skin["joints"])])
        homogeneous = np.concatenate([rest, np.ones((len(rest), 1))], 1)
        return np.einsum("vk,vkij,vj->vi", weights, moves[joints], homogeneous)[:, :3]

    def pixel(self, point: np.ndarray, time: float) -> np.ndarray:
        """Where the file's perspective camera shows a point of glTF's world, in pixels."""
        node = next(n for n, node in enumerate(self.nodes) if "camera" in node)
        camera = self.glb.document["cameras"][self.nodes[node]["camera"]]
        lens, size = camera["perspective"], camera["extras"]
        x, y, z = np.linalg.solve(self.transform(node, time), [*point, 1])[:3]
        focal = 1 / np.tan(lens["yfov"] / 2)
        right, up = focal / lens["aspectRatio"] * x / -z, focal * y / -z
        return np.array([(1 + right) / 2 * size["width_px"], (1 - up) / 2 * size["height_px"]])
