"""Whose images a study shows. Images of one patient are not independent, whatever number of them there is."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

LAST_NUMBER = re.compile(r"[ _.\-]*(slice|sl|image|img|im|z|s)?[ _.\-]*\d+$", re.IGNORECASE)
LEAST_GUESSED = 5  # patients; a number that fewer names share is part of a title, as in t1_001 or p2p_001


def patients_of(names: Sequence[str]) -> tuple[list[str], tuple[str, ...]]:
    """(the patient of each picture by its file name, a notice of what was guessed).

    Pictures of one name, a real and a synthetic one, are of one patient. So are those whose names differ in the last
    number alone, if what is left has a number as well, as P07_012 and P07_013, and at least LEAST_GUESSED patients are
    found in this way. Every other picture is of a patient of its own.
    """
    stems = [Path(name).stem for name in names]
    people = {stem: LAST_NUMBER.sub("", stem) for stem in stems}
    several = {who for who, count in Counter(people.values()).items() if count > 1 and re.search(r"\d", who)}
    if len(several) < LEAST_GUESSED:
        return stems, ()
    patients = [people[stem] if people[stem] in several else stem for stem in stems]
    count = sum(patient in several for patient in patients)
    notice = (
        f"By their names, {count} pictures are of {len(several)} patients, such as {min(several)[:40]}, and are "
        "analysed as such. If they are not, give a truth table with the column patient."
    )
    return patients, (notice,)
