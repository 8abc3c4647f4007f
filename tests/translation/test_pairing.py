"""Which volumes of a user's folders are a pair."""

import pytest

from ganlab.errors import InputError
from ganlab.translation.dataset.folders import Folders, describe, find_volumes, left_out_notice
from tests.imaging.reading import dicom_makers as makers


def tree(root, *names):
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(name.encode())
    return root


def pairs(source, target=None, modalities=("t1", "ct")):
    listing = find_volumes(Folders(source, target or source), True, modalities)
    roots = (source, target or source)
    return [
        tuple(path.relative_to(root).as_posix() for path, root in zip(pair, roots, strict=True))
        for pair in zip(listing.sources, listing.targets, strict=True)
    ]


NAMES = ("m\u00fcller", "m\u00f6ller", "p1.5", "p1-5", "\u674e")

ONE_FOLDER = {
    "case folders": (
        ["B/ct.nii.gz", "A/mr.nii.gz", "A/ct.nii.gz", "B/mr.nii.gz"],
        [("A/mr", "A/ct"), ("B/mr", "B/ct")],
    ),
    "deep case folders": (
        ["brain/1BA001/mr.nii.gz", "brain/1BA001/ct.nii.gz", "brain/1BA005/ct.nii.gz", "brain/1BA005/mr.nii.gz"],
        [("brain/1BA001/mr", "brain/1BA001/ct"), ("brain/1BA005/mr", "brain/1BA005/ct")],
    ),
    "BIDS in one tree": (
        ["sub-01_T1w.nii.gz", "sub-01_ct.nii.gz", "sub-02_acq-mprage_T1w.nii.gz", "sub-02_acq-bone_ct.nii.gz"],
        [("sub-01_T1w", "sub-01_ct"), ("sub-02_acq-mprage_T1w", "sub-02_acq-bone_ct")],
    ),
    "BIDS folders": (
        [
            f"sub-01/ses-{n}/{folder}/sub-01_ses-{n}_{suffix}.nii.gz"
            for n in (1, 2)
            for folder, suffix in (("anat", "T1w"), ("ct", "ct"))
        ],
        [(f"sub-01/ses-{n}/anat/sub-01_ses-{n}_T1w", f"sub-01/ses-{n}/ct/sub-01_ses-{n}_ct") for n in (1, 2)],
    ),
    "names with the modality": (
        ["p1_MR.nii.gz", "p1_CT.nii.gz", "T1-p2.nii.gz", "CT-p2.nii.gz", "p3.mr.nii.gz", "p3.ct.nii.gz"],
        [("p1_MR", "p1_CT"), ("T1-p2", "CT-p2"), ("p3.mr", "p3.ct")],
    ),
    "names that differ in a letter or a dot": (
        [f"{name}.{kind}.nii.gz" for name in NAMES for kind in ("mr", "ct")],
        [(f"{name}.mr", f"{name}.ct") for name in sorted(NAMES)],
    ),
    "folders of a modality": (
        ["MR/p1.nii.gz", "MR/p2.nii.gz", "CT/p1.nii.gz", "CT/p2.nii.gz"],
        [("MR/p1", "CT/p1"), ("MR/p2", "CT/p2")],
    ),
}


@pytest.mark.parametrize("case", ONE_FOLDER)
def test_volumes_of_one_folder_pair_by_their_names(tmp_path, case):
    names, expected = ONE_FOLDER[case]
    found = pairs(tree(tmp_path, *names))
    assert found == [(f"{source}.nii.gz", f"{target}.nii.gz") for source, target in expected]


def test_a_link_that_leads_back_up_does_not_show_a_patient_twice(tmp_path):
    tree(tmp_path, "A/mr.nii.gz", "A/ct.nii.gz")
    (tmp_path / "A" / "back").symlink_to(tmp_path)
    (tmp_path / "again").symlink_to(tmp_path / "A")
    assert pairs(tmp_path) == [("A/mr.nii.gz", "A/ct.nii.gz")]


def test_what_is_neither_is_left_out_and_said(tmp_path):
    tree(tmp_path, "A/mr.nii.gz", "A/ct.nii.gz", "A/mask.nii.gz", "A/overlay_mr_ct.nii.gz", "A/notes.txt")
    listing = find_volumes(Folders(tmp_path, tmp_path), True)
    assert [path.name for path in listing.sources + listing.targets] == ["mr.nii.gz", "ct.nii.gz"]
    assert left_out_notice(listing) == (
        'Left out, since their names tell no modality that is learned: "A/mask.nii.gz", "A/overlay_mr_ct.nii.gz".',
    )


