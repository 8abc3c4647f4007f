"""The fit of a brain template to a head."""

from dataclasses import replace

import numpy as np
import pytest

from ganlab.errors import InputError
from ganlab.imaging.affine import fit_brain
from ganlab.imaging.grid import resample
from ganlab.imaging.masks import fill_cavities
from ganlab.imaging.metrics import dice
from ganlab.imaging.volume import Volume


@pytest.fixture(scope="module")
def phantom():
    from ganlab.phantoms import make_patient

    return make_patient(9000, ("t1", "labels"), 2.0)


def ends(matrix):
    """Places of the brain (mm in MNI space) in the head."""
    points = np.array([[0, 60, 0], [0, -95, 0], [-60, -20, 0], [60, -20, 0], [0, -15, 75], [0, -30, -25]], float)
    return points @ matrix[:3, :3].T + matrix[:3, 3]


@pytest.mark.slow
def test_a_moved_and_stretched_head_moves_the_fit_with_it(phantom):
    from ganlab.phantoms.template import brain_t1
    from ganlab.phantoms.tissues import INDEX

    still = fit_brain(phantom["t1"], brain_t1())
    fitted = resample(replace(brain_t1(), affine=still @ brain_t1().affine), phantom["t1"].affine, phantom["t1"].shape)
    brain = np.isin(phantom["labels"].array, [INDEX["grey matter"], INDEX["white matter"]])
    assert dice(fill_cavities(fitted.array > 0.1), fill_cavities(brain)) > 0.9
    tilt = np.radians(15)
    motion = np.array([[1, 0, 0, 25], [0, np.cos(tilt), -np.sin(tilt), -40], [0, np.sin(tilt), np.cos(tilt), 60.0]])
    motion = np.vstack([motion, [0, 0, 0, 1]]) @ np.diag([1.05, 0.95, 1.05, 1])
    moved = replace(phantom["t1"], affine=motion @ phantom["t1"].affine)
    np.testing.assert_allclose(ends(fit_brain(moved, brain_t1())), ends(motion @ still), atol=3)


@pytest.mark.slow
def test_the_template_fits_itself():
    from ganlab.phantoms.template import brain_t1

    template = brain_t1()
    grid = np.diag([2.0, 2.0, 2.0, 1.0])
    grid[:3, 3] = template.affine[:3, 3] - 40
    padded = resample(template, grid, (140, 160, 140))
    np.testing.assert_allclose(ends(fit_brain(padded, template)), ends(np.eye(4)), atol=1)


def test_refuses_a_head_without_contrast():
    from ganlab.phantoms.template import brain_t1

    with pytest.raises(InputError, match="head volume has no contrast"):
        fit_brain(Volume(np.ones((60, 60, 60), np.float32), np.diag([3.0, 3, 3, 1])), brain_t1())
