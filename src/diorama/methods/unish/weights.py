"""Where UniSH's weights come from, and the branch that uses them."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch

from diorama.methods.unish.network_branch import NetworkBranch
from diorama.methods.weights_named import check_weights
from diorama.networks.named_weights import licence_told, source_and_revision
from diorama.networks.unish import UNISH_LICENCE, InferOptions, UniSH


def _options() -> InferOptions:
    return InferOptions(shared_focal=True)


@dataclass(frozen=True)
class WeightsConfig:
    """Weights and how the network is run.

    Attributes:
        source: a file, a folder, or a repository of the Hugging Face hub.
        revision: of the repository; `OWNER/NAME@REVISION` as `source` says it too.
        stamp: size and date of local files, so that other files are another configuration (`stamp_of`).
        device: "auto" takes a CUDA GPU if there is one.
        focal: known focal length in source pixels.
        options: of inference. One focal length per window, since most lenses do not zoom within seconds; switch
            `shared_focal` off for those that do.
        autocast: bfloat16 for encoders and decoders on a GPU.
        together: windows in one pass. A window of 30 pictures fills a large GPU already; short ones gain.
        compiled: torch.compile for the scene branch and the human ViT: minutes once, for long videos on a GPU.
    """

    source: str | None = None
    revision: str | None = None
    stamp: str = ""
    device: str = "auto"
    focal: float | None = None
    options: InferOptions = field(default_factory=_options)
    autocast: bool = True
    together: int = 1
    compiled: bool = False


def load_branch(config: WeightsConfig) -> NetworkBranch:
    """The network with its weights.

    Raises:
        DioramaError: no weights, or some that cannot be read.
    """
    check_weights("unish", config.source)
    assert config.source is not None
    source, revision = source_and_revision(config.source)
    revision = config.revision or revision
    device = ("cuda" if torch.cuda.is_available() else "cpu") if config.device == "auto" else config.device
    network = UniSH.from_pretrained(source, revision=revision, device=device)
    if config.compiled:
        network.pi3.compile()
        network.backbone.compile()
    licence = licence_told(source, "unish", UNISH_LICENCE)
    credit = {"name": "UniSH", "licence": licence, "source": source, "revision": revision or ""}
    autocast = config.autocast and torch.device(device).type == "cuda"
    return NetworkBranch(network, config.options, config.focal, autocast, credit, config.together)
