"""CTs of whole, upright heads pass in silence; what is cut, clipped, filled or turned is named."""

from dataclasses import replace

import numpy as np
import pytest

from ganlab.imaging.grid import canonical, model_grid, resample
from ganlab.imaging.reading.files import read_volume
from ganlab.phantoms import make_patient
from ganlab.translation.ct_check import check_ct
from ganlab.translation.scan_check import check_scan


@pytest.fixture(scope="module", params=["phantom", "ct_head_unc", "ct_head_invesalius"])
def head(request):
    if request.param == "phantom":
        return make_patient(9101, ("ct",), 3.0)["ct"]
    folder = request.getfixturevalue("real_data")
    path = folder / f"{request.param}.nii.gz"
    if not path.is_file():
        pytest.skip(f"no {path.name} in {folder}")
    ct = canonical(read_volume(path, "ct"))
    return resample(ct, *model_grid(ct, 2.5), fill=-1000.0)


def test_a_whole_upright_head_passes_in_silence(head):
    assert check_ct(head) == []
    turned = replace(head, array=head.array.transpose(1, 2, 0), affine=head.affine[:, [1, 2, 0, 3]])
    assert check_ct(turned) == []


@pytest.mark.parametrize(("flips", "front", "top"), [((1,), "back", "top"), ((2,), "front", "bottom")])
def test_a_head_that_lies_another_way_is_named(head, flips, front, top):
    flipped = replace(head, array=np.flip(head.array, flips).copy())
    assert f"its front at what is called {front}, its top at what is called {top}" in " ".join(check_ct(flipped))


def test_parts_of_heads_are_named(head):
    array = head.array
    assert "cuts the head at the left" in check_ct(replace(head, array=array[array.shape[0] // 2 :]))[0]
    low = check_scan(replace(head, array=array[:, :, : array.shape[2] // 3]), "ct2mr")["notices"]
    assert "cuts the head at the top" in low[0]


def test_values_that_were_changed_after_the_reconstruction_are_named(head):
    array = head.array
    assert "400 HU, so the CT was clipped" in check_ct(replace(head, array=array.clip(-1000, 400)))[0]
    radius = np.hypot(*np.meshgrid(*(np.linspace(-1, 1, n) for n in array.shape[:2]), indexing="ij"))
    ring = np.where((radius > 1)[..., None], np.float32(0), array)
    assert "corners of the field of view hold 0 HU" in " ".join(check_ct(replace(head, array=ring)))
