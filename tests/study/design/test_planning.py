"""Planning a study with simulated readers."""

import pytest

from ganlab.errors import InputError
from ganlab.settings import setting, settings_of
from ganlab.study.design.planning import format_plan, plan
from ganlab.study.design.simulation import SimulatedStudy, simulate


def test_repeats_come_later_and_only_count_for_self_agreement(readings, found):
    assert readings.repeat.sum() == 4 * 12 == found["repeats"] and found["readings"] == 240
    for name in readings.readers:
        mine = readings.of(name)
        first = dict(zip(mine.first().case, mine.first().position, strict=True))
        for case, position in zip(mine.case[mine.repeat], mine.position[mine.repeat], strict=True):
            assert position > first[case]
    assert all(r["synthetic"] + r["real"] == 60 and r["with_self"]["of"] == 12 for r in found["readers"].values())


@pytest.mark.slow
def test_plan_says_that_a_small_study_cannot_claim_equivalence():
    small = plan(SimulatedStudy(2, 20, dprime=0.0), 0.1, 100)
    assert small["verdicts"]["equivalent"] < 0.1 and "too small to claim equivalence" in format_plan(small)
    large = plan(SimulatedStudy(10, 2000, dprime=0.0, spread=0.1, shared=0.1), 0.1, 60)
    assert large["verdicts"]["equivalent"] > 0.9 and "too small" not in format_plan(large)
    assert sum(small["verdicts"].values()) == pytest.approx(1)


@pytest.mark.slow
@pytest.mark.parametrize("paired", [False, True])
def test_slices_of_few_patients_plan_no_claim_and_those_of_many_are_patients(paired):
    few = plan(SimulatedStudy(4, 144, dprime=0.0, slices=8, paired=paired), 0.1, 50)
    assert few["verdicts"]["too few patients"] == 1 and few["patients"] == 9
    assert "No claim is possible with fewer than 10 patients" in format_plan(few)
    many = plan(SimulatedStudy(4, 320, dprime=1.0, slices=8, within=0.8, paired=paired, seed=1), 0.1, 300)
    assert 0.92 <= many["interval_holds_truth"] <= 0.98 and many["patients"] == 20
    null = plan(SimulatedStudy(8, 160, dprime=0.0, slices=8, within=0.8, shared=0.7, paired=paired), 0.1, 300)
    assert 0.02 <= null["rejected_at_5_percent"] <= 0.085


def test_simulated_readings_name_their_patients():
    readings = simulate(SimulatedStudy(2, 40, slices=5, paired=True))
    assert len(set(readings.patient.tolist())) == 4
    assert set(readings.patient[readings.synthetic]) == set(readings.patient[~readings.synthetic])
    assert (simulate(SimulatedStudy(2, 40)).patient == simulate(SimulatedStudy(2, 40)).case).all()


@pytest.mark.parametrize("name", [each.name for each in settings_of(SimulatedStudy) if each.low is not None])
def test_refuses_to_simulate_settings_out_of_range(name):
    declared = setting(SimulatedStudy, name)
    for value in (declared.low - 1, declared.high + 1):
        with pytest.raises(InputError, match=declared.title):
            SimulatedStudy(**{name: value})


def test_refuses_to_plan_for_one_reader():
    with pytest.raises(InputError, match="not a sample of readers"):
        plan(SimulatedStudy(1), 0.1, 50)
