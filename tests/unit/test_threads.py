"""Loops cut into parts, in torch's own threads."""

from __future__ import annotations

import os
import threading

import pytest
import torch

from saccade.ops.plumbing import threads


@pytest.fixture(params=["openmp", "executor"])
def way(request, monkeypatch):
    if request.param == "executor":
        monkeypatch.setattr(threads, "_openmp", lambda: None)
    elif threads._openmp() is None:
        pytest.skip("torch's OpenMP library has no GNU entry point here")


@pytest.mark.parametrize("parts", [1, 2, 5])
def test_every_part_runs_once(way, parts):
    ran: list[int] = []
    threads.run_parts(parts, ran.append)
    assert sorted(ran) == list(range(parts))


def test_parts_run_side_by_side(way):
    barrier = threading.Barrier(2, timeout=30)
    threads.run_parts(2, lambda part: barrier.wait())


def test_an_error_in_any_part_reaches_the_caller(way):
    def body(part: int) -> None:
        if part == 1:
            raise ValueError("part 1 went wrong")

    with pytest.raises(ValueError, match="part 1 went wrong"):
        threads.run_parts(2, body)
    test_every_part_runs_once(None, 2)  # and the threads live on


def test_torch_s_operations_inside_a_part(way):
    torch.manual_seed(0)
    x, weight = torch.randn(8, 64, 20, 20), torch.randn(64, 64, 3, 3)
    found: dict[int, torch.Tensor] = {}
    threads.run_parts(2, lambda part: found.update({part: torch.conv2d(x, weight)}))
    assert all(torch.allclose(found[part], torch.conv2d(x, weight), atol=1e-3) for part in range(2))


def test_two_callers_at_once(way):
    ran: list[int] = []
    callers = [threading.Thread(target=threads.run_parts, args=(3, ran.append)) for _ in range(4)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join(timeout=30)
    assert sorted(ran) == sorted([0, 1, 2] * 4)


def test_small_work_is_not_cut(monkeypatch):
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        assert threads.parts_of(threads.PARALLEL_FROM - 1, 100) == 1
        assert threads.parts_of(threads.PARALLEL_FROM, 100) == 2
        assert threads.parts_of(threads.PARALLEL_FROM, 1) == 1
        monkeypatch.setattr(threads, "_PROCESS", os.getpid() + 1)  # as in a forked child
        assert threads.parts_of(threads.PARALLEL_FROM, 100) == 1
    finally:
        torch.set_num_threads(before)


def test_cuts_cover_everything():
    for units, parts in ((7, 3), (2, 2), (100, 7)):
        cuts = [threads.cut(units, part, parts) for part in range(parts)]
        assert [first for first, _ in cuts] == [0, *(last for _, last in cuts[:-1])]
        assert cuts[-1][1] == units
