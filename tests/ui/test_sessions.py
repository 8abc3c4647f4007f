"""Files exist exactly as long as a session holds them."""

import pytest

from ganlab.ui.sessions import Store


def result(store, holder, name="case.json"):
    token, folder = store.new_result(holder)
    (folder / name).write_text("{}")
    return token, folder


def test_tokens_are_long_random_and_open_only_their_own_folder(store):
    tokens = {result(store, "a")[0] for _ in range(50)}
    assert len(tokens) == 50 and min(map(len, tokens)) >= 40
    token, folder = result(store, "a")
    assert store.folder(token) == folder
    for wrong in ("", "..", token[:-1], token + "A", token.swapcase()):
        with pytest.raises(KeyError):
            store.folder(wrong)


def test_closing_a_session_deletes_its_results_and_uploads_only(store, tmp_path):
    upload = tmp_path / "scan.nii.gz"
    upload.write_bytes(b"x")
    store.hold("a", upload)
    token, folder = result(store, "a")
    other_token, other = result(store, "b")
    store.close("a")
    assert not folder.exists() and not upload.exists()
    with pytest.raises(KeyError):
        store.folder(token)
    assert other.exists() and store.folder(other_token) == other


def test_a_file_of_two_sessions_stays_until_both_end(store, tmp_path):
    upload = tmp_path / "scan.nii.gz"
    upload.write_bytes(b"x")
    store.hold("a", upload)
    store.hold("b", upload)
    store.close("a")
    assert upload.exists()
    store.close("b")
    assert not upload.exists()


def test_a_session_keeps_one_result_and_its_uploads(store, tmp_path):
    upload = tmp_path / "scan.nii.gz"
    upload.write_bytes(b"x")
    store.hold("a", upload)
    _, first = result(store, "a")
    token, second = result(store, "a")
    store.keep("a", token)
    assert second.exists() and upload.exists() and not first.exists()


def test_shared_results_outlive_their_session_until_they_are_the_oldest(store):
    tokens = {}
    for seed in (1, 2):
        tokens[seed], _ = result(store, "a")
        store.share(seed, tokens[seed])
    store.close("a")
    assert store.shared(1) == tokens[1]
    third, _ = result(store, "b")
    store.share(3, third)
    assert store.shared(2) is None and store.shared(1) == tokens[1]
    with pytest.raises(KeyError):
        store.folder(tokens[2])


def test_a_dropped_shared_result_stays_for_its_readers(store):
    token, folder = result(store, "a")
    store.share(1, token)
    store.keep("reader", token)
    for seed in (2, 3):
        store.share(seed, result(store, "a")[0])
    assert store.shared(1) is None
    store.close("a")
    assert folder.exists()
    store.close("reader")
    assert not folder.exists()


def test_files_of_the_app_are_never_deleted(store, tmp_path):
    (tmp_path / "case.json").write_text("{}")
    token = store.publish(tmp_path)
    store.keep("a", token)
    store.close("a")
    assert store.folder(token) == tmp_path and (tmp_path / "case.json").exists()


def test_cancelling_stops_the_sessions_own_job_only(store):
    first, other = store.start("a"), store.start("b")
    second = store.start("a")
    assert first.is_set() and not second.is_set() and not other.is_set()
    store.cancel("a")
    store.cancel("a")
    assert second.is_set() and not other.is_set()
    store.close("b")
    assert other.is_set()


def test_the_store_deletes_its_files_at_the_end():
    store = Store()
    _, folder = result(store, "a")
    del store
    assert not folder.parent.exists()
