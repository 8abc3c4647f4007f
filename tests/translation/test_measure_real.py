"""Finding real heads, the figures of a CT made of one, and their tables."""

import json
from dataclasses import replace

import numpy as np
import pytest

from ganlab.checkpoints import read_card
from ganlab.errors import InputError
from ganlab.imaging.volume import Volume
from ganlab.imaging.writing import write_volume
from ganlab.phantoms.scanned import volumes
from ganlab.translation import measure_real, real_heads
from ganlab.translation.card import Trained, update_card, update_real_heads, write_new_card
from ganlab.translation.head_atlas import CtAtlas, HeadAtlas
from ganlab.translation.head_sheet import write_head_sheet
from ganlab.translation.inference import Translation
from ganlab.translation.presets import PRESETS
from ganlab.translation.real_figures import (
    errors_of_head,
    failures,
    figures_of_fa,
    figures_of_head,
    figures_of_t1,
    format_heads,
)
from ganlab.translation.real_heads import RealHead, find_heads, heads_to_measure

SHAPE = (80, 80, 80)
RADIUS = np.linalg.norm(np.stack(np.meshgrid(*(np.arange(80) * 2.5 - 98.75,) * 3, indexing="ij")), axis=0)
AFFINE = np.diag([2.5, 2.5, 2.5, 1.0])
AFFINE[:3, 3] = -98.75


def a_ct(around=-1000.0):
    hu = np.interp(RADIUS, [67, 69, 76, 78, 82, 84], [30, 900, 900, 30, 30, around])
    return Volume(hu.astype(np.float32), AFFINE, "HU", "ct")


def a_t1():
    t1 = np.where(RADIUS < 68, 600, np.where(RADIUS < 77, 30, np.where(RADIUS < 83, 800, 0)))
    return Volume(t1.astype(np.float32), AFFINE, modality="t1")


def an_atlas():
    sinus = np.zeros(SHAPE, bool)
    sinus[40:44, 70:74, 30:38] = True
    brain = RADIUS < 60
    head = RADIUS < 83
    places = {"putamen": RADIUS < 10, "lateral ventricles": RADIUS < 5}
    return HeadAtlas(
        np.eye(4), head, head, RADIUS > 88, brain, brain, {"frontal sinus": sinus}, places, head & (RADIUS > 70)
    )


@pytest.fixture
def folder(tmp_path):
    for name, volume in (("a_t1", a_t1()), ("a_ct", a_ct()), ("b_T1w", a_t1()), ("lone_ct", a_ct())):
        write_volume(volume, tmp_path / f"{name}.nii.gz")
    (tmp_path / "case7").mkdir()
    write_volume(a_t1(), tmp_path / "case7" / "scan.nii.gz")
    write_volume(a_ct(), tmp_path / "case7" / "reference.nii.gz")
    (tmp_path / "broken.nii.gz").write_bytes(b"no volume")
    (tmp_path / "notes.txt").write_text("not a scan")
    return tmp_path


def test_heads_are_found_with_the_ct_of_the_same_person(folder):
    heads, unreadable = find_heads(folder)
    found = {head.name: (head.modality, head.reference and head.reference.name) for head in heads}
    assert found == {
        "a_t1": ("t1", "a_ct.nii.gz"),
        "a_ct": ("ct", None),
        "b_T1w": ("t1", None),
        "lone_ct": ("ct", None),
        "case7/scan": ("t1", "reference.nii.gz"),
        "case7/reference": ("ct", None),
    }
    assert list(unreadable) == ["broken.nii.gz"]


def test_cases_may_have_sub_folders_for_each_scan(tmp_path):
    for place in (
        "p1/mr/scan",
        "p1/ct/scan",
        "sub-01/anat/sub-01_T1w",
        "sub-01/ct/sub-01_ct",
        "sub-02/anat/sub-02_T1w",
    ):
        (tmp_path / place).parent.mkdir(parents=True, exist_ok=True)
        write_volume(a_ct() if "ct" in place.split("/")[1] else a_t1(), tmp_path / f"{place}.nii.gz")
    (tmp_path / "empty").mkdir()
    heads, unreadable = find_heads(tmp_path)
    references = {h.name: h.reference and str(h.reference.relative_to(tmp_path)) for h in heads if h.modality == "t1"}
    assert references == {
        "p1/mr/scan": "p1/ct/scan.nii.gz",
        "sub-01/anat/sub-01_T1w": "sub-01/ct/sub-01_ct.nii.gz",
        "sub-02/anat/sub-02_T1w": None,
    }
    assert unreadable == {}


