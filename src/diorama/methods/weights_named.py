"""What is said when nobody told where a method's weights are; light, so that it can be said at once."""

from __future__ import annotations

from pathlib import Path

from diorama.errors import DioramaError

_HOW = "give --weights with a file, a folder or OWNER/NAME[@REVISION] of the Hugging Face hub"
# By method: the network's name, and what the release's weights are.
NETWORKS = {
    "unish": ("UniSH", "the release's: 6.5 GB, CC BY-NC 4.0, not for commercial use"),
    "josh3r": ("JOSH3R", "the release's hold MASt3R too: 3 GB, CC BY-NC-SA 4.0, not for commercial use"),
}


def source_and_revision(weights: str) -> tuple[str, str | None]:
    """`OWNER/NAME@REVISION` in its two parts; paths as they are."""
    if Path(weights).expanduser().exists() or "@" not in weights:
        return weights, None
    source, revision = weights.rsplit("@", 1)
    return source, revision or None


def stamp_of(source: str) -> str:
    """Sizes and dates of the files of local weights, so that other files are another configuration; nothing for the
    hub's."""
    path = Path(source).expanduser()
    files = sorted(path.iterdir()) if path.is_dir() else [path] if path.is_file() else []
    return " ".join(f"{file.name}:{file.stat().st_size}:{file.stat().st_mtime_ns}" for file in files)


def check_weights(method: str, weights: str | None) -> None:
    """Refuse, before any work, weights that are not named or not there.

    Raises:
        DioramaError: in one line how to get them.
    """
    name, release = NETWORKS[method]
    fix = f"{_HOW} ({release})"
    if weights is None:
        raise DioramaError(f"{name}'s weights are not part of diorama", where=f"--method {method}", fix=fix)
    source, _ = source_and_revision(weights)
    if Path(source).expanduser().exists():
        return
    from diorama.networks.hub import is_hub_id  # brings torch with it

    if not is_hub_id(source):
        raise DioramaError("no such weights", where=f"--weights {weights}", fix=fix)
