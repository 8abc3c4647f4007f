"""MR signal equations, and the signal of every tissue in the sequences of a head protocol.

The equations take numbers or tensors that broadcast, times in ms and flip angles in degrees, and return the transverse
magnetisation at the echo relative to the equilibrium magnetisation of water. Signals are real and signed: the scanner
takes the magnitude after tissues are mixed in a voxel.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from ganlab.errors import InputError
from ganlab.phantoms.tissues import INDEX, table

Numbers = Tensor | float


def decay(time: Numbers, constant: Numbers) -> Tensor:
    """exp(-time / constant)."""
    return torch.exp(torch.as_tensor(-time / constant))


def spoiled_gradient_echo(t1: Numbers, t2: Numbers, pd: Numbers, tr: float, te: float, flip: float) -> Tensor:
    """pd sin a (1 - E1) / (1 - E1 cos a) exp(-te / t2), E1 = exp(-tr / t1) (Ernst and Anderson, 1966).

    Largest at the Ernst angle, cos a = E1. The decay is T2*, which at the short te used here is within a few per cent
    of T2 in the brain, so the tables' T2 is used.
    """
    a, e1 = math.radians(flip), decay(tr, t1)
    return pd * math.sin(a) * (1 - e1) / (1 - e1 * math.cos(a)) * decay(te, t2)


def spin_echo(t1: Numbers, t2: Numbers, pd: Numbers, tr: float, te: float) -> Tensor:
    """pd (1 - 2 exp(-(tr - te/2) / t1) + exp(-tr / t1)) exp(-te / t2): 90 degrees, and 180 at te/2.

    (Bernstein, King and Zhou, Handbook of MRI Pulse Sequences, 2004, section 14.3.) For te << tr it is the familiar
    pd (1 - exp(-tr / t1)) exp(-te / t2). A turbo spin echo is read at its effective te.
    """
    return pd * (1 - 2 * decay(tr - te / 2, t1) + decay(tr, t1)) * decay(te, t2)


def inversion_recovery(t1: Numbers, t2: Numbers, pd: Numbers, tr: float, te: float, ti: float) -> Tensor:
    """pd (1 - 2 exp(-ti / t1) + 2 exp(-(tr - te/2) / t1) - exp(-tr / t1)) exp(-te / t2), signed.

    A spin echo ti after inversion (Bernstein et al., section 14.2); zero at ti = t1 ln 2 for long tr. FLAIR puts that
    zero on cerebrospinal fluid (Hajnal et al., J Comput Assist Tomogr 16:841, 1992).
    """
    mz = 1 - 2 * decay(ti, t1) + 2 * decay(tr - te / 2, t1) - decay(tr, t1)
    return pd * mz * decay(te, t2)


def magnetisation_prepared(
    t1: Numbers,
    t2: Numbers,
    pd: Numbers,
    tr: float,
    te: float,
    ti: float,
    flip: float,
    echo_spacing: float,
    echoes: int,
) -> Tensor:
    """MPRAGE: inversion, then a train of gradient echoes whose middle one, at ti, sets the contrast.

    Mugler and Brookeman, MRM 15:152, 1990. From pulse to pulse of angle a the longitudinal magnetisation recovers by
    E = exp(-echo_spacing / t1), so that along the train it nears M0 = (1 - E) / (1 - E cos a) as (E cos a)^n. With A
    for the wait between inversion and train, exp(-(ti - echo_spacing echoes / 2) / t1), and D for the rest of tr after
    it, the steady state over many inversions has

        M(before inversion) = (1 - D + D (M0 (1 - Q) + Q (1 - A))) / (1 + A D Q),  Q = (E cos a)^echoes

    (Deichmann et al., NeuroImage 12:112, 2000). Signed as inversion_recovery is.
    """
    a, e = math.radians(flip), decay(echo_spacing, t1)
    q, before = e * math.cos(a), ti - echo_spacing * (echoes // 2)
    wait, rest = decay(before, t1), decay(tr - before - echo_spacing * echoes, t1)
    train = (1 - e) / (1 - q)
    end = q**echoes
    steady = (1 - rest + rest * (train * (1 - end) + end * (1 - wait))) / (1 + wait * rest * end)
    first = 1 - (1 + steady) * wait
    return pd * math.sin(a) * (train + (first - train) * q ** (echoes // 2)) * decay(te, t2)


FIELDS = {1.5: "15", 3.0: "3"}  # tesla -> suffix of the table's columns
SEQUENCES: dict[
    float, dict[str, tuple[Callable[..., Tensor], dict[str, float]]]
] = {  # ms and degrees, as in head protocols
    1.5: {  # t1: the spoiled gradient echo of the MNI and ICBM scans (Mazziotta et al., Phil Trans B 356:1293, 2001)
        "t1": (spoiled_gradient_echo, {"tr": 18.0, "te": 10.0, "flip": 30.0}),
        "t2": (spin_echo, {"tr": 5000.0, "te": 100.0}),
        "pd": (spin_echo, {"tr": 6000.0, "te": 15.0}),
        "flair": (inversion_recovery, {"tr": 9000.0, "te": 80.0, "ti": 2480.0}),
    },
    3.0: {  # t1: ADNI's (Jack et al., JMRI 27:685, 2008)
        "t1": (
            magnetisation_prepared,
            {"tr": 2300.0, "te": 3.0, "ti": 900.0, "flip": 9.0, "echo_spacing": 7.1, "echoes": 160},
        ),
        "t2": (spin_echo, {"tr": 5000.0, "te": 90.0}),
        "pd": (spin_echo, {"tr": 6000.0, "te": 15.0}),
        "flair": (inversion_recovery, {"tr": 9000.0, "te": 80.0, "ti": 2480.0}),
    },
}
HEALTHY_BRAIN = [INDEX[name] for name in ("fluid", "grey matter", "white matter")]


def mr_signals(
    modality: str, field: float = 3.0, device: str | torch.device = "cpu", fat_suppressed: bool = False
) -> Tensor:
    """(tissues,) float32 signals of "t1", "t2", "pd" or "flair" at 1.5 or 3 T.

    The brightest of fluid, grey and white matter is 1: white matter for t1, grey for flair, fluid for t2 and pd.
    Blood in vessels leaves the slice between the pulses of a spin echo and gives no signal there (flow void: Bradley
    and Waluch, Radiology 154:443, 1985). Fat suppression removes the table's lipid share. Raises InputError for another
    modality or field.
    """
    if field not in FIELDS:
        raise InputError(f"There are no relaxation times for {field} T; choose 1.5 or 3.")
    if modality not in SEQUENCES[field]:
        raise InputError(f'Modality "{modality}" is not an MR sequence; choose from {", ".join(SEQUENCES[field])}.')
    equation, timing = SEQUENCES[field][modality]
    pd = table("pd") * (1 - table("lipid")) if fat_suppressed else table("pd")
    signal = equation(table(f"t1_{FIELDS[field]}"), table(f"t2_{FIELDS[field]}"), pd, **timing)
    if equation in (spin_echo, inversion_recovery):
        signal[INDEX["vessel"]] = 0.0
    return (signal / signal[HEALTHY_BRAIN].max()).to(device)
