"""What the files of a layout do not say: the defaults of the house, and those of the paper's three pairings of tools.

JOSH (ICLR 2026) pairs mesh recovery with scene reconstruction: HMR 2.0 + DROID-SLAM, WHAM + MonST3R, VIMO + MASt3R.
A preset only fills in what is known of its tools; what is not known of them has to be stated in the files.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from diorama.errors import DioramaError

PARTS = ("cameras", "tracks", "bodies", "depth", "depth_prior", "matches", "contacts")
PIXEL_CENTRES = ("half", "integer")
CONFIDENCES = ("0 to 1", "1 up", "0 up")
# Focal lengths that tools assume, in words; `people.assumed_focal` has the formulas.
FOCALS = ("diagonal", "hmr2", "cameras")


@dataclass(frozen=True)
class Preset:
    """What is taken for granted about the files of a layout.

    Attributes:
        name: as in `--preset`.
        people: the tool that made the bodies.
        scene: the tool that made cameras, depth and matches.
        expects: in words, what comes from whom, in which units.
        needs: parts that have to be there.
        defaults: per part, entries of `about.json` that may be left out.
        required: per part, entries that have to be stated, because the tools do not settle them.
    """

    name: str
    people: str
    scene: str
    expects: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()
    defaults: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    required: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


_MAPS: dict[str, Any] = {
    "source": {}, "pixel_centres": "half", "confidence": "0 to 1", "png_unit": None, "fov": None,
}  # fmt: skip
# Per part every entry of about.json: these defaults and those required. None: see docs/precomputed.md.
LAYOUT = Preset(
    name="",
    people="",
    scene="",
    defaults={
        "cameras": {
            "source": {}, "kind": None, "focal_source": "assumed", "stamps": "seconds", "pixel_centres": "half",
            "size": None, "interpolated": [], "reprojection_px": None, "evidence": {}, "warnings": [],
        },
        "tracks": {"source": {}, "pixel_centres": "half", "size": None, "dropped": []},
        "bodies": {"source": {}, "gender": "neutral"},
        "depth": _MAPS,
        "depth_prior": {"metric": True, **_MAPS},
        "given_depth": {"metric": True, "first_number": 0, **_MAPS},
        "matches": {"source": {}, "pixel_centres": "half", "size": None, "confidence": "0 to 1"},
        "contacts": {"source": {}, "gender": "neutral", "radius": 0.05},
    },
    required={
        "cameras": ("metric",), "bodies": ("body", "focal"), "depth": ("metric",), "contacts": ("body",),
    },
)  # fmt: skip

# Where nothing is known of how a tool counts pixels, and on which size of picture its numbers are.
_PIXELS: dict[str, tuple[str, ...]] = {
    "cameras": ("pixel_centres", "size"),
    "depth": ("pixel_centres", "confidence"),
    "depth_prior": ("pixel_centres",),
    "matches": ("pixel_centres", "size", "confidence"),
}
_NEEDS = ("cameras", "bodies", "depth")
_CONTACTS = {"source": {"frontend": "BSTRO or DECO", "licence": "non-commercial"}, "body": "smpl"}
_SEEN = (
    "tracks: masks of people by id (DEVA), 2D keypoints (ViTPose)",
    "contacts: per vertex of SMPL (BSTRO in the paper, DECO in its release)",
)
_PRIOR = {"source": {"frontend": "ZoeDepth", "licence": "MIT"}, "metric": True}

HMR2_DROID_SLAM = Preset(
    name="hmr2+droid-slam",
    people="HMR 2.0",
    scene="DROID-SLAM",
    expects=(
        "bodies: SMPL of HMR 2.0, its translation for the whole picture, made with a focal length of 5000 / 256 times the "
        "longer side; the orientation is as seen in the crop, so that people aside are turned by the viewing angle",
        "cameras: masked DROID-SLAM, up to scale",
        "depth: 1 / disparity of DROID-SLAM, in the unit of its cameras",
        "depth_prior: ZoeDepth in metres",
        *_SEEN,
    ),
    needs=_NEEDS,
    defaults={
        "bodies": {
            "source": {
                "frontend": "HMR 2.0", "licence": "MIT, SMPL",
                "notes": ["orientation as seen in the crop: off by the viewing angle of people aside"],
            },
            "body": "smpl", "focal": "hmr2",
        },
        "cameras": {"source": {"frontend": "DROID-SLAM", "licence": "BSD-3-Clause"}, "metric": False},
        "depth": {"source": {"frontend": "DROID-SLAM", "licence": "BSD-3-Clause"}, "metric": False},
        "depth_prior": _PRIOR,
        "contacts": _CONTACTS,
    },
    required=_PIXELS,
)  # fmt: skip

WHAM_MONST3R = Preset(
    name="wham+monst3r",
    people="WHAM",
    scene="MonST3R",
    expects=(
        "bodies: SMPL of WHAM in front of the camera (not its own world); the focal length has to be stated",
        "cameras, depth: MonST3R, up to scale, both in one unit",
        "depth_prior: ZoeDepth in metres",
        *_SEEN,
    ),
    needs=_NEEDS,
    defaults={
        "bodies": {"source": {"frontend": "WHAM", "licence": "MIT, SMPL"}, "body": "smpl"},
        "cameras": {"source": {"frontend": "MonST3R", "licence": "CC BY-NC-SA 4.0"}, "metric": False},
        "depth": {"source": {"frontend": "MonST3R", "licence": "CC BY-NC-SA 4.0"}, "metric": False},
        "depth_prior": _PRIOR,
        "matches": {"source": {"frontend": "MonST3R", "licence": "CC BY-NC-SA 4.0"}},
        "contacts": _CONTACTS,
    },
    required=_PIXELS | {"bodies": ("focal",)},
)

VIMO_MAST3R = Preset(
    name="vimo+mast3r",
    people="VIMO",
    scene="MASt3R",
    expects=(
        "bodies: SMPL of VIMO, made with the diagonal of the picture as focal length (where TRAM gave it another one, "
        "state that)",
        "cameras, depth, matches: the metric checkpoint of MASt3R on people-free pixels; confidences of depth from 1 up, "
        "those of matches from 0 up",
        "depth_prior: ZoeDepth in metres",
        *_SEEN,
    ),
    needs=_NEEDS,
    defaults={
        "bodies": {"source": {"frontend": "VIMO", "licence": "MIT, SMPL"}, "body": "smpl", "focal": "diagonal"},
        "cameras": {
            "source": {"frontend": "MASt3R", "licence": "CC BY-NC-SA 4.0"}, "metric": True, "focal_source": "recovered",
        },
        "depth": {
            "source": {"frontend": "MASt3R", "licence": "CC BY-NC-SA 4.0"}, "metric": True, "confidence": "1 up",
        },
        "depth_prior": _PRIOR,
        "matches": {"source": {"frontend": "MASt3R", "licence": "CC BY-NC-SA 4.0"}, "confidence": "0 up"},
        "contacts": _CONTACTS,
    },
    required=_PIXELS | {"depth": ("pixel_centres",), "matches": ("pixel_centres", "size")},
)  # fmt: skip

PRESETS: dict[str, Preset] = {preset.name: preset for preset in (HMR2_DROID_SLAM, WHAM_MONST3R, VIMO_MAST3R)}


def find_preset(name: str | None) -> Preset:
    """The preset of this name; None: the layout's own defaults.

    Raises:
        DioramaError: there is no such preset.
    """
    if name is None:
        return LAYOUT
    if name not in PRESETS:
        raise DioramaError(f"no such preset {name!r}", where="preset", fix=f"use one of {', '.join(PRESETS)}")
    return PRESETS[name]
