"""What can be said about a scan before it is translated, or compared with."""

from __future__ import annotations

from ganlab.imaging.units import check_reference, doubts_of_reference
from ganlab.imaging.volume import Volume
from ganlab.translation.tasks import get_task


def check_scan(volume: Volume, task: str = "mr2ct", reference: bool = False) -> dict:
    """What reading a scan and the checks of a task say about it, without translating it.

    reference: whether it is a real scan of the task's target, which a translation will be compared with. Returns
    {"shape": voxels, "spacing": mm, "notices": sentences}, ready for JSON. Raises InputError for a scan that the task
    cannot take, as translating or comparing it would.
    """
    from ganlab.translation.inference import check_source  # loads torch

    kind = get_task(task)
    if reference:
        check_reference(volume, kind.target)
    notices = doubts_of_reference(volume, kind.target) if reference else check_source(volume, kind)
    return {
        "shape": list(volume.shape),
        "spacing": [round(float(mm), 4) for mm in volume.spacing],
        "notices": [*volume.notices, *notices],
    }
