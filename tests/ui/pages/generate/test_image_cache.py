"""Training images in the making: what is soon made does not wait for what is not."""

import threading
from dataclasses import replace

import numpy as np
import pytest

from ganlab.generation import image_kinds
from ganlab.generation.image_kinds import get_kind
from ganlab.ui.pages.generate.image_cache import AT_ONCE, images_of


@pytest.fixture
def kinds(monkeypatch):
    """kinds(name): a set of one image, which is done at the test's end; kinds.under_way[name] is set on its way."""
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


def test_short_ones_do_not_wait_for_long_ones(kinds):
    long = [images_of(kinds(f"long-{k}"), 1) for k in range(AT_ONCE + 1)]
    digits, share = images_of("digits", 30)
    assert len(digits.result(30)) == 30 and share == [0.0]
    assert not any(future.done() for future, _ in long)
    assert images_of("digits", 30)[0] is digits


def test_what_waits_is_made_in_the_end_and_says_how_far_it_is(kinds):
    names = [kinds(f"slow-{k}") for k in range(AT_ONCE + 2)]
    making = [images_of(name, 1) for name in names]
    for name, (future, share) in zip(names, making, strict=True):
        assert kinds.under_way[name].wait(30)  # all of them come on
        assert not future.done() and share == sorted(share) and 0 < share[-1] < 1


def test_what_cannot_be_made_is_in_nobodys_way(kinds, monkeypatch):
    def broken(seed, count, progress):
        raise MemoryError

    for k in range(AT_ONCE):
        monkeypatch.setitem(
            image_kinds.IMAGE_KINDS, f"no-{k}", replace(get_kind("digits"), name=f"no-{k}", make=broken)
        )
        with pytest.raises(MemoryError):
            images_of(f"no-{k}", 1)[0].result(30)
    assert len(images_of("digits", 31)[0].result(30)) == 31
