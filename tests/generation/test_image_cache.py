"""Training images made in the background: fast sets do not wait for slow ones."""

import threading
from dataclasses import replace

import numpy as np
import pytest

from ganlab.generation import image_kinds
from ganlab.generation.image_cache import AT_ONCE, images_of
from ganlab.generation.image_kinds import get_kind


@pytest.fixture
def kinds(monkeypatch):
    """kinds(name): a kind of one image that is finished at the end of the test; kinds.under_way[name] is set before."""
    gates = {}

    def add(name):
        gate = gates[name] = threading.Event()
        part = add.under_way[name] = threading.Event()

        def make(seed, count, progress):
            for k in range(100):
                gate.wait(0.01)
                progress((k + 1) / 200)
                if k == 20:
                    part.set()
            gate.wait()
            return np.zeros((1, 16, 16)), np.zeros(1)

        monkeypatch.setitem(image_kinds.IMAGE_KINDS, name, replace(get_kind("digits"), name=name, make=make))
        return name

    add.under_way = {}
    yield add
    for gate in gates.values():
        gate.set()


def test_fast_sets_do_not_wait_for_slow_ones(kinds):
    long = [images_of(kinds(f"long-{k}"), 1) for k in range(AT_ONCE + 1)]
    digits, share = images_of("digits", 30)
    assert len(digits.result(30)) == 30 and share == [0.0]
    assert not any(future.done() for future, _ in long)
    assert images_of("digits", 30)[0] is digits


def test_waiting_sets_progress_and_report_their_share(kinds):
    names = [kinds(f"slow-{k}") for k in range(AT_ONCE + 2)]
    making = [images_of(name, 1) for name in names]
    for name, (future, share) in zip(names, making, strict=True):
        assert kinds.under_way[name].wait(30)  # all of them advance
        assert not future.done() and share == sorted(share) and 0 < share[-1] < 1


def test_sets_that_fail_do_not_block_others(kinds, monkeypatch):
    def broken(seed, count, progress):
        raise MemoryError

    for k in range(AT_ONCE):
        monkeypatch.setitem(
            image_kinds.IMAGE_KINDS, f"no-{k}", replace(get_kind("digits"), name=f"no-{k}", make=broken)
        )
        with pytest.raises(MemoryError):
            images_of(f"no-{k}", 1)[0].result(30)
    assert len(images_of("digits", 31)[0].result(30)) == 31
