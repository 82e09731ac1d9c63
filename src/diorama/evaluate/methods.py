"""The methods that can be evaluated, by name: each takes a video, or observations, to a reconstruction."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from diorama.errors import DioramaError
from diorama.evaluate.cases import Inputs
from diorama.frontends.bodies import fit_bodies
from diorama.frontends.cameras import SeenCameras
from diorama.frontends.given_depth import SeenDepth
from diorama.methods.josh.method import ABLATIONS, JoshConfig, reconstruct_josh
from diorama.methods.observed import reconstruct_observed
from diorama.methods.share.config import ABLATIONS as SHARE_ABLATIONS
from diorama.methods.share.config import ShareConfig
from diorama.methods.share.method import reconstruct_share
from diorama.methods.synchmr import SynchmrConfig, reconstruct_synchmr
from diorama.methods.tram import TramConfig, reconstruct_tram
from diorama.observations import Bodies, Observations, Tracks
from diorama.reconstruct import Options, reconstruct
from diorama.reconstruct.pipeline import configs_of, reconstruct_from_observations, run_method
from diorama.reconstruct.store import StepStore, without_threads
from diorama.reconstruction import Reconstruction
from diorama.records import flatten, load_record
from diorama.video import Video


@dataclass(frozen=True)
class Method:
    """One row of the table.

    Attributes:
        what: in a few words.
        from_observations: for sequences whose observations are there.
        from_video: for videos; the folder keeps finished steps, which all methods of a sequence share.
        configuration: plain values on which the result depends.
    """

    what: str
    from_observations: Callable[[Observations], Reconstruction]
    from_video: Callable[[Path, Path], Reconstruction]
    configuration: Callable[[], Any]

    def run(self, inputs: Inputs, folder: Path) -> Reconstruction:
        """The reconstruction of a sequence, in a world of its own."""
        if inputs.observations is not None:
            return self.from_observations(inputs.observations)
        if inputs.video is None:
            raise ValueError("there is neither a video nor observations")
        return self.from_video(inputs.video, folder)


def _default_from_observations(observations: Observations) -> Reconstruction:
    """The embedded default fits bodies to tracks by itself: bodies of other front ends are not its input."""
    fitted = fit_bodies(replace(observations, depth=None), progress=False)
    return reconstruct_from_observations(replace(observations, bodies=fitted))


def _default_from_video(video: Path, folder: Path) -> Reconstruction:
    return reconstruct(video, out=folder, overlay=False)


def _of_embedded(what: str, method: Callable[[Observations], Reconstruction], config: Any = None) -> Method:
    """A method on observations; of a video on what the embedded front ends saw, as the default's finished steps keep it."""

    def from_video(video: Path, folder: Path) -> Reconstruction:
        reconstruct(video, out=folder, overlay=False)
        return method(observations_in(folder))

    return Method(what, method, from_video, lambda: [_configuration(), flatten(config, "config", {})])


def observations_in(folder: Path) -> Observations:
    """The observations that `diorama reconstruct` kept in its output folder.

    Raises:
        DioramaError: a step is missing or damaged.
    """
    store = StepStore(folder)
    video = load_record(Video, store.path("scan"))
    filmed = load_record(SeenCameras, store.path("cameras"))
    seen = load_record(SeenDepth, store.path("depth"))
    return Observations(
        video.width, video.height, video.times, np.arange(len(video)) + video.first_frame, video.duplicate,
        tracks=load_record(Tracks, store.path("tracks")), bodies=load_record(Bodies, store.path("bodies")),
        depth=seen.depth, matches=filmed.matches, cameras=filmed.cameras, depth_prior=seen.prior,
    )  # fmt: skip


def _configuration(options: Options | None = None) -> Any:
    """Of all steps, as the options (the default ones) ask for them; how many threads work does not matter."""
    return without_threads(flatten(configs_of(options or Options()), "config", {}))


def _josh(what: str, config: JoshConfig) -> Method:
    return _of_embedded(what, lambda seen: reconstruct_josh(None, seen, config), config)


def _share(what: str, config: ShareConfig) -> Method:
    return _of_embedded(what, lambda seen: reconstruct_share(None, seen, config), config)


METHODS: dict[str, Method] = {
    "default": Method(
        "`diorama reconstruct` with no option given; of given observations: bodies fitted to the tracks, then its method",
        _default_from_observations,
        _default_from_video,
        _configuration,
    ),
    "observations": _of_embedded(
        "the observations themselves, nothing refined (`methods/observed.py` says how they become metric)",
        lambda seen: reconstruct_observed(None, seen),
    ),
    "synchmr": _of_embedded(
        "SynCHMR* of JOSH's tables: depth aligned with people, cameras with the depth of the background, people placed",
        lambda seen: reconstruct_synchmr(None, seen),
        SynchmrConfig(),
    ),
    "tram": _of_embedded(
        "TRAM's scale, the cameras' from metric depth of the background; people placed",
        lambda seen: reconstruct_tram(None, seen),
        TramConfig(),
    ),
    **{name: _josh(what, config) for name, (what, config) in ABLATIONS.items()},
    **{name: _share(what, config) for name, (what, config) in SHARE_ABLATIONS.items()},
}


def _of_network(name: str, what: str) -> Callable[[str | None], Method]:
    """A method whose network sees the pictures, so that there is nothing of it on given observations alone."""

    def made(weights: str | None) -> Method:
        options = Options(method=name, weights=weights)

        def from_observations(observations: Observations) -> Reconstruction:
            return run_method(name, None, observations, configs_of(options)["method"])

        def from_video(video: Path, folder: Path) -> Reconstruction:
            return reconstruct(video, out=folder, method=name, weights=weights, overlay=False)

        return Method(what, from_observations, from_video, lambda: _configuration(options))

    return made


# Methods with a network of their own, made from the place of its weights.
NETWORKS: dict[str, Callable[[str | None], Method]] = {
    "unish": _of_network("unish", "UniSH's network on the video"),
    "josh3r": _of_network("josh3r", "JOSH3R's networks on pairs of pictures, bodies of the embedded front end"),
}


def chosen_methods(names: tuple[str, ...], weights: Mapping[str, str] | None = None) -> dict[str, Method]:
    """The named methods in this order.

    Args:
        names: of `METHODS` and `NETWORKS`.
        weights: by method of `NETWORKS`.

    Raises:
        DioramaError: there is none of this name, or its weights are not told, or not there.
    """
    weights, all_names = weights or {}, (*METHODS, *NETWORKS)
    for name in names:
        if name not in all_names:
            raise DioramaError("no such method", where=f"--methods {name}", fix=f"choose from {', '.join(all_names)}")
    if not names:
        raise DioramaError("no method is named", where="--methods", fix=f"choose from {', '.join(all_names)}")
    for name in weights:
        if name not in NETWORKS or name not in names:
            raise DioramaError(
                "weights of a method that is not run",
                where=f"--weights {name}",
                fix=f"name one of {', '.join(NETWORKS)}",
            )
    return {name: METHODS[name] if name in METHODS else NETWORKS[name](weights.get(name)) for name in names}
