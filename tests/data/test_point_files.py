"""Points of PLY and PCD files: every layout gives the same points as trimesh or as an independent writer."""

import struct

import numpy as np
import pytest
import trimesh

from diorama.data.point_files import read_points, unpack_lzf
from diorama.errors import DioramaError

POINTS = np.random.default_rng(0).normal(size=(50, 3)).astype(np.float32) * 100


def pack_lzf(data):
    """A greedy LZF packer: copies of at least 3 bytes from up to 8 KiB back, else literals."""
    out, at, literals, seen = bytearray(), 0, bytearray(), {}

    def flush():
        for start in range(0, len(literals), 32):
            piece = literals[start : start + 32]
            out.append(len(piece) - 1)
            out.extend(piece)
        literals.clear()

    while at < len(data):
        key = bytes(data[at : at + 3])
        start = seen.get(key)
        seen[key] = at
        if start is None or len(key) < 3 or at - start > 8191:
            literals.append(data[at])
            at += 1
            continue
        length = 3
        while length < 264 and at + length < len(data) and data[start + length] == data[at + length]:
            length += 1
        flush()
        offset, rest = at - start - 1, length - 2
        out.append((min(rest, 7) << 5) | offset >> 8)
        if rest >= 7:
            out.append(rest - 7)
        out.append(offset & 255)
        at += length
    flush()
    return bytes(out)


def pcd(points, layout, intensity=True):
    """A PCD file with a field before and one behind the position."""
    count = len(points)
    header = (
        "# .PCD v0.7\nVERSION 0.7\nFIELDS normal x y z intensity\nSIZE 4 4 4 4 2\nTYPE F F F F U\nCOUNT 3 1 1 1 1\n"
        f"WIDTH {count}\nHEIGHT 1\nVIEWPOINT 0 0 0 1 0 0 0\nPOINTS {count}\nDATA {layout}\n"
    ).encode()
    columns = [
        np.full((count, 3), 7, "<f4"),
        *(points[:, [k]].astype("<f4") for k in range(3)),
        np.ones((count, 1), "<u2"),
    ]
    if layout == "ascii":
        rows = [" ".join(repr(float(v)) for column in columns for v in column[n]) for n in range(count)]
        return header + "\n".join(rows).encode() + b"\n"
    if layout == "binary":
        return header + b"".join(b"".join(column[n].tobytes() for column in columns) for n in range(count))
    raw = b"".join(column.tobytes() for column in columns)
    packed = pack_lzf(raw)
    return header + struct.pack("<II", len(packed), len(raw)) + packed


@pytest.mark.parametrize("layout", ["ascii", "binary", "binary_compressed"])
def test_pcd(tmp_path, layout):
    (tmp_path / "sweep.pcd").write_bytes(pcd(POINTS, layout))
    np.testing.assert_array_equal(read_points(tmp_path / "sweep.pcd"), POINTS.astype(np.float64))


@pytest.mark.parametrize("data", [b"", b"a", b"abcabcabcabc" * 40, bytes(5000), bytes(range(256)) * 60])
def test_lzf_unpacks_what_was_packed(data):
    assert unpack_lzf(pack_lzf(data), len(data)) == data


def test_lzf_really_packs():
    assert len(pack_lzf(bytes(5000))) < 100


def test_points_that_are_not_finite_are_dropped(tmp_path):
    points = POINTS.copy()
    points[[3, 10], [0, 2]] = np.nan, np.inf
    (tmp_path / "sweep.pcd").write_bytes(pcd(points, "binary"))
    np.testing.assert_array_equal(read_points(tmp_path / "sweep.pcd"), np.delete(POINTS, [3, 10], 0))


@pytest.mark.parametrize("encoding", ["ascii", "binary"])
def test_ply_of_trimesh(tmp_path, encoding):
    mesh = trimesh.Trimesh(POINTS, np.arange(48).reshape(-1, 3), process=False)
    mesh.visual.vertex_colors = np.full((50, 4), 200, np.uint8)
    (tmp_path / "scan.ply").write_bytes(mesh.export(file_type="ply", encoding=encoding))
    np.testing.assert_allclose(read_points(tmp_path / "scan.ply"), POINTS, rtol=1e-6)


@pytest.mark.parametrize(("name", "order"), [("binary_big_endian", ">"), ("binary_little_endian", "<")])
def test_ply_of_doubles_in_both_byte_orders(tmp_path, name, order):
    header = f"ply\nformat {name} 1.0\ncomment x\nelement vertex 50\n"
    header += "property uchar red\nproperty double x\nproperty double y\nproperty double z\nend_header\n"
    rows = np.zeros(50, [("red", "u1"), ("p", f"{order}f8", 3)])
    rows["p"] = POINTS
    (tmp_path / "map.ply").write_bytes(header.encode() + rows.tobytes())
    np.testing.assert_array_equal(read_points(tmp_path / "map.ply"), POINTS.astype(np.float64))


def test_an_empty_file_of_points_is_empty(tmp_path):
    for layout in ("ascii", "binary", "binary_compressed"):
        (tmp_path / "empty.pcd").write_bytes(pcd(POINTS[:0], layout))
        assert read_points(tmp_path / "empty.pcd").shape == (0, 3)


@pytest.mark.parametrize("layout", ["ascii", "binary", "binary_compressed"])
def test_a_damaged_file_is_named(tmp_path, layout):
    whole = pcd(POINTS, layout)
    for length in (0, 40, len(whole) - 60):
        (tmp_path / "cut.pcd").write_bytes(whole[:length])
        with pytest.raises(DioramaError, match=r"cut\.pcd: not a readable file of points") as caught:
            read_points(tmp_path / "cut.pcd")
        assert "\n" not in str(caught.value)
    with pytest.raises(DioramaError, match=r"none\.pcd"):
        read_points(tmp_path / "none.pcd")
