"""UniSH (arXiv:2601.01222): a scene branch (Pi3), a human branch (CameraHMR's) and AlignNet, which brings both to metres.

`UniSH.forward` is the networks alone; `UniSH.infer` adds what the release does around them: focal lengths of the predicted
point maps for the human branch's conditioning, metric scale, depth shift. docs/unish_networks.md has shapes and switches.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor, nn

from diorama.errors import DioramaError
from diorama.networks.alignnet import TRAINED_FPS, AlignNet, AlignNetConfig
from diorama.networks.blocks import full_precision
from diorama.networks.camera_head import in_first_camera
from diorama.networks.hmr import HmrConfig, HmrHead, HmrOutput
from diorama.networks.pi3 import PI3_LICENCE, Pi3, Pi3Config, SceneOutput
from diorama.networks.pretrained import LoadOptions, Published, load_network, save_network
from diorama.networks.unish_metric import InferOptions, MetricScene, half_diagonal, metric_scene, recovered
from diorama.networks.vit import PoseViT, PoseViTConfig

__all__ = ["AlignNet", "AlignNetConfig", "InferOptions", "UniSH", "UniSHConfig", "human_branch_weights"]

UNISH_LICENCE = (
    f"{PI3_LICENCE}; the human branch derives from CameraHMR (Max Planck Institute's terms, research only; its "
    "repository has no licence file)"
)


@dataclass(frozen=True)
class UniSHConfig:
    """Sizes of the three parts; they have to fit each other.

    Raises:
        ValueError: they do not.
    """

    pi3: Pi3Config
    backbone: PoseViTConfig
    human_head: HmrConfig
    alignnet: AlignNetConfig

    def __post_init__(self) -> None:
        pairs = {
            "human_head.context": (self.human_head.context, self.backbone.width),
            "alignnet.human": (self.alignnet.human, self.human_head.width),
            "alignnet.scene": (self.alignnet.scene, self.pi3.hidden_width),
            "alignnet.registers": (self.alignnet.registers, self.pi3.registers),
        }
        for name, (stated, needed) in pairs.items():
            if stated != needed:
                raise ValueError(f"{name} is {stated}, the other part has {needed}")

    @classmethod
    def full(cls) -> UniSHConfig:
        """The release: human branch with ViTPose's ViT-H; 1637 M parameters."""
        return cls(Pi3Config.full(), PoseViTConfig.huge(), HmrConfig(), AlignNetConfig.full())

    @classmethod
    def base(cls) -> UniSHConfig:
        """What the paper's text says: the same with a ViT-B in the human branch; 1089 M parameters."""
        return cls(Pi3Config.full(), PoseViTConfig.base(), HmrConfig(context=768), AlignNetConfig.base())

    @classmethod
    def small(cls) -> UniSHConfig:
        """A size of ours to train on one GPU: 95 M parameters."""
        head = HmrConfig(context=384, width=512, depth=4, mlp=512)
        return cls(Pi3Config.small(), PoseViTConfig.small(), head, AlignNetConfig.small())

    @classmethod
    def tiny(cls) -> UniSHConfig:
        """For tests: random weights, milliseconds."""
        head = HmrConfig(context=32, width=64, depth=2, heads=2, head_channels=32, mlp=64)
        return cls(Pi3Config.tiny(), PoseViTConfig.tiny(), head, AlignNetConfig.tiny())


class UniSHOutput(SceneOutput):
    """`SceneOutput` with `T_world_camera` in the first camera's frame, and the person; nothing is metric yet.

    `point_conf`: confidences, 0 to 1. `pose_camera`: rotations relative to the parent joint, the first relative to the
    camera. `betas`: mean over this call's frames; `betas_frames` are theirs, for a mean over a whole video. `scale`: the
    metric mean distance of the visible points. `transl_camera`: SMPL translation in the units of `local_points`.
    """

    point_conf: Float[Tensor, "batch frames height width 1"]
    pose_camera: Float[Tensor, "batch frames 24 3 3"]
    betas: Float[Tensor, "batch 1 10"]
    betas_frames: Float[Tensor, "batch frames 10"]
    scale: Float[Tensor, "batch 1"]
    transl_camera: Float[Tensor, "batch frames 3"]


class MetricOutput(MetricScene):
    """What `UniSH.infer` returns: a `MetricScene` and the person, in metres."""

    point_conf: Float[Tensor, "batch frames height width 1"]
    pose_camera: Float[Tensor, "batch frames 24 3 3"]
    betas: Float[Tensor, "batch 1 10"]
    betas_frames: Float[Tensor, "batch frames 10"]
    scale: Float[Tensor, "batch 1"]
    transl_camera: Float[Tensor, "batch frames 3"]
    focal_conditioning: Float[Tensor, "batch frames"]


