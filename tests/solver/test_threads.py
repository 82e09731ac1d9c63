"""A solve takes one thread, of torch and of the libraries below scipy, and gives back what it found."""

import pytest
import torch
from threadpoolctl import threadpool_info

from diorama.solver.threads import one_thread


def blas_threads():
    return [library["num_threads"] for library in threadpool_info() if library["user_api"] == "blas"]


def test_one_thread_inside_and_as_before_outside():
    before, torch_before = blas_threads(), torch.get_num_threads()
    assert before
    with one_thread() as workers:
        assert workers == torch_before
        assert torch.get_num_threads() == 1
        assert set(blas_threads()) == {1}
    assert blas_threads() == before
    assert torch.get_num_threads() == torch_before


def test_given_back_after_an_error():
    before = blas_threads()
    with pytest.raises(ZeroDivisionError), one_thread():
        raise ZeroDivisionError
    assert blas_threads() == before
