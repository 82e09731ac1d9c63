"""What is said when nobody told where UniSH's weights are; light, so that it can be said at once."""

from __future__ import annotations

from diorama.errors import DioramaError
from diorama.networks.named_weights import check_named

HOW_TO_GET = (
    "give --weights with a file, a folder or OWNER/NAME[@REVISION] of the Hugging Face hub "
    "(the release's: 6.5 GB, CC BY-NC 4.0, not for commercial use)"
)


def check_weights(weights: str | None) -> None:
    """Refuse, before any work, weights that are not named or not there.

    Raises:
        DioramaError: in one line how to get them.
    """
    if weights is None:
        raise DioramaError("UniSH's weights are not part of diorama", where="--method unish", fix=HOW_TO_GET)
    check_named(weights, where=f"--weights {weights}", fix=HOW_TO_GET)
