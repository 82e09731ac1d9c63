"""A world from other tools' results: a folder in the layout of docs/precomputed.md instead of a video."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from diorama.errors import DioramaError
from diorama.frontends.precomputed import read_precomputed
from diorama.methods.josh.method import JoshConfig, reconstruct_josh
from diorama.methods.observed import reconstruct_observed
from diorama.methods.placing import PlacingConfig
from diorama.methods.scale import ScaleConfig
from diorama.methods.synchmr import reconstruct_synchmr
from diorama.methods.tram import reconstruct_tram
from diorama.observations import Observations
from diorama.quality import quality_card
from diorama.reconstruct.options import Options
from diorama.reconstruct.preflight import check_output
from diorama.reconstruction import TREE, Reconstruction

# Room for a result, at least.
_MEGABYTES = 20.0
BASELINES: dict[str, Callable[[Observations], Reconstruction]] = {
    "synchmr": lambda seen: reconstruct_synchmr(None, seen),
    "tram": lambda seen: reconstruct_tram(None, seen),
    "observations": lambda seen: reconstruct_observed(None, seen),
}


def reconstruct_precomputed(
    folder: str | Path,
    out: str | Path,
    *,
    preset: str | None = None,
    method: str = "josh",
    stature: Mapping[int, float] | None = None,
) -> Reconstruction:
    """The world of a folder of observations, saved in `out`.

    Args:
        folder: in the layout of docs/precomputed.md.
        out: new or empty, or the folder of an earlier result, which is replaced.
        preset: whose results they are; says what the files leave out.
        method: "josh", or a baseline: "synchmr", "tram", "observations".
        stature: known heights, metres by id; with them sizes come from people's stature instead of the observed bodies.

    Raises:
        DioramaError: a wrong folder, file, preset, method or stature, or `out` cannot be written.
    """
    known = ("josh", *BASELINES)
    if method not in known:
        raise DioramaError("no such method", where=f"--method {method}", fix=f"choose from {', '.join(known)}")
    heights = dict(Options(stature=dict(stature or {})).stature)
    if heights and method != "josh":
        raise DioramaError("baselines do not use heights", where="--stature", fix="leave it out, or use --method josh")
    out = Path(out)
    check_output(out, _MEGABYTES)
    if out.exists() and any(out.iterdir()) and not (out / TREE).exists():
        raise DioramaError("not an empty folder and not a result", where=out, fix="give a new folder with -o")
    observations = read_precomputed(folder, preset)
    if method == "josh":
        placing = PlacingConfig(scale=ScaleConfig(stature=heights))
        config = JoshConfig(placing=placing, sizes="prior" if heights else "auto")
        believed = reconstruct_josh(None, observations, config)
    else:
        believed = BASELINES[method](observations)
    card = {**believed.quality, **quality_card(believed, observations, {})}
    origin = {"observations": str(Path(folder).absolute()), "preset": preset or ""}
    out.mkdir(parents=True, exist_ok=True)
    result = believed.replace(quality=card, provenance={**believed.provenance, **origin})
    result.save(out)
    return result
