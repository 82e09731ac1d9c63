"""Structure from motion of one segment with pycolmap: SIFT on keyframes, people masked, one SIMPLE_RADIAL camera.

pycolmap's pictures, masks and database live in a temporary folder; what comes out is plain arrays (`SegmentMap`).
"""

from __future__ import annotations

import logging
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
import pycolmap
from jaxtyping import Float, Int

from diorama.frontends.background_mask import people_mask
from diorama.geometry.transforms import invert
from diorama.observations import Tracks
from diorama.video import Video

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class MappingConfig:
    """SIFT and mapping on pictures of at most `max_size` px.

    A model is believed if it registers `min_registered` of the keyframes, with a focal of `focal_range` longer sides,
    |k1| of at most `max_distortion` and a mean error of at most `max_mean_px`; pycolmap also returns junk of 2 to 6
    pictures with distortions of 7 (measured). A second try begins with another focal and more features. People are
    masked with a margin of the longer side.
    """

    max_size: int = 960
    max_features: int = 2000
    overlap: int = 10
    match_px: float = 2.0
    start_focal: float = 0.8
    retry_focal: float = 1.4
    retry_features: int = 4000
    min_registered: float = 0.6
    focal_range: tuple[float, float] = (0.3, 4.0)
    max_distortion: float = 0.5
    max_error_px: float = 1.5
    max_mean_px: float = 0.9
    min_angle_degrees: float = 1.5
    people_margin: float = 0.012
    threads: int = 2
    seed: int = 0


@dataclass(frozen=True)
class SegmentMap:
    """Keyframes and sparse points of one segment in a world of its own; pixels are those of the working picture `size`.

    `rows` are the keyframes registered, `offered` how many there were. Observation n says that point
    `seen_point[n]` is at `seen_xy[n]` in keyframe `seen_key[n]` (an index into `rows`).
    """

    size: tuple[int, int]
    rows: Int[np.ndarray, " keys"]
    offered: int
    T_world_camera: Float[np.ndarray, "keys 4 4"]
    focal: float
    k1: float
    points: Float[np.ndarray, "points 3"]
    seen_key: Int[np.ndarray, " n"]
    seen_point: Int[np.ndarray, " n"]
    seen_xy: Float[np.ndarray, "n 2"]
    reprojection_px: float


@dataclass(frozen=True)
class Lens:
    """Focal in longer sides of the picture, radial k1, and which of them mapping must not change."""

    focal: float
    k1: float = 0.0
    fixed: bool = False
    fixed_k1: bool = False


def map_segment(
    video: Video, tracks: Tracks | None, keys: Int[np.ndarray, " keys"], config: MappingConfig, lens: Lens | None = None
) -> SegmentMap | None:
    """Map the keyframes `keys` (rows of the video); None if no believable model comes out of two tries."""
    pycolmap.logging.minloglevel = 3
    tries = [(lens or Lens(config.start_focal), config)]
    retry_lens = lens if lens and lens.fixed else Lens(config.retry_focal)
    tries.append((retry_lens, replace(config, max_features=config.retry_features, overlap=2 * config.overlap)))
    with tempfile.TemporaryDirectory(prefix="diorama-map-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        size = _write_pictures(folder, video, tracks, keys, config)
        for number, (start, options) in enumerate(tries):
            database = folder / f"try{number}.db"
            _find_matches(folder, database, size, start, options)
            models = _run_mapper(folder, database, start, options)
            best = max(models, key=lambda model: model.num_reg_images(), default=None)
            found = None if best is None else _as_arrays(best, size, len(keys), options)
            if found is not None and _believable(found, options):
                return found
            logger.info("mapping try %d gave no believable model of %d keyframes", number + 1, len(keys))
    return None


def _write_pictures(
    folder: Path, video: Video, tracks: Tracks | None, keys: Int[np.ndarray, " keys"], config: MappingConfig
) -> tuple[int, int]:
    """Grey pictures and masks (0 on people) of the keyframes as PNG files named by row."""
    (folder / "pictures").mkdir()
    (folder / "masks").mkdir()
    wanted = {int(key) for key in keys}
    size = video.working_size(config.max_size)
    for row, picture in video.frames(min(wanted), max(wanted) + 1, max_size=config.max_size):
        if row in wanted:
            size = (picture.shape[1], picture.shape[0])
            people = people_mask(tracks, row, size, (video.width, video.height), config.people_margin)
            fast = [cv2.IMWRITE_PNG_COMPRESSION, 1]
            cv2.imwrite(str(folder / "pictures" / f"{row:06d}.png"), cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY), fast)
            cv2.imwrite(str(folder / "masks" / f"{row:06d}.png.png"), np.where(people, 0, 255).astype(np.uint8), fast)
    return size


