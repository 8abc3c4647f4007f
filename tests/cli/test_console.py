import io
import sys

from ganlab.cli.console import narrate, progress_bar
from ganlab.training import Event


def steps(*losses: dict[str, float]):
    for step, numbers in enumerate(losses, 1):
        yield Event("step", step, len(losses), numbers)


def test_averages_a_loss_over_the_steps_that_have_it(capsys):
    first, then = [{"known": 3.0, "rate": 1.0}] * 19, [{"known": 1.0, "cycle": 5.0, "rate": 1.0}] * 5
    average = narrate(steps(*first, *then), silent=False)
    assert average == {"known": (19 * 3 + 5) / 24, "cycle": 5.0, "rate": 1.0}
    assert [line.split("  ")[0] for line in capsys.readouterr().out.splitlines()] == ["step 20/24", "step 24/24"]


def test_omits_losses_that_the_last_step_does_not_have():
    assert narrate(steps({"known": 1.0}, {"g": 2.0}), silent=True) == {"g": 2.0}


def test_draws_a_bar_only_on_a_terminal(monkeypatch):
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    monkeypatch.setenv("TERM", "xterm")
    assert progress_bar("images", silent=False) is None  # pytest's stderr is a file
    monkeypatch.setattr(sys, "stderr", Terminal())
    assert progress_bar("images", silent=True) is None
    show = progress_bar("images", silent=False)
    show(0.5)
    show(1.0)
    drawn = sys.stderr.getvalue()
    assert "images" in drawn and "100%" in drawn
    assert drawn.rindex("\x1b[?25h") > drawn.rindex("\x1b[?25l")  # the cursor is back
