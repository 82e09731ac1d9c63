"""What is said when nobody told where JOSH3R's weights are; light, so that it can be said at once."""

from __future__ import annotations

from diorama.errors import DioramaError
from diorama.networks.named_weights import check_named

# Size: 754 million numbers in float32 (docs/josh3r_networks.md).
HOW_TO_GET = (
    "give --weights with a file, a folder or OWNER/NAME[@REVISION] of the Hugging Face hub (the release's: 3 GB with "
    "MASt3R's, which are CC BY-NC-SA 4.0, not for commercial use)"
)


def check_weights(weights: str | None) -> None:
    """Refuse, before any work, weights that are not named or not there.

    Raises:
        DioramaError: in one line how to get them.
    """
    if not weights:
        raise DioramaError("JOSH3R's weights are not part of diorama", where="--method josh3r", fix=HOW_TO_GET)
    check_named(weights, where=f"--weights {weights}", fix=HOW_TO_GET)
