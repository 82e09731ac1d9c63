"""The free body, where it is."""

import pytest

from diorama.body.anny import load_free_body
from diorama.errors import DioramaError


@pytest.fixture(scope="session")
def free_body():
    try:
        return load_free_body()
    except DioramaError as error:
        pytest.skip(f"no free body: {error}")