def _find_matches(folder: Path, database: Path, size: tuple[int, int], lens: Lens, config: MappingConfig) -> None:
    """SIFT features outside people, matches between neighbouring keyframes, geometric verification."""
    reader = pycolmap.ImageReaderOptions()
    reader.mask_path = folder / "masks"
    reader.camera_model = "SIMPLE_RADIAL"
    params = (lens.focal * max(size), size[0] / 2, size[1] / 2, lens.k1)
    reader.camera_params = ",".join(repr(float(value)) for value in params)
    extraction = pycolmap.FeatureExtractionOptions()
    extraction.use_gpu, extraction.num_threads = False, config.threads
    extraction.sift.max_num_features = config.max_features
    pycolmap.extract_features(
        database,
        folder / "pictures",
        camera_mode=pycolmap.CameraMode.SINGLE,
        reader_options=reader,
        extraction_options=extraction,
        device=pycolmap.Device.cpu,
    )
    matching = pycolmap.FeatureMatchingOptions()
    matching.use_gpu, matching.num_threads = False, config.threads
    pairing = pycolmap.SequentialPairingOptions()
    pairing.overlap, pairing.quadratic_overlap = config.overlap, False
    verification = pycolmap.TwoViewGeometryOptions()
    verification.ransac.random_seed, verification.ransac.max_error = config.seed, config.match_px
    pycolmap.match_sequential(
        database,
        matching_options=matching,
        pairing_options=pairing,
        verification_options=verification,
        device=pycolmap.Device.cpu,
    )


def _run_mapper(folder: Path, database: Path, lens: Lens, config: MappingConfig) -> list[pycolmap.Reconstruction]:
    options = pycolmap.IncrementalPipelineOptions()
    options.random_seed = options.mapper.random_seed = options.triangulation.random_seed = config.seed
    options.num_threads = options.mapper.num_threads = config.threads
    options.extract_colors = False
    options.max_num_models = 6
    low, high = config.focal_range
    options.min_focal_length_ratio, options.max_focal_length_ratio = low, high
    options.mapper.min_focal_length_ratio, options.mapper.max_focal_length_ratio = low, high
    options.ba_refine_focal_length = options.mapper.abs_pose_refine_focal_length = not lens.fixed
    options.ba_refine_extra_params = options.mapper.abs_pose_refine_extra_params = not lens.fixed_k1
    options.mapper.init_min_tri_angle = 8.0
    options.ba_global_max_refinements = 3
    out = folder / f"{database.stem}-models"
    out.mkdir()
    return list(pycolmap.incremental_mapping(database, folder / "pictures", out, options).values())


def _as_arrays(
    model: pycolmap.Reconstruction, size: tuple[int, int], offered: int, config: MappingConfig
) -> SegmentMap:
    """Plain arrays of a model; points with a large error or a small angle between their rays are left out."""
    images = sorted((model.images[id] for id in model.reg_image_ids()), key=lambda image: image.name)
    key_of = {image.image_id: key for key, image in enumerate(images)}
    Ts = np.array([np.vstack([image.cam_from_world().matrix(), [0, 0, 0, 1]]) for image in images])
    centres = invert(Ts)[:, :3, 3]
    focal, _, _, k1 = next(iter(model.cameras.values())).params
    points, seen_key, seen_point, seen_xy = [], [], [], []
    for point in model.points3D.values():
        keys = np.array([key_of[e.image_id] for e in point.track.elements])
        rays = point.xyz - centres[keys]
        rays /= np.linalg.norm(rays, axis=1, keepdims=True)
        if point.error > config.max_error_px or (rays @ rays.T).min() > np.cos(np.radians(config.min_angle_degrees)):
            continue
        seen_key.append(keys)
        seen_point.append(np.full(len(keys), len(points)))
        seen_xy.extend(images[k].points2D[e.point2D_idx].xy for k, e in zip(keys, point.track.elements, strict=True))
        points.append(point.xyz)
    return SegmentMap(
        size=size,
        rows=np.array([int(Path(image.name).stem) for image in images]),
        offered=offered,
        T_world_camera=invert(Ts),
        focal=float(focal),
        k1=float(k1),
        points=np.array(points, np.float64).reshape(-1, 3),
        seen_key=np.concatenate([np.zeros(0, int), *seen_key]),
        seen_point=np.concatenate([np.zeros(0, int), *seen_point]),
        seen_xy=np.array(seen_xy, np.float64).reshape(-1, 2),
        reprojection_px=float(model.compute_mean_reprojection_error()),
    )


def _believable(found: SegmentMap, config: MappingConfig) -> bool:
    widths = found.focal / max(found.size)
    return (
        len(found.rows) >= max(3, config.min_registered * found.offered)
        and config.focal_range[0] <= widths <= config.focal_range[1]
        and abs(found.k1) <= config.max_distortion
        and found.reprojection_px <= config.max_mean_px
        and len(found.points) >= 50
    )
