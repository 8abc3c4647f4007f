"""The study server: many readers at once, killed servers, SQLite and PostgreSQL, and the organiser's requests."""

import base64
import io
import json
import os
import zipfile

import numpy as np
import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from PIL import Image
from starlette.applications import Starlette
from starlette.testclient import TestClient

from ganlab.benchmarks.study import run
from ganlab.errors import InputError
from ganlab.study.reading import archive, database
from ganlab.ui.pages.turing.study_server import StudyDatabase, routes

pytestmark = pytest.mark.slow

POSTGRES = "GANLAB_TEST_POSTGRES"
HOST = "the host's secret"
ODD = '{"do": "progress", "study": "\\ud800", "secret": "\\ud800", "code": "\\ud800"}'


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request):
    """None for a new SQLite file, or the address of a real PostgreSQL server."""
    if request.param == "sqlite":
        return None
    if not os.environ.get(POSTGRES):
        pytest.skip(f"no PostgreSQL server: set {POSTGRES} to the address of an empty database")
    return os.environ[POSTGRES]


def test_fifty_readers_at_once_lose_nothing(url):
    result = run(readers=50, images=20, url=url)
    assert result["unfinished"] == []
    assert result["acknowledged"] == result["stored"] == 1000
    assert result["lost"] == result["doubled"] == result["changed"] == 0


def test_killed_servers_lose_no_answer(url):
    result = run(readers=10, images=40, kills=8, url=url)
    assert result["kills"] == 8
    assert result["sent_again"] > 0
    assert result["unfinished"] == []
    assert result["acknowledged"] == result["stored"] == 400
    assert result["lost"] == result["doubled"] == result["changed"] == 0


def test_migrations_create_the_declared_tables(url, tmp_path):
    engine = archive.open_archive(url or f"sqlite:///{tmp_path}/studies.db")
    with engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), database.META) == []
    engine.dispose()


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("nonsense", "address"),
        ("oracle9://x", "address"),
        ("sqlite://", "not name a file"),
        ("sqlite:////proc/x/y.db", "cannot be opened"),
    ],
)
def test_refuses_a_database_that_cannot_be_opened(address, words):
    with pytest.raises(InputError, match=words):
        archive.open_archive(address)


def test_sqlite_uses_full_synchronisation(tmp_path):
    engine = archive.open_archive(f"sqlite:///{tmp_path}/studies.db")
    with engine.connect() as connection:
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
        assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == 2  # FULL
    engine.dispose()


@pytest.fixture
def client(tmp_path):
    studies = StudyDatabase(f"sqlite:///{tmp_path}/studies.db")
    yield TestClient(Starlette(routes=routes(studies, HOST)))
    studies.engine().dispose()


def ask(client, **request):
    headers = {"X-Ganlab-Host": HOST} if request.get("host") == HOST else {}
    return client.post("/organise", content=json.dumps(request), headers=headers).json()


def png(seed, deep=False):
    rng, file = np.random.default_rng(seed), io.BytesIO()
    greys = rng.integers(0, 2**16 if deep else 256, (20, 22)).astype(np.uint16 if deep else np.uint8)
    Image.fromarray(greys).save(file, "PNG")
    return base64.b64encode(file.getvalue()).decode()


def uploaded(first, count=12):
    return [{"name": f"../{k}.png", "data": png(k)} for k in range(first, first + count)]


def created(client, **more):
    request = {"do": "create", "host": HOST, "protocol": {"readers": 2, "practice": 2}, "real": uploaded(0),
               "synthetic": uploaded(100)} | more  # fmt: skip
    return ask(client, **request)


def test_study_is_created_read_and_reported_over_the_web(client):
    study = created(client)
    credentials = {"study": study["study"], "secret": study["secret"]}
    progress = ask(client, do="progress", **credentials)
    assert progress["seal"] == study["seal"]
    for reader in progress["readers"]:
        frame = client.post("/rate", content=json.dumps({"code": reader["invitation"], "do": "consent"})).json()
        while frame["stage"] == "question":
            request = {"code": reader["invitation"], "do": "answer", "token": frame["token"]}
            frame = client.post(
                "/rate", content=json.dumps(request | {"said": {"synthetic": True, "confidence": 2}})
            ).json()
    assert {reader["state"] for reader in ask(client, do="progress", **credentials)["readers"]} == {"done"}
    assert "unblinded" in ask(client, do="report", **credentials)["error"]
    assert ask(client, do="lock", **credentials)["status"] == "locked"
    assert ask(client, do="unblind", **credentials)["status"] == "unblinded"
    assert "<table>" in ask(client, do="report", **credentials)["html"]
    packed = ask(client, do="export", **credentials)
    names = zipfile.ZipFile(io.BytesIO(base64.b64decode(packed["zip"]))).namelist()
    assert {"readings.csv", "protocol.json", "certificate.json", "imrmc.csv", "mrmcaov.csv", "report.html"} <= set(
        names
    )


