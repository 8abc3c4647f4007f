"""Measuring models on real heads: what their results must have, without a scan of the target of the same person.

Where a T1 comes with its own CT, the errors against it are measured as well; a CT without an MR is measured through a
T1 that is simulated from it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from ganlab.errors import InputError
from ganlab.imaging.grid import model_grid, resample
from ganlab.imaging.reading.files import read_volume
from ganlab.imaging.volume import Volume
from ganlab.translation.compare import prepare_reference, register_reference
from ganlab.translation.head_atlas import atlas_of, atlas_of_ct
from ganlab.translation.inference import check_source, translate
from ganlab.translation.real_figures import errors_of_head, figures_of_fa, figures_of_head, figures_of_t1
from ganlab.translation.real_heads import RealHead
from ganlab.translation.tasks import get_task

SPACING = 1.0  # mm
SIMULATED = " (simulated T1)"  # after the name of a CT that the T1 was simulated from
Measure = Callable[[Volume], dict[str, float]]


def measure_on_heads(
    models: Sequence[str],
    heads: Sequence[RealHead],
    task: str = "mr2ct",
    planes: Sequence[str] | None = None,
    device: str = "auto",
    progress: Callable[[float], None] | None = None,
    seen: Callable[[str, RealHead, Volume, Volume], object] | None = None,
) -> dict:
    """Translate every head with every model and measure the results.

    Returns {"models": {model: {head: figures}}, "real": {head: figures}, "notices": {head: sentences}, "skipped":
    {head: reason}}; figures as in FIGURES, without those that are undefined for a head; real: those of real CTs, for
    comparison; notices: what is unusual about a scan. Everything is measured on the models' grid, 1 mm. planes: see
    `translate`. progress(share of the work) and seen(model, head, source, result) are called after every result. A head
    that the models cannot take is skipped. Raises InputError if that leaves none.
    """
    results: dict = {"models": {model: {} for model in models}, "real": {}, "notices": {}, "skipped": {}}
    for k, head in enumerate(heads):
        try:
            source = on_model_grid(read_volume(head.path, head.modality), -1000.0 if head.modality == "ct" else 0.0)
            notices = check_source(source, get_task(task)) if head.modality == get_task(task).source else ()
            if notices:
                results["notices"][head.name] = list(notices)
            name, source, figures_of, real = _prepared(head, source, task)
            for j, model in enumerate(models):
                made = translate(source, task, model, device, planes).synthetic
                results["models"][model][name] = figures_of(made)
                if seen:
                    seen(model, replace(head, name=name), source, made)
                if progress:
                    progress((k + (j + 1) / len(models)) / len(heads))
            if real:
                results["real"][name] = real
        except InputError as error:
            results["skipped"][head.name] = str(error)
    if not any(results["models"].values()):
        reasons = "; ".join(f"{name}: {reason}" for name, reason in results["skipped"].items())
        raise InputError(f"No head could be measured ({reasons or 'none was given'}); give scans of whole heads.")
    return results


def _prepared(head: RealHead, scan: Volume, task: str) -> tuple[str, Volume, Measure, dict[str, float]]:
    """(name, what is translated, what measures the result, figures of the real CT if there is one)."""
    if task == "ct2mr":
        atlas_ct = atlas_of_ct(scan)
        return head.name, scan, lambda t1: figures_of_t1(t1, scan, atlas_ct), {}
    if head.modality == "ct":
        return _simulated(head)
    atlas = atlas_of(scan)
    if task == "t1fa":
        return head.name, scan, lambda fa: figures_of_fa(fa, atlas), {}
    if head.reference is None:
        return head.name, scan, lambda ct: figures_of_head(ct, atlas), {}
    real = register_reference(read_volume(head.reference, modality="ct"), scan, get_task(task))
    reference = prepare_reference(real, task)
    atlas = atlas.with_true_air(reference.volume)
    return (
        head.name,
        scan,
        lambda ct: figures_of_head(ct, atlas) | errors_of_head(ct, reference.volume, reference.mask),
        figures_of_head(reference.volume, atlas),
    )


def _simulated(head: RealHead) -> tuple[str, Volume, Measure, dict[str, float]]:
    """A real CT and a T1 simulated from it."""
    from ganlab.phantoms.scanned.volumes import scanned_pair

    pair = scanned_pair(read_volume(head.path, modality="ct"))
    t1, real = pair["t1"], pair["ct"]
    atlas, reference = atlas_of(t1).with_true_air(real), prepare_reference(real, "mr2ct")
    return (
        f"{head.name}{SIMULATED}",
        t1,
        lambda ct: figures_of_head(ct, atlas) | errors_of_head(ct, reference.volume, reference.mask),
        figures_of_head(real, atlas),
    )


def on_model_grid(volume: Volume, fill: float = 0.0) -> Volume:
    """A volume on the RAS grid of 1 mm that models translate on; its own values if it has such a grid."""
    return resample(volume, *model_grid(volume, SPACING), fill=fill)
