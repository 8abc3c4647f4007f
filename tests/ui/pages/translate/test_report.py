"""Reports show the contents of a case, and file names are escaped."""

import re
from dataclasses import replace

import pytest

from ganlab.ui import report as shared
from ganlab.ui.pages.translate import report


@pytest.fixture
def case(make_case, tmp_path):
    return make_case(tmp_path)


def test_the_table_has_a_row_per_region_and_a_definition_per_number(case):
    html = report.metrics_table(case)
    for words in ("Whole head", "Air", "Soft tissue", "Bone", "PSNR, range 4095", "SSIM", "Dice, bone"):
        assert words in html
    assert ">20.0<" in html and ">+20.0<" in html
    for name in case.metrics["definitions"]:
        assert name.replace("_", " ") in html


def test_a_tissue_without_voxels_is_a_dash(case):
    nothing = {"voxels": 0, "mae": None, "mean_error": None, "range": "> 250 HU"}
    metrics = {**case.metrics, "tissues": {"bone": nothing}, "dice": {"bone": None}}
    assert report.metrics_table(replace(case, metrics=metrics)).count("\u2013") == 3


def test_the_histogram_draws_every_tissue_inside_its_box(case):
    svg = report.histogram(case)
    width, height = map(float, re.search(r"viewBox='0 0 (\d+) (\d+)'", svg).groups())
    assert svg.count("class='gl-bars'") == 3
    for path in re.findall(r"class='gl-bars' d='([^']*)'", svg):
        xs = [float(x) for x in re.findall(r"H([\d.]+)", path)]
        ys = [float(y) for y in re.findall(r"V([\d.]+)", path)]
        assert min(xs) >= 0 and max(xs) <= width and min(ys) >= 0 and max(ys) <= height


def test_without_a_reference_the_report_says_so(make_case, tmp_path):
    case = make_case(tmp_path, reference=False)
    assert "Metrics need a CT" in report.metrics_table(case)
    assert report.histogram(case) == ""
    links = report.downloads(case, "TOKEN")
    assert "synthetic.nii.gz" in links and "error.nii.gz" not in links and "metrics" not in links


def test_the_synthetic_volume_is_offered_as_dicom_and_says_what_is_lost(case):
    links = report.downloads(case, "TOKEN")
    assert links.count(".zip") == 1 and "aria-label='Synthetic CT, DICOM'" in links and "NOT FOR CLINICAL USE" in links
    assert "those of the upload" not in links
    uploaded = report.downloads(replace(case, dicom={"PatientID": "1"}, losses=("It lies in MNI space.",)), "TOKEN")
    assert "Patient, study and frame of reference are those of the upload. It lies in MNI space." in uploaded


def test_only_a_phantom_has_a_link(case):
    assert "?tab=translate&amp;seed=7&amp;model=mr2ct-unet&amp;spacing=1'" in shared.provenance(
        case, report.link(case), "Link"
    )
    assert "&amp;planes=axial" in report.link(replace(case, planes=("axial",)))
    assert "href" not in shared.provenance(replace(case, seed=None), "?seed=7", "Link")


def test_names_are_escaped(case):
    evil = "<img src=x onerror=alert(1)>"
    named = replace(case, title=evil, notices=(evil,), commands=(evil,), model=evil)
    assert "&lt;img" in report.headline(named) and "&lt;img" in shared.notices(named)
    for html in (*(part for part in report.show(named, "token") if isinstance(part, str)), shared.alert(evil)):
        assert "<img" not in html


def test_not_a_medical_device_appears_once(case):
    assert report.headline(case).count("Not a medical device") == 1


SURE = {"half_width": 151.2, "covered": [0.83, 0.95], "heads": "6 phantom patients, no real head"}
WORTH = {"coverage": 0.91, "half_width": 151.2, "limit": 400.0, "mae_confident": 26.4, "mae_rest": 108.4}


def test_the_report_says_how_sure_the_model_is_and_what_it_was_calibrated_on(case):
    html = report.metrics_table(replace(case, confidence=SURE, metrics=case.metrics | {"confidence": WORTH}))
    assert "26.4 HU" in html and "108.4 HU" in html and "91 %" in html
    assert "\N{PLUS-MINUS SIGN}151 HU on average" in html and "6 phantom patients, no real head" in html
    assert "83 to 95 %" in html
    alone = report.metrics_table(replace(case, confidence=SURE, metrics=None))  # a real scan, without a reference
    assert "Metrics need" in alone and "\N{PLUS-MINUS SIGN}151 HU" in alone
    assert "90 % interval" not in report.metrics_table(case)
