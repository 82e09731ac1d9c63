"""What is said when nobody told where UniSH's weights are; light, so that it can be said at once."""

from __future__ import annotations

from pathlib import Path

from diorama.errors import DioramaError

HOW_TO_GET = (
    "give --weights with a file, a folder or OWNER/NAME of the Hugging Face hub "
    "(the release's: 6.5 GB, CC BY-NC 4.0, not for commercial use)"
)


def check_weights(source: str | None) -> None:
    """Refuse, before any work, weights that are not named or not there.

    Raises:
        DioramaError: in one line how to get them.
    """
    if source is None:
        raise DioramaError("UniSH's weights are not part of diorama", where="--method unish", fix=HOW_TO_GET)
    if Path(source).expanduser().exists():
        return
    from diorama.networks.hub import is_hub_id  # brings torch with it

    if not is_hub_id(source):
        raise DioramaError("no such weights", where=f"--weights {source}", fix=HOW_TO_GET)
