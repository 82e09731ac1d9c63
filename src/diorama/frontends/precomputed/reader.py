"""The results of other tools in one folder, as `Observations`."""

from __future__ import annotations

from pathlib import Path

from diorama.errors import DioramaError
from diorama.frontends.precomputed.about import read_about
from diorama.frontends.precomputed.cameras import read_cameras
from diorama.frontends.precomputed.contacts import read_contacts
from diorama.frontends.precomputed.people import read_bodies
from diorama.frontends.precomputed.presets import PARTS, Preset, find_preset
from diorama.frontends.precomputed.scene import read_depth, read_matches
from diorama.frontends.precomputed.sightings import read_tracks
from diorama.frontends.precomputed.timeline import read_timeline
from diorama.observations import Observations

_FILES = ("video.json", "video.npz")


def read_precomputed(folder: Path | str, preset: str | None = None) -> Observations:
    """Observations out of a folder that docs/precomputed.md describes.

    Every part (cameras, tracks, bodies, depth, depth_prior, matches, contacts) is a subfolder and may be missing; only
    the video's size and times have to be there. No pickles are read.

    Args:
        folder: holds `video.json` and the parts.
        preset: one of `PRESETS`: what its pair of tools is known to mean fills in what the files do not say.

    Raises:
        DioramaError: a file is missing, damaged, or contradicts another one; an entry that nobody knows is not stated;
            no such preset; a part that the preset needs is not there.
    """
    folder, rules = Path(folder), find_preset(preset)
    timeline = read_timeline(folder)
    there = _parts(folder, rules)
    abouts = {part: read_about(folder / part, rules) for part in there}
    cameras = read_cameras(folder / "cameras", timeline, abouts["cameras"]) if "cameras" in there else None
    tracks = read_tracks(folder / "tracks", timeline, abouts["tracks"]) if "tracks" in there else None
    bodies = read_bodies(folder / "bodies", timeline, abouts["bodies"], cameras) if "bodies" in there else None
    depth, prior = (
        read_depth(folder / part, timeline, abouts[part], cameras, tracks) if part in there else None
        for part in ("depth", "depth_prior")
    )
    return Observations(
        width=timeline.width,
        height=timeline.height,
        times=timeline.times,
        frame_index=timeline.frame_index,
        duplicate=timeline.duplicate,
        tracks=tracks,
        bodies=bodies,
        depth=depth,
        matches=read_matches(folder / "matches", timeline, abouts["matches"]) if "matches" in there else None,
        contacts=read_contacts(folder / "contacts", timeline, abouts["contacts"], bodies)
        if "contacts" in there
        else None,
        cameras=cameras,
        depth_prior=prior,
    )


def _parts(folder: Path, preset: Preset) -> tuple[str, ...]:
    """The parts that are there; a folder or file of another name would be overlooked, so it is an error."""
    for path in sorted(folder.iterdir()):
        known = path.name in (PARTS if path.is_dir() else _FILES)
        if not known and not path.name.startswith("."):
            raise DioramaError("no part of the layout", where=path, fix=f"the parts are {', '.join(PARTS)}")
    there = tuple(part for part in PARTS if (folder / part).is_dir())
    missing = [part for part in preset.needs if part not in there]
    if missing:
        raise DioramaError(
            f"preset {preset.name} needs this part", where=folder / missing[0], fix="see docs/precomputed.md"
        )
    return there