def test_colin27_is_measured_with_a_folder_where_it_is_installed(folder, tmp_path, monkeypatch):
    monkeypatch.setattr(real_heads, "COLIN27", folder / "b_T1w.nii.gz")
    names = [head.name for head in heads_to_measure(folder, None, "mr2ct")[0]]
    assert names == ["a_t1", "b_T1w", "case7/scan", "lone_ct", "Colin27"]
    assert [head.name for head in heads_to_measure(None, True, "mr2ct")[0]] == ["Colin27"]
    assert "Colin27" not in [head.name for head in heads_to_measure(folder, False, "mr2ct")[0]]
    monkeypatch.setattr(real_heads, "COLIN27", folder / "nothing.nii.gz")
    assert "Colin27" not in [head.name for head in heads_to_measure(folder, None, "mr2ct")[0]]
    with pytest.raises(InputError, match=r"Colin27 is not at .*mricron-data"):
        heads_to_measure(None, True, "mr2ct")


def test_refuses_folders_without_scans_and_other_tasks(tmp_path):
    with pytest.raises(InputError, match="does not exist"):
        find_heads(tmp_path / "nowhere")
    with pytest.raises(InputError, match="holds no volumes"):
        find_heads(tmp_path)
    with pytest.raises(InputError, match="measured for mr2ct, ct2mr and t1fa, not for t1flair"):
        heads_to_measure(tmp_path, None, "t1flair")
    with pytest.raises(InputError, match="Colin27 is a T1 scan"):
        heads_to_measure(tmp_path, True, "ct2mr")


def test_a_good_ct_has_the_figures_of_a_head_and_haze_is_seen():
    figures = figures_of_head(a_ct(), an_atlas())
    assert figures["vault_mm"] == pytest.approx(10.0, abs=0.8) and figures["vault_closed"] == 100
    assert figures["bone_share"] == pytest.approx(100 * (77.5**3 - 67.5**3) / 83**3, abs=3)
    assert (figures["outside_median"], figures["outside_haze"], figures["brain_max"]) == (-1000, 0, 30)
    assert "sphenoid_sinus" not in figures  # no place for it in this head
    hazy = figures_of_head(a_ct(around=-600.0), an_atlas())
    assert (hazy["outside_median"], hazy["outside_haze"]) == (-600, 100)
    assert "air outside, median -600, expected below -950" in failures(hazy)


def test_errors_are_those_of_each_tissue_of_the_reference():
    reference = np.array([[[-1000.0, -100.0, 40.0, 900.0, 900.0, 40.0]]])
    made = reference + np.array([[[100.0, 50.0, 10.0, -700.0, 0.0, 5000.0]]])
    inside = np.array([[[True] * 5 + [False]]])
    volumes = (Volume(array.astype(np.float32), np.eye(4), "HU", "ct") for array in (made, reference))
    errors = errors_of_head(*volumes, inside)
    assert {key: errors[key] for key in ("air", "fat", "soft", "bone")} == {
        "air": 100, "fat": 50, "soft": 10, "bone": 350,
    }  # fmt: skip
    assert errors["mae"] == 172 and errors["dice_bone"] == pytest.approx(2 / 3, abs=1e-4)


def test_a_synthetic_t1_has_dark_bone_and_nothing_around_the_head():
    brain = RADIUS < 60
    atlas = CtAtlas(RADIUS < 83, RADIUS > 88, brain, np.zeros(3))
    t1 = replace(a_t1(), array=a_t1().array / 600)
    dense = replace(a_ct(), array=a_ct().array * 1.5)
    figures = figures_of_t1(t1, dense, atlas)
    assert (figures["signal_outside"], figures["white_matter"], figures["dark_brain"]) == (0, 1, 0)
    assert figures["dense_bone"] == pytest.approx(0.05)
    assert not any("pattern" not in sentence for sentence in failures(figures, "ct2mr"))
    ghost = t1.array.copy()
    ghost[:, :4] = 0.5  # of the table
    ghost[brain & (RADIUS < 30)] = 0.2
    figures = figures_of_t1(replace(t1, array=ghost), dense, atlas)
    assert figures["signal_outside"] > 5 and figures["dark_brain"] == pytest.approx(12.5, abs=1)


