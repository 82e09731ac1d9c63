"""Networks with their weights from files, folders and the hub, and into folders: sizes beside the numbers, no surprises.

A folder of ours holds `model.safetensors` and `config.json` (which network, its sizes, the licence of its weights).
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from diorama.assets import atomic_path, sha256_of
from diorama.errors import DioramaError
from diorama.networks.hub import fetch_from_hub, is_hub_id, weights_among
from diorama.networks.weight_files import read_weights, write_safetensors
from diorama.records import flatten, unflatten

logger = logging.getLogger(__name__)
_NAMED = 6


def _nothing_inside(path: Path) -> None:
    """Most files of weights say nothing of their network's sizes."""


@dataclass(frozen=True)
class Published:
    """What is known of a network's published weights.

    Attributes:
        name: the word for it in config.json.
        build: the network of a configuration.
        config: type of the configuration.
        full: the configuration of the published weights.
        licence: licence of the published weights.
        renamed: published names to ours.
        inside: the configuration that a file of weights holds itself; None where it holds none.
    """

    name: str
    build: Callable[[Any], nn.Module]
    config: type
    full: Callable[[], Any]
    licence: str
    renamed: Callable[[Mapping[str, Tensor]], dict[str, Tensor]]
    inside: Callable[[Path], Any | None] = _nothing_inside


@dataclass(frozen=True)
class LoadOptions:
    """How weights are loaded.

    Attributes:
        revision: branch, tag or commit of a hub repository; its main branch without.
        sha256: the hash that the file of weights must have.
        device, dtype: where the network goes, and the type of its parameters (buffers stay float32).
    """

    revision: str | None = None
    sha256: str | None = None
    device: str | torch.device = "cpu"
    dtype: torch.dtype = torch.float32


def load_network(published: Published, source: str | Path, config: Any, options: LoadOptions) -> nn.Module:
    """A network with weights, in evaluation mode.

    Args:
        published: the network.
        source: a file of weights (safetensors, or a torch file, which is read as weights only), a folder with one, or
            a repository of the Hugging Face hub (`owner/name`).
        config: its sizes; None takes the config.json beside the weights if it is of ours, else what the file of weights
            says itself, else the published sizes.
        options: revision, hash, device, type.

    The licence of the weights is logged, because it binds what is made with them.

    Raises:
        DioramaError: nothing there; no client or network for the hub; a damaged file, one with another hash or one
            that asks to run code; missing, further or misshapen tensors (all in one message); numbers that are not
            finite.
    """
    weights_path, config_path = located(source, options)
    if options.sha256 is not None and sha256_of(weights_path) != options.sha256:
        raise DioramaError("hash differs from the given one", where=weights_path, fix="get the original file")
    sizes, licence = _configuration(published, config_path)
    logger.warning("%s: licence of the weights: %s", weights_path.name, licence)
    chosen = config or sizes or published.inside(weights_path) or published.full()
    network = _on_meta(published, chosen, config_path or weights_path)
    weights = published.renamed(read_weights(weights_path))
    load_strictly(network, weights, where=weights_path, device=options.device, dtype=options.dtype)
    return network.eval()


def save_network(network: nn.Module, published: Published, folder: Path, *, licence: str) -> None:
    """Write a network's weights and sizes into a folder that `load_network` reads.

    Args:
        network: a network with a dataclass `config`.
        published: the kind of network.
        folder: is made if it is not there.
        licence: of the weights. Weights that began as published ones keep their licence.
    """
    config = flatten(network.config, "config", {})
    about = {"diorama": published.name, "licence": licence, "config": config}
    write_safetensors(folder / "model.safetensors", network.state_dict())
    with atomic_path(folder / "config.json") as temporary:
        temporary.write_text(json.dumps(about, indent=1) + "\n", encoding="utf-8")


