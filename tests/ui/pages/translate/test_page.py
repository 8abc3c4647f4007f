"""How the page handles requests, without a browser and without a network."""

from dataclasses import replace
from types import SimpleNamespace

import gradio as gr
import pytest

from ganlab.errors import Cancelled, InputError
from ganlab.phantoms.options import PhantomOptions
from ganlab.translation.real_heads import RealHead
from ganlab.ui.pages.translate import page
from ganlab.ui.pages.translate.job import COLIN, TranslationJob
from ganlab.ui.saved_case import load_case
from ganlab.ui.server_settings import Settings
from ganlab.ui.volume_controls import CANCELLED, JobHandlers

MINE, OTHER = SimpleNamespace(session_hash="a"), SimpleNamespace(session_hash="b")


@pytest.fixture
def solved():
    """Jobs that were executed."""
    return []


@pytest.fixture
def handlers(store, make_case, solved):
    """The page's handlers; its one control is the job, and solving saves a small case."""

    def solve(job, folder, progress, cancelled):
        progress(0.5, "Translating")
        if job.seed == 13:
            raise InputError("Seed is 13; give another.")
        if cancelled():
            raise Cancelled
        solved.append(job)
        return make_case(folder, title=f"Phantom patient {job.seed}", seed=job.seed)

    def job_of(job):
        return job

    return JobHandlers(store, "translate", ("job",), job_of, solve, lambda case, token: [case.title, token], 2)


def run(handlers, job, request=MINE, bar=lambda done, desc: None):
    return handlers.run(1, request, bar, job)


def result(handlers, job, request=MINE):
    return handlers.result(handlers.holder(request), job, lambda done, stage: None)


def test_the_button_shows_the_result(handlers):
    message, title, token = run(handlers, TranslationJob(seed=7))
    assert (message, title) == ("", "Phantom patient 7") and handlers.store.folder(token).is_dir()


def test_nothing_runs_before_it_is_asked_for(handlers, solved):
    assert handlers.run(0, MINE, None, TranslationJob(seed=7)) == [gr.skip()] * 3 and solved == []


def test_invalid_input_shows_an_alert_and_keeps_the_report(handlers, monkeypatch):
    warnings = []
    monkeypatch.setattr(gr, "Warning", warnings.append)
    message, *rest = run(handlers, TranslationJob(seed=13))
    assert "Seed is 13; give another." in message and rest == [gr.skip()] * 2
    assert warnings == ["Seed is 13; give another."]


def test_cancel_shows_an_alert(handlers):
    message, *rest = run(handlers, TranslationJob(seed=2), bar=lambda done, desc: handlers.cancel(MINE))
    assert CANCELLED in message and rest == [gr.skip()] * 2


def test_the_same_phantom_is_translated_once_for_all_visitors(handlers, solved):
    jobs = [TranslationJob(seed=7), TranslationJob(seed=7, planes=("axial",))]
    jobs.append(TranslationJob(seed=7, options=PhantomOptions(lesion="tumour")))
    _, first = result(handlers, jobs[0])
    _, again = result(handlers, TranslationJob(seed=7), OTHER)
    tokens = {first, *(result(handlers, job, OTHER)[1] for job in jobs[1:])}
    assert first == again and len(tokens) == 3 and solved == jobs


def test_an_upload_is_never_shared(handlers, store, solved):
    job = TranslationJob(files=("scan.nii",))
    _, first = result(handlers, job)
    _, second = result(handlers, job, OTHER)
    assert first != second and len(solved) == 2
    handlers.close(MINE)
    with pytest.raises(KeyError):
        store.folder(first)
    assert store.folder(second).exists()


def test_a_refused_job_leaves_the_previous_result(handlers, store):
    _, token = result(handlers, TranslationJob(files=("scan.nii",)))
    before = set(store.folder(token).parent.iterdir())
    with pytest.raises(InputError):
        result(handlers, TranslationJob(seed=13))
    assert set(store.folder(token).parent.iterdir()) == before


def test_cancelling_stops_the_job_and_leaves_the_previous_result(handlers, store, solved):
    _, token = result(handlers, TranslationJob(files=("scan.nii",)))
    with pytest.raises(Cancelled):
        handlers.result(handlers.holder(MINE), TranslationJob(seed=2), lambda done, stage: handlers.cancel(MINE))
    assert store.folder(token).exists() and len(solved) == 1


def test_a_page_that_closes_meanwhile_leaves_nothing_behind(handlers, store):
    _, token = result(handlers, TranslationJob(files=("scan.nii",)))
    root, solve = store.folder(token).parent, handlers.solve

    def solve_slowly(job, folder, progress, cancelled):
        case = solve(job, folder, progress, lambda: False)
        handlers.close(MINE)
        assert (folder / "case.json").exists(), "a running job keeps its folder"
        return case

    with pytest.raises(Cancelled):
        result(replace(handlers, solve=solve_slowly), TranslationJob(files=("scan.nii",)))
    assert not list(root.iterdir())


def test_a_link_sets_every_control_and_asks_unless_it_is_already_shown(make_case, tmp_path):
    models = {"mr2ct": ["mr2ct-unet", "mr2ct-pix2pix"]}
    opening = make_case(tmp_path)
    links = page.TranslateLinks(models, opening, Settings(), 9)
    same = links.read(SimpleNamespace(query_params={"seed": "7"}))
    other = links.read(SimpleNamespace(query_params={"seed": "9", "model": "mr2ct-pix2pix"}))
    assert (same[0], same[-1]) == (7, 0) and (other[0], other[-1]) == (9, 1) and len(same) == len(other)
    assert links.read(SimpleNamespace(query_params={})) == [gr.skip()] * 9


def test_the_opening_case_is_of_a_model_that_ships():
    from ganlab.checkpoints import list_models

    case = load_case(page.OPENING)
    assert case.model in {card["name"] for card in list_models("mr2ct")}
    assert case.metrics["voxels"] > 2_000_000, "it was measured at 1 mm"
    assert sum(file.stat().st_size for file in page.OPENING.iterdir()) < 4_500_000


@pytest.mark.parametrize("installed", [True, False])
def test_a_real_head_is_offered_where_it_is_installed_and_elsewhere_the_page_says_how_to_get_it(
    installed, monkeypatch, make_case, tmp_path
):
    monkeypatch.setattr(page, "colin27", lambda: RealHead("Colin27", tmp_path) if installed else None)
    with gr.Blocks() as demo:
        controls = page.build_model_choice({"mr2ct": ["mr2ct-unet"]}, make_case(tmp_path, title="", seed=7))
        page.build_upload(controls)
    assert (COLIN in dict(controls["source"].choices)) == installed
    notes = "".join(block.value for block in demo.blocks.values() if isinstance(block, gr.HTML))
    assert ("apt install mricron-data" in notes) != installed
