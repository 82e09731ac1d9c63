"""The published MoGe-2 checkpoints: where they are, how large, under which licence. Loads nothing heavy.

Wang et al. 2025, arXiv:2507.02546. Sizes of S and B are the published files', that of L is 4 bytes per parameter.
"""

from __future__ import annotations

from dataclasses import dataclass

MOGE_LICENCE = "MIT"
HUB_PAGES = "https://huggingface.co"


@dataclass(frozen=True)
class MoGeFile:
    """One checkpoint, `model.pt` of a repository of the hub; `normals`: whether it has the head for normals."""

    name: str
    repository: str
    megabytes: float
    normals: bool = True


MOGE_FILES = (
    MoGeFile("MoGe-2 ViT-S", "Ruicheng/moge-2-vits-normal", 140.6),
    MoGeFile("MoGe-2 ViT-B", "Ruicheng/moge-2-vitb-normal", 419.1),
    MoGeFile("MoGe-2 ViT-L", "Ruicheng/moge-2-vitl-normal", 1324.0),
    MoGeFile("MoGe-2 ViT-L, no normals", "Ruicheng/moge-2-vitl", 1305.0, False),
)


def how_to_get_moge() -> str:
    """In one line: what there is, how large, under which licence, and how it gets here."""
    sizes = ", ".join(f"{file.repository} {file.megabytes:.0f} MB" for file in MOGE_FILES if file.normals)
    return (
        f"get model.pt of a MoGe-2 checkpoint ({sizes}; licence {MOGE_LICENCE}) from {HUB_PAGES}/<name> and give its path "
        f'as moge2:PATH, or pip install "diorama[hub]" and give moge2:{MOGE_FILES[0].repository}'
    )