class UniSH(nn.Module):
    """See the module's text; parameter names and shapes of `UniSHConfig.full()` are those of the release's checkpoint.

    Under `torch.autocast` encoder, decoders and backbone run in its type; heads, human decoder and AlignNet stay in
    float32, as in the release.
    """

    def __init__(self, config: UniSHConfig) -> None:
        super().__init__()
        self.config = config
        self.pi3 = Pi3(config.pi3)
        self.human_head = HmrHead(config.human_head)
        self.alignnet = AlignNet(config.alignnet)
        self.backbone = PoseViT(config.backbone)

    def forward(
        self,
        images: Float[Tensor, "batch frames 3 height width"],
        crops: Float[Tensor, "batch frames 3 crop crop"],
        bbox_info: Float[Tensor, "batch frames 3"],
        *,
        fps: float = TRAINED_FPS,
        normalise_crops: bool = False,
        release: bool = False,
    ) -> UniSHOutput:
        """The networks, differentiable: what training calls.

        Args:
            images: RGB in [0, 1], sides multiples of 14 px.
            crops: squares of 256 px around the person, RGB in [0, 1].
            bbox_info: (cx - W/2, cy - H/2, size) of the square in pixels of `images`, divided by the focal length.
            fps: frames per second of the clip.
            normalise_crops: see `InferOptions`.
            release: see `Pi3.forward` and `AlignNet.forward`; no difference in float32 up to 20 s.

        Raises:
            DioramaError: parts of different sizes, or sides that patches do not fill.
        """
        _check(images, crops, bbox_info)
        scene = self.scene(images, release=release)
        person = self.person(crops, bbox_info, normalise=normalise_crops)
        return self._aligned(scene, person, fps, release)

    def scene(self, images: Float[Tensor, "batch frames 3 height width"], *, release: bool = False) -> SceneOutput:
        """The scene branch, its cameras in the first camera's frame."""
        scene = self.pi3(images, release=release)
        scene["T_world_camera"] = in_first_camera(scene["T_world_camera"])
        return scene

    def person(
        self,
        crops: Float[Tensor, "batch frames 3 crop crop"],
        bbox_info: Float[Tensor, "batch frames 3"],
        *,
        normalise: bool = False,
    ) -> HmrOutput:
        """The human branch; clips and frames in one row after the other."""
        height, width = self.config.backbone.height, self.config.backbone.crop_width
        if crops.shape[-2:] != (height, height):
            raise DioramaError(
                f"crops of {crops.shape[-1]}x{crops.shape[-2]} px", where="crops", fix=f"give {height}x{height}"
            )
        margin = (height - width) // 2
        people = crops.flatten(0, 1)[..., margin : margin + width]
        if normalise:
            people = (people - self.pi3.image_mean) / self.pi3.image_std
        tokens = self.backbone(people.to(self.backbone.pos_embed.dtype))
        with full_precision(tokens):
            kind = self.human_head.decpose.weight.dtype
            return self.human_head(tokens.to(kind), bbox_info.flatten(0, 1))

    def _aligned(self, scene: SceneOutput, person: HmrOutput, fps: float, release: bool) -> UniSHOutput:
        clips, frames = scene["hidden"].shape[:2]
        token, betas = (part.unflatten(0, (clips, frames)) for part in (person.token, person.betas))
        scale, transl = self.alignnet(scene["hidden"], token, fps=fps, release=release)
        return {
            **scene,
            "point_conf": scene["conf"].sigmoid(),
            "pose_camera": person.rotations.unflatten(0, (clips, frames)),
            "betas": betas.mean(1, keepdim=True),
            "betas_frames": betas,
            "scale": scale,
            "transl_camera": transl,
        }

    @torch.no_grad()
    def infer(
        self,
        images: Float[Tensor, "batch frames 3 height width"],
        crops: Float[Tensor, "batch frames 3 crop crop"],
        boxes: Float[Tensor, "batch frames 3"],
        *,
        fps: float = TRAINED_FPS,
        focal: Float[Tensor, "batch frames"] | None = None,
        options: InferOptions | None = None,
        release: bool = False,
    ) -> MetricOutput:
        """Clips in metres; the world of each is its first camera. Nothing waits for the device.

        Args:
            images, crops, fps: as in `forward`.
            boxes: (cx - W/2, cy - H/2, size) of the square in pixels of `images`, not divided by anything.
            focal: known focal lengths in pixels of `images`, used everywhere. (The release has no such way: with true
                intrinsics too it conditions on its own focal length.)
            options: see `InferOptions`; without them its defaults, or the release's with `release`.
            release: the release's conventions to the letter, except its rounding of weights and tokens to bfloat16
                (`to_release_precision` has that).

        Returns:
            A dictionary of `K` (pixels of `images`), metric `T_world_camera`, `depth`, `points_camera`,
            `points_world`, `valid` pixels, `shift` (metres, added to depth and to the person's z), `metric_factor`
            (metres per unit of the point map: `scale` / `norm_factor`), `point_conf`, `pose_camera`, `betas`,
            `betas_frames`, `scale`, metric `transl_camera`, and `focal_conditioning` (pixels; what the boxes were
            divided by).

        Raises:
            DioramaError: as `forward`.
        """
        _check(images, crops, boxes)
        options = options or (InferOptions.release() if release else InferOptions())
        unit = half_diagonal(images.shape[-2], images.shape[-1])
        known = None if focal is None else focal / unit
        scene = self.scene(images, release=release)
        confident = scene["conf"][..., 0].sigmoid() > options.threshold
        found, _, valid = recovered(scene["local_points"], confident, options, known)
        conditioning = found * unit
        person = self.person(crops, boxes / conditioning[..., None], normalise=options.normalise_crops)
        raw = self._aligned(scene, person, fps, release)
        metric = metric_scene(scene, valid, raw["scale"], options, known)
        transl = raw["transl_camera"] * metric["metric_factor"][..., None]
        # Only z: the recovery shifts the points' depth and leaves their x and y, so the person stays beside them.
        transl = torch.cat([transl[..., :2], transl[..., 2:] + metric["shift"][..., None]], -1)
        return {
            **metric,
            "point_conf": raw["point_conf"],
            "pose_camera": raw["pose_camera"],
            "betas": raw["betas"],
            "betas_frames": raw["betas_frames"],
            "scale": raw["scale"],
            "transl_camera": transl,
            "focal_conditioning": conditioning,
        }

    def to_release_precision(self) -> UniSH:
        """Round every parameter to bfloat16, as the release does; heads, human decoder and AlignNet compute in float32."""
        for parameter in self.parameters():
            parameter.data = parameter.data.to(torch.bfloat16)
        for part in (*self.pi3.full_precision_parts(), self.human_head, self.alignnet):
            part.float()
        return self

    @classmethod
    def from_pretrained(
        cls,
        source: str | Path,
        *,
        revision: str | None = None,
        config: UniSHConfig | None = None,
        sha256: str | None = None,
        device: str | torch.device = "cpu",
        dtype: torch.dtype = torch.float32,
    ) -> UniSH:
        """Weights of a file, a folder or a repository of the Hugging Face hub (`owner/name`), in evaluation mode.

        What is read and what is refused: `diorama.networks.pretrained.load_network`.

        Raises:
            DioramaError: nothing there, a damaged or unsafe file, or weights that do not fit the network.
        """
        network = load_network(PUBLISHED_UNISH, source, config, LoadOptions(revision, sha256, device, dtype))
        assert isinstance(network, UniSH)
        return network

    def save(self, folder: Path, *, licence: str) -> None:
        """Write weights and sizes into a folder for `from_pretrained`; `licence` is that of the weights."""
        save_network(self, PUBLISHED_UNISH, folder, licence=licence)


def human_branch_weights(camerahmr: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """CameraHMR's weights (SMPL variant) under UniSH's names: where the training of the human branch starts.

    `smpl_head` is called `human_head`; its read-outs of camera and keypoints are dropped.
    """
    dropped = ("smpl_head.deccam.", "smpl_head.deckp.")
    return {
        name.replace("smpl_head.", "human_head.", 1): value
        for name, value in camerahmr.items()
        if not name.startswith(dropped)
    }


def _check(images: Tensor, crops: Tensor, boxes: Tensor) -> None:
    """Clips and frames of all parts agree."""
    counts = [tuple(part.shape[:2]) for part in (images, crops, boxes)]
    if len(set(counts)) > 1:
        raise DioramaError(
            f"pictures, crops and boxes are of {counts[0]}, {counts[1]} and {counts[2]} clips and frames",
            where="clips",
            fix="give one crop and one box per frame",
        )


PUBLISHED_UNISH = Published("unish", UniSH, UniSHConfig, UniSHConfig.full, UNISH_LICENCE, dict)
