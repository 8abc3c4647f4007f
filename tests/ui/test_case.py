"""What is stored can be read back: values within half a step, geometry exactly."""

import shlex
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
import typer
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from ganlab.cli.main import app
from ganlab.errors import Cancelled, InputError
from ganlab.imaging.grid import canonical
from ganlab.translation.tasks import get_task
from ganlab.ui import case as cases
from ganlab.ui import report
from ganlab.ui.case import HISTOGRAM_EDGES, Job, encode, load_case, load_layer, solve
from ganlab.ui.phantom_options import Options, option_notices

MR2CT = get_task("mr2ct")
ALL = Options(
    lesion="plaques", craniotomy=True, fillings=True, defaced=True, misalign=3.5, ventricles=1.3, skull=7.0, fat=10 / 3,
    scanner="fat-suppressed", field=1.5,
)  # fmt: skip
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
    assert case.metrics["mae"] == pytest.approx(20.4, abs=0.01)
    counted = sum(sum(counts) for name, counts in case.histogram.items() if name != "edges")
    assert counted == case.metrics["voxels"]
    bin_of_20 = int(np.searchsorted(HISTOGRAM_EDGES["ct"], 20.4)) - 1
    assert sum(case.histogram[tissue][bin_of_20] for tissue in ("air", "soft", "bone")) == counted


def test_without_a_reference_there_are_no_metrics(make_case, tmp_path):
    case = make_case(tmp_path, reference=False)
    assert case.metrics is None and case.histogram is None
    assert [layer.name for layer in case.layers] == ["input", "synthetic"]


def parsed(command):
    """(name of the ganlab command, its parameters) as the command line itself reads a shell line."""
    python, _, package, name, *words = shlex.split(command)
    assert (python, package) == ("python", "ganlab")
    context = typer.main.get_command(app).commands[name].make_context(name, words)
    return name, context.params


def test_commands_read_well():
    phantom = Job(seed=7, spacing=2.0, planes=("axial",))
    assert cases._commands(phantom, "mr2ct-unet", "Phantom patient 7", "phantom-7") == (
        "python -m ganlab phantom --seed 7 --out patient-7 --spacing 2",
        "python -m ganlab translate --task mr2ct patient-7/t1.nii.gz synthetic-ct.nii.gz --model mr2ct-unet "
        "--planes axial",
        "python -m ganlab evaluate patient-7/ct.nii.gz synthetic-ct.nii.gz",
    )


@pytest.mark.parametrize("options", [Options(), Options(lesion="tumour"), Options(fat=0.8, scanner="clinical"), ALL])
@pytest.mark.parametrize("planes", [cases.PLANES, ("axial",), ("coronal", "sagittal")])
def test_commands_reproduce_the_case(options, planes):
    job = Job(seed=7, spacing=1 / 3 + 1, planes=planes, options=options)
    stem = f"phantom-7{options.words()[1]}"
    made, translated, measured = (parsed(command) for command in cases._commands(job, "mr2ct-unet", "Title", stem))
    folder = Path(stem.replace("phantom", "patient"))
    assert made[0] == "phantom" and {name: made[1][name] for name in asdict(options)} == asdict(options)
    assert {name: made[1][name] for name in ("seed", "spacing", "out")} == {
        "seed": 7, "spacing": job.spacing, "out": folder
    }  # fmt: skip
    assert made[1]["lesion_at"] is None and {"t1", "ct"} <= set(made[1]["modality"])
    assert translated[0] == "translate" and translated[1]["source"] == folder / "t1.nii.gz"
    assert (translated[1]["model"], translated[1]["task"]) == ("mr2ct-unet", "mr2ct")
    assert (translated[1]["planes"] or ",".join(cases.PLANES)).split(",") == list(planes)  # unless given, all
    assert measured[0] == "evaluate" and measured[1]["reference"] == folder / "ct.nii.gz"
    assert measured[1]["prediction"] == translated[1]["out"]


def test_the_commands_of_an_upload_name_its_files():
    own = Job(files=("/tmp/x/my scan.nii.gz",), reference=("/tmp/y/ct.nii",))
    translated, measured = cases._commands(own, "mr2ct-unet", "my scan.nii.gz", "my-scan")
    assert "mr2ct 'my scan.nii.gz' synthetic-ct.nii.gz" in translated
    assert measured == "python -m ganlab evaluate my-scan-reference-ct.nii.gz synthetic-ct.nii.gz"


def test_training_has_as_many_lesions_as_the_notice_says(monkeypatch):
    import torch

    from ganlab.phantoms import patient, slices
    from ganlab.phantoms.build import Build

    head = patient.Patient(Build(), *[None] * 4)
    monkeypatch.setattr(slices, "make_head", lambda generator, device: head)
    draw = slices.Draw(torch.Generator().manual_seed(0))
    found = [slices.random_patient(draw).build.lesion for _ in range(4000)]
    assert np.mean([lesion is not None for lesion in found]) == pytest.approx(0.15, abs=0.02)