def test_a_synthetic_fa_map_is_measured_where_fa_is_known():
    fa = replace(a_t1(), array=np.where(RADIUS < 60, np.where(RADIUS < 5, 0.05, 0.25), 0).astype(np.float32))
    figures = figures_of_fa(fa, an_atlas())
    assert (figures["putamen"], figures["ventricles"], figures["around"], figures["outside"]) == (0.25, 0.05, 0, 0)
    assert "genu" not in figures  # no place for it in this head
    assert failures(figures, "t1fa") == []
    fa.array[(RADIUS > 75) & (RADIUS < 83)] = 0.3  # of the scalp
    assert any(
        each.startswith("head around the brain above 0.1") for each in failures(figures_of_fa(fa, an_atlas()), "t1fa")
    )


def test_fa_is_measured_on_t1_scans_alone(folder):
    assert [head.name for head in heads_to_measure(folder, False, "t1fa")[0]] == ["a_t1", "b_T1w", "case7/scan"]


def test_air_spaces_are_those_of_the_heads_own_ct_where_there_is_one():
    ct = replace(a_ct(), array=np.full(SHAPE, 30, np.float32))
    assert an_atlas().with_true_air(ct).air == {}
    ct.array[:, 70:72] = -1000  # half of the dark voxels
    air = an_atlas().with_true_air(ct).air["frontal sinus"]
    assert air.sum() == an_atlas().air["frontal sinus"].sum() / 2 and (ct.array[air] == -1000).all()


def test_bone_in_the_brain_is_found():
    ct = a_ct()
    ct.array[40:43, 40:43, 40:43] = 400
    figures = figures_of_head(ct, an_atlas())
    assert figures["brain_max"] == 400
    assert figures["brain_bone_ml"] == pytest.approx(27 * 2.5**3 / 1000, abs=1e-3)


@pytest.fixture
def fake_models(monkeypatch):
    ct_atlas = CtAtlas(RADIUS < 83, RADIUS > 88, RADIUS < 60, np.zeros(3))
    monkeypatch.setattr(measure_real, "on_model_grid", lambda volume, fill: volume)
    monkeypatch.setattr(measure_real, "atlas_of", lambda t1: an_atlas())
    monkeypatch.setattr(measure_real, "atlas_of_ct", lambda ct: ct_atlas)
    monkeypatch.setattr(volumes, "scanned_pair", lambda ct: {"t1": a_t1(), "ct": a_ct()})

    def check_source(volume, task):
        if volume.array.max() > 5000:
            raise InputError("This is no T1.")
        return ("It has a thick skull.",) if task.name == "mr2ct" else ()

    def translate(volume, task, model, device, planes):
        if task == "ct2mr":
            return Translation(replace(a_t1(), array=a_t1().array / 600), model, 0.0)
        return Translation(replace(a_ct(), affine=volume.affine), model, 0.0)

    monkeypatch.setattr(measure_real, "check_source", check_source)
    monkeypatch.setattr(measure_real, "translate", translate)


@pytest.mark.slow
def test_every_head_is_measured_with_every_model_and_the_rest_is_named(folder, fake_models):
    write_volume(replace(a_t1(), array=a_t1().array * 10), folder / "other_t1.nii.gz")
    heads, _ = heads_to_measure(folder, False, "mr2ct")
    seen, shares = [], []
    result = measure_real.measure_on_heads(
        ["one", "two"], heads, progress=shares.append, seen=lambda *s: seen.append(s)
    )
    for figures in result["models"].values():
        assert list(figures) == ["a_t1", "b_T1w", "case7/scan", "lone_ct (simulated T1)"]
        assert figures["lone_ct (simulated T1)"]["mae"] < 0.5  # HU are whole numbers
    assert list(result["real"]) == ["a_t1", "case7/scan", "lone_ct (simulated T1)"]
    assert result["skipped"] == {"other_t1": "This is no T1."}
    assert len(seen) == 8 and shares[-1] <= 1
    assert result["models"]["one"]["a_t1"]["dice_bone"] > 0.95  # registered to itself
    assert "dice_bone" not in result["models"]["one"]["b_T1w"]
    json.dumps(result)


def test_a_folder_of_which_nothing_can_be_measured_is_refused(tmp_path, fake_models):
    write_volume(replace(a_t1(), array=a_t1().array * 10), tmp_path / "x.nii.gz")
    with pytest.raises(InputError, match=r"No head could be measured \(x: This is no T1"):
        measure_real.measure_on_heads(["one"], heads_to_measure(tmp_path, False, "mr2ct")[0])


