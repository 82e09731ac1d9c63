"""The one list of 24 body joints (SMPL order) and the keypoint sets of detectors; left and right are the person's."""

from __future__ import annotations

JOINT_NAMES: tuple[str, ...] = (
    "pelvis",
    "left_hip",
    "right_hip",
    "spine1",
    "left_knee",
    "right_knee",
    "spine2",
    "left_ankle",
    "right_ankle",
    "spine3",
    "left_foot",
    "right_foot",
    "neck",
    "left_collar",
    "right_collar",
    "head",
    "left_shoulder",
    "right_shoulder",
    "left_elbow",
    "right_elbow",
    "left_wrist",
    "right_wrist",
    "left_hand",
    "right_hand",
)

JOINT_PARENTS: tuple[int, ...] = (
    *(-1, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8),
    *(9, 9, 9, 12, 13, 14, 16, 17, 18, 19, 20, 21),
)

JOINT_INDEX: dict[str, int] = {name: index for index, name in enumerate(JOINT_NAMES)}

BLAZEPOSE_33: tuple[str, ...] = (
    "nose",
    "left_eye_inner",
    "left_eye",
    "left_eye_outer",
    "right_eye_inner",
    "right_eye",
    "right_eye_outer",
    "left_ear",
    "right_ear",
    "mouth_left",
    "mouth_right",
    "left_shoulder",
    "right_shoulder",
    "left_elbow",
    "right_elbow",
    "left_wrist",
    "right_wrist",
    "left_pinky",
    "right_pinky",
    "left_index",
    "right_index",
    "left_thumb",
    "right_thumb",
    "left_hip",
    "right_hip",
    "left_knee",
    "right_knee",
    "left_ankle",
    "right_ankle",
    "left_heel",
    "right_heel",
    "left_foot_index",
    "right_foot_index",
)

COCO_17: tuple[str, ...] = (
    "nose",
    "left_eye",
    "right_eye",
    "left_ear",
    "right_ear",
    "left_shoulder",
    "right_shoulder",
    "left_elbow",
    "right_elbow",
    "left_wrist",
    "right_wrist",
    "left_hip",
    "right_hip",
    "left_knee",
    "right_knee",
    "left_ankle",
    "right_ankle",
)

# Every landmark that a body model provides: the BlazePose set (COCO-17 is a part of it) and the top of the head.
LANDMARK_NAMES: tuple[str, ...] = (*BLAZEPOSE_33, "head_top")
LANDMARK_INDEX: dict[str, int] = {name: index for index, name in enumerate(LANDMARK_NAMES)}

BLAZEPOSE_TO_LANDMARKS: tuple[int, ...] = tuple(LANDMARK_INDEX[name] for name in BLAZEPOSE_33)
COCO_TO_LANDMARKS: tuple[int, ...] = tuple(LANDMARK_INDEX[name] for name in COCO_17)

KEYPOINT_SETS: dict[str, tuple[str, ...]] = {"blazepose33": BLAZEPOSE_33, "coco17": COCO_17, "smpl24": JOINT_NAMES}


def mirrored_name(name: str) -> str:
    """The same point on the other side of the body: `left_knee` <-> `right_knee`, `mouth_left` <-> `mouth_right`."""
    swaps = {"left": "right", "right": "left"}
    return "_".join(swaps.get(part, part) for part in name.split("_"))


def swap_indices(names: tuple[str, ...]) -> tuple[int, ...]:
    """For each name, the index of its mirror image in the same list."""
    return tuple(names.index(mirrored_name(name)) for name in names)


JOINT_SWAP: tuple[int, ...] = swap_indices(JOINT_NAMES)
BLAZEPOSE_SWAP: tuple[int, ...] = swap_indices(BLAZEPOSE_33)
COCO_SWAP: tuple[int, ...] = swap_indices(COCO_17)
LANDMARK_SWAP: tuple[int, ...] = swap_indices(LANDMARK_NAMES)
