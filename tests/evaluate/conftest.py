"""The free body, or a reason why it is not here; a tiny exact world with depth and scene."""

import pytest

from diorama.body.anny import load_free_body
from diorama.body.model import BodyModel
from diorama.errors import DioramaError
from evaluated_world import evaluated_world


@pytest.fixture(scope="session")
def free_body() -> BodyModel:
    """The free body from the cache (built there if the network allows)."""
    try:
        return load_free_body()
    except DioramaError as error:
        pytest.skip(f"no free body: {error}")


@pytest.fixture(scope="session")
def exact(free_body):
    """Two people who walk, a camera that walks along, exact depth of some frames, the scene that these show."""
    return evaluated_world()
