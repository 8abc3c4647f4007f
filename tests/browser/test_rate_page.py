"""The readers' and the organiser's pages in a real browser."""

import dataclasses
import json
import shutil

import pytest
from sqlalchemy import update

from ganlab.benchmarks.study import free_port, start
from ganlab.study import organise, results
from ganlab.study.design.order import plan
from ganlab.study.design.protocol import Protocol
from ganlab.study.reading import archive, database
from tests.study.conftest import made_stimuli

SMALL = {"practice": 2, "catch": 0, "repeats": 0, "readers": 2, "rest": 5}
SECRET = "the host's secret"
PAINTED = "() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(() => done(true))))"
KEYS = {
    "authenticate": ["s", "4"],
    "choose": ["b", "2"],
    "rate": ["5"],
    "mark": ["1", "2"],
    "diagnose": ["ArrowLeft", "6"],
}


@dataclasses.dataclass
class Place:
    """A server with its database, and the studies created there."""

    url: str
    port: int
    engine: object

    @property
    def address(self):
        return f"http://127.0.0.1:{self.port}"

    def create(self, count=24, **protocol):
        return organise.create(self.engine, Protocol(**{**SMALL, **protocol}), made_stimuli(count, 32))

    def answers(self, created):
        return results.answers(self.engine, organise.open_study(self.engine, created.study, created.secret))


@pytest.fixture
def place(tmp_path):
    url, port = f"sqlite:///{tmp_path}/studies.db", free_port()
    engine = archive.open_archive(url)
    server = start(url, port, SECRET)
    yield Place(url, port, engine)
    server.kill()
    server.join()
    engine.dispose()


def begin(page, place, created, reader=0):
    """Open an invitation and consent, by keyboard."""
    page.goto(f"{place.address}/rate#{created.invitations[reader]}")
    page.wait_for_selector("#consent")
    page.focus("#consent")
    page.keyboard.press("Space")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.wait_for_selector("main[data-position='0']")


def read_on(page, trials, first=0, last=None):
    """Answer questions by keyboard from one position up to another; Enter ends breaks."""
    for position in range(first, last or len(trials)):
        at = page.wait_for_selector(f"main[data-position='{position}'] #next, button:text('Continue')")
        if at.inner_text() == "Continue":
            page.keyboard.press("Enter")
        page.wait_for_selector(f"main[data-position='{position}'] .stage canvas")
        for key in KEYS[trials[position].asks]:
            page.keyboard.press(key)
        page.wait_for_selector("#next:not([disabled])")
        page.evaluate(PAINTED)
        page.keyboard.press("Enter")


@pytest.mark.parametrize("design", ["yes-no", "2afc", "ordinal", "mosaic", "diagnose"])
def test_whole_session_works_by_keyboard(new_page, place, design):
    created = place.create(design=design)
    trials = plan(archive.unsealed(organise.open_study(place.engine, created.study, created.secret)["sealed"]), 0)
    page = new_page()
    begin(page, place, created)
    read_on(page, trials)
    page.wait_for_selector("text=Thank you")
    with page.expect_download() as saved:
        page.click("text=Save the receipt")
    receipt = json.loads(saved.value.path().read_text())
    rows = place.answers(created)
    assert [answer["hash"] for answer in receipt["answers"]] == [row["hash"] for row in rows]
    assert len(rows) == len(trials)
    answers = [json.loads(row["said"]) for row in rows]
    assert all(0 < each["ms"] < 60_000 and each["screen"] == 1400 for each in answers)
    asked = {trial.asks for trial in trials}
    if "diagnose" in asked:
        assert answers[2]["place"] == [14.0, 16.0]  # one step left of the centre
    if "authenticate" in asked:
        assert answers[-1]["synthetic"] is True and answers[-1]["confidence"] == 4


def test_reload_other_device_and_restarted_server_continue_at_the_same_question(new_page, place):
    created = place.create()
    trials = plan(archive.unsealed(organise.open_study(place.engine, created.study, created.secret)["sealed"]), 0)
    page = new_page()
    begin(page, place, created)
    read_on(page, trials, 0, 3)
    page.wait_for_selector("main[data-position='3']")
    page.reload()
    page.wait_for_selector("main[data-position='3']")
    phone = new_page(viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True)
    phone.goto(f"{place.address}/rate")
    phone.fill("#code", created.invitations[0].lower().replace("-", " "))
    phone.click("text=Enter")
    phone.wait_for_selector("main[data-position='3']")
    assert phone.evaluate("document.documentElement.scrollWidth <= innerWidth")
    phone.tap("button:text-is('Synthetic')")
    phone.tap(".sure button:nth-child(2)")
    phone.tap("#next")
    phone.wait_for_selector("main[data-position='4']")
    page.keyboard.press("r")  # on the first device, which is out of date
    page.keyboard.press("6")
    page.keyboard.press("Enter")
    page.wait_for_selector("main[data-position='4']")
    assert [json.loads(row["said"])["confidence"] for row in place.answers(created)][3] == 2


