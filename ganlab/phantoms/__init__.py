"""Patients that nobody is: a head, its T1 scan and its CT, paired by construction, from a seed."""

from ganlab.phantoms.lesions import LESIONS, Lesion, Spot
from ganlab.phantoms.scanner import SCANNERS
from ganlab.phantoms.tissues import LABELS
from ganlab.phantoms.volumes import MODALITIES, make_patient

__all__ = ["LABELS", "LESIONS", "MODALITIES", "SCANNERS", "Lesion", "Spot", "make_patient"]
