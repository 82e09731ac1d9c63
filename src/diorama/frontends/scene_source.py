"""What `--scene` names: the weights of a network that sees pairs of pictures. Loads nothing heavy."""

from __future__ import annotations

from dataclasses import dataclass

from diorama.errors import DioramaError
from diorama.networks.named_weights import check_named

MAST3R = "mast3r:"
# 689 million numbers in float32.
HOW_TO_GET = (
    "get MASt3R's metric checkpoint (ViT-L, base decoder, catmlp+dpt; 2.8 GB; licence CC BY-NC-SA 4.0, not for commercial "
    "use) and give its file, its folder or OWNER/NAME[@REVISION] of the Hugging Face hub as mast3r:PLACE"
)


@dataclass(frozen=True)
class SceneSource:
    """`place` of MASt3R's weights (JOSH3R's hold them too): a file, a folder, or a repository of the hub."""

    place: str
    option_name: str = f"--scene {MAST3R}"

    @property
    def option(self) -> str:
        """As it is written on the command line."""
        return f"{self.option_name}{self.place}"


def parse_scene_source(text: str) -> SceneSource:
    """The source that a word after `--scene` names; the weights are loaded later.

    Raises:
        DioramaError: it is not `mast3r:` with a place that is there, or could be on the hub.
    """
    place = text.removeprefix(MAST3R)
    if not text.startswith(MAST3R) or not place:
        raise DioramaError("no network is named", where=f"--scene {text}", fix=HOW_TO_GET)
    source = SceneSource(place)
    check_named(place, where=source.option, fix=HOW_TO_GET)
    return source