def test_answer_can_be_undone_until_it_is_submitted(new_page, place):
    created = place.create()
    page = new_page()
    begin(page, place, created)
    page.keyboard.press("s")
    page.keyboard.press("6")
    page.keyboard.press("Backspace")
    assert page.is_disabled("#next")
    page.keyboard.press("Enter")  # nothing to submit
    page.keyboard.press("r")
    page.keyboard.press("1")
    page.keyboard.press("Enter")
    page.wait_for_selector("main[data-position='1']")
    answer = json.loads(place.answers(created)[0]["said"])
    assert (answer["synthetic"], answer["confidence"], answer["changes"]) == (False, 1, 1)


def test_holding_a_key_gives_no_answers(new_page, place):
    created = place.create(design="mosaic", practice=0)
    page = new_page()
    begin(page, place, created)
    for _ in range(20):
        page.keyboard.down("Enter")  # all but the first are key repeats
    page.keyboard.up("Enter")
    page.keyboard.press("n")
    page.wait_for_selector("#next:not([disabled])")
    for _ in range(20):
        page.keyboard.down("Enter")
    page.keyboard.up("Enter")
    page.wait_for_selector("main[data-position='1']")
    assert [json.loads(row["said"])["marked"] for row in place.answers(created)] == [[]]


def test_enter_presses_the_focused_button(new_page, place):
    created = place.create()
    page = new_page()
    begin(page, place, created)
    page.keyboard.press("s")
    page.keyboard.press("6")
    page.focus("button:text-is('Undo')")
    page.keyboard.press("Enter")
    page.wait_for_selector("#next[disabled]")
    assert place.answers(created) == []


def test_second_invitation_in_the_same_tab_is_another_reader(new_page, place):
    created = place.create()
    page = new_page()
    begin(page, place, created)
    page.evaluate("code => { location.hash = code; }", created.invitations[1])
    page.wait_for_selector("#consent")


def test_window_and_zoom_change_the_view_and_reset(new_page, place):
    created = place.create()
    page = new_page()
    begin(page, place, created)
    page.wait_for_selector(".stage canvas:focus")  # the image has the focus from the start
    shown = "document.querySelector('.stage canvas').toDataURL()"
    first = page.evaluate(shown)
    box = page.locator(".stage canvas").bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x - 80, y + 30, steps=4)
    page.mouse.up()
    darker = page.evaluate(shown)
    page.keyboard.press("+")
    larger = page.evaluate(shown)
    page.keyboard.press("0")
    assert len({first, darker, larger}) == 3
    assert page.evaluate(shown) == first


def test_image_is_hidden_after_its_time_limit(new_page, place):
    created = place.create(limit_s=0.3)
    page = new_page()
    begin(page, place, created)
    grey = "[...document.querySelector('.stage canvas').getContext('2d').getImageData(5, 5, 1, 1).data]"
    page.wait_for_selector("text=Time is up")
    assert page.evaluate(grey) == [102, 102, 102, 255]
    page.keyboard.press("r")
    page.keyboard.press("1")
    page.keyboard.press("Enter")
    page.wait_for_selector("main[data-position='1']")
    answer = json.loads(place.answers(created)[0]["said"])
    assert 250 < answer["shown_ms"] < answer["ms"]  # a frame's time may be slightly before its limit


def test_answer_is_sent_again_after_a_lost_acknowledgement_and_counts_once(browser, place):
    created = place.create()
    context = browser.new_context()
    page, cut = context.new_page(), []

    def lose(route):
        request = json.loads(route.request.post_data)
        if request["do"] == "answer" and len(cut) < 2:
            cut.append(request)
            if len(cut) == 2:
                route.fetch()  # it arrives, but the reply is lost
            route.abort()
        else:
            route.continue_()

    begin(page, place, created)
    page.route("**/rate", lose)
    page.keyboard.press("s")
    page.keyboard.press("3")
    page.keyboard.press("Enter")
    page.wait_for_selector("text=is kept here")
    page.wait_for_selector("main[data-position='1']")
    assert cut[0] == cut[1]
    assert len(place.answers(created)) == 1
    context.close()


