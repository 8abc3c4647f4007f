"""What is stored can be read back: values within half a step, geometry exactly."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from ganlab.errors import Cancelled, InputError
from ganlab.imaging.grid import canonical
from ganlab.ui import cases
from ganlab.ui.cases import HISTOGRAM_EDGES, Job, encode, load_case, load_layer, solve

SHAPES = st.tuples(*[st.integers(1, 6)] * 3)


@given(arrays.arrays(np.float32, SHAPES, elements=st.floats(-1e6, 1e6, width=32)))
def test_any_image_is_kept_within_half_a_step(array):
    stored, scale, offset = encode(array)
    assert stored.dtype == "<i2" and stored.flags.c_contiguous
    back = stored.astype(np.float64) * scale + offset
    assert np.abs(back - array).max() <= scale / 2 * (1 + 1e-6)
    assert scale <= max(1.0, (float(array.max()) - float(array.min())) / 65535)


@given(arrays.arrays(np.float32, SHAPES, elements=st.floats(-1024, 3071, width=32)), st.sampled_from([1.0, 4.0]))
def test_hounsfield_units_are_kept_in_whole_steps(array, step):
    stored, scale, offset = encode(array, "HU", hu_step=step)
    assert (scale, offset) == (step, 0.0)
    assert np.abs(stored * scale - array).max() <= step / 2


def test_whole_numbers_are_kept_exactly():
    array = np.array([[[0, 1, 4095]]], np.float32)
    stored, scale, offset = encode(array)
    assert (scale, offset) == (1.0, 0.0) and np.array_equal(stored, array)


def test_a_case_is_read_back_as_it_was_saved(make_case, volumes, tmp_path):
    saved = make_case(tmp_path)
    case = load_case(tmp_path)
    assert case == saved
    for name, volume in volumes.items():
        straight = canonical(volume)
        layer = next(layer for layer in case.layers if layer.name == name)
        assert np.abs(load_layer(tmp_path, case, name) - straight.array).max() <= layer.scale / 2 * 1.001
        assert case.shape == straight.shape and np.array_equal(case.affine, straight.affine)
    assert np.array_equal(case.source_affine, volumes["input"].affine)
    with pytest.raises(KeyError):
        load_layer(tmp_path, case, "error")


def test_the_viewer_opens_inside_the_head(make_case, volumes, tmp_path):
    case = make_case(tmp_path)
    assert canonical(volumes["reference"]).array[case.crosshair] > -200


def test_metrics_and_histogram_agree(make_case, tmp_path):
    case = make_case(tmp_path)
    assert case.metrics["mae"] == pytest.approx(20.4, abs=0.01)
    counted = sum(sum(counts) for name, counts in case.histogram.items() if name != "edges")
    assert counted == case.metrics["voxels"]
    bin_of_20 = int(np.searchsorted(HISTOGRAM_EDGES, 20.4)) - 1
    assert sum(case.histogram[tissue][bin_of_20] for tissue in ("air", "soft", "bone")) == counted


def test_without_a_reference_there_are_no_metrics(make_case, tmp_path):
    case = make_case(tmp_path, reference=False)
    assert case.metrics is None and case.histogram is None
    assert [layer.name for layer in case.layers] == ["input", "synthetic"]


def test_commands_reproduce_the_case():
    phantom = Job(seed=7, spacing=2.0, planes=("axial",))
    assert cases._commands(phantom, "mr2ct-unet", "Phantom patient 7", "phantom-7") == (
        "python -m ganlab phantom --seed 7 --out patient-7 --spacing 2",
        "python -m ganlab translate --task mr2ct patient-7/t1.nii.gz synthetic-ct.nii.gz --model mr2ct-unet "
        "--plane axial",
        "python -m ganlab evaluate patient-7/ct.nii.gz synthetic-ct.nii.gz",
    )
    own = Job(files=("/tmp/x/my scan.nii.gz",), reference=("/tmp/y/ct.nii",))
    translated, measured = cases._commands(own, "mr2ct-unet", "my scan.nii.gz", "my-scan")
    assert "mr2ct 'my scan.nii.gz' synthetic-ct.nii.gz" in translated
    assert measured == "python -m ganlab evaluate my-scan-reference-ct.nii.gz synthetic-ct.nii.gz"


def test_a_registration_is_told_in_mm_and_degrees(volumes):
    volume = volumes["input"]
    middle = volume.affine @ [*(np.array(volume.shape) - 1) / 2, 1]
    turned = np.eye(4)
    turned[:2, :2] = [[np.cos(0.2), -np.sin(0.2)], [np.sin(0.2), np.cos(0.2)]]
    turned[:3, 3] = (middle - turned @ middle)[:3] + np.array([3, 0, 4])
    assert "moved by 5.0 mm and turned by 11.5\u00b0" in cases.motion_words(turned, volume)


def test_no_file_is_a_users_mistake(tmp_path):
    with pytest.raises(InputError, match="No scan was chosen"):
        solve(Job(files=()), tmp_path)


def test_a_job_that_is_cancelled_before_it_starts_does_nothing(tmp_path):
    with pytest.raises(Cancelled):
        solve(Job(seed=1), tmp_path, cancelled=lambda: True)
    assert not list(tmp_path.iterdir())


def test_several_files_become_one_folder_and_keep_their_names_where_they_can(tmp_path, monkeypatch):
    files = []
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        for name in ("1.dcm", f"{folder}.dcm"):
            path = tmp_path / folder / name
            path.write_text(f"{folder}/{name}")
            files.append(str(path))
    seen = {}

    def read_volume(path, modality):
        seen.update({file.name: file.read_text() for file in path.iterdir()}, modality=modality)

    monkeypatch.setattr("ganlab.imaging.files.read_volume", read_volume)
    cases._read(tuple(files), "ct", tmp_path)
    assert seen == {
        "1.dcm": "a/1.dcm", "a.dcm": "a/a.dcm", "00002-1.dcm": "b/1.dcm", "b.dcm": "b/b.dcm", "modality": "ct",
    }  # fmt: skip
