"""Whatever is wrong with a folder of precomputed results is one clear line: which file, what, and what to do."""

import shutil
import struct
import zlib

import cv2
import numpy as np
import pytest

from diorama.errors import DioramaError
from diorama.frontends.precomputed import read_precomputed, write_precomputed
from precomputed_folders import edit_json, edit_npz, every_part


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole") / "f"
    write_precomputed(every_part(), folder)
    return folder


@pytest.fixture
def folder(whole, tmp_path):
    return shutil.copytree(whole, tmp_path / "f")


def refused(folder, file, what):
    """The one line about a folder that cannot be read."""
    with pytest.raises(DioramaError) as caught:
        read_precomputed(folder)
    line = str(caught.value)
    assert "\n" not in line and caught.value.fix and file in caught.value.where, line
    assert what in line, line


def fault(folder):
    """What is said about a folder, and what to do; nothing if it can be read."""
    try:
        read_precomputed(folder)
    except DioramaError as error:
        return str(error), error.fix
    return "", ""


def text(name, content):
    return lambda folder: (folder / name).write_text(content)


def entry(name, **changes):
    return lambda folder: edit_json(folder / name, **changes)


def arrays(name, **changes):
    return lambda folder: edit_npz(folder / name, **changes)


def lacking(name):
    return lambda folder: (folder / name).unlink()


def picture(name, pixels):
    return lambda folder: cv2.imwrite(str(folder / name), pixels)


def colmap(cameras="1 PINHOLE 96 64 80 80 48 32", images="1 1 0 0 0 0 0 0 1 000001.png\n\n"):
    def damage(folder):
        for path in (folder / "cameras").iterdir():
            path.unlink()
        (folder / "cameras" / "cameras.txt").write_text(cameras)
        (folder / "cameras" / "images.txt").write_text(images)
        edit_json(folder / "cameras" / "about.json", metric=False)

    return damage


def matrix(scale):
    return lambda rotvecs: np.tile(scale * np.eye(3), (len(rotvecs), 1, 1))


