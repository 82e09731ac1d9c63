"""A glTF document while it is being filled: nodes, meshes, materials, one animation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from diorama.export.gltf_buffer import GltfBuffer


@dataclass
class GltfScene:
    """The tables of a glTF document; entries refer to each other by their place in these lists."""

    buffer: GltfBuffer
    roots: list[int] = field(default_factory=list)
    nodes: list[dict[str, Any]] = field(default_factory=list)
    meshes: list[dict[str, Any]] = field(default_factory=list)
    materials: list[dict[str, Any]] = field(default_factory=list)
    skins: list[dict[str, Any]] = field(default_factory=list)
    cameras: list[dict[str, Any]] = field(default_factory=list)
    channels: list[dict[str, Any]] = field(default_factory=list)
    samplers: list[dict[str, Any]] = field(default_factory=list)

    def add_node(self, node: dict[str, Any], parent: int | None = None) -> int:
        """Append a node, hang it under its parent if it has one, and return its number."""
        self.nodes.append(node)
        number = len(self.nodes) - 1
        if parent is not None:
            self.nodes[parent].setdefault("children", []).append(number)
        return number

    def add_material(self, name: str, linear_rgb: Sequence[float]) -> int:
        """A matt material; colours are linear light."""
        surface = {"baseColorFactor": [*map(float, linear_rgb), 1.0], "metallicFactor": 0.0, "roughnessFactor": 0.9}
        self.materials.append({"name": name, "pbrMetallicRoughness": surface})
        return len(self.materials) - 1

    def add_keys(self, seconds: np.ndarray) -> int:
        """Key times, to be shared by the channels that have them."""
        return self.buffer.add(seconds.astype(np.float32), bounds=True)

    def animate(self, node: int, path: str, keys: int, values: np.ndarray, *, interpolation: str = "LINEAR") -> None:
        """Let `rotation`, `translation` or `scale` of a node follow (frames, 3 or 4) values, the first at rest.

        What does not move in float32 gets no channel.
        """
        moving = values.astype(np.float32)
        self.nodes[node][path] = moving[0].astype(float).tolist()
        if np.all(moving == moving[:1]):
            return
        self.samplers.append({"input": keys, "output": self.buffer.add(moving), "interpolation": interpolation})
        self.channels.append({"sampler": len(self.samplers) - 1, "target": {"node": node, "path": path}})

    def document(self, asset: dict[str, Any]) -> dict[str, Any]:
        """The JSON document but for its buffer tables; empty tables are left out, as glTF demands."""
        tables = {"nodes": self.nodes, "meshes": self.meshes, "materials": self.materials}
        tables |= {"skins": self.skins, "cameras": self.cameras}
        document = {"asset": asset, "scene": 0, "scenes": [{"name": "diorama", "nodes": self.roots}]}
        document |= {name: table for name, table in tables.items() if table}
        if self.channels:
            document["animations"] = [{"name": "motion", "channels": self.channels, "samplers": self.samplers}]
        return document
