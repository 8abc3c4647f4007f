"""Patients that nobody is: a head, its T1 scan and its CT, paired by construction, from a seed."""

from ganlab.imaging.phantom.patient import MODALITIES, make_patient
from ganlab.imaging.phantom.tissues import LABELS

__all__ = ["LABELS", "MODALITIES", "make_patient"]
