"""EXR depth: what was written comes back, by a writer of the test and by FFmpeg's; other files end in one line."""

import av
import numpy as np
import pytest

from diorama.errors import DioramaError
from diorama.frontends.precomputed.exr import read_exr_depth
from exr_files import write_exr


@pytest.fixture
def depth():
    rng = np.random.default_rng(0)
    smooth = np.add.outer(np.linspace(1, 9, 37), np.linspace(0, 3, 21)).astype(np.float32)
    smooth[3:5, 2:9] = rng.uniform(0.5, 60, (2, 7))
    smooth[0, :3] = [np.inf, np.nan, 0]
    return smooth


@pytest.mark.parametrize("compression", ["none", "zips", "zip"])
@pytest.mark.parametrize("kind", [np.float32, np.float16])
@pytest.mark.parametrize("top", [0, 5])
def test_what_was_written_comes_back(depth, tmp_path, compression, kind, top):
    written = depth.astype(kind)
    np.testing.assert_array_equal(
        read_exr_depth(write_exr(tmp_path / "d.exr", {"Y": written}, compression, top)), written
    )


def test_noise_that_zip_cannot_shorten(tmp_path):
    noise = np.random.default_rng(1).integers(0, 2**32, (20, 9), dtype=np.uint32).view(np.float32)
    noise = np.where(np.isfinite(noise), noise, 0).astype(np.float32)
    np.testing.assert_array_equal(read_exr_depth(write_exr(tmp_path / "d.exr", {"Z": noise})), noise)


@pytest.mark.parametrize(
    ("names", "taken"),
    [
        (("A",), "A"), (("B", "G", "R"), "R"), (("A", "R", "Z"), "Z"), (("Combined.R", "Depth.Z"), "Depth.Z"),
        (("A", "Y"), "Y"), (("A", "depth.V"), "depth.V"),
    ],
)  # fmt: skip
def test_the_channel_that_is_depth(depth, tmp_path, names, taken):
    channels = {name: depth if name == taken else np.zeros(depth.shape, np.float16) for name in names}
    np.testing.assert_array_equal(read_exr_depth(write_exr(tmp_path / "d.exr", channels)), depth)


@pytest.mark.parametrize("compression", ["none", "zip1", "zip16"])
def test_files_of_ffmpeg(depth, tmp_path, compression):
    path = tmp_path / "d.exr"
    with av.open(str(path), "w", format="image2", options={"update": "1"}) as container:
        stream = container.add_stream("exr", rate=1, options={"compression": compression, "format": "float"})
        stream.width, stream.height, stream.pix_fmt = depth.shape[1], depth.shape[0], "grayf32le"
        container.mux(stream.encode(av.VideoFrame.from_ndarray(depth, format="grayf32le")))
        container.mux(stream.encode(None))
    np.testing.assert_array_equal(read_exr_depth(path), depth)


def damaged(path, edit):
    path.write_bytes(edit(path.read_bytes()))


@pytest.mark.parametrize(
    ("edit", "words"),
    [
        (lambda data: b"", "not a readable EXR"),
        (lambda data: b"PNG" + data, "does not begin"),
        (lambda data: data[:4] + b"\x02\x02" + data[6:], "tiles"),
        (lambda data: data[: len(data) // 3], "not a readable EXR"),
        (lambda data: data[:-9], "not a readable EXR"),
        (lambda data: data[:-40] + b"\xff" * 40, "not a readable EXR"),
    ],
)
def test_damage_is_one_line(depth, tmp_path, edit, words):
    path = write_exr(tmp_path / "d.exr", {"Y": depth})
    damaged(path, edit)
    with pytest.raises(DioramaError, match=words) as caught:
        read_exr_depth(path)
    assert "\n" not in str(caught.value) and "d.exr" in str(caught.value)


def test_what_is_not_read_is_named(depth, tmp_path):
    with pytest.raises(DioramaError, match="compression is PIZ"):
        read_exr_depth(write_exr(tmp_path / "d.exr", {"Y": depth}, "piz"))
    with pytest.raises(DioramaError, match="none of its channels A, B is depth"):
        read_exr_depth(write_exr(tmp_path / "d.exr", {"A": depth, "B": depth}))
