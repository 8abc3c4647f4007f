"""Patients that nobody is: a head, its T1 scan and its CT, paired by construction, from a seed."""

from ganlab.imaging.phantom.lesions import LESIONS, Lesion, Spot
from ganlab.imaging.phantom.scanner import SCANNERS
from ganlab.imaging.phantom.tissues import LABELS
from ganlab.imaging.phantom.volumes import MODALITIES, make_patient

__all__ = ["LABELS", "LESIONS", "MODALITIES", "SCANNERS", "Lesion", "Spot", "make_patient"]
