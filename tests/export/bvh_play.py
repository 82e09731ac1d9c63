"""A second reader of BVH files for the tests: words, a stack of joints, and channels applied in the file's own order."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from scipy.spatial.transform import Rotation


@dataclass
class Joint:
    name: str
    parent: int
    offset: list[float] = field(default_factory=list)
    channels: list[str] = field(default_factory=list)


class Bvh:
    """Joints, frame time, and (frames, channels) numbers of a file."""

    def __init__(self, path: Path) -> None:
        head, _, motion = path.read_text().partition("MOTION")
        self.joints: list[Joint] = []
        words, open_joints = iter(head.split()), []
        for word in words:
            if word in ("ROOT", "JOINT"):
                self.joints.append(Joint(next(words), open_joints[-1] if open_joints else -1))
            elif word == "End":
                assert next(words) == "Site"
                self.joints.append(Joint(self.joints[open_joints[-1]].name + "_end", open_joints[-1]))
            elif word == "{":
                open_joints.append(len(self.joints) - 1)
            elif word == "}":
                open_joints.pop()
            elif word == "OFFSET":
                self.joints[open_joints[-1]].offset = [float(next(words)) for _ in range(3)]
            elif word == "CHANNELS":
                self.joints[open_joints[-1]].channels = [next(words) for _ in range(int(next(words)))]
        assert not open_joints
        lines = motion.strip().splitlines()
        assert lines[0].startswith("Frames:") and lines[1].startswith("Frame Time:")
        self.frame_time = float(lines[1].split(":")[1])
        self.values = np.array([[float(word) for word in line.split()] for line in lines[2:]])
        assert len(self.values) == int(lines[0].split(":")[1])
        assert self.values.shape[1] == sum(len(joint.channels) for joint in self.joints)

    def poses(self) -> dict[str, np.ndarray]:
        """Pose of every joint in the file's world, (frames, 4, 4) by name."""
        column, found = 0, []
        for joint in self.joints:
            own = np.tile(np.eye(4), (len(self.values), 1, 1))
            own[:, :3, 3] = joint.offset
            for channel in joint.channels:
                numbers, step = self.values[:, column], np.tile(np.eye(4), (len(self.values), 1, 1))
                place = "XYZ".index(channel[0])
                if channel.endswith("position"):
                    step[:, place, 3] = numbers
                else:
                    step[:, :3, :3] = Rotation.from_rotvec(np.outer(np.radians(numbers), np.eye(3)[place])).as_matrix()
                own, column = own @ step, column + 1
            found.append(own if joint.parent < 0 else found[joint.parent] @ own)
        return {joint.name: pose for joint, pose in zip(self.joints, found, strict=True)}
