"""What the page does with a request, without a browser and without a network."""

from html import unescape
from urllib.parse import parse_qsl

import pytest

from ganlab.errors import Cancelled, InputError
from ganlab.ui import report
from ganlab.ui.case import PLANES, Job, Options
from ganlab.ui.pages.translate import page as translate
from ganlab.ui.pages.translate.page import PHANTOM, UPLOAD, job_of, linked_job, translate_for
from ganlab.ui.server_settings import Settings


@pytest.fixture
def solved(monkeypatch, make_case):
    """Jobs that were really done; solve() saves a small case."""
    jobs = []

    def solve(job, folder, progress, cancelled):
        progress(0.5, "Translating")
        if job.seed == 13:
            raise InputError("13 brings bad luck: choose another.")
        if cancelled():
            raise Cancelled
        jobs.append(job)
        return make_case(folder, title=f"Phantom patient {job.seed}", seed=job.seed)

    monkeypatch.setattr(translate, "solve", solve)
    return jobs


UNTOUCHED = {
    "lesion": "none", "craniotomy": False, "fillings": False, "defaced": False, "misalign": 0, "scanner": "research",
    "field": 3, "own": None, "ventricles": 0.5, "skull": 3, "fat": 0.8,
}  # fmt: skip


def run(store, job, holder="a"):
    return translate_for(store, holder, job, lambda done, words: None)


def test_controls_become_a_job():
    phantom = job_of("mr2ct", PHANTOM, 7.0, 1.0, None, None, "m", None, "fused", **UNTOUCHED)
    assert phantom == Job(seed=7, model="m", planes=PLANES)
    wishes = {**UNTOUCHED, "lesion": "tumour", "scanner": "clinical"}
    phantom = job_of("mr2ct", PHANTOM, 7.0, 1.0, None, None, "m", None, "fused", **wishes)
    assert phantom == Job(seed=7, model="m", options=Options(lesion="tumour", scanner="clinical"))
    own = job_of("mr2ct", UPLOAD, 7, 1.0, ["a.dcm", "b.dcm"], None, "m", None, "axial", **wishes)
    assert own == Job(files=("a.dcm", "b.dcm"), model="m", planes=("axial",))


@pytest.mark.parametrize("seed", [None, -1, 1.5, 2.0**31])
def test_what_is_no_seed_is_refused_in_a_sentence(seed):
    with pytest.raises(InputError, match="whole number from 0 to 2147483647"):
        job_of("mr2ct", PHANTOM, seed, 1.0, None, None, "m", None, "fused", **UNTOUCHED)


@pytest.mark.parametrize(
    "options",
    [
        Options(),
        Options(lesion="bleed", craniotomy=True, fillings=True, defaced=True, misalign=3.5, scanner="fat-suppressed"),
        Options(ventricles=1.3, skull=7.0, fat=0.8, field=1.5),
    ],
)
def test_the_link_of_a_case_asks_for_the_same_job(options, make_case, tmp_path):
    case = make_case(tmp_path, spacing=2.0, planes=("axial",), options=options)
    query = dict(parse_qsl(unescape(report.link(case)).removeprefix("?")))
    job = linked_job(query, {"mr2ct": ["mr2ct-unet"]}, case, Settings())
    assert job == Job(seed=7, spacing=2.0, model="mr2ct-unet", planes=("axial",), options=options)


@pytest.mark.parametrize(
    "query",
    [
        {}, {"seed": "x"}, {"seed": "-1"}, {"seed": str(2**31)}, {"seed": "\u00b2"}, {"task": "x"},
        {"tab": "generate", "seed": "7", "model": "dcgan-digits"},
    ],
)  # fmt: skip
def test_a_link_without_a_seed_or_of_another_page_asks_for_nothing(query, make_case, tmp_path):
    assert linked_job(query, {"mr2ct": ["mr2ct-unet"]}, make_case(tmp_path), Settings()) is None


def test_a_link_to_a_task_shows_the_opening_patient_in_it(make_case, tmp_path):
    models = {"mr2ct": ["mr2ct-unet"], "t1fa": ["t1fa-unet", "t1fa-pix2pix"]}
    case = make_case(tmp_path)
    job = linked_job({"tab": "translate", "task": "t1fa"}, models, case, Settings())
    assert (job.seed, job.task, job.model) == (case.seed, "t1fa", "t1fa-unet")


def test_what_makes_no_sense_in_a_link_is_as_the_page_opens(make_case, tmp_path):
    query = {"seed": "7", "model": "../../x", "spacing": "nan", "planes": "all"}
    job = linked_job(query, {"mr2ct": ["mr2ct-unet"]}, make_case(tmp_path), Settings(phantom_mm=1.5))
    assert job == Job(seed=7, spacing=1.5, model="mr2ct-unet", planes=PLANES)


def test_the_same_phantom_is_translated_once_for_everybody(store, solved):
    _, first = run(store, Job(seed=7), "a")
    _, again = run(store, Job(seed=7), "b")
    _, other = run(store, Job(seed=7, planes=("axial",)), "b")
    ill = Job(seed=7, options=Options(lesion="tumour"))
    _, third = run(store, ill, "b")
    assert first == again and len({first, other, third}) == 3
    assert solved == [Job(seed=7), Job(seed=7, planes=("axial",)), ill]


def test_an_upload_is_never_shared(store, solved):
    job = Job(files=("scan.nii",))
    _, first = run(store, job, "a")
    _, second = run(store, job, "b")
    assert first != second and len(solved) == 2
    store.close("a")
    with pytest.raises(KeyError):
        store.folder(first)
    assert store.folder(second).exists()


def test_a_refused_job_leaves_the_previous_result(store, solved):
    _, token = run(store, Job(files=("scan.nii",)))
    before = set(store.folder(token).parent.iterdir())
    with pytest.raises(InputError):
        run(store, Job(seed=13))
    assert set(store.folder(token).parent.iterdir()) == before


def test_cancelling_stops_the_job_and_leaves_the_previous_result(store, solved):
    _, token = run(store, Job(files=("scan.nii",)))
    with pytest.raises(Cancelled):
        translate_for(store, "a", Job(seed=2), lambda done, words: store.cancel("a"))
    assert store.folder(token).exists() and len(solved) == 1


def test_a_page_that_closes_meanwhile_leaves_nothing_behind(store, solved, monkeypatch):
    _, token = run(store, Job(files=("scan.nii",)))
    root = store.folder(token).parent
    make = translate.solve

    def solve_slowly(job, folder, progress, cancelled):
        case = make(job, folder, progress, lambda: False)
        store.close("a")
        assert (folder / "case.json").exists(), "a running job keeps its folder"
        return case

    monkeypatch.setattr(translate, "solve", solve_slowly)
    with pytest.raises(Cancelled):
        run(store, Job(files=("scan.nii",)))
    assert not list(root.iterdir())


def test_the_opening_case_is_of_a_model_that_ships():
    from ganlab.checkpoints import list_models
    from ganlab.ui.case import load_case

    case = load_case(translate.OPENING)
    assert case.model in {card["name"] for card in list_models("mr2ct")}
    assert case.metrics["voxels"] > 2_000_000, "it was measured at 1 mm"
    assert sum(file.stat().st_size for file in translate.OPENING.iterdir()) < 4_000_000
