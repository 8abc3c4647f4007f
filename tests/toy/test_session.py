"""Sessions: reproduction from a link, exact rewinding, forks, changes during training, divergence."""

import base64
import contextlib
import json
import zlib
from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ganlab.errors import InputError
from ganlab.toy.config import Config, Network
from ganlab.toy.distributions import from_points
from ganlab.toy.measure import Ruler, measure
from ganlab.toy.session import MAX_SNAPSHOTS, Session
from ganlab.toy.session_io import from_link, link_text

SMALL = Network(layers=1, units=8)
TINY = Config(generator=SMALL, discriminator=SMALL, batch=8)
WILD = replace(TINY, optimiser="sgd", objective="pearson")


def parameters(session):
    return torch.cat([torch.cat([g.flat_g, g.flat_d], 1) for g in session.games])


def packed(score):
    return base64.urlsafe_b64encode(zlib.compress(json.dumps(score).encode())).decode()


def test_a_link_reopened_gives_the_same_run_bit_for_bit():
    session = Session((replace(TINY, seed=12),))
    session.advance(100)
    session.change(rate_g=5e-3, d_steps=2)
    session.advance(50)
    session.single("d")
    session.single("g")
    session.advance(148)
    session.change(objective="hinge", batch=16)
    session.advance(200)
    assert session.steps == 500
    again = from_link(link_text(session))
    again.advance(500)
    assert torch.equal(parameters(again), parameters(session))
    assert again.games[0].config == session.games[0].config
    assert link_text(again) == link_text(session)


def test_a_link_carries_a_drawing():
    drawn = torch.rand((40, 2), generator=torch.Generator().manual_seed(0)).mul(2).round(decimals=3)
    session = Session((TINY,), drawn=drawn)
    session.advance(20)
    again = from_link(link_text(session))
    again.advance(20)
    assert torch.equal(parameters(again), parameters(session))


@pytest.mark.parametrize("step", [0, 1, 37, 160, 299, 300])
def test_rewinding_restores_the_exact_state(step):
    session, straight = Session((TINY,)), Session((TINY,))
    for s in (session, straight):
        s.advance(min(step, 150))
        if step > 150:
            s.change(rate_d=0.01)
            s.advance(step - 150)
    if step <= 150:
        session.advance(150 - step)
        session.change(rate_d=0.01)
        session.advance(100)
        session.single("g")
    session.advance(300 - session.steps)
    session.rewind(step)
    assert session.steps == step
    assert torch.equal(parameters(session), parameters(straight))
    session.advance(30)  # and continues as if it had not been rewound
    straight.advance(30)
    assert torch.equal(parameters(session), parameters(straight))
    assert link_text(session) == link_text(straight)


def test_a_fork_is_reproducible_from_its_link():
    session = Session((TINY,))
    session.advance(80)
    before = parameters(session)
    session.rewind(40)
    session.change(rate_g=0.01)
    session.advance(40)
    assert not torch.equal(parameters(session), before)
    again = from_link(link_text(session))
    again.advance(80)
    assert torch.equal(parameters(again), parameters(session))


def test_history_is_bounded_and_reaches_back_to_the_start():
    session = Session((TINY,))
    session.advance(3 * MAX_SNAPSHOTS)
    assert len(session._history) <= MAX_SNAPSHOTS
    assert session._history[0].step == 0


def test_twins_differ_in_one_thing_only():
    session = Session((TINY, replace(TINY, objective="minimax")))
    first, second = session.games
    assert torch.equal(first.flat_g, second.flat_g)
    session.advance(10)
    assert not torch.equal(first.flat_g, second.flat_g)
    session.change(which=1, rate_g=0.005)
    assert (first.config.rate_g, second.config.rate_g) == (2e-3, 5e-3)
    session.advance(5)
    again = from_link(link_text(session))
    again.advance(15)
    assert torch.equal(parameters(again), parameters(session))


def test_advance_stops_after_the_given_time():
    session = Session((TINY,))
    assert session.advance(seconds=0.02) >= 1
    assert session.steps > 0


