"""What a page says about a visitor's scans before it translates them."""

import pytest

from ganlab.imaging.volume import Volume
from ganlab.imaging.writing import write_volume
from ganlab.phantoms import make_patient
from ganlab.translation.compare import read_scan
from ganlab.translation.inference import check_source
from ganlab.translation.tasks import get_task
from ganlab.ui import scan_check
from ganlab.ui.scan_check import ChosenScan, Finding, check, examine, show, uploaded_scans
from ganlab.ui.volume_controls import PHANTOM, UPLOAD


def quiet(done, desc):
    """A progress bar that shows nothing."""


@pytest.fixture(scope="module")
def head():
    return make_patient(seed=7, modalities=("t1", "ct"), spacing=4.0)


@pytest.fixture(scope="module")
def files(head, tmp_path_factory):
    """Uploads by modality; "thick": the T1 with slices 8 mm apart; "text": not a scan."""
    folder = tmp_path_factory.mktemp("uploads")
    thick = Volume(
        head["t1"].array[:, :, ::2], head["t1"].affine @ [[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 2, 0], [0, 0, 0, 1]]
    )
    for name, volume in {**head, "thick": thick}.items():
        write_volume(volume, folder / f"{name}.nii.gz")
    (folder / "text.nii.gz").write_text("This is not a scan.")
    return {name: [str(folder / f"{name}.nii.gz")] for name in ("t1", "ct", "thick", "text")}


def looked_at(*chosen, findings=None, running=False):
    """What the page shows after a check: (message, whether Translate can be pressed)."""
    message, button = show(uploaded_scans, check(uploaded_scans, findings or {}, quiet, *chosen), running, *chosen)
    return message, button.interactive


def test_notices_appear_before_the_translation_and_are_those_of_the_task(files):
    message, usable = looked_at(UPLOAD, "mr2ct", files["thick"])
    assert usable and "8.0 mm apart" in message and "Nothing unusual" not in message
    thick = tuple(files["thick"])
    volume = read_scan(thick, "t1")
    assert examine(ChosenScan(thick, "mr2ct")).notices == (*volume.notices, *check_source(volume, get_task("mr2ct")))


def test_a_usable_scan_is_described(files, head):
    message, usable = looked_at(UPLOAD, "mr2ct", files["t1"])
    assert (
        usable
        and " \N{MULTIPLICATION SIGN} ".join(map(str, head["t1"].shape)) in message
        and "4 \N{MULTIPLICATION SIGN} 4" in message
    )


@pytest.mark.parametrize(("wrong", "words"), [("ct", "looks like a CT"), ("text", "text.nii.gz")])
def test_a_scan_that_the_task_cannot_take_is_refused_and_translate_is_off(files, wrong, words):
    message, usable = looked_at(UPLOAD, "mr2ct", files[wrong])
    assert not usable and words in message and "role='alert'" in message


def test_another_task_takes_the_scan_that_the_first_refused(files):
    assert not looked_at(UPLOAD, "mr2ct", files["ct"])[1]
    assert looked_at(UPLOAD, "ct2mr", files["ct"])[1]


def test_a_reference_that_cannot_be_compared_with_is_refused_too(files):
    assert looked_at(UPLOAD, "mr2ct", files["t1"], None, files["ct"])[1]
    message, usable = looked_at(UPLOAD, "mr2ct", files["t1"], None, files["text"])
    assert not usable and "text.nii.gz" in message and message.startswith("<p class='gl-note'>T1:")


def test_a_refused_upload_does_not_keep_a_phantom_from_being_translated(files):
    findings = check(uploaded_scans, {}, quiet, UPLOAD, "mr2ct", files["ct"])
    message, button = show(uploaded_scans, findings, False, PHANTOM, "mr2ct", files["ct"])
    assert message == "" and button.interactive


def test_translate_stays_off_while_a_job_runs(files):
    assert not looked_at(UPLOAD, "mr2ct", files["t1"], running=True)[1]
    assert not looked_at(PHANTOM, "mr2ct", None, running=True)[1]


def test_what_is_known_of_a_scan_stays_while_another_is_checked(files):
    findings = check(uploaded_scans, {}, quiet, UPLOAD, "mr2ct", files["t1"])
    message, button = show(uploaded_scans, findings, False, UPLOAD, "mr2ct", files["t1"], None, files["ct"])
    assert "T1:" in message and "Checking the reference CT" in message and button.interactive


def test_an_answer_about_an_earlier_choice_is_not_shown(files):
    late = check(uploaded_scans, {}, quiet, UPLOAD, "mr2ct", files["ct"])
    message, button = show(uploaded_scans, late, False, UPLOAD, "mr2ct", files["t1"])
    assert "Checking the T1" in message and button.interactive


def test_a_scan_is_read_once_while_it_is_chosen(files, monkeypatch):
    read = []
    monkeypatch.setattr(scan_check, "examine", lambda scan: read.append(scan) or Finding("seen"))
    findings = check(uploaded_scans, {}, quiet, UPLOAD, "mr2ct", files["t1"])
    findings = check(uploaded_scans, findings, quiet, UPLOAD, "mr2ct", files["t1"], None, files["ct"])
    assert [scan.reference for scan in read] == [False, True]
    assert list(check(uploaded_scans, findings, quiet, UPLOAD, "mr2ct", files["t1"])) == uploaded_scans(
        UPLOAD, "mr2ct", files["t1"]
    )


def test_names_in_a_notice_are_escaped(files, monkeypatch):
    monkeypatch.setattr(scan_check, "examine", lambda scan: Finding("", ("<b>",)))
    assert "&lt;b&gt;" in looked_at(UPLOAD, "mr2ct", files["t1"])[0]


def test_a_fault_of_the_program_is_said_and_does_not_leave_the_page_checking(files, monkeypatch):
    def faulty(*arguments):
        raise ZeroDivisionError("division by <zero>")

    monkeypatch.setattr("ganlab.translation.scan_check.check_scan", faulty)
    message, usable = looked_at(UPLOAD, "mr2ct", files["t1"])
    assert "ZeroDivisionError: division by &lt;zero&gt;" in message and "Checking" not in message and not usable
