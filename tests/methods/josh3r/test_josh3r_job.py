"""`diorama reconstruct --method josh3r`: its steps, their reuse, its licence, and what is said without weights."""

from functools import partial

import numpy as np
import pytest

from diorama import cli
from diorama.evaluate.methods import chosen_methods
from diorama.methods.josh3r import method
from diorama.methods.josh3r.predicted import predicted_pairs
from diorama.networks.josh3r import JOSH3R, JOSH3RConfig
from diorama.networks.mast3r import MASt3R, MASt3RConfig
from diorama.observations import Bodies, ObservedBody, Source
from diorama.reconstruct import pipeline, reconstruct
from diorama.reconstruct.plan import phases_of
from fake_stages import FakeStages
from random_weights import shaken
from tiny_videos import moving, write_video


@pytest.fixture
def video(tmp_path):
    return write_video(tmp_path / "street.mp4", moving(14))


@pytest.fixture
def weights(tmp_path, monkeypatch, free_body):
    """A folder that is there; the networks are tiny ones with random weights."""
    (tmp_path / "weights").mkdir()
    base, own = shaken(MASt3R(MASt3RConfig.tiny())), JOSH3R(JOSH3RConfig.tiny()).eval()
    monkeypatch.setattr(method, "loaded", lambda config: partial(predicted_pairs, base, own, batch=config.batch))
    return tmp_path / "weights"


@pytest.fixture
def stages(monkeypatch):
    class Standing(FakeStages):
        """Bodies that a camera can see."""

        def fit_bodies(self, observations, config, **_):
            self._count("bodies")
            rows = np.arange(len(observations.times))
            n = len(rows)
            upright = np.tile([np.pi, 0.0, 0.0], (n, 1))
            place = np.stack([0.01 * rows, 0 * rows, 4.0 + 0 * rows], 1)
            betas = np.full(6, 0.5)
            ones = np.ones(n)
            body = ObservedBody(
                1, rows, "anny", "neutral", betas, upright, np.zeros((n, 23, 3)), place, 100.0 * ones, ones, ones
            )
            return Bodies(Source("fake"), (body,))

    return Standing(kind="translating").install(monkeypatch, pipeline)


def test_the_job_asks_the_networks_and_reuses_its_steps(stages, video, weights, tmp_path):
    out = tmp_path / "out"
    world = reconstruct(video, method="josh3r", weights=weights, out=out, overlay=False, progress=False)
    steps = {path.stem for path in (out / "steps").glob("*.json")}
    assert steps == {"scan", "tracks", "cameras", "bodies", "method", "result"} and not stages.calls["depth"]
    assert world.provenance["method"] == "josh3r" and "CC BY-NC-SA" in world.provenance["weights"]["licence"]
    assert any("CC BY-NC-SA" in model["licence"] for model in world.provenance["models"])
    assert len(world.people) == 1 and np.isfinite(world.people[0].joints_world).all()
    assert world.people[0].contacts.shape == (14, len(world.people[0].contact_sites))
    again = reconstruct(video, method="josh3r", weights=weights, out=out, overlay=False, progress=False)
    np.testing.assert_array_equal(again.people[0].transl, world.people[0].transl)
    assert stages.calls["bodies"] == 1
    taller = reconstruct(
        video, method="josh3r", weights=weights, out=out, stature={1: 1.9}, overlay=False, progress=False
    )
    assert stages.calls["bodies"] == 1 and taller.quality["statures_m"]["1"] == pytest.approx(1.9, abs=1e-3)


def test_evaluate_runs_it_on_videos(stages, video, weights, tmp_path):
    chosen = chosen_methods(("josh3r",), {"josh3r": str(weights)})["josh3r"]
    assert chosen.from_video(video, tmp_path / "work").provenance["method"] == "josh3r"


def test_the_plan_has_only_its_steps():
    assert [phase.name for phase in phases_of("josh3r")] == [
        "tracks", "cameras", "bodies", "method", "result", "overlay"
    ]  # fmt: skip
    assert set(pipeline.needs_of("josh3r")) == {phase.name for phase in phases_of("josh3r")}


def test_without_weights_one_line_says_how_to_get_them(capsys, video, tmp_path):
    with pytest.raises(SystemExit) as ended:
        cli.main(["reconstruct", str(video), "-o", str(tmp_path / "out"), "--method", "josh3r"])
    told = capsys.readouterr().err
    assert ended.value.code == 2 and told.count("\n") == 1 and "CC BY-NC-SA" in told
    assert not (tmp_path / "out").exists()
