from ganlab.cli.console import narrate
from ganlab.training import Event


def steps(*losses: dict[str, float]):
    for number, numbers in enumerate(losses, 1):
        yield Event("step", number, len(losses), numbers)


def test_losses_that_begin_on_the_way_are_the_means_of_the_steps_that_have_them(capsys):
    first, then = [{"known": 3.0, "rate": 1.0}] * 19, [{"known": 1.0, "cycle": 5.0, "rate": 1.0}] * 5
    average = narrate(steps(*first, *then), silent=False)
    assert average == {"known": (19 * 3 + 5) / 24, "cycle": 5.0, "rate": 1.0}
    assert [line.split("  ")[0] for line in capsys.readouterr().out.splitlines()] == ["step 20/24", "step 24/24"]


def test_losses_that_end_on_the_way_are_no_longer_told():
    assert narrate(steps({"known": 1.0}, {"g": 2.0}), silent=True) == {"g": 2.0}