MASK = "tracks/masks/1/000000.png"
POSE = "0 0 0 0 0 0 0 1\n"
DAMAGE = {
    "no video": (lacking("video.json"), "f", "no video.json"),
    "not json": (text("video.json", "{"), "video.json", "not readable as JSON"),
    "list": (text("video.json", "[]"), "video.json", "no table"),
    "nan in json": (text("video.json", '{"width": NaN}'), "video.json", "NaN"),
    "no times": (entry("video.json", times=None), "video.json", "'times' is missing"),
    "times go back": (entry("video.json", times=[0.0, 2.0, 1.0, 3.0, 4.0, 5.0]), "video.json", "increase"),
    "ragged times": (entry("video.json", times=[0, [1]]), "video.json", "uneven"),
    "no width": (entry("video.json", width=0), "video.json", "width"),
    "half a pixel": (entry("video.json", width=96.5), "video.json", "whole"),
    "typo": (entry("video.json", frame_indx=[1]), "video.json", "unknown entry"),
    "few numbers": (entry("video.json", frame_index=[1, 2]), "video.json", "shape (2,) where (6)"),
    "numbering": (entry("video.json", numbers="files"), "video.json", "use rows or frame_index"),
    "unknown part": (lambda f: (f / "masks").mkdir(), "masks", "no part of the layout"),
    "about typo": (entry("depth/about.json", metirc=True), "depth/about.json", "unknown entry 'metirc'"),
    "unit": (entry("depth/about.json", metric=None), "depth/about.json", "not safe to guess"),
    "yes": (entry("cameras/about.json", metric="yes"), "cameras/about.json", "neither true nor false"),
    "source": (entry("bodies/about.json", source={"model": 3}), "bodies/about.json", "frontend, model, licence"),
    "centres": (entry("matches/about.json", pixel_centres="corner"), "matches/about.json", "use one of half, integer"),
    "size": (entry("matches/about.json", size=[96]), "matches/about.json", "[width, height]"),
    "crop": (entry("matches/about.json", size=[64, 64]), "matches/about.json", "do not show the whole"),
    "kind": (entry("cameras/about.json", kind="walking"), "cameras/about.json", "use one of translating"),
    "guessed rows": (entry("cameras/about.json", interpolated=[9]), "cameras/about.json", "frame 9"),
    "evidence": (entry("cameras/about.json", evidence={"a": "b"}), "cameras/about.json", "table of numbers"),
    "no poses": (lacking("cameras/poses.txt"), "cameras/poses.txt", "missing"),
    "empty poses": (text("cameras/poses.txt", "# none\n"), "cameras/poses.txt", "no pose"),
    "columns": (text("cameras/poses.txt", "0 1 2\n"), "cameras/poses.txt", "line 1: 3 columns where 8"),
    "word": (text("cameras/poses.txt", f"#\n{POSE.replace('1', 'x')}"), "cameras/poses.txt", "line 2: not a number"),
    "nan pose": (text("cameras/poses.txt", "0 nan 0 0 0 0 0 1\n"), "cameras/poses.txt", "line 1: NaN"),
    "quaternion": (text("cameras/poses.txt", "0 0 0 0 0 0 0 0\n"), "cameras/poses.txt", "no unit quaternion"),
    "pose twice": (text("cameras/poses.txt", POSE + POSE), "cameras/poses.txt", "twice"),
    "frame 6": (text("cameras/poses.txt", "6" + POSE[1:]), "cameras/poses.txt", "frame 6 where the video has 0 to 5"),
    "frame 1.5": (text("cameras/poses.txt", "1.5" + POSE[1:]), "cameras/poses.txt", '"seconds"'),
    "seconds": (entry("cameras/about.json", stamps="seconds", interpolated=[]), "cameras/poses.txt", "no frame at 0 s"),
    "binary poses": (lambda f: (f / "cameras/poses.txt").write_bytes(b"\xff\x00"), "cameras/poses.txt", "as text"),
    "no lens": (lacking("cameras/intrinsics.npz"), "cameras", "neither intrinsics"),
    "two lenses": (text("cameras/intrinsics.txt", "1 1 1 1"), "cameras", "two files of intrinsics"),
    "skew": (arrays("cameras/intrinsics.npz", K=lambda K: K + 1), "intrinsics.npz", "form fx 0 cx"),
    "few lenses": (arrays("cameras/intrinsics.npz", K=lambda K: K[:4]), "intrinsics.npz", "4 lenses for 6"),
    "both forms": (text("cameras/images.txt", ""), "cameras", "both images.txt and poses.txt"),
    "stray file": (text("cameras/traj.npy", ""), "cameras/traj.npy", "no file of this layout"),
    "colmap lens": (colmap(cameras="1 OPENCV 96 64 80 80 48 32 0 0 0 0"), "cameras.txt", "model 'OPENCV'"),
    "colmap short lens": (colmap(cameras="1 PINHOLE 96 64 80 80 48"), "cameras.txt", "7 columns where PINHOLE has 8"),
    "colmap size": (colmap(cameras="1 PINHOLE 64 96 80 80 48 32"), "cameras.txt", "do not show the whole"),
    "colmap camera": (colmap(images="1 1 0 0 0 0 0 0 2 000001.png\n\n"), "images.txt", "camera 2 is not in"),
    "colmap name": (colmap(images="1 1 0 0 0 0 0 0 1 first.png\n\n"), "images.txt", "no frame number"),
    "colmap lines": (
        colmap(images="1 1 0 0 0 0 0 0 1 1.png\n2 1 0 0 0 0 0 0 1 2.png\n"), "images.txt", "line of 2D points",
    ),
    "colmap twice": (
        colmap(images="1 1 0 0 0 0 0 0 1 1.png\n\n2 1 0 0 0 0 0 0 1 b/1.png\n\n"), "images.txt", "a second image",
    ),
    "colmap none": (colmap(images="# none\n"), "images.txt", "no pose"),
    "colmap alone": (lambda f: (colmap()(f), lacking("cameras/images.txt")(f)), "images.txt", "missing"),
    "pickles": (arrays("bodies/1.npz", betas=np.array([{}], object)), "bodies/1.npz", "pickled objects"),
    "unknown array": (arrays("bodies/1.npz", conf=np.ones(5)), "bodies/1.npz", "unknown array 'conf'"),
    "no transl": (arrays("bodies/1.npz", transl=None), "bodies/1.npz", "'transl' is missing"),
    "text": (arrays("bodies/1.npz", transl=np.array("a")), "bodies/1.npz", "not numbers"),
    "frames back": (arrays("bodies/1.npz", frames=lambda r: r[::-1]), "bodies/1.npz", "do not increase"),
    "frames far": (arrays("bodies/1.npz", frames=lambda r: r + 2), "bodies/1.npz", "frame 6"),
    "model": (arrays("bodies/1.npz", body=np.array("star")), "bodies/1.npz", "use one of smpl"),
    "21 joints": (arrays("bodies/1.npz", body_pose=lambda p: p[:, :21]), "bodies/1.npz", "(n, 23, 3)"),
    "no rotation": (arrays("bodies/1.npz", global_orient=matrix(1.5)), "bodies/1.npz", "no rotation"),
    "mirror": (arrays("bodies/1.npz", global_orient=matrix(-1)), "bodies/1.npz", "no rotation"),
    "focal": (arrays("bodies/1.npz", focal=lambda f: f - 500), "bodies/1.npz", "not positive"),
    "no focal": (arrays("bodies/1.npz", focal=None), "bodies/about.json", "not safe to guess"),
    "sure": (arrays("bodies/1.npz", confidence=lambda c: c + 1), "bodies/1.npz", "not within 0 to 1"),
    "id 0": (lambda f: (f / "bodies/1.npz").rename(f / "bodies/0.npz"), "bodies/0.npz", "there is no 0"),
    "name": (lambda f: (f / "bodies/1.npz").rename(f / "bodies/hps_1.npz"), "bodies/hps_1.npz", "named like no person"),
    "id twice": (lambda f: shutil.copy(f / "bodies/1.npz", f / "bodies/01.npz"), "bodies/1.npz", "second file"),
    "pickled track": (text("bodies/hps_track_1.npy", ""), "hps_track_1.npy", "no file of this layout"),
    "joint set": (arrays("tracks/keypoints/1.npz", joint_set=np.array("coco18")), "1.npz", "use one of blazepose33"),
    "joints": (arrays("tracks/keypoints/1.npz", keypoints=lambda k: k[:, :16]), "1.npz", "shape (4, 16, 3)"),
    "percent": (arrays("tracks/keypoints/1.npz", keypoints=lambda k: k * 50), "1.npz", "third column"),
    "boxes": (arrays("tracks/keypoints/1.npz", boxes=lambda b: b[:, ::-1]), "1.npz", "x0 y0 x1 y1"),
    "overlap": (arrays("tracks/keypoints/1.npz", overlap=np.full(4, 0.5)), "1.npz", "other than 0 and 1"),
    "no picture": (text(MASK, "a mask"), MASK, "not a readable picture"),
    "empty picture": (text(MASK, ""), MASK, "not a readable picture"),
    "colours": (picture(MASK, np.zeros((32, 48, 3), np.uint8)), MASK, "grey values"),
    "mask size": (picture(MASK, np.zeros((64, 96), np.uint8)), "000001.png", "give one size to all"),
    "mask crop": (picture(MASK, np.zeros((48, 48), np.uint8)), MASK, "do not show the whole"),
    "mask frame": (picture("tracks/masks/1/000007.png", np.zeros((32, 48), np.uint8)), "000007.png", "frame 7"),
    "mask twice": (picture("tracks/masks/1/0.png", np.zeros((32, 48), np.uint8)), "000000.png", "a second mask"),
    "mask forms": (picture("tracks/masks/0.png", np.zeros((32, 48), np.uint8)), "masks", "keep one form"),
    "negative": (arrays("depth/000002.npz", depth=lambda d: -d), "depth/000002.npz", "negative"),
    "map sizes": (arrays("depth/000002.npz", depth=np.ones((8, 12))), "depth/000002.npz", "shape (8, 12)"),
    "map crop": (arrays("depth/000000.npz", depth=np.ones((9, 9)), confidence=None), "000000.npz", "the whole"),
    "some K": (arrays("depth/000002.npz", K=None), "depth/000002.npz", "'K' is missing"),
    "no K": (
        lambda f: (shutil.rmtree(f / "cameras"), [edit_npz(p, K=None) for p in (f / "depth").glob("0*")]),
        "depth", "neither K in the maps nor cameras",
    ),
    "two depths": (lambda f: shutil.copy(f / "depth/000002.npz", f / "depth/depth.npz"), "depth", "keep one form"),
    "open confidence": (arrays("depth/000000.npz", confidence=lambda c: c + 1), "000000.npz", '"1 up"'),
    "prior": (entry("depth_prior/about.json", metric=False), "depth_prior/about.json", "metres"),
    "far matches": (arrays("matches/matches.npz", frames_j=np.array([1, 2, 6])), "matches.npz", "frame 6"),
    "self matches": (arrays("matches/matches.npz", frames_j=lambda j: j * 0), "matches.npz", "with itself"),
    "uneven matches": (arrays("matches/matches.npz", xy_j=lambda x: x[:2]), "matches.npz", "shape (2, 2) where (3, 2)"),
    "no matches": (lacking("matches/matches.npz"), "matches.npz", "missing"),
    "site": (arrays("contacts/1.npz", sites=np.array(["left_heel", "nose"])), "contacts/1.npz", "has 'nose'"),
    "site twice": (arrays("contacts/1.npz", sites=np.array(["seat", "seat"])), "contacts/1.npz", "twice"),
    "other sites": (arrays("contacts/3.npz", sites=np.array(["seat", "left_toe"])), "contacts/3.npz", "other sites"),
    "two labels": (arrays("contacts/1.npz", vertices=np.zeros((4, 9))), "contacts/1.npz", "not both"),
}  # fmt: skip