def test_divergence_is_caught_reported_and_undone():
    session = Session((replace(WILD, rate_g=0.5, rate_d=0.5),))
    session.playing = True
    taken = session.advance(2000)
    assert taken < 2000 and not session.playing
    assert "diverged" in session.trouble and f"step {session.steps}" in session.trouble
    assert all(game.finite() for game in session.games)
    assert session.advance(5) == 0  # no progress until a setting changes
    session.rewind(max(0, session.steps - 20))
    session.change(rate_g=1e-4, rate_d=1e-4)
    assert session.advance(50) == 50 and not session.trouble
    again = from_link(link_text(session))
    again.advance(session.steps)
    assert torch.equal(parameters(again), parameters(session))


def test_invalid_changes_change_nothing():
    session = Session((TINY,))
    before = session.games[0].config
    for values in ({"rate_g": 1e9}, {"objective": "none"}, {"speed": 3}, {"rate_g": 1e-4, "batch": 1}):
        with pytest.raises(InputError):
            session.change(**values)
    with pytest.raises(InputError, match="Latent cannot change"):
        session.change(latent=8)
    assert session.games[0].config == before and session.log == []
    with pytest.raises(InputError, match="outside 0 to 0"):
        session.rewind(5)


def test_refuses_a_link_for_data_from_a_file():
    points = from_points(torch.randn((100, 2), generator=torch.Generator().manual_seed(0)))
    with pytest.raises(InputError, match="save the session"):
        link_text(Session((TINY,), data=points))


GOOD = {"games": [{}], "notes": [[5, "set", {"rate_g": 0.01}]]}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "hello",
        "e" * 200_000,
        "ÄÖ",
        packed([]),
        packed({"games": []}),
        packed({"games": [{}, {}, {}]}),
        packed({"games": [{"seed": "x"}]}),
        packed({"games": [{"seed": 1e300}]}),
        packed({**GOOD, "notes": [[5, "set", {"rate_g": 1e9}]]}),
        packed({**GOOD, "notes": [[5, "set", {"latent": 8}]]}),
        packed({**GOOD, "notes": [[5, "set", {"which": 3}]]}),
        packed({**GOOD, "notes": [[5, "open", {}]]}),
        packed({**GOOD, "notes": [[-5, "d", {}]]}),
        packed({**GOOD, "notes": [[9, "d", {}], [2, "d", {}]]}),
        packed({**GOOD, "notes": [[1, "d"]]}),
        packed({**GOOD, "drawn": [[1, 2], [3]]}),
        packed({**GOOD, "drawn": [["a", "b"]] * 20}),
        packed({**GOOD, "drawn": [[1, 2]]}),
        packed({**GOOD, "notes": [[float("inf"), "set", {}]]}),
        packed({**GOOD, "drawn": [[[10**400, 2]]]}),
        packed({**GOOD, "games": [{"generator": {"layers": 1000}}]}),
        base64.urlsafe_b64encode(zlib.compress(b"0" * 10**8)).decode(),
    ],
    ids=range(23),
)
def test_refuses_damaged_links_in_one_sentence(text):
    with pytest.raises(InputError):
        from_link(text)


@settings(max_examples=100)
@given(st.binary(max_size=60), st.integers(0, 60))
def test_edited_links_open_or_are_refused_in_one_sentence(junk, at):
    good = packed(GOOD)
    text = good[:at] + base64.urlsafe_b64encode(junk).decode() + good[at + len(junk) :]
    with contextlib.suppress(InputError):  # any other error fails
        from_link(text).advance(1)


@pytest.mark.slow
def test_the_ring_is_learned_by_default():
    session = Session((Config(runs=8),))
    ruler, reached = Ruler(session.games[0].data), [False] * 8
    while session.steps < 1500 and sum(reached) < 8:
        session.advance(100)
        covered = measure(session.games[0], ruler)["modes_covered"]
        reached = [r or c == 8 for r, c in zip(reached, covered, strict=True)]
    assert sum(reached) >= 7
