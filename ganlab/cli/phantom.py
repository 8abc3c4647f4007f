"""The commands phantom and nodules: synthetic patients from a seed."""

from __future__ import annotations

import time
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from ganlab.cli.console import Device, Json, Seed, make_folder, progress_bar, say
from ganlab.cli.options import with_options
from ganlab.phantoms.options import MODALITIES, SPACINGS, PhantomOptions

Modality = Annotated[
    list[str], typer.Option(help=f"{', '.join(MODALITIES[:-1])} or {MODALITIES[-1]}; may be repeated.")
]


@with_options(PhantomOptions)
def phantom(
    out: Annotated[Path, typer.Option(help="Folder for the volumes.")],
    options: PhantomOptions,
    seed: Seed = 7,
    modality: Modality = ["t1", "ct", "labels"],  # noqa: B006
    spacing: Annotated[float, typer.Option(help="Voxel edge in mm, {:g} to {:g}.".format(*SPACINGS))] = 1.0,
    as_json: Json = False,
    device: Device = "auto",
) -> None:
    """Make a phantom patient: paired volumes and the tissue labels behind them."""
    from ganlab.device import resolve
    from ganlab.imaging.writing import write_volume
    from ganlab.phantoms import LABELS, make_patient

    start = time.perf_counter()
    bar = progress_bar("phantom", as_json)
    volumes = make_patient(seed, modality, spacing, resolve(device), bar, options=options)
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
        **asdict(options),
        "files": files,
        "shape": list(next(iter(volumes.values())).shape),
        "seconds": round(time.perf_counter() - start, 2),
    }
    if "labels" in volumes:
        result["labels"] = LABELS
    say(result, as_json, "\n".join(files.values()))


def nodules(
    out: Annotated[Path, typer.Option(help="Folder for the patches.")],
    count: Annotated[int, typer.Option("--n", help="Number of patches, 1 to 10,000.", min=1, max=10_000)] = 64,
    kind: Annotated[str | None, typer.Option(help="benign or malignant (default: random).")] = None,
    as_json: Json = False,
    seed: Seed = 0,
    device: Device = "cpu",
) -> None:
    """Make CT patches of lung nodules with known ground truth: 56 x 56 pixels of 0.7 mm in HU."""
    from ganlab.generation.export import write_nodules
    from ganlab.phantoms.lungs.nodules import make_nodules

    patches = make_nodules(seed, count, kind)
    make_folder(out)
    files = write_nodules(patches, out)
    result = {"seed": seed, "n": count, "malignant": int(patches.labels.sum()), "files": files}
    say(result, as_json, "\n".join(files.values()))
