"""Finished steps on disk: `OUT/steps/<step>.npz` is a result; `OUT/steps/<step>.json`, written last, says it is whole.

A step is reused if its key is the same: the program's version, the step's configuration, and the content of every
step it depends on. So another option, or another input, invalidates exactly what follows from it.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import diorama
from diorama.assets import atomic_path, sha256_of
from diorama.records import flatten

logger = logging.getLogger(__name__)

# Raised when a step computes something else than before from the same configuration.
STEP_VERSIONS: dict[str, int] = {}


@dataclass(frozen=True)
class FinishedStep:
    """What `steps/<step>.json` says: the key, the seconds that the step took, and sha256 per file (paths from OUT)."""

    key: str
    seconds: float
    files: Mapping[str, str]

    @property
    def content(self) -> str:
        """One digest for all files of the step."""
        return hashlib.sha256(json.dumps(dict(sorted(self.files.items()))).encode()).hexdigest()


@dataclass
class StepStore:
    """The finished steps of one output folder, or of nothing at all (`folder` None: every step is computed)."""

    folder: Path | None
    contents: dict[str, str] = field(default_factory=dict)

    def key(self, step: str, config: Any, needs: tuple[str, ...]) -> str:
        """What the result of a step depends on; the steps in `needs` must have been found or recorded before."""
        tree = {
            "diorama": diorama.__version__,
            "step": step,
            "version": STEP_VERSIONS.get(step, 1),
            "config": without_threads(flatten(config, "config", {})),
            "inputs": {name: self.contents.get(name, "") for name in needs},
        }
        return hashlib.sha256(json.dumps(tree, sort_keys=True).encode()).hexdigest()

    def path(self, step: str) -> Path:
        """Where the result of a step lies."""
        assert self.folder is not None, "a job without an output folder keeps no files"
        return self.folder / "steps" / f"{step}.npz"

    def exists(self, step: str) -> bool:
        """Whether a step was finished here once (perhaps with other options)."""
        return self.folder is not None and self._marker(step).is_file()

    def find(self, step: str, key: str) -> FinishedStep | None:
        """The finished step with this key, if all of its files are whole."""
        if not self.exists(step):
            return None
        try:
            finished = FinishedStep(**json.loads(self._marker(step).read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError):
            return None
        if finished.key != key or not all(self._is_whole(name, digest) for name, digest in finished.files.items()):
            return None
        self.contents[step] = finished.content
        return finished

    def begin(self, step: str) -> None:
        """Take back the word that a step is finished, before its files are written again."""
        if self.folder is not None:
            self._marker(step).unlink(missing_ok=True)

    def record(self, step: str, key: str, seconds: float, files: tuple[Path, ...]) -> None:
        """Say that a step is finished; its files are on disk."""
        assert self.folder is not None, "a job without an output folder keeps no files"
        digests = {path.relative_to(self.folder).as_posix(): sha256_of(path) for path in files}
        finished = FinishedStep(key, round(seconds, 2), digests)
        with atomic_path(self._marker(step)) as temporary:
            text = {"key": finished.key, "seconds": finished.seconds, "files": digests}
            temporary.write_text(json.dumps(text, indent=1) + "\n", encoding="utf-8")
        self.contents[step] = finished.content

    def clear_temporaries(self) -> None:
        """Remove what a killed run left half written (`atomic_path` names it .<stem>-<random><suffix>)."""
        if self.folder is None:
            return
        for folder in (self.folder, self.folder / "steps"):
            for path in folder.glob(".*-*"):
                if path.is_file() and path.suffix in {".npz", ".json", ".mp4", ".png"}:
                    logger.debug("removing %s, left by a run that was stopped", path)
                    path.unlink(missing_ok=True)

    def _marker(self, step: str) -> Path:
        return self.path(step).with_suffix(".json")

    def _is_whole(self, name: str, digest: str) -> bool:
        assert self.folder is not None
        path = self.folder / name
        return path.is_file() and sha256_of(path) == digest


def without_threads(tree: Any) -> Any:
    """A configuration without the number of threads, which changes how fast a result comes, not what it is."""
    if isinstance(tree, dict):
        return {name: without_threads(value) for name, value in tree.items() if name != "threads"}
    return [without_threads(value) for value in tree] if isinstance(tree, list) else tree
