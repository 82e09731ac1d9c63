"""Weights of a repository of the Hugging Face hub: found, fetched into the hub's own cache, checked by hash.

The client `huggingface_hub` is an optional part: `pip install "diorama[hub]"`. It takes care of mirrors, tokens and
interrupted downloads; the hashes that the hub states are compared here. Without a network (or with HF_HUB_OFFLINE=1) what
an earlier run fetched is used.
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
    """Whether this reads `owner/name` and does not end like a file of weights."""
    named = re.fullmatch(r"[\w-][\w.-]*/[\w-][\w.-]*", source) is not None
    return named and not source.endswith((".safetensors", *TORCH_SUFFIXES))


def fetch_from_hub(repository: str, *, revision: str | None = None) -> tuple[Path, Path | None]:
    """Files of weights and configuration of a repository, in the hub's cache; None where there is no config.json.

    The hub is asked for the files of the revision and their hashes first, and the commit is logged. If it cannot be
    asked, the files that are kept of that revision are taken as they are, and that is logged.

    Raises:
        DioramaError: no client, no network and nothing kept, no such repository, no or several files of weights, or
            another hash.
    """
    client = _client()
    try:
        about = client.HfApi().model_info(repository, revision=revision, files_metadata=True)
    except Exception as error:  # any of a dozen kinds of the client and of its network library
        kept = None if _refused(client, error) else _kept(client, repository, revision)
        if kept is None:
            raise _unreachable(repository, error) from error
        logger.warning("%s: the hub cannot be asked; taking the kept files of commit %s", repository, kept.name)
        return _files_in(kept, repository)
    files = {sibling.rfilename: sibling for sibling in about.siblings or []}
    logger.info("%s at commit %s", repository, about.sha)
    weights = _fetched(client, repository, revision, files[weights_among(list(files), repository)])
    config = _fetched(client, repository, revision, files["config.json"]) if "config.json" in files else None
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


def _refused(client: Any, error: Exception) -> bool:
    """Whether the hub answered that there is no such thing (for this user)."""
    kinds = importlib.import_module(f"{client.__name__}.errors")
    return isinstance(error, (kinds.RepositoryNotFoundError, kinds.RevisionNotFoundError, kinds.HFValidationError))


def _kept(client: Any, repository: str, revision: str | None) -> Path | None:
    """The folder in which the hub's cache keeps a revision of a repository."""
    for name in ("config.json", "model.safetensors"):
        found = client.try_to_load_from_cache(repository, name, revision=revision)
        if isinstance(found, str):
            return Path(found).parent
    return None


def _files_in(folder: Path, repository: str) -> tuple[Path, Path | None]:
    config = folder / "config.json"
    weights = weights_among([path.name for path in folder.iterdir()], repository)
    return folder / weights, config if config.exists() else None


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


def _fetched(client: Any, repository: str, revision: str | None, file: Any) -> Path:
    """One file. It is asked for by the revision's name, because only so the cache remembers what that name meant; that
    the name still means the commit of the stated hash is what the hash says."""
    try:
        path = Path(client.hf_hub_download(repository, file.rfilename, revision=revision))
    except Exception as error:
        raise _unreachable(repository, error) from error
    if file.lfs is not None:
        same = sha256_of(path) == file.lfs.sha256
    else:
        same = file.blob_id is None or _git_hash(path) == file.blob_id
    if not same:
        raise DioramaError(
            "hash differs from the one that the hub states", where=path.resolve(), fix="delete the file and run again"
        )
    return path


def _git_hash(path: Path) -> str:
    """The hash by which git names a small file's content."""
    content = path.read_bytes()
    return hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()