def test_the_space_of_a_scan_is_not_its_modality(tmp_path):
    for name in ("sub-01_T1w", "sub-01_space-T1w_ct", "sub-01_space-T1w_mask"):
        (tmp_path / f"{name}.nii.gz").write_bytes(b"x")
    listing = find_volumes(Folders(tmp_path, tmp_path), paired=True)
    names = [path.name for path in (*listing.sources, *listing.targets, *listing.left_out)]
    assert names == ["sub-01_T1w.nii.gz", "sub-01_space-T1w_ct.nii.gz", "sub-01_space-T1w_mask.nii.gz"]


def test_fa_pairs_with_its_t1(tmp_path):
    tree(tmp_path, "sub-1/anat/sub-1_T1w.nii.gz", "sub-1/dwi/sub-1_FA.nii.gz", "sub-1/dwi/sub-1_dwi.nii.gz")
    assert pairs(tmp_path, modalities=("t1", "fa")) == [("sub-1/anat/sub-1_T1w.nii.gz", "sub-1/dwi/sub-1_FA.nii.gz")]


@pytest.mark.parametrize(
    ("sources", "targets"),
    [
        (["p1/mr.nii.gz", "p2/mr.nii.gz"], ["p1/ct.nii.gz", "p2/ct.nii.gz"]),
        (["p1/scan.nii.gz", "p2/other.nii.gz"], ["p1/image.nii.gz", "p2/image.mha"]),
        (["p1_mr.nii.gz", "p2_mr.nii.gz"], ["p1_ct.nii.gz", "p2_ct.nii.gz"]),
        (["sub-1/anat/sub-1_T1w.nii.gz", "sub-2/anat/sub-2_T1w.nii.gz"], ["sub-1_ct.nii.gz", "sub-2_ct.nii.gz"]),
        (["a/1.nii.gz", "b/1.nii.gz"], ["a/1.mgz", "b/1.mgz"]),
        (["mr.nii.gz", "ct.nii.gz"], ["mr.mha", "ct.mha"]),  # names that happen to be words of modalities
    ],
)
def test_volumes_of_two_folders_pair_by_case(tmp_path, sources, targets):
    first, second = tree(tmp_path / "s", *sources), tree(tmp_path / "t", *targets)
    assert sorted(pairs(first, second)) == sorted(zip(sources, targets, strict=True))


def test_folders_of_dicom_are_volumes_at_any_depth(tmp_path):
    for case in ("A", "B"):
        makers.write(tmp_path / case / "MR", makers.series()[:2], "{}")
        makers.write(tmp_path / case / "CT" / "DICOM", makers.series(modality="CT")[:2], "{}.IMA")
    assert pairs(tmp_path) == [("A/MR", "A/CT/DICOM"), ("B/MR", "B/CT/DICOM")]


REFUSED = {
    "two of a case": (["A/mr.nii.gz", "A/mr.mha", "A/ct.nii.gz"], 'more than one volume named "A", "A/mr.mha" and'),
    "no partner": (["A/mr.nii.gz", "B/mr.nii.gz", "A/ct.nii.gz"], '"B/mr.nii.gz" of .* has no partner'),
    "no target": (["A/mr.nii.gz", "A/scan.nii.gz"], r"none of its volumes is named as CT \(ct;"),
    "no source": (["A/ct.nii.gz"], r"none of its volumes is named as T1 \(mprage, mr, mri, t1, t1w;"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refuses_volumes_that_do_not_pair(tmp_path, case):
    names, expected = REFUSED[case]
    with pytest.raises(InputError, match=expected):
        pairs(tree(tmp_path, *names))


def test_a_training_knows_its_case_folders_apart(tmp_path):
    tree(tmp_path, "A/mr.nii.gz", "A/ct.nii.gz", "B/mr.nii.gz", "B/ct.nii.gz")
    record = describe(find_volumes(Folders(tmp_path, tmp_path), True))
    assert [name for name, _ in record["sources"]] == ["A/mr.nii.gz", "B/mr.nii.gz"]
