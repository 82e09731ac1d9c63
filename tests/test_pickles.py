"""Old pickles: what numpy 1, numpy 2, Python 2 and chumpy wrote comes back; whatever would run something is refused."""

import builtins
import os
import pickle
import sys
import types
from collections import OrderedDict

import numpy as np
import pytest
from scipy import sparse

from diorama.errors import DioramaError
from diorama.pickles import read_npz, read_pickle

CONTENT = {
    "text": "P0_09",
    "flag": True,
    "table": {"a": np.arange(12.0).reshape(3, 4), "b": [np.float32(1.5), np.bool_(True), None, (1, 2.5)]},
    "fortran": np.asfortranarray(np.arange(6, dtype=np.int16).reshape(2, 3)),
    "ragged": np.array([np.zeros(2), np.zeros(3)], dtype=object),
    "ordered": OrderedDict(x=1),
}


def check(found):
    assert found["text"] == "P0_09" and found["flag"] is True and found["ordered"] == {"x": 1}
    assert np.array_equal(found["table"]["a"], CONTENT["table"]["a"])
    assert found["table"]["b"] == [1.5, True, None, (1, 2.5)]
    assert np.array_equal(found["fortran"], CONTENT["fortran"]) and found["fortran"].dtype == np.int16
    assert [len(row) for row in found["ragged"]] == [2, 3]


@pytest.mark.parametrize("protocol", [0, 1, 2, 3, 4, 5])
def test_pickles_of_numpy_2(tmp_path, protocol):
    (tmp_path / "new.pkl").write_bytes(pickle.dumps(CONTENT, protocol=protocol))
    check(read_pickle(tmp_path / "new.pkl"))


@pytest.mark.parametrize("protocol", [0, 2])
def test_pickles_of_numpy_1(tmp_path, protocol):
    written = pickle.dumps(CONTENT, protocol=protocol)
    old = written.replace(b"numpy._core", b"numpy.core")
    assert old != written
    (tmp_path / "old.pkl").write_bytes(old)
    check(read_pickle(tmp_path / "old.pkl"))


def test_a_pickle_of_python_2_with_bytes_as_text(tmp_path):
    """Protocol 2 as Python 2 and numpy 1.8 wrote it: byte strings, integer flags of the dtype, raw array bytes."""
    raw = np.array([1.5, -2.0]).tobytes()
    written = (
        b"\x80\x02}(U\x08sequenceU\x04walkU\x05posescnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\n"
        b"K\x00\x85U\x01b\x87R(K\x01K\x02\x85cnumpy\ndtype\nU\x02f8K\x00K\x01\x87R(K\x03U\x01<NNN"
        b"J\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb\x89U" + bytes([len(raw)]) + raw + b"tbu."
    )
    (tmp_path / "python2.pkl").write_bytes(written)
    found = read_pickle(tmp_path / "python2.pkl")
    assert found["sequence"] == "walk" and np.array_equal(found["poses"], [1.5, -2.0])


def test_chumpy_and_sparse_become_numbers_without_their_packages(tmp_path, monkeypatch):
    module = types.ModuleType("chumpy.ch")
    kind = type("Ch", (), {"__module__": "chumpy.ch", "__init__": lambda self, x: setattr(self, "x", x)})
    module.Ch = kind
    monkeypatch.setitem(sys.modules, "chumpy", types.ModuleType("chumpy"))
    monkeypatch.setitem(sys.modules, "chumpy.ch", module)
    matrix = sparse.csr_matrix(np.diag([1.0, 2.0, 0.0]))
    (tmp_path / "old.pkl").write_bytes(pickle.dumps({"betas": [kind(np.arange(10.0))], "matrix": matrix}, protocol=2))
    for name in ("chumpy", "chumpy.ch"):
        monkeypatch.delitem(sys.modules, name)
    found = read_pickle(tmp_path / "old.pkl")
    assert type(found["betas"][0]) is np.ndarray and np.array_equal(found["betas"][0], np.arange(10.0))
    assert sparse.issparse(found["matrix"]) and np.array_equal(found["matrix"].toarray(), matrix.toarray())


class Call:
    def __init__(self, function, *arguments):
        self.call = (function, arguments)

    def __reduce__(self):
        return self.call


class Own:
    pass


EVIL = {
    "a command": lambda: Call(os.system, "touch owned"),
    "a function": lambda: Call(os.mkdir, "owned"),
    "code": lambda: Call(eval, "__import__('os').mkdir('owned')"),
    "code by exec": lambda: Call(exec, "import os; os.mkdir('owned')"),
    "getattr": lambda: Call(getattr, "text", "join"),
    "opening a file": lambda: Call(builtins.open, "owned", "w"),
    "numpy's own loader": lambda: Call(np.load, "x.npy"),
    "an object of its own": Own,
    "a class": lambda: Own,
    "a set": lambda: {1, 2},
}


@pytest.mark.parametrize("protocol", [0, 2, 5])
@pytest.mark.parametrize("evil", EVIL.values(), ids=EVIL)
def test_whatever_would_run_something_is_refused(tmp_path, monkeypatch, evil, protocol):
    monkeypatch.chdir(tmp_path)
    payload = pickle.dumps({"poses": [np.zeros(3), evil()]}, protocol=protocol)
    (tmp_path / "evil.pkl").write_bytes(payload)
    with pytest.raises(DioramaError, match=r"evil\.pkl: refused to read this pickle") as caught:
        read_pickle(tmp_path / "evil.pkl")
    assert "\n" not in str(caught.value)
    assert os.listdir(tmp_path) == ["evil.pkl"]


def test_an_evil_array_inside_an_npz_is_refused(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    np.savez(tmp_path / "evil.npz", good=np.arange(3), evil=np.array([Call(os.mkdir, "owned")], dtype=object))
    assert np.array_equal(read_npz(tmp_path / "evil.npz", ["good"])["good"], np.arange(3))
    with pytest.raises(DioramaError, match="refused"):
        read_npz(tmp_path / "evil.npz", ["evil"])
    assert os.listdir(tmp_path) == ["evil.npz"]


def test_harmless_arrays_of_objects_inside_an_npz_are_read(tmp_path):
    np.savez(tmp_path / "old.npz", names=np.array(["seq_000000", None], dtype=object), plain=np.array(["a", "bc"]))
    found = read_npz(tmp_path / "old.npz", ["names", "plain"])
    assert found["names"] == ["seq_000000", None] and list(found["plain"]) == ["a", "bc"]
    with pytest.raises(DioramaError, match="no array 'betas'"):
        read_npz(tmp_path / "old.npz", ["betas"])


def test_damage_is_one_clear_line(tmp_path):
    whole = pickle.dumps(CONTENT)
    endless = []
    endless.append(endless)
    cases = [whole[:n] for n in (0, 1, 50, len(whole) - 2)] + [pickle.dumps(endless), b"not a pickle at all"]
    for number, content in enumerate(cases):
        path = tmp_path / f"{number}.pkl"
        path.write_bytes(content)
        with pytest.raises(DioramaError, match=rf"{number}\.pkl") as caught:
            read_pickle(path)
        assert "\n" not in str(caught.value)
        path.with_suffix(".npz").write_bytes(content)
        with pytest.raises(DioramaError, match=rf"{number}\.npz"):
            read_npz(path.with_suffix(".npz"), ["a"])
    with pytest.raises(DioramaError, match="no such file"):
        read_pickle(tmp_path / "nowhere.pkl")
