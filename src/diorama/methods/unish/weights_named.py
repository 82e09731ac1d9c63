"""What is said when nobody told where UniSH's weights are; light, so that it can be said at once."""

from __future__ import annotations

from pathlib import Path

from diorama.errors import DioramaError

HOW_TO_GET = (
    "give --weights with a file, a folder or OWNER/NAME[@REVISION] of the Hugging Face hub "
    "(the release's: 6.5 GB, CC BY-NC 4.0, not for commercial use)"
)


def source_and_revision(weights: str) -> tuple[str, str | None]:
    """`OWNER/NAME@REVISION` in its two parts; paths as they are."""
    if Path(weights).expanduser().exists() or "@" not in weights:
        return weights, None
    source, revision = weights.rsplit("@", 1)
    return source, revision or None


def check_weights(weights: str | None) -> None:
    """Refuse, before any work, weights that are not named or not there.

    Raises:
        DioramaError: in one line how to get them.
    """
    if weights is None:
        raise DioramaError("UniSH's weights are not part of diorama", where="--method unish", fix=HOW_TO_GET)
    source, _ = source_and_revision(weights)
    if Path(source).expanduser().exists():
        return
    from diorama.networks.hub import is_hub_id  # brings torch with it

    if not is_hub_id(source):
        raise DioramaError("no such weights", where=f"--weights {weights}", fix=HOW_TO_GET)
