"""Weights of a repository of the Hugging Face hub: found, fetched into the hub's own cache, checked by hash.

The client `huggingface_hub` is an optional part: `pip install "diorama[hub]"`. It takes care of mirrors, tokens and
interrupted downloads; the hashes that the hub states are compared here.
"""

from __future__ import annotations

import hashlib
import importlib
import logging
import re
from pathlib import Path
from typing import Any

from diorama.assets import sha256_of
from diorama.errors import DioramaError
from diorama.networks.weight_files import TORCH_SUFFIXES

logger = logging.getLogger(__name__)


def is_hub_id(source: str) -> bool:
    """Whether this reads `owner/name`."""
    return re.fullmatch(r"[\w.-]+/[\w.-]+", source) is not None


def fetch_from_hub(repository: str, *, revision: str | None = None) -> tuple[Path, Path | None]:
    """Files of weights and configuration of a repository, in the hub's cache; None where there is no config.json.

    A branch or tag is resolved first, so that both files are of one commit, and the commit is logged.

    Raises:
        DioramaError: no client, no network, no such repository, no or several files of weights, or another hash.
    """
    client = _client()
    try:
        about = client.HfApi().model_info(repository, revision=revision, files_metadata=True)
    except Exception as error:  # any of a dozen kinds of the client and of its network library
        raise _unreachable(repository, error) from error
    files = {sibling.rfilename: sibling for sibling in about.siblings or []}
    logger.info("%s at commit %s", repository, about.sha)
    weights = _fetched(client, repository, about.sha, files[weights_among(list(files), repository)])
    config = _fetched(client, repository, about.sha, files["config.json"]) if "config.json" in files else None
    return weights, config


def _client() -> Any:
    try:
        return importlib.import_module("huggingface_hub")
    except ImportError as error:
        raise DioramaError(
            "weights of the hub need its client",
            where="huggingface_hub",
            fix='pip install "diorama[hub]", or download the repository and give its folder',
        ) from error


def _unreachable(repository: str, error: Exception) -> DioramaError:
    reason = (str(error).splitlines() or [type(error).__name__])[0][:160]
    return DioramaError(
        f"cannot be fetched ({reason})",
        where=repository,
        fix="check name, revision, access and network, or give a folder with the files",
    )


def weights_among(names: list[str], where: object) -> str:
    """The one file of weights among names: model.safetensors, else the only safetensors file, else the only torch file.

    Raises:
        DioramaError: none, or several.
    """
    if "model.safetensors" in names:
        return "model.safetensors"
    for suffixes in ((".safetensors",), TORCH_SUFFIXES):
        found = sorted(name for name in names if name.endswith(suffixes))
        if len(found) == 1:
            return found[0]
        if found:
            raise DioramaError(
                f"several files of weights ({', '.join(found[:4])})", where=where, fix="give the path of one"
            )
    raise DioramaError("no file of weights", where=where, fix="put model.safetensors there")


def _fetched(client: Any, repository: str, commit: str, file: Any) -> Path:
    try:
        path = Path(client.hf_hub_download(repository, file.rfilename, revision=commit))
    except Exception as error:
        raise _unreachable(repository, error) from error
    stated = file.lfs
    if stated is not None:
        same = sha256_of(path) == (stated["sha256"] if isinstance(stated, dict) else stated.sha256)
    else:
        same = file.blob_id is None or _git_hash(path) == file.blob_id
    if not same:
        raise DioramaError(
            "hash differs from the one that the hub states", where=path, fix="delete the file and run again"
        )
    return path


def _git_hash(path: Path) -> str:
    """The hash by which git names a small file's content."""
    content = path.read_bytes()
    return hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()