def load_strictly(
    network: nn.Module,
    weights: Mapping[str, Tensor],
    *,
    where: object,
    device: str | torch.device = "cpu",
    dtype: torch.dtype = torch.float32,
) -> None:
    """Give a network (which may be on the meta device) these weights; names and shapes must agree entirely.

    Weights that are of the wanted type and on the wanted device become the network's own without a copy, so that a file
    that is mapped is in memory once.

    Raises:
        DioramaError: they do not, or a number is not finite; every difference is in the one message.
    """
    wanted = network.state_dict()
    missing = [name for name in wanted if name not in weights]
    further = [name for name in weights if name not in wanted]
    misshapen = [
        f"{name} {tuple(weights[name].shape)} for {tuple(value.shape)}"
        for name, value in wanted.items()
        if name in weights and weights[name].shape != value.shape
    ]
    faults = [_count(missing, "missing"), _count(further, "unknown"), _count(misshapen, "of another shape")]
    if any(faults):
        raise DioramaError(
            f"weights do not fit {type(network).__name__}: {'; '.join(filter(None, faults))}",
            where=where,
            fix="give the network's own weights, or the configuration that they were made with",
        )
    # Tensors with two names (MASt3R) are parameters under both.
    parameters = {name for name, _ in network.named_parameters(remove_duplicate=False)}
    ready, broken, addresses = {}, [], set()
    for name, value in wanted.items():
        kind = dtype if name in parameters else value.dtype
        ready[name] = _own(weights[name].detach().to(device=device, dtype=kind), addresses)
        if not bool(ready[name].isfinite().all()):
            broken.append(name)
    if broken:
        raise DioramaError(_count(broken, "not finite"), where=where, fix="get the original file")
    network.load_state_dict(ready, strict=True, assign=True)


def _own(tensor: Tensor, addresses: set[int]) -> Tensor:
    """The tensor with its numbers side by side; a copy where another one has the same numbers (tied weights)."""
    tensor = tensor.contiguous()
    if tensor.numel() and tensor.data_ptr() in addresses:
        tensor = tensor.clone()
    addresses.add(tensor.data_ptr())
    return tensor


def _count(names: list[str], what: str) -> str:
    """ "3 missing (a, b, c)"; long lists are cut, with their count."""
    if not names:
        return ""
    rest = f", and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return f"{len(names)} {what} ({', '.join(names[:_NAMED])}{rest})"


def located(source: str | Path, options: LoadOptions) -> tuple[Path, Path | None]:
    """The file of weights of a source, fetched if it is on the hub, and the config.json beside it if there is one.

    Raises:
        DioramaError: a folder with none or several; no client or network for the hub.
    """
    path = Path(source).expanduser()
    if path.is_dir():
        names = [entry.name for entry in path.iterdir() if entry.is_file()]
        config = path / "config.json"
        return path / weights_among(names, path), config if config.is_file() else None
    if not path.exists() and isinstance(source, str) and is_hub_id(source):
        return fetch_from_hub(source, revision=options.revision)
    config = path.with_name("config.json")
    return path, config if config.is_file() else None


def _configuration(published: Published, path: Path | None) -> tuple[Any, str]:
    """Sizes and licence: of our own config.json, else None and the published one (others' config.json are not ours)."""
    if path is None:
        return None, published.licence
    try:
        about = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(about, dict) or "diorama" not in about:
            return None, published.licence
        if about["diorama"] != published.name:
            raise DioramaError(
                f"weights of {about['diorama']!r}, not of {published.name!r}", where=path, fix="load the other network"
            )
        sizes = unflatten(published.config, about["config"], {})
    except (OSError, ValueError, TypeError, KeyError, RecursionError) as error:
        raise DioramaError(
            f"not a readable configuration ({error})", where=path, fix="save the network again"
        ) from error
    return sizes, str(about.get("licence", published.licence))


def _on_meta(published: Published, config: Any, where: Path) -> nn.Module:
    """The network without memory for its numbers, which come with the weights."""
    try:
        with torch.device("meta"):
            return published.build(config)
    except (TypeError, ValueError, RuntimeError, AttributeError, ZeroDivisionError) as error:
        raise DioramaError(
            f"no network has these sizes: {str(config)[:200]}", where=where, fix="see the presets of its configuration"
        ) from error
