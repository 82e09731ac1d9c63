"""Where the weights of JOSH3R and MASt3R come from, and the two networks as one function of a clip's keyframes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from diorama.methods.josh3r.predicted import PairBatch, PairPlan, predicted_pairs
from diorama.methods.weights_named import check_weights
from diorama.networks.josh3r import JOSH3R, JOSH3R_LICENCE
from diorama.networks.mast3r import MAST3R_LICENCE, MASt3R
from diorama.networks.named_weights import licence_told, part_of, source_and_revision

Predictor = Callable[[Iterable[Float[Tensor, "3 height width"]], PairPlan], Iterator[PairBatch]]


@dataclass(frozen=True)
class WeightsConfig:
    """Weights and how the networks are run.

    Attributes:
        source: a file with both networks (the release's), a folder with such a file, a repository of the Hugging Face
            hub, or a folder with the folders `josh3r` and `mast3r`, each as the networks' `save` writes it.
        mast3r: MASt3R's, where they are elsewhere.
        stamp: size and date of local files, so that other files are another configuration (`stamp_of`).
        device: "auto" takes a CUDA GPU if there is one.
        batch: keyframes, and pairs, at a time.
        autocast: bfloat16 for encoder and decoders on a GPU.
    """

    source: str = ""
    mast3r: str = ""
    stamp: str = ""
    device: str = "auto"
    batch: int = 8
    autocast: bool = True

    @property
    def chosen_device(self) -> str:
        """The device that "auto" stands for."""
        return ("cuda" if torch.cuda.is_available() else "cpu") if self.device == "auto" else self.device

    @property
    def half(self) -> bool:
        """Whether encoder and decoders run in bfloat16."""
        return self.autocast and torch.device(self.chosen_device).type == "cuda"


def loaded(config: WeightsConfig) -> Predictor:
    """The networks of the configuration as a function.

    Raises:
        DioramaError: no weights are named or there, or they do not fit.
    """
    check_weights("josh3r", config.source)
    device = config.chosen_device
    source, revision = source_and_revision(config.source)
    josh3r = JOSH3R.from_pretrained(part_of(source, "josh3r"), revision=revision, device=device)
    source, revision = source_and_revision(config.mast3r or config.source)
    mast3r = MASt3R.from_pretrained(part_of(source, "mast3r"), revision=revision, device=device)
    return partial(predicted_pairs, mast3r, josh3r, batch=config.batch)


def credits_of(config: WeightsConfig) -> list[dict[str, Any]]:
    """What results say of the networks: name, licence of the weights, source, revision."""
    parts = (
        ("JOSH3R", "josh3r", JOSH3R_LICENCE, config.source),
        ("MASt3R", "mast3r", MAST3R_LICENCE, config.mast3r or config.source),
    )
    return [_credit(*part) for part in parts]


def _credit(title: str, network: str, published: str, weights: str) -> dict[str, Any]:
    source, revision = source_and_revision(weights)
    licence = licence_told(part_of(source, network), network, published)
    return {"name": title, "licence": licence, "source": source, "revision": revision or ""}