@pytest.mark.parametrize("name", DAMAGE)
def test_damage_is_one_clear_line(folder, name):
    damage, file, what = DAMAGE[name]
    damage(folder)
    refused(folder, file, what)


def test_nan_in_any_array_names_the_file_and_the_array(folder):
    tried = 0
    for path in sorted(folder.rglob("*.npz")):
        whole = path.read_bytes()
        with np.load(path) as file:
            names = [n for n in file.files if file[n].dtype.kind == "f" and file[n].size and n != "residual_px"]
        for name in names:
            for bad in (np.nan, np.inf):
                edit_npz(path, **{name: lambda a, bad=bad: np.where(np.arange(a.size).reshape(a.shape) == 0, bad, a)})
                refused(folder, path.name, f"'{name}' holds NaN or infinity")
                tried += 1
            path.write_bytes(whole)
    assert tried > 60


def test_a_missing_row_in_any_array_is_said(folder):
    for path in sorted(
        (*folder.glob("bodies/*.npz"), *folder.glob("contacts/*.npz"), *folder.rglob("keypoints/*.npz"))
    ):
        whole = path.read_bytes()
        with np.load(path) as file:
            names = [n for n in file.files if file[n].ndim and n not in ("frames", "betas", "sites")]
        for name in names:
            edit_npz(path, **{name: lambda a: a[:-1]})
            refused(folder, path.name, f"'{name}' has shape")
            path.write_bytes(whole)


