"""Which sequences of RICH belong to which benchmark (shared specification, sections 6; SHARE's released list)."""

from __future__ import annotations

# Sequences with the moving camera (`moving_cam` = V in RICH's table): 22 train, 9 val, 9 test; JOSH's 40.
_MOVING = {
    "train": {
        "ParkingLot2_008": (
            "phonetalk1", "burpeejump1", "overfence1", "overfence2", "overfence3", "pushup1", "pushup2", "eating1",
        ),
        "ParkingLot2_016": ("burpeejump2", "overfence2", "pushup1", "pushup2", "stretching1"),
        "Pavallion_002": ("plankjack", "phonesiteat"),
        "Pavallion_003": ("plankjack", "phonesiteat", "sidebalancerun"),
        "Pavallion_006": ("phonesiteat", "sidebalancerun", "plankjack"),
        "Pavallion_013": ("yoga2",),
    },
    "val": {
        "ParkingLot2_008": ("eating2", "burpeejump2"),
        "ParkingLot2_016": ("phonetalk5",),
        "Pavallion_002": ("sidebalancerun", "yoga1"),
        "Pavallion_018": ("sidebalancerun", "yoga1"),
        "Pavallion_003": ("yoga1",),
        "Pavallion_006": ("yoga1",),
    },
    "test": {
        "ParkingLot2_017": ("burpeejump1", "burpeejump2", "overfence1", "overfence2", "eating1", "pushup2"),
        "Gym_011": ("cooking1", "cooking2"),
        "Gym_012": ("cooking2",),
    },
}  # fmt: skip
MOVING: dict[str, str] = {
    f"{place}_{action}": split
    for split, places in _MOVING.items()
    for place, actions in places.items()
    for action in actions
}
MOVING_CAMERA = 10
# JOSH measures the scene once per place: in the first moving-camera sequence in the order of names.
CHAMFER: tuple[str, ...] = tuple(
    min(name for name in MOVING if name.startswith(place)) for place in ("Gym", "ParkingLot2", "Pavallion")
)

# SHARE's subset: sequence, static camera, and the batches of 100 frames that are scored; 33 batches.
SHARE: tuple[tuple[str, int, tuple[int, ...]], ...] = (
    ("Gym_010_lunge1", 1, (0, 1, 2)),
    ("Gym_010_mountainclimber2", 3, (0, 1, 2, 3)),
    ("Gym_011_dips3", 3, (0, 1, 2)),
    ("Gym_012_lunge2", 4, (0, 1)),
    ("Gym_013_burpee4", 0, (0, 2)),
    ("LectureHall_021_plankjack1", 3, (0, 1, 2, 3, 4)),
    ("ParkingLot2_009_impro1", 2, (0, 1, 3, 5, 6, 7)),
    ("ParkingLot2_017_overfence2", 0, (0, 1, 2, 3, 4, 5, 6, 7)),
)
SHARE_BATCH = 100
