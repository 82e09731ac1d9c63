"""What is checked before any work: can the result be written, and how many threads may the work use."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

from diorama.errors import DioramaError

MEGABYTE = 1 << 20


def check_output(out: Path, megabytes: float) -> None:
    """Refuse an output folder that cannot take `megabytes`, without leaving a trace in it or creating it.

    Raises:
        DioramaError: a file is in the way, the folder is not writable, or there is too little space.
    """
    if out.exists() and not out.is_dir():
        raise DioramaError("is a file, not a folder", where=out, fix="choose another output folder with -o")
    home = _existing_ancestor(out.absolute())
    if not home.is_dir():
        raise DioramaError("is a file, not a folder", where=home, fix="choose another output folder with -o")
    try:
        free = shutil.disk_usage(home).free / MEGABYTE
        _probe(home, int(megabytes * MEGABYTE))
    except OSError as error:
        raise DioramaError(
            f"cannot write here ({error.strerror})", where=out, fix="choose a writable folder with -o"
        ) from error
    if free < megabytes:
        raise DioramaError(
            f"the disk is full ({free:.0f} MB free, about {megabytes:.0f} MB needed)",
            where=out,
            fix="free some space or choose another folder with -o",
        )


def _existing_ancestor(path: Path) -> Path:
    return next(folder for folder in (path, *path.parents) if folder.exists())


def _probe(folder: Path, size: int) -> None:
    """Write one block and reserve `size` bytes (a sparse file, so nothing is really filled): this meets read-only
    folders, quotas and limits on the size of a file, which the number of free bytes does not show."""
    with tempfile.TemporaryFile(prefix=".diorama-", dir=folder) as file:
        file.write(b"\0" * 4096)
        file.flush()
        if os.name == "posix":  # elsewhere truncate fills the file with zeros, which takes time
            file.truncate(size)


def thread_count() -> int:
    """Threads to work with: `DIORAMA_THREADS`, else the physical cores, at most four (more do not help these sizes).

    Raises:
        DioramaError: `DIORAMA_THREADS` is not a positive number.
    """
    named = os.environ.get("DIORAMA_THREADS")
    if named is None:
        import torch  # knows the physical cores and OMP_NUM_THREADS

        return max(1, min(4, torch.get_num_threads()))
    if not named.isdecimal() or int(named) < 1:
        raise DioramaError("not a number of threads", where=f"DIORAMA_THREADS={named}", fix="set it to 1, 2, 3, ...")
    return int(named)


def set_threads() -> int:
    """Give torch and OpenCV `thread_count()` threads."""
    import cv2
    import torch

    count = thread_count()
    torch.set_num_threads(count)
    cv2.setNumThreads(count)
    return count