@pytest.mark.parametrize("seed", range(4))
def test_a_file_cut_short_or_overwritten_never_crashes(folder, seed):
    """Either the damage is said, or (in text, or a picture's values) it makes other numbers that are fine in themselves."""
    rng = np.random.default_rng(seed)
    said = 0
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        whole = path.read_bytes()
        cut = whole[: int(rng.integers(0, len(whole)))]
        dirty = bytearray(whole)
        dirty[int(rng.integers(len(whole)))] ^= int(rng.integers(1, 255))
        for damaged in (cut, bytes(dirty)):
            path.write_bytes(damaged)
            line, fix = fault(folder)
            said += bool(line)
            assert "\n" not in line and (fix or not line)
        path.write_bytes(whole)
    assert said > 40


def test_a_picture_that_ends_in_the_middle_is_no_mask(folder):
    """A PNG whose header is whole and whose rows are not."""
    rows = zlib.compress(b"\0" * 49 * 32)[:-9]
    chunks = [(b"IHDR", struct.pack(">IIBBBBB", 48, 32, 8, 0, 0, 0, 0)), (b"IDAT", rows), (b"IEND", b"")]
    parts = [struct.pack(">I", len(d)) + k + d + struct.pack(">I", zlib.crc32(k + d)) for k, d in chunks]
    (folder / MASK).write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(parts))
    refused(folder, MASK, "not a readable picture")


def test_no_preset_of_that_name(folder):
    with pytest.raises(DioramaError, match=r"no such preset 'josh'; use one of hmr2\+droid-slam"):
        read_precomputed(folder, "josh")


def test_no_such_folder(tmp_path):
    refused(tmp_path / "nowhere", "nowhere", "no video.json")
