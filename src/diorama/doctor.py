"""What this machine lacks for the work, each with the one command that fixes it."""

from __future__ import annotations

import importlib
import importlib.metadata
import re
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass

from diorama.assets import cache_dir
from diorama.errors import DioramaError

# Names under which packages are imported where these differ from the names under which they are installed.
MODULES = {"ai-edge-litert": "ai_edge_litert", "opencv-python-headless": "cv2"}
DECODERS = ("h264", "hevc", "libdav1d", "vp9", "mpeg4", "prores")
ENCODER = "libx264"


@dataclass(frozen=True)
class Check:
    """One thing looked at: `finding` says how it is, `fix` is the command that mends it ("" if there is none)."""

    name: str
    well: bool
    finding: str
    fix: str = ""


def examine() -> list[Check]:
    """Look at Python, the packages, the video codecs, the cache folder and the models; nothing is changed."""
    checks = [_python(), *_packages()]
    if all(check.well for check in checks):
        checks += [_codecs(), _cache(), *_models()]
    else:
        checks.append(_cache())
    return checks


def report(checks: list[Check]) -> str:
    """The checks as lines, and what to do first."""
    lines = []
    for check in checks:
        lines.append(f"{'ok     ' if check.well else 'MISSING'} {check.name:24} {check.finding}")
        if check.fix:
            lines.append(f"{'':8}{'to fix:':24} {check.fix}")
    wrong = [check for check in checks if not check.well]
    first = next((check.fix for check in wrong if check.fix), "")
    lines.append(f"{len(wrong)} thing(s) missing; run: {first}" if wrong else "everything is here")
    return "\n".join(lines)


def _python() -> Check:
    version = ".".join(map(str, sys.version_info[:3]))
    well = sys.version_info >= (3, 11)
    return Check("python", well, version, "" if well else "install Python 3.11 or newer from https://www.python.org")


def _requirements() -> Iterator[str]:
    for line in importlib.metadata.requires("diorama") or []:
        if "extra ==" not in line:
            yield line


def _packages() -> Iterator[Check]:
    for requirement in _requirements():
        name = re.split(r"[<>=!~;\s\[]", requirement, maxsplit=1)[0]
        fix = f'{sys.executable} -m pip install "{requirement}"'
        try:
            importlib.import_module(MODULES.get(name, name.replace("-", "_")))
            yield Check(name, True, importlib.metadata.version(name))
        except ImportError as error:
            yield Check(name, False, f"cannot be imported ({error})", fix)


def _codecs() -> Check:
    import av

    have = av.codecs_available
    lacking = [name for name in (*DECODERS, ENCODER) if name not in have]
    if lacking:
        return Check("video codecs", False, f"without {', '.join(lacking)}", f"{sys.executable} -m pip install -U av")
    return Check("video codecs", True, f"{', '.join(DECODERS)}; writes H.264")


def _cache() -> Check:
    folder = cache_dir()
    home = next(path for path in (folder, *folder.parents) if path.exists())
    try:
        with tempfile.TemporaryFile(dir=home):
            return Check("cache folder", True, str(folder))
    except OSError as error:
        fix = "set DIORAMA_CACHE to a folder that you can write to"
        return Check("cache folder", False, f"{folder}: {error.strerror}", fix)


def _models() -> Iterator[Check]:
    from diorama.models import MODELS

    for model in MODELS:
        if not model.is_ready():
            finding = f"not fetched yet ({model.source.megabytes:.0f} MB)"
            yield Check(model.title, False, finding, f"{sys.executable} -m diorama models --fetch")
            continue
        try:
            model.prepare(None)  # checks the hashes of what is there
            yield Check(model.title, True, f"{model.megabytes:.0f} MB, {model.licence}")
        except DioramaError as error:
            yield Check(model.title, False, str(error), f"{sys.executable} -m diorama models --fetch")
