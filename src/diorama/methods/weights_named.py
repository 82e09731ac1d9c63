"""What is said when nobody told where a method's weights are; light, so that it can be said at once."""

from __future__ import annotations

from diorama.errors import DioramaError
from diorama.networks.named_weights import check_named

_HOW = "give --weights with a file, a folder or OWNER/NAME[@REVISION] of the Hugging Face hub"
# By method: the network's name, and what the release's weights are.
NETWORKS = {
    "unish": ("UniSH", "the release's: 6.5 GB, CC BY-NC 4.0, not for commercial use"),
    "josh3r": ("JOSH3R", "the release's hold MASt3R too: 3 GB, CC BY-NC-SA 4.0, not for commercial use"),
}


def check_weights(method: str, weights: str | None) -> None:
    """Refuse, before any work, weights that are not named or not there.

    Raises:
        DioramaError: in one line how to get them.
    """
    name, release = NETWORKS[method]
    fix = f"{_HOW} ({release})"
    if not weights:
        raise DioramaError(f"{name}'s weights are not part of diorama", where=f"--method {method}", fix=fix)
    check_named(weights, where=f"--weights {weights}", fix=fix)