def test_nothing_that_reaches_the_browser_depends_on_the_truth(browser, place, tmp_path):
    """Two sessions with the same images, key, seeds and key presses but an inverted truth receive the same bytes and
    headers."""
    created = place.create(practice=2)
    row = organise.open_study(place.engine, created.study, created.secret)
    sealed = archive.unsealed(row["sealed"])
    place.engine.dispose()
    shutil.copy(tmp_path / "studies.db", tmp_path / "turned.db")
    url, port = f"sqlite:///{tmp_path}/turned.db", free_port()
    engine = archive.open_archive(url)
    cases = tuple(dataclasses.replace(c, synthetic=c.synthetic != (c.role == "test")) for c in sealed.cases)
    with database.writing(engine) as connection:
        connection.execute(update(database.STUDIES).values(sealed=dataclasses.replace(sealed, cases=cases).text()))
    server = start(url, port, SECRET)
    sessions = [session(browser, where, created, plan(sealed, 0)) for where in (place, Place(url, port, engine))]
    server.kill()
    server.join()
    engine.dispose()
    assert len(sessions[0]) == len(plan(sealed, 0)) + 7  # page, style, three scripts, look, consent
    for one, other in zip(*sessions, strict=True):
        assert one == other


def session(browser, where, created, trials):
    """(path, status, headers, body) of everything that a browser receives in a session."""
    context = browser.new_context(viewport={"width": 1400, "height": 900})
    page, responses = context.new_page(), []
    page.on("response", lambda response: responses.append(response))
    begin(page, where, created)
    read_on(page, trials)
    page.wait_for_selector("text=Thank you")
    received = [
        (r.url.split(str(where.port))[1], r.status, sorted(r.all_headers().items()), r.body()) for r in responses
    ]
    context.close()
    return sorted(received[:5]) + received[5:]  # style sheet and scripts arrive in any order


def test_organiser_creates_watches_closes_and_reports_a_study(new_page, place):
    page = new_page()
    page.goto(f"{place.address}/organise")
    page.fill("#host", SECRET)
    page.select_option("#model", "dcgan-digits")
    page.fill("#count", "30")
    page.fill("#readers", "1")
    page.fill("#title", "Are these digits real?")
    page.wait_for_selector("#planned:has-text('One reader is not a sample of readers')")
    page.click("#create")
    secret = page.inner_text("#fresh")
    code = page.inner_text("td.code a")
    study = code[:6]
    row = organise.open_study(place.engine, study, secret)
    assert page.inner_text("#seal") == row["seal"]
    reader = new_page()
    created = organise.CreatedStudy(study, secret, [code], row["seal"], {})
    begin(reader, place, created)
    read_on(reader, plan(archive.unsealed(row["sealed"]), 0))
    reader.wait_for_selector("text=Thank you")
    page.on("dialog", lambda dialog: dialog.accept())
    page.click("#refresh")
    page.wait_for_selector("td:text-is('done')")
    page.click("#lock")
    page.click("#unblind")
    with page.expect_download() as saved:
        page.click("#report")
    assert "Are these digits real?" in saved.value.path().read_text()
    with page.expect_download() as packed:
        page.click("#export")
    assert packed.value.suggested_filename == f"study-{study}.zip"


def test_race_gives_feedback_and_ranks_players(new_page, place):
    created = place.create(race=True, practice=0)
    sealed = archive.unsealed(organise.open_study(place.engine, created.study, created.secret)["sealed"])
    page = new_page()
    begin(page, place, created)
    read_on(page, plan(sealed, 0), 0, 1)
    page.wait_for_selector("#told")
    read_on(page, plan(sealed, 0), 1)
    page.wait_for_selector("text=Leaderboard")
    page.wait_for_selector("td:has-text('(you)')")


def test_reader_can_delete_all_answers(new_page, place):
    created = place.create()
    page = new_page()
    begin(page, place, created)
    page.keyboard.press("s")
    page.keyboard.press("3")
    page.keyboard.press("Enter")
    page.wait_for_selector("main[data-position='1']")
    page.on("dialog", lambda dialog: dialog.accept())
    page.click("summary")
    page.click("text=Delete all my answers")
    page.wait_for_selector("text=1 answers were deleted")
    assert place.answers(created) == []
