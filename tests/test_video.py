"""Every kind of file that people have is read as exact times and upright frames, or refused in one line."""

import cv2
import numpy as np
import pytest

from diorama.errors import DioramaError
from diorama.video import open_video
from tiny_videos import gradient, moving, write_sound, write_video


def test_times_and_pictures_are_those_of_the_file(tmp_path):
    video = open_video(write_video(tmp_path / "a.mp4", moving(12)))
    assert (len(video), video.width, video.height, video.rotation) == (12, 96, 64, 0)
    np.testing.assert_allclose(video.times, np.arange(12) / 25, atol=1e-3)
    assert not video.duplicate.any()
    assert video.shots == ((0, 12),)
    assert video.fps == pytest.approx(25, rel=0.01)
    for row, picture in video.frames(3, 9, step=2):
        assert np.abs(picture.astype(int) - gradient(row, 96, 64)).mean() < 6, row
    assert [row for row, _ in video.frames(3, 9, step=2)] == [3, 5, 7]


def test_one_frame(tmp_path):
    video = open_video(write_video(tmp_path / "one.mp4", moving(1)))
    assert len(video) == 1 and video.fps > 0
    assert video.frame(0).shape == (64, 96, 3)


def test_frame_rate_may_vary(tmp_path):
    times = [0.0, 0.04, 0.16, 0.2, 0.5, 0.52, 1.0]
    video = open_video(write_video(tmp_path / "vfr.mp4", moving(7), times=times))
    np.testing.assert_allclose(video.times, times, atol=2e-3)


@pytest.mark.parametrize(
    ("codec", "pixels"), [("libx264", "yuv420p"), ("libx265", "yuv420p10le"), ("libsvtav1", "yuv420p")]
)
def test_codecs(tmp_path, codec, pixels):
    quiet = {"x265-params": "log-level=none"} if codec == "libx265" else {}
    video = open_video(write_video(tmp_path / "c.mp4", moving(8), codec=codec, pixels=pixels, options=quiet))
    assert len(video) == 8
    assert np.abs(video.frame(5).astype(int) - gradient(5, 96, 64)).mean() < 10


@pytest.mark.parametrize("size", [(97, 65), (63, 64), (35, 33)])
def test_odd_sizes(tmp_path, size):
    path = write_video(tmp_path / "odd.mkv", moving(6, *size), codec="ffv1", pixels="yuv444p")
    video = open_video(path)
    assert (video.width, video.height) == size
    assert video.frame(2).shape == (size[1], size[0], 3)
    assert video.frame(2, max_size=32).shape[1] <= 32


@pytest.mark.parametrize("turn", [90, 180, 270])
def test_rotation_of_the_container_is_applied(tmp_path, turn):
    """Our upright pictures are those of another reader (OpenCV turns by itself), and the numbers agree with them."""
    video = open_video(write_video(tmp_path / "turned.mp4", moving(6), turn=turn))
    upright = cv2.VideoCapture(str(video.path)).read()[1][..., ::-1]
    assert (video.height, video.width) == upright.shape[:2]
    assert video.rotation == turn
    assert np.abs(video.frame(0).astype(int) - upright).mean() < 2
    assert np.abs(np.rot90(gradient(0, 96, 64), turn // 90).astype(int) - upright).mean() < 6
    small = video.frame(0, max_size=48)
    assert max(small.shape[:2]) == 48
    assert small.shape[:2] == tuple(reversed(video.working_size(48)))


def test_repeated_pictures_are_flagged_and_kept(tmp_path):
    pictures = moving(8)
    repeated = [pictures[n] for n in (0, 1, 1, 2, 3, 3, 3, 4)]
    video = open_video(write_video(tmp_path / "dup.mp4", repeated, options={"crf": "23"}))
    assert video.duplicate.tolist() == [False, False, True, False, False, True, True, False]
    assert len(video) == 8


def test_the_longest_shot_is_taken_unless_another_is_named(tmp_path):
    path = write_video(tmp_path / "cut.mp4", moving(10) + moving(18, tone=1))
    video = open_video(path)
    assert video.shots == ((0, 10), (10, 28))
    assert (video.shot, video.first_frame, len(video)) == (1, 10, 18)
    assert any("cut" in warning and "--shot" in warning for warning in video.warnings)
    assert np.abs(video.frame(3).astype(int) - gradient(3, 96, 64, tone=1)).mean() < 8
    first = open_video(path, shot=0)
    assert (first.first_frame, len(first)) == (0, 10)
    assert first.key != video.key
    with pytest.raises(DioramaError, match="--shot 0 to 1"):
        open_video(path, shot=2)


def test_a_truncated_file_gives_its_readable_beginning(tmp_path):
    whole = write_video(tmp_path / "whole.mkv", moving(60), options={"g": "5"})
    cut = tmp_path / "cut.mkv"
    cut.write_bytes(whole.read_bytes()[: int(whole.stat().st_size * 0.6)])
    video = open_video(cut)
    assert 10 < len(video) < 60
    assert sum(1 for _ in video.frames()) == len(video)


def test_a_truncated_mp4_with_its_index_in_front_warns(tmp_path):
    import av

    whole = write_video(tmp_path / "whole.mp4", moving(60), options={"g": "5"})
    front = tmp_path / "front.mp4"
    with av.open(str(whole)) as source, av.open(str(front), "w", options={"movflags": "faststart"}) as target:
        stream = target.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.dts is not None:
                packet.stream = stream
                target.mux(packet)
    cut = tmp_path / "cut.mp4"
    cut.write_bytes(front.read_bytes()[: int(front.stat().st_size * 0.6)])
    video = open_video(cut)
    assert 10 < len(video) < 60
    assert any("truncated" in warning for warning in video.warnings)


def test_what_is_no_video_is_refused_in_one_line(tmp_path):
    empty, text = tmp_path / "empty.mp4", tmp_path / "text.mp4"
    empty.write_bytes(b"")
    text.write_text("this is a letter, not a film\n" * 50)
    garbage = tmp_path / "garbage.mp4"
    garbage.write_bytes(np.random.default_rng(0).integers(0, 256, 20000, np.uint8).tobytes())
    headless = tmp_path / "headless.mp4"
    whole = write_video(tmp_path / "whole.mp4", moving(20))
    headless.write_bytes(whole.read_bytes()[:2000])
    for path in (tmp_path / "missing.mp4", tmp_path, empty, text, garbage, headless, write_sound(tmp_path / "s.m4a")):
        with pytest.raises(DioramaError) as caught:
            open_video(path)
        message = str(caught.value)
        assert str(path) in message and "\n" not in message and ";" in message


def test_the_key_follows_the_content(tmp_path):
    one = open_video(write_video(tmp_path / "one.mp4", moving(6)))
    other = open_video(write_video(tmp_path / "other.mp4", moving(7)))
    copy = tmp_path / "copy.mp4"
    copy.write_bytes(one.path.read_bytes())
    assert one.key != other.key
    assert open_video(copy).key == one.key


def test_chosen_frames_are_those_of_the_whole(tmp_path):
    video = open_video(write_video(tmp_path / "clip.mp4", moving(20)))
    whole = dict(video.frames(max_size=48))
    chosen = dict(video.frames_at(np.array([0, 3, 4, 19]), max_size=48))
    assert list(chosen) == [0, 3, 4, 19] and not list(video.frames_at(np.zeros(0, int)))
    for row, picture in chosen.items():
        np.testing.assert_array_equal(picture, whole[row])
    assert [row for row, _ in video.frames(2, 50, step=7)] == [2, 9, 16]
