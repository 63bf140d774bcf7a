"""Memory of large results: used again, and never while somebody still needs it."""

from __future__ import annotations

import gc
import threading

import pytest
import torch

import saccade.ops
from saccade.nn import LIF
from saccade.ops.lif import cpu
from saccade.ops.plumbing import reuse


@pytest.fixture
def blocks(monkeypatch):
    """A store of its own, from 1 MiB on."""
    monkeypatch.setattr(reuse, "_blocks", reuse.Blocks())
    monkeypatch.setattr(reuse, "FROM", 1 << 20)
    return reuse._blocks


def large(rows: int = 512, dtype: torch.dtype = torch.float32):
    return reuse.empty_strided((rows, 1024), (1024, 1), dtype)


def test_a_block_that_was_left_is_taken_again(blocks):
    x = large()
    address = x.data_ptr()
    del x
    assert large(1024).data_ptr() != address
    assert large(dtype=torch.int32).data_ptr() == address


def test_a_view_keeps_its_block(blocks):
    x = large()
    view = x[3:, ::2].t()
    view.fill_(7)
    del x
    large().fill_(0)
    assert (view == 7).all()


def test_no_more_is_kept_than_three_of_the_largest(blocks):
    kept = [large() for _ in range(5)] + [large(256) for _ in range(3)]
    size = 512 * 1024 * 4
    del kept
    assert sum(map(len, blocks.left)) <= 3 * size
    large()
    saccade.ops.empty_cache()
    assert not blocks.left


def test_strides_and_small_tensors(blocks):
    x = reuse.empty_strided((4, 3, 300, 300), (300 * 300 * 3, 1, 900, 3), torch.float64)
    assert x.is_contiguous(memory_format=torch.channels_last)
    assert reuse.empty_strided((2, 3), (1, 2), torch.uint8).stride() == (1, 2)
    assert reuse.empty_strided((0, 3), (3, 1), torch.uint8).shape == (0, 3)
    assert not blocks.left


def test_many_threads(blocks):
    wrong = []

    def work(number: int) -> None:
        for _ in range(50):
            x = large(256 + 256 * (number % 2))
            x.fill_(number)
            if not (x == number).all():
                wrong.append(number)

    workers = [threading.Thread(target=work, args=(n,)) for n in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
    assert not wrong


@pytest.mark.skipif(cpu.unavailable() is not None, reason=str(cpu.unavailable()))
def test_training_goes_on_rightly_in_used_memory(blocks):
    torch.manual_seed(0)
    held = []
    for _ in range(4):
        x = torch.randn(4, 2, 128, 32, 32, requires_grad=True)
        grad = torch.randn_like(x)
        spikes, expected = LIF(backend="cpu")(x), LIF(backend="reference")(x)
        (got,), (wanted,) = torch.autograd.grad(spikes, x, grad), torch.autograd.grad(expected, x, grad)
        assert torch.equal(spikes, expected)
        assert torch.allclose(got, wanted, atol=1e-6)
        held.append((got, wanted.clone()))
        del spikes, got
        gc.collect()
    assert all(torch.allclose(got, wanted, atol=1e-6) for got, wanted in held)
