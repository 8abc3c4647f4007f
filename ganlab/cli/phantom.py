"""The commands phantom and nodules: synthetic patients from a seed."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer

from ganlab.cli.console import Device, Json, Seed, make_folder, progress_bar, say
from ganlab.errors import InputError

Modality = Annotated[list[str], typer.Option(help="t1, t2, pd, flair, ct, fa, pet or labels; may be repeated.")]


def phantom(
    out: Annotated[Path, typer.Option(help="Folder for the volumes.")],
    seed: Seed = 7,
    modality: Modality = ["t1", "ct", "labels"],  # noqa: B006
    spacing: Annotated[float, typer.Option(help="Voxel edge in mm, 0.5 to 8.")] = 1.0,
    lesion: Annotated[str | None, typer.Option(help="tumour, plaques or bleed, where the seed puts it.")] = None,
    lesion_at: Annotated[
        str | None,
        typer.Option(metavar="X,Y,Z,RADIUS", help="One lesion here instead: MNI mm (x to the right), radius in mm."),
    ] = None,
    misalign: Annotated[
        float, typer.Option(help="How far throat and jaw moved between CT (and labels) and the rest, mm, 0 to 12.")
    ] = 0.0,
    scanner: Annotated[str, typer.Option(help="research, fat-suppressed, clinical or noisy.")] = "research",
    field: Annotated[float, typer.Option(help="MR field strength in T, 1.5 or 3.")] = 3.0,
    defaced: Annotated[bool, typer.Option("--defaced", help="Cut the face away.")] = False,
    craniotomy: Annotated[bool, typer.Option("--craniotomy", help="A bone flap in the vault.")] = False,
    fillings: Annotated[bool, typer.Option("--fillings", help="Amalgam in the teeth, with its streaks in CT.")] = False,
    ventricles: Annotated[
        float | None, typer.Option(help="Width of the lateral ventricles, 0.5 to 2.5, adult mean 1; else the seed's.")
    ] = None,
    skull: Annotated[float | None, typer.Option(help="Skull thickness in mm, 3 to 12; else the seed's.")] = None,
    fat: Annotated[float | None, typer.Option(help="Scalp fat in mm, 0.8 to 12; else the seed's.")] = None,
    as_json: Json = False,
    device: Device = "auto",
) -> None:
    """Make a phantom patient: paired volumes and the tissue labels behind them."""
    from ganlab.device import resolve
    from ganlab.imaging.writing import write_volume
    from ganlab.phantoms import LABELS, make_patient

    start = time.perf_counter()
    options = {
        "misalign": misalign,
        "scanner": scanner,
        "field": field,
        "defaced": defaced,
        "craniotomy": craniotomy,
        "fillings": fillings,
    }
    build = {"ventricles": ventricles, "skull": skull, "fat": fat}
    volumes = make_patient(
        seed,
        modality,
        spacing,
        resolve(device),
        progress_bar("phantom", as_json),
        lesion=parse_lesion(lesion, lesion_at),
        **options,
        **{name: value for name, value in build.items() if value is not None},
    )
    make_folder(out)
    files = {}
    for name, volume in volumes.items():
        files[name] = str(out / f"{name}.nii.gz")
        write_volume(volume, files[name])
    if "labels" in volumes:
        files["label_names"] = str(out / "labels.tsv")
        rows = "".join(f"{index}\t{name}\n" for index, name in LABELS.items())
        Path(files["label_names"]).write_text(f"index\tname\n{rows}", encoding="utf-8")
    result = {
        "seed": seed,
        "modality": list(volumes),
        "spacing": spacing,
        "lesion": lesion,
        "lesion_at": lesion_at,
        **options,
        **build,
        "files": files,
        "shape": list(next(iter(volumes.values())).shape),
        "seconds": round(time.perf_counter() - start, 2),
    }
    if "labels" in volumes:
        result["labels"] = LABELS
    say(result, as_json, "\n".join(files.values()))


def parse_lesion(kind: str | None, place: str | None):
    """What make_patient takes as a lesion, from --lesion and --lesion-at. Raises InputError."""
    from ganlab.phantoms import LESIONS, Lesion, Spot

    if place is None:
        return kind
    if kind is None:
        raise InputError(f"--lesion-at says where, not what: add --lesion with one of {', '.join(LESIONS)}.")
    try:
        spot = Spot(*map(float, place.split(",")))
    except (TypeError, ValueError) as error:
        raise InputError(f'--lesion-at "{place}" is not X,Y,Z,RADIUS in mm, such as 30,-10,20,12.') from error
    return Lesion(kind, (spot,))


def nodules(
    out: Annotated[Path, typer.Option(help="Folder for the patches.")],
    count: Annotated[int, typer.Option("--n", help="How many, 1 to 10,000.", min=1, max=10_000)] = 64,
    kind: Annotated[str | None, typer.Option(help="benign or malignant; a coin's toss unless given.")] = None,
    as_json: Json = False,
    seed: Seed = 0,
    device: Device = "cpu",
) -> None:
    """Make CT patches of lung nodules whose truth is known: 56 x 56 pixels of 0.7 mm in HU."""
    from ganlab.generation.export import write_nodules
    from ganlab.phantoms.lungs.nodules import make_nodules

    made = make_nodules(seed, count, kind)
    make_folder(out)
    files = write_nodules(made, out)
    result = {"seed": seed, "n": count, "malignant": int(made.labels.sum()), "files": files}
    say(result, as_json, "\n".join(files.values()))
