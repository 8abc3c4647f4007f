"""Volumes are served only to holders of the token."""

import csv
import io
import json
import zipfile

import nibabel as nib
import numpy as np
import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient

from ganlab.ui.viewer import VOLUMES, manifest, routes
from tests.imaging.test_dicom_writing import assert_same_at_every_place, by_simpleitk, headers


@pytest.fixture
def served(store, make_case):
    """(case, token, get(name) -> response)."""
    token, folder = store.new_result("a")
    case = make_case(folder)
    with TestClient(Starlette(routes=routes(store))) as client:
        yield case, token, lambda name, token=token: client.get(f"/{VOLUMES}/{token}/{name}")


def test_the_manifest_is_small_json_with_an_address_per_layer(served):
    case, token, get = served
    words = manifest(case, token)
    assert len(json.dumps(words)) < 4000
    assert [layer["name"] for layer in words["layers"]] == ["input", "synthetic", "reference"]
    for layer in words["layers"]:
        assert layer["url"] == f"{VOLUMES}/{token}/{layer['name']}.i16"
        assert get(layer["url"].rpartition("/")[2]).status_code == 200


def test_a_layer_arrives_as_the_manifest_says(served, volumes):
    case, _, get = served
    response = get("reference.i16")
    assert response.headers["content-encoding"] == "gzip" and response.headers["cache-control"] == "no-store"
    values = np.frombuffer(response.content, "<i2").reshape(case.shape)
    assert np.array_equal(np.sort(values, axis=None), np.sort(volumes["reference"].array, axis=None))


@pytest.mark.parametrize("name", ["input", "synthetic", "reference", "error"])
def test_downloads_are_on_the_inputs_grid(served, volumes, name, tmp_path):
    _, _, get = served
    response = get(f"{name}.nii.gz")
    assert "attachment" in response.headers["content-disposition"]
    (tmp_path / "volume.nii.gz").write_bytes(response.content)
    image = nib.load(tmp_path / "volume.nii.gz")
    expected = volumes["synthetic"].array - volumes["reference"].array if name == "error" else volumes[name].array
    assert image.shape == expected.shape and np.allclose(image.affine, volumes["input"].affine)
    assert np.abs(image.get_fdata() - expected).max() <= 0.5


def test_the_synthetic_volume_is_a_dicom_series_too(served, volumes, tmp_path):
    case, _, get = served
    response = get("synthetic.zip")
    assert response.headers["content-type"] == "application/zip"
    assert f'filename="{case.stem}-synthetic-ct-dicom.zip"' in response.headers["content-disposition"]
    (tmp_path / "ct.zip").write_bytes(response.content)
    with zipfile.ZipFile(tmp_path / "ct.zip") as archive:
        archive.extractall(tmp_path)
    series = tmp_path / f"{case.stem}-synthetic-ct-dicom"
    assert_same_at_every_place(volumes["synthetic"], *by_simpleitk(series, None), 0.5)
    assert "SYNTHETIC" in headers(series)[0].SeriesDescription


def test_only_synthetic_volumes_are_called_so_in_dicom(served):
    _, _, get = served
    assert [get(f"{name}.zip").status_code for name in ("input", "reference", "error")] == [404] * 3


def test_metrics_as_json_and_csv_agree(served):
    case, _, get = served
    words = get("metrics.json").json()
    rows = list(csv.DictReader(io.StringIO(get("metrics.csv").text)))
    assert words["mae"] == case.metrics["mae"] and words["model"] == "mr2ct-unet"
    value = {(row["region"], row["metric"]): row["value"] for row in rows}
    assert float(value["head", "mae"]) == words["mae"]
    assert int(value["bone", "voxels"]) == words["tissues"]["bone"]["voxels"]


@pytest.mark.parametrize("name", ["nothing.i16", "case.json", "error.i16", "reference.exe", "input", "..%2Fcase.json"])
def test_other_names_are_not_found(served, name):
    _, _, get = served
    assert get(name).status_code == 404


def test_an_unknown_or_expired_token_gives_404_with_the_reason(served, store):
    _, token, get = served
    for wrong in ("x", token[:-1], "%2E%2E"):
        assert get("input.i16", wrong).status_code == 404
    store.close("a")
    response = get("input.i16")
    assert response.status_code == 404 and "Translate again" in response.text


def test_metrics_of_a_case_without_reference_are_not_found(store, make_case):
    token, folder = store.new_result("a")
    make_case(folder, reference=False)
    with TestClient(Starlette(routes=routes(store))) as client:
        for name in ("metrics.json", "metrics.csv", "error.nii.gz", "reference.i16"):
            assert client.get(f"/{VOLUMES}/{token}/{name}").status_code == 404