def test_a_phantom_is_made_as_its_job_says(monkeypatch, volumes, tmp_path):
    from types import SimpleNamespace

    import ganlab.phantoms
    import ganlab.translation.inference

    asked = {}

    def make_patient(seed, spacing, progress, **options):
        asked.update(seed=seed, spacing=spacing, **options)
        return {"t1": volumes["input"], "ct": volumes["reference"]}

    made = SimpleNamespace(synthetic=volumes["synthetic"], model="mr2ct-unet", seconds=1.0, notices=())
    monkeypatch.setattr(ganlab.phantoms, "make_patient", make_patient)
    monkeypatch.setattr(ganlab.translation.inference, "translate", lambda volume, **_: made)
    options = Options(lesion="plaques", misalign=3.0, ventricles=1.5)
    case = solve(Job(seed=7, spacing=2.0, options=options), tmp_path)
    both = ("t1", "ct")
    assert asked == {
        "modalities": both,
        "seed": 7,
        "spacing": 2.0,
        "lesion": "plaques",
        "misalign": 3.0,
        "ventricles": 1.5,
    }
    assert case.options == options and load_case(tmp_path) == case
    assert case.title == "Phantom patient 7: plaques, misaligned by 3 mm, ventricles 1.5 times the mean"
    assert case.stem == "phantom-7-plaques-misalign-3-ventricles-1.5"
    assert case.notices[:2] == option_notices(options, MR2CT)
    assert "--lesion plaques --misalign 3 --ventricles 1.5" in case.commands[0]


def test_a_rival_is_translated_measured_and_kept_beside_the_model(monkeypatch, volumes, tmp_path):
    from types import SimpleNamespace

    import ganlab.phantoms
    import ganlab.translation.inference

    worse = replace(volumes["synthetic"], array=volumes["synthetic"].array + 80)
    results = {"mr2ct-unet": volumes["synthetic"], "mr2ct-pix2pix": worse}
    pair = {"t1": volumes["input"], "ct": volumes["reference"]}
    monkeypatch.setattr(ganlab.phantoms, "make_patient", lambda **_: pair)
    monkeypatch.setattr(
        ganlab.translation.inference,
        "translate",
        lambda volume, task, model, **_: SimpleNamespace(
            synthetic=results[model], model=model, seconds=1.0, notices=()
        ),
    )
    case = solve(Job(seed=7, model="mr2ct-unet", rival="mr2ct-pix2pix"), tmp_path)
    assert load_case(tmp_path) == case
    labels = {layer.name: layer.label for layer in case.layers}
    assert labels == {
        "input": "T1", "synthetic": "CT by unet", "rival": "CT by pix2pix", "reference": "Reference CT"
    }  # fmt: skip
    assert case.rival["metrics"]["mean_error"] == pytest.approx(case.metrics["mean_error"] + 80, abs=0.1)
    assert case.commands[1].endswith("synthetic-ct.nii.gz --model mr2ct-unet")
    assert case.commands[2].endswith("rival-ct.nii.gz --model mr2ct-pix2pix")
    table = report.metrics_table(case)
    assert "MAE, unet" in table and "MAE, pix2pix" in table
    assert "rival=mr2ct-pix2pix" in report.link(case)


@pytest.mark.parametrize(
    ("task", "labels"),
    [("t1fa", ["T1", "Synthetic FA", "Reference FA"]), ("ct2mr", ["CT", "Synthetic T1", "Reference T1"])],
)
def test_other_tasks_have_their_own_words_scales_and_masks(monkeypatch, tmp_path, task, labels):
    from types import SimpleNamespace

    import ganlab.translation.inference

    def perfect(volume, task, model, **_):
        synthetic = replace(made["reference"], array=made["reference"].array * np.float32(0.9))
        return SimpleNamespace(synthetic=synthetic, model=model, seconds=1.0, notices=())

    made = {}
    pair_of = ganlab.translation.tasks.phantom_pair

    def pair(*args, **kwargs):
        made["source"], made["reference"], mask = pair_of(*args, **kwargs)
        return made["source"], made["reference"], mask

    monkeypatch.setattr(ganlab.translation.tasks, "phantom_pair", pair)
    monkeypatch.setattr(ganlab.translation.inference, "translate", perfect)
    case = solve(Job(seed=3, spacing=4.0, task=task, model=f"{task}-unet"), tmp_path)
    assert [layer.label for layer in case.layers] == labels
    assert case.metrics["task"] == task and case.metrics["correlation"] == pytest.approx(1, abs=1e-6)
    assert sum(map(sum, (v for k, v in case.histogram.items() if k != "edges"))) == case.metrics["voxels"]
    assert f"task={task}" in report.link(case) and f"--task {task}" in case.commands[-1]
    assert "MAE, HU" not in report.metrics_table(case) and "HU" not in report.histogram(case)


def test_a_registration_is_told_in_mm_and_degrees(volumes):
    volume = volumes["input"]
    middle = volume.affine @ [*(np.array(volume.shape) - 1) / 2, 1]
    turned = np.eye(4)
    turned[:2, :2] = [[np.cos(0.2), -np.sin(0.2)], [np.sin(0.2), np.cos(0.2)]]
    turned[:3, 3] = (middle - turned @ middle)[:3] + np.array([3, 0, 4])
    assert "moved by 5.0 mm and turned by 11.5\u00b0" in cases.motion_words(turned, volume, MR2CT)


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

    monkeypatch.setattr("ganlab.imaging.reading.files.read_volume", read_volume)
    cases.read_scan(tuple(files), "ct", tmp_path)
    assert seen == {
        "1.dcm": "a/1.dcm", "a.dcm": "a/a.dcm", "00002-1.dcm": "b/1.dcm", "b.dcm": "b/b.dcm", "modality": "ct",
    }  # fmt: skip