def test_study_from_a_generator_is_created_over_the_web(client):
    study = created(client, model="dcgan-digits", count=30)
    assert set(study) == {"study", "secret", "seal"}


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"host": "guess"}, "host's secret"),
        ({"host": None}, "host's secret"),
        ({"protocol": None}, "protocol is missing"),
        ({"protocol": {"readers": "4"}}, "Readers is"),
        ({"protocol": {"readers": True}}, "Readers is"),
        ({"protocol": {"readers": 10**6}}, "from 1 to 200"),
        ({"protocol": {"design": "guess"}}, "give one of"),
        ({"protocol": {"margin": "x"}}, "Margin is"),
        ({"model": "mr2ct-unet", "count": 30}, ""),
        ({"model": "../x", "count": 30}, ""),
        ({"model": "dcgan-digits", "count": "30"}, "number of images"),
        ({"real": None}, "real images"),
        ({"real": [{"name": "x.png"}]}, "incomplete"),
        ({"real": [{"name": "x.png", "data": "!!"}]}, "incomplete"),
        ({"real": []}, "no images"),
        ({"real": uploaded(0, 3)}, "too few"),
        ({"real": uploaded(100)}, "same image"),
        ({"real": [*uploaded(0), {"name": "x.png", "data": "bm8gcGljdHVyZQ=="}]}, "not a picture"),
        ({"real": [{"name": "a.png", "data": png(k, deep=True)} for k in range(12)]}, "16 bits"),
        ({"real": [{"name": "\0.png", "data": png(0)}]}, "incomplete"),
        ({"real": [{"name": "x.png", "data": "\u00e9"}]}, "incomplete"),
        ({"size": "big"}, "number of pixels"),
    ],
)  # fmt: skip
def test_refuses_unusable_studies_with_a_sentence(client, more, words):
    reply = created(client, **more)
    assert set(reply) == {"error"}
    assert words in reply["error"]
    assert reply["error"].endswith((".", "?"))


def test_creating_over_the_web_requires_a_hosts_secret(tmp_path):
    client = TestClient(Starlette(routes=routes(StudyDatabase(f"sqlite:///{tmp_path}/s.db"))))
    assert ask(client, do="options")["web"] is False
    assert "GANLAB_HOST_SECRET" in created(client, host="")["error"]
    assert not (tmp_path / "s.db").exists()


@pytest.mark.parametrize("body", ["", "[]", "5", "{", "[" * 8000, '{"do": "reveal"}', "\xff", ODD])
@pytest.mark.parametrize("place", ["/rate", "/organise"])
def test_malformed_requests_get_a_sentence(client, place, body):
    response = client.post(place, content=body.encode("latin-1"))
    assert response.status_code in (200, 400)
    assert "Traceback" not in response.text
    assert "error" in response.text or "Invalid request" in response.text


def test_refuses_requests_that_are_too_long(client):
    assert client.post("/rate", content="x" * 9000).status_code == 413
    assert (
        client.post("/organise", content="x" * 2**21).status_code == 413
    )  # more is accepted only with the host's secret
    assert client.post("/organise", content="x" * 2**21, headers={"X-Ganlab-Host": HOST}).status_code == 400


@pytest.mark.parametrize("values", [(60, 1000, 0.1), (4, 10**400, 0.1), (4, 60, 10**400), (4, 60, 0), ("4", 60, 0.1)])
def test_refuses_plans_that_would_block_the_server(client, values):
    assert "error" in ask(client, do="plan", **dict(zip(("readers", "count", "margin"), values, strict=True)))


def test_pages_have_security_headers_and_unlisted_paths_are_not_found(client):
    for place in ("/rate", "/organise"):
        response = client.get(place)
        assert "default-src 'none'" in response.headers["Content-Security-Policy"]
        assert response.headers["Cache-Control"] == "no-store"
    for place in ("/rate/rate.html", "/rate/%2e%2e%2fREADME.md", "/rate/studies.db", "/rate/rating.py", "/pictures/1"):
        assert client.get(place).status_code == 404
    for method in ("put", "delete", "patch"):
        assert getattr(client, method)("/rate").status_code == 405
