"""What a job says at its end: the quality card as text, and how to look at the result."""

from __future__ import annotations

import shutil
import sys
import textwrap
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def card_text(card: Mapping[str, Any]) -> str:
    """The quality card as lines: one per figure, one per person or other part, one per warning."""
    lines = ["quality"]
    for key, value in card.items():
        if isinstance(value, Mapping) and any(isinstance(part, Mapping) for part in value.values()):
            lines += [f"  {f'{key} {name}':30} {_short(part)}" for name, part in value.items()]
        elif isinstance(value, (list, tuple)) and any(isinstance(part, (str, Mapping)) for part in value):
            lines += [f"  {key:30} {_short(part)}" for part in value]
        elif value not in ({}, [], ()):
            lines.append(f"  {key:30} {_short(value)}")
    hanging = " " * 33
    return "\n".join(textwrap.fill(line, 118, subsequent_indent=hanging, break_long_words=False) for line in lines)


def _short(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.3g}" if abs(value) < 1000 else f"{value:.0f}"
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {_short(part)}" for key, part in value.items())
    if isinstance(value, (list, tuple)):
        return ", ".join(_short(part) for part in value)
    return "-" if value is None else str(value)


def how_to_look(out: Path) -> str:
    """Where the result is and how to look at it."""
    return "\n".join(
        [
            f"result:  {out}",
            f"picture: {out / 'overlay.mp4'} (bodies over the video), {out / 'quality.png'} (quality card)",
            f"look:    {_program()} view {out}",
            f"export:  {_program()} export {out} --to glb amass",
        ]
    )


def _program() -> str:
    """How this program is called from here: by its name if that is found, else through its Python."""
    beside = Path(sys.executable).parent
    found = shutil.which("diorama")
    if found and Path(found).parent == beside:
        return "diorama"
    here = Path.cwd()
    python = Path(sys.executable)
    return f"{python.relative_to(here) if python.is_relative_to(here) else python} -m diorama"