def test_the_table_says_what_real_heads_have_and_marks_what_they_have_not():
    figures = {"bone_share": 18.0, "vault_mm": 4.02, "mastoid_cells": 1211.0, "grid_ratio": 3.04}
    assert format_heads({"unet": {"Colin27": figures}}).splitlines() == [
        "| figure | real heads | unet |",
        "|---|---|---|",
        "| bone, of the head (%) | 15 to 24 | 18.0 |",
        "| thickness of the vault (mm) | 6 to 10 | **4.0** |",
        "| mastoid cells (HU) | below -300 | **1211** |",
        "| pattern of patches, ratio |  | 3.0 |",
    ]
    several = format_heads({"unet": {"a": figures, "b": {"vault_mm": 7.0}}}).splitlines()
    assert several[0] == "| figure | real heads | unet, a | unet, b |" and several[2].endswith("| 18.0 | - |")


def test_a_card_has_a_section_on_real_heads_that_is_written_anew(tmp_path):
    folder = tmp_path / "mine"
    write_new_card(folder, Trained(PRESETS["mr2ct-unet"], 10, "cpu", 1.0), 1000)
    (folder / "model.safetensors").touch()
    update_card(str(folder), {"patients": {9000: {"mae": 40.0}}, "mean": {"mae": 40.0}, "sd": {"mae": 1.0}})
    for thickness in (3.0, 7.0):
        update_real_heads(str(folder), {"Colin27": {"vault_mm": thickness}})
    card, text = read_card(folder), (folder / "card.md").read_text(encoding="utf-8")
    assert card["metrics"]["real_heads"] == {"Colin27": {"vault_mm": 7.0}}
    assert card["metrics"]["mean"] == {"mae": 40.0}
    assert text.count("## On real heads") == 1 and "6 to 10 | 7.0 |" in text and "**3.0**" not in text
    assert text.index("| 9000 |") < text.index("## On real heads") < text.index("## Limits")
    update_card(str(folder), {"patients": {9000: {"mae": 30.0}}, "mean": {"mae": 30.0}, "sd": {"mae": 1.0}})
    assert read_card(folder)["metrics"]["real_heads"]  # the other figures stay


@pytest.mark.slow
def test_a_sheet_shows_every_head_of_every_model(tmp_path):
    from PIL import Image

    path = write_head_sheet(tmp_path, "mr2ct", "out/my model", RealHead("case7/scan", tmp_path), a_t1(), a_ct())
    assert path == tmp_path / "my_model-case7_scan.png"
    with Image.open(path) as image:
        pixels = np.asarray(image.convert("L"))
    assert pixels.shape[1] > 1500 and 0.05 < (pixels > 100).mean() < 0.6


def test_a_sheet_of_fa_shows_it_in_its_own_range(tmp_path):
    from PIL import Image

    heights = {}
    for task, made in (("mr2ct", a_ct()), ("t1fa", replace(a_t1(), array=a_t1().array / 2000))):
        with Image.open(write_head_sheet(tmp_path, task, "m", RealHead(task, tmp_path), a_t1(), made)) as image:
            heights[task] = image.height
            pixels = np.asarray(image.convert("L"))
    assert heights["t1fa"] < heights["mr2ct"]  # one row, not two windows
    lower = pixels[pixels.shape[0] // 2 :]
    assert ((lower > 60) & (lower < 140)).mean() > 0.05  # FA of 0.3 is mid-grey between 0 and 0.8


@pytest.mark.slow
def test_the_command_prints_figures_of_real_heads(folder, fake_models, monkeypatch, capsys, tmp_path):
    from ganlab.cli.translate import evaluate_models
    from ganlab.translation import measure

    monkeypatch.setattr(measure, "models_to_measure", lambda names, task: names)
    for name in ("a_t1", "a_ct", "lone_ct"):
        (folder / f"{name}.nii.gz").unlink()
    (folder / "case7" / "reference.nii.gz").unlink()
    evaluate_models(["one"], real=folder, colin=False, as_json=True, sheet=tmp_path / "sheets")
    out, err = capsys.readouterr()
    assert set(json.loads(out)["models"]["one"]) == {"b_T1w", "case7/scan"}
    assert "broken.nii.gz was skipped" in err and "b_T1w: It has a thick skull." in err
    assert {path.name for path in (tmp_path / "sheets").iterdir()} == {"one-b_T1w.png", "one-case7_scan.png"}
    write_volume(a_ct(), folder / "lone_ct.nii.gz")
    evaluate_models(["two"], task="ct2mr", real=folder, sheet=tmp_path / "sheets")
    assert "| brain, 95th percentile (of white matter) | 0.85 to 1.2 | 1.00 |" in capsys.readouterr().out
    assert (tmp_path / "sheets" / "two-lone_ct.png").is_file()
    with pytest.raises(InputError, match="--planes and --sheet need real heads"):
        evaluate_models(["one"], planes="axial")
