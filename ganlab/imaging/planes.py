"""The three slice planes."""

PLANES = {"axial": 2, "coronal": 1, "sagittal": 0}  # the axis across each plane, in RAS
