"""Information theory of two densities, against closed forms."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ganlab.errors import InputError
from ganlab.settings import setting
from ganlab.toy.densities import SHAPES, Density, compare, terms


def values_of(name):
    declared = setting(Density, name)
    return st.floats(declared.low, declared.high)


DENSITIES = st.builds(Density, st.sampled_from(sorted(SHAPES)), values_of("centre"), values_of("width"))


def between(p, q):
    return compare(p.log_masses(), q.log_masses())


@pytest.mark.parametrize(("m1", "s1", "m2", "s2"), [(0, 1, 1, 0.5), (-3, 1.2, 3, 0.2), (0.3, 0.2, 0.3, 0.2)])
def test_two_normals_have_closed_forms(m1, s1, m2, s2):
    measures = between(Density("normal", m1, s1), Density("normal", m2, s2))
    kl = math.log(s2 / s1) + (s1**2 + (m1 - m2) ** 2) / (2 * s2**2) - 0.5
    entropy = 0.5 * math.log(2 * math.pi * math.e * s1**2)
    assert measures["kl"] == pytest.approx(kl, rel=1e-4, abs=1e-9)
    assert measures["entropy_p"] == pytest.approx(entropy, rel=1e-4)
    assert measures["cross_entropy"] == pytest.approx(entropy + kl, rel=1e-4)
    hellinger = 2 - 2 * math.sqrt(2 * s1 * s2 / (s1**2 + s2**2)) * math.exp(-((m1 - m2) ** 2) / 4 / (s1**2 + s2**2))
    assert measures["squared_hellinger"] == pytest.approx(hellinger, rel=1e-4, abs=1e-9)
    if s1 == s2:
        assert measures["wasserstein"] == pytest.approx(abs(m1 - m2), abs=1e-9)


def test_disjoint_uniforms():
    measures = between(Density("uniform", -1, 0.5), Density("uniform", 2, 0.5))
    assert measures["kl"] == measures["reverse_kl"] == measures["pearson"] == math.inf
    assert measures["js"] == pytest.approx(math.log(2))
    assert measures["total_variation"] == pytest.approx(1)
    assert measures["wasserstein"] == pytest.approx(3)
    assert measures["entropy_p"] == pytest.approx(0, abs=1e-9)  # of breadth 1


@settings(max_examples=60, deadline=None)
@given(DENSITIES, DENSITIES)
def test_identities_and_bounds(p, q):
    forward, backward = between(p, q), between(q, p)
    assert forward["kl"] == backward["reverse_kl"]
    assert forward["js"] == pytest.approx(backward["js"], abs=1e-12)
    assert 0 <= forward["js"] <= math.log(2) + 1e-9
    assert 0 <= forward["total_variation"] <= 1
    assert 0 <= forward["squared_hellinger"] <= 2 + 1e-9
    assert forward["kl"] >= 0
    assert forward["cross_entropy"] == pytest.approx(forward["entropy_p"] + forward["kl"], rel=1e-6, abs=1e-6)
    assert 2 * forward["total_variation"] ** 2 <= forward["kl"] + 1e-9  # Pinsker
    assert all(v == pytest.approx(0, abs=1e-9) for k, v in between(p, p).items() if "entropy" not in k)


def test_integrands_sum_to_the_divergence():
    p, q = Density("two humps", 0, 1).log_masses(), Density("normal", 1, 0.7).log_masses()
    measures = compare(p, q)
    for name, curve in terms(p, q).items():
        assert float(curve.sum() * 0.01) == pytest.approx(measures[name])


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        (("cauchy", 0, 1), 'Shape is "cauchy"; give one of normal, uniform, two humps'),
        (("normal", 9, 1), "Centre is 9; give a number from -3 to 3"),
        (("normal", 0, 0), "Width is 0; give a number from 0.2 to 1.2"),
        (("normal", math.nan, 1), "Centre is NaN"),
        (("normal", 0, "1"), 'Width is "1"'),
    ],
)
def test_refuses_what_is_not_a_density_on_the_grid(given, sentence):
    with pytest.raises(InputError, match=sentence):
        Density(*given)
