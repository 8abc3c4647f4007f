"""The tissues of the phantom: CT number (HU), relaxation times, diffusion and uptake, one row for each tissue.

hu      CT number at 120 kVp, HU. Bone, fat, muscle, skin, cartilage: Schneider et al., Phys Med Biol 45:459, 2000;
        brain, blood and fluids: Bushberg et al., The Essential Physics of Medical Imaging, 3rd ed., 2012, and Prokop
        and Galanski, Spiral and Multislice CT of the Body, 2003; teeth: Reshetnikov et al., JMIRx Med 5:e56759, 2024;
        petrous bone a little below the otic capsule's 2000 (Kawase et al., Eur Radiol 16:1367, 2006). Metal is stored
        at the top of the 12-bit scale.
t1, t2  relaxation times in ms at 1.5 T (_15) and 3 T (_3). White and grey matter: T1 at 3 T Wansapura et al., JMRI
        9:531, 1999, at 1.5 T Wright et al., MAGMA 21:121, 2008; T2 Stanisz et al., MRM 54:507, 2005, also for flowing
        blood. Cerebrospinal fluid: Rooney et al., MRM 57:308, 2007. Fat, muscle, cartilage: Gold et al., AJR 183:343,
        2004. Marrow: de Bazelaire et al., Radiology 230:652, 2004. Cortical bone: Du and Bydder, NMR Biomed 26:489,
        2013. Tumour and oedema: Bottomley et al., Med Phys 14:1, 1987, and Oh et al., JMRI 21:701, 2005; plaques:
        Larsson et al., MRM 11:337, 1989; bleeding: Bradley, Radiology 189:15, 1993 (early subacute: methaemoglobin
        within red cells, T1 and T2 both short).
pd      visible proton density relative to water: Whittall et al., MRM 37:34, 1997, for the brain; of
        fat the main spectral peak, 70 % (Hamilton et al., NMR Biomed 24:784, 2011), a fifth of which is lost since the
        other lines beat against it.
lipid   share of pd that is fat, removed by fat suppression; marrow: Kugel et al., JMRI 13:263, 2001.
md, fa  mean diffusivity in 1e-3 mm2/s and fractional anisotropy of the tissue itself, without tracts: Pierpaoli et
        al., Radiology 201:637, 1996; lesions: Lu et al., AJNR 24:937, 2003, and Werring et al., Neurology 52:1626,
        1999; muscle: Damon et al., MRM 48:97, 2002.
pet     uptake of a myelin tracer relative to white matter: Stankoff et al., Ann Neurol 69:673, 2011, and Bodini et
        al., Ann Neurol 79:726, 2016; outside the brain chosen low, since none is published.

Where no measurement is known, the comment beside the row says how the value was chosen.
"""

from __future__ import annotations

from typing import NamedTuple

import torch


class Tissue(NamedTuple):
    hu: float
    t1_15: float
    t1_3: float
    t2_15: float
    t2_3: float
    pd: float
    lipid: float
    md: float
    fa: float
    pet: float


NOTHING = (1, 1, 1, 1, 0, 0, 0, 0, 0)  # no protons: its relaxation times have no effect

TISSUES = {
    #                              hu  t1_15  t1_3  t2_15  t2_3    pd  lipid   md    fa   pet
    "background": Tissue(-1000, *NOTHING),
    "air": Tissue(-1000, *NOTHING),
    "fluid": Tissue(7, 4300, 4300, 2000, 2000, 1.00, 0, 3.0, 0.04, 0.05),
    "grey matter": Tissue(38, 1197, 1331, 95, 99, 0.83, 0, 0.80, 0.15, 0.45),
    "white matter": Tissue(28, 646, 832, 72, 69, 0.70, 0, 0.70, 0.35, 1.00),  # fa where fibres cross
    "cortical bone": Tissue(1350, 200, 223, 0.45, 0.39, 0.20, 0, 0.10, 0.10, 0.10),
    "cancellous bone": Tissue(550, 549, 586, 49, 49, 0.35, 0.5, 0.30, 0.15, 0.20),  # pd: the marrow between trabeculae
    "petrous bone": Tissue(1700, 200, 223, 0.45, 0.39, 0.15, 0, 0.10, 0.10, 0.10),  # relaxes as cortical bone
    "vertebral marrow": Tissue(300, 549, 586, 49, 49, 0.50, 0.4, 0.40, 0.15, 0.20),
    "tooth": Tissue(1700, 200, 223, 0.30, 0.25, 0.10, 0, 0.05, 0.10, 0.10),  # dentine: T1 chosen as bone's
    "enamel": Tissue(2700, 200, 223, 0.10, 0.08, 0.03, 0, 0.02, 0.10, 0.10),  # chosen below dentine
    "fat": Tissue(-95, 288, 371, 165, 133, 0.55, 0.95, 0.10, 0.10, 0.10),
    "muscle": Tissue(55, 1130, 1420, 35, 32, 0.80, 0, 1.50, 0.22, 0.15),
    "skin": Tissue(60, 950, 1080, 30, 28, 0.70, 0.1, 0.90, 0.15, 0.15),  # chosen: dermis, shorter T2 than muscle
    "mucosa": Tissue(40, 1100, 1350, 90, 85, 0.85, 0, 1.30, 0.12, 0.25),  # chosen: wet, vascular
    "gland": Tissue(25, 700, 850, 75, 70, 0.80, 0.3, 1.00, 0.15, 0.30),  # chosen between muscle and fat (parotid)
    "fibrous tissue": Tissue(70, 550, 620, 5, 4, 0.40, 0, 0.60, 0.20, 0.15),  # dura; T1 of tendon, Filho, AJR 2009
    "cartilage": Tissue(100, 1060, 1240, 42, 37, 0.75, 0, 1.30, 0.15, 0.10),
    "vitreous": Tissue(8, 4000, 4000, 1000, 800, 0.98, 0, 2.9, 0.04, 0.05),  # chosen a little below fluid
    "lens": Tissue(75, 1000, 1150, 40, 36, 0.65, 0, 1.00, 0.15, 0.10),  # chosen: protein-rich, short T2
    "vessel": Tissue(45, 1441, 1932, 290, 275, 0.85, 0, 1.80, 0.10, 0.20),
    "disc": Tissue(90, 1000, 1150, 75, 68, 0.75, 0, 1.40, 0.15, 0.10),  # chosen: nucleus and annulus together
    "tumour": Tissue(35, 1400, 1650, 150, 140, 0.88, 0, 1.30, 0.13, 0.40),
    "necrosis": Tissue(15, 2600, 2800, 420, 380, 0.95, 0, 2.20, 0.07, 0.10),  # chosen between tumour and fluid
    "oedema": Tissue(20, 1300, 1500, 165, 150, 0.88, 0, 1.40, 0.18, 0.50),
    "plaque": Tissue(24, 1150, 1400, 165, 150, 0.87, 0, 1.05, 0.22, 0.50),
    "blood": Tissue(65, 500, 600, 55, 45, 0.80, 0, 0.60, 0.12, 0.15),  # clotted, not flowing
    "metal": Tissue(3071, *NOTHING),  # amalgam and crowns; a void on MR
}
NAMES = list(TISSUES)
INDEX = {name: i for i, name in enumerate(NAMES)}
LABELS = dict(enumerate(NAMES))


def table(column: str, device: str | torch.device = "cpu") -> torch.Tensor:
    """One column of the table as (tissues,) float32."""
    return torch.tensor([getattr(t, column) for t in TISSUES.values()], dtype=torch.float32, device=device)
