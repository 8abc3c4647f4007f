"""Stored cases are read back: values within half a step, geometry exactly."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from ganlab.imaging.grid import canonical
from ganlab.imaging.volume import Origin
from ganlab.phantoms.options import PhantomOptions
from ganlab.translation.compare import HISTOGRAM_EDGES
from ganlab.ui.saved_case import difference, encode, load_case, load_layer, load_volume

ALL = PhantomOptions(
    lesion="plaques", craniotomy=True, fillings=True, defaced=True, misalign=3.5, ventricles=1.3, skull=7.0, fat=10 / 3,
    scanner="fat-suppressed", field=1.5,
)  # fmt: skip
SHAPES = st.tuples(*[st.integers(1, 6)] * 3)


@given(arrays.arrays(np.float32, SHAPES, elements=st.floats(-1e6, 1e6, width=32)))
def test_stores_any_image_within_half_a_step(array):
    stored, scale, offset = encode(array)
    assert stored.dtype == "<i2" and stored.flags.c_contiguous
    back = stored.astype(np.float64) * scale + offset
    assert np.abs(back - array).max() <= scale / 2 * (1 + 1e-6)
    assert scale <= max(1.0, (float(array.max()) - float(array.min())) / 65535)


@given(arrays.arrays(np.float32, SHAPES, elements=st.floats(-1024, 3071, width=32)), st.sampled_from([1.0, 4.0]))
def test_stores_hounsfield_units_in_whole_steps(array, step):
    stored, scale, offset = encode(array, "HU", hu_step=step)
    assert (scale, offset) == (step, 0.0)
    assert np.abs(stored * scale - array).max() <= step / 2


def test_stores_whole_numbers_exactly():
    array = np.array([[[0, 1, 4095]]], np.float32)
    stored, scale, offset = encode(array)
    assert (scale, offset) == (1.0, 0.0) and np.array_equal(stored, array)


def test_reads_a_case_back_as_it_was_saved(make_case, volumes, tmp_path):
    saved = make_case(tmp_path, options=ALL)
    case = load_case(tmp_path)
    assert case == saved and case.options == ALL
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
    assert case.metrics["mae"] == 20
    counted = sum(sum(counts) for name, counts in case.histogram.items() if name != "edges")
    assert counted == case.metrics["voxels"]
    bin_of_20 = int(np.searchsorted(HISTOGRAM_EDGES["ct"], 20, side="right")) - 1
    assert sum(case.histogram[tissue][bin_of_20] for tissue in ("air", "soft", "bone")) == counted


def test_without_a_reference_there_are_no_metrics(make_case, tmp_path):
    case = make_case(tmp_path, reference=False)
    assert case.metrics is None and case.histogram is None
    assert [layer.name for layer in case.layers] == ["input", "synthetic"]


def test_downloads_are_not_quantised_like_the_viewers_layers(make_case, volumes, tmp_path):
    """The viewer's layers of an MR are quantised; its download is not."""
    case = make_case(tmp_path)
    for name, volume in volumes.items():
        stored = load_volume(tmp_path, case, name)
        assert np.array_equal(stored.array, volume.array) and np.allclose(stored.affine, volume.affine, atol=1e-5)
    assert not np.array_equal(load_layer(tmp_path, case, "input"), canonical(volumes["input"]).array)
    assert np.all(difference(tmp_path, case).array == 20)


def test_downloads_keep_the_space_and_the_patient_of_the_input(make_case, volumes, tmp_path):
    origin = Origin(sform=4, qform=1, dicom={"PatientID": "7", "StudyInstanceUID": "1.2.3"})
    volumes |= {name: replace(volume, origin=origin) for name, volume in volumes.items()}
    case = make_case(tmp_path, seed=None)
    assert case == load_case(tmp_path) and "MNI space" in case.losses[0]
    stored = load_volume(tmp_path, case, "synthetic")
    assert (stored.origin, stored.modality, stored.model) == (origin, "ct", "mr2ct-unet")
    assert load_volume(tmp_path, case, "input").model == ""
    assert difference(tmp_path, case).modality == "error"


def test_a_case_without_downloads_makes_them_from_its_layers(make_case, volumes, tmp_path):
    case = make_case(tmp_path, downloads=False)
    assert not list(tmp_path.glob("*.nii.gz"))
    stored = load_volume(tmp_path, case, "input")
    assert np.abs(stored.array - volumes["input"].array).max() <= case.layer("input").scale / 2 * 1.001
    assert np.array_equal(stored.affine, volumes["input"].affine)


def test_an_interval_is_a_layer_of_its_own_and_belongs_to_its_image(make_case, volumes, tmp_path):
    volumes["confidence"] = replace(volumes["synthetic"], array=np.full((20, 24, 18), 140.0, np.float32))
    case = make_case(tmp_path)
    layer = case.layer("confidence")
    assert (layer.of, layer.unit, layer.window, layer.label) == ("synthetic", "HU", (0.0, 500.0), "90 % interval")
    assert load_case(tmp_path) == case and case.layer("synthetic").of is None
    np.testing.assert_array_equal(load_layer(tmp_path, case, "confidence"), 140.0)
