"""Live sessions are reached only by their token, and are bounded in number, time and bytes, with a message when
dropped."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from ganlab.ui.session_store import Limits, SessionGone, SessionStore

LIMITS = Limits("game", "Reload the page.", count=3, idle=600.0, megabytes=10)


class Game:
    def __init__(self, megabytes=1):
        self.megabytes = megabytes

    @property
    def nbytes(self):
        return self.megabytes * 2**20


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def games(clock):
    return SessionStore(LIMITS, clock)


def use(games, token):
    with games.use(token) as game:
        return game


def test_a_token_opens_its_own_session(games):
    first, second = Game(), Game()
    tokens = [games.open(game, "tab") for game in (first, second)]
    assert [use(games, token) for token in tokens] == [first, second]
    assert len(set(tokens)) == 2 and min(map(len, tokens)) >= 32


@pytest.mark.parametrize("wrong", [None, "", "guess", 7, ["a"], {"a": 1}])
def test_refuses_unknown_tokens(games, wrong):
    games.open(Game(), "tab")
    for ask in (games.peek, lambda token: use(games, token)):
        with pytest.raises(SessionGone, match=r"This game is not on the server: .*\. Reload the page\."):
            ask(wrong)


def test_a_closed_tab_drops_its_sessions(games):
    token, other = games.open(Game(), "tab"), games.open(Game(), "another tab")
    games.close("tab")
    with pytest.raises(SessionGone, match="its page was closed"):
        games.peek(token)
    assert games.peek(other) and len(games) == 1


def test_the_least_recently_used_session_is_dropped_for_a_new_one_with_a_message(games):
    tokens = [games.open(Game(), "tab") for _ in range(3)]
    use(games, tokens[0])
    tokens.append(games.open(Game(), "tab"))
    with pytest.raises(SessionGone, match="to free memory"):
        games.peek(tokens[1])
    assert all(games.peek(token) for token in (tokens[0], tokens[2], tokens[3]))


def test_sessions_that_exceed_the_memory_budget_drop_others(games):
    tokens = [games.open(Game(3), "tab") for _ in range(3)]
    with games.use(tokens[1]) as game:
        game.megabytes = 5  # 11 of 10
    with pytest.raises(SessionGone, match="to free memory"):
        games.peek(tokens[0])
    assert games.nbytes == 8 * 2**20
    with games.use(tokens[1]) as game:
        game.megabytes = 99
    assert games.peek(tokens[1]) is game  # the session in use stays
    assert len(games) == 1


def test_an_idle_session_is_dropped_with_a_message(games, clock):
    old, used = games.open(Game(), "tab"), games.open(Game(), "tab")
    clock.now = 400
    use(games, used)
    clock.now = 601
    with pytest.raises(SessionGone, match="after 10 minutes without use"):
        games.peek(old)
    assert games.peek(used)
    clock.now = 1300
    games.open(Game(), "tab")  # also without a request
    assert len(games) == 1


def test_only_recently_used_sessions_count_as_busy(games, clock):
    first, second = Game(), Game()
    games.open(first, "tab")
    clock.now = 10
    games.open(second, "tab")
    assert games.used_within(5) == [second]


def test_a_session_is_used_by_one_thread_at_a_time(games):
    token, inside, most = games.open(Game(), "tab"), [], []

    def work(_):
        with games.use(token):
            inside.append(threading.get_ident())
            most.append(len(inside))
            inside.remove(threading.get_ident())

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(200)))
    assert set(most) == {1}


def test_a_failed_use_frees_the_session(games):
    token = games.open(Game(), "tab")

    def fail():
        with games.use(token) as game:
            game.megabytes = 2
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert use(games, token).megabytes == 2 and games.nbytes == 2 * 2**20
