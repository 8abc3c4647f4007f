"""Could a machine tell the two kinds of images of a study from their files, or from pixels that no reader looks at?

A reader study whose files give the truth away measures nothing. Everything about a file that is not its picture must be
the same in both kinds; and eleven trivial features of the pixels go to a logistic regression, whose area under the ROC
curve on images that it was not fitted to belongs beside that of the readers.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError
from scipy import stats

from ganlab.errors import InputError
from ganlab.imaging.wording import quoted
from ganlab.study.analysis.statistics import area
from ganlab.study.design.stimuli import LEAST, is_synthetic, read_rows

FOLDS, ROUNDS = 5, 4
EASY = 0.8  # an area with all of its interval above is a study that needs no reader
TOLD = (
    "Think twice: noise, sharpness or greys alone tell the kinds, and readers may learn that instead of looking at "
    "anatomy. See study audit for what it is, and give both kinds the same noise and resolution."
)
MAX_PIXELS = 50_000_000
ALPHA = 0.01  # of a test that a file's property goes with the kind
PROPERTIES = {
    "format": "file format", "mode": "colours and bits", "pixels": "width and height", "words": "text and other extras",
    "bytes": "file size", "changed": "date of the file",
}  # fmt: skip
FEATURES = {
    "mean": "mean grey", "spread": "standard deviation", "darkest": "darkest grey", "brightest": "brightest grey",
    "black": "share of black", "white": "share of white", "greys": "greys in use", "noise": "noise floor",
    "fine": "power at the finest scale", "border": "border against the middle", "comb": "gaps in the histogram",
}  # fmt: skip


def read_truth(path: Path) -> dict[str, bool]:
    """{code: synthetic} of a CSV with the columns code and arm (real or synthetic). Raises InputError."""
    return {row["code"]: is_synthetic(row, path) for row in read_rows(path)}


def audit(folder: Path, truth: dict[str, bool]) -> dict:
    """What tells the kinds apart: "files", each property with what it is worth, "leaks", those by which files alone
    solve the study, "features" and their areas, and the "machine" that has all of them.

    folder: pictures named by their codes. Raises InputError for pictures that are missing, damaged or too few, and
    where two are the same picture.
    """
    paths = {path.stem: path for path in sorted(Path(folder).iterdir()) if path.is_file()} if folder.is_dir() else {}
    missing = sorted(set(truth) - set(paths))
    if missing:
        raise InputError(f'{quoted(folder)} lacks {len(missing)} of {len(truth)} images, such as "{missing[0]}".')
    codes = sorted(truth)
    synthetic = np.array([truth[code] for code in codes])
    if min(synthetic.sum(), (~synthetic).sum()) < LEAST:
        raise InputError(
            f"{synthetic.sum()} synthetic and {(~synthetic).sum()} real images are too few to audit; give {LEAST} each."
        )
    known = [look(paths[code]) for code in codes]
    seen: dict[bytes, str] = {}
    for code, (_, grey) in zip(codes, known, strict=True):
        other = seen.setdefault(grey.tobytes() + str(grey.shape).encode(), code)
        if other != code:
            raise InputError(f'"{code}" and "{other}" are the same picture; take one out.')
    files = {name: property_of([facts[name] for facts, _ in known], synthetic) for name in PROPERTIES}
    return {
        "images": len(codes),
        "synthetic": int(synthetic.sum()),
        "files": files,
        "leaks": [name for name, found in files.items() if found["leak"]],
        **inspect([grey for _, grey in known], synthetic),
    }


def inspect(images: Sequence[np.ndarray], synthetic: np.ndarray) -> dict:
    """What pixels alone tell of images (H, W) uint8: the area of each of "features", and of the "machine"."""
    table = np.array([list(features(image).values()) for image in images])
    areas = {name: area(table[:, k], synthetic) for k, name in enumerate(FEATURES)}
    return {"features": areas, "machine": machine(table, synthetic)}


def look(path: Path) -> tuple[dict, np.ndarray]:
    """(what a file says of itself, its picture as (H, W) uint8). Raises InputError."""
    try:
        with Image.open(path) as image:
            if image.width * image.height > MAX_PIXELS:
                raise InputError(f"{quoted(path)} has more than {MAX_PIXELS // 10**6} million pixels; make it smaller.")
            facts = {
                "format": image.format, "mode": image.mode, "pixels": f"{image.width} x {image.height}",
                "words": ", ".join(sorted(map(str, image.info))) or "none",
                "bytes": path.stat().st_size, "changed": path.stat().st_mtime,
            }  # fmt: skip
            deep = image.mode.startswith("I") or image.mode == "F"
            grey = np.asarray(image, np.float64) if deep else np.asarray(image.convert("L"))
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError) as error:
        raise InputError(
            f"{quoted(path)} is not a picture that can be read, or is damaged; save it again as PNG."
        ) from error
    if deep:
        low, high = grey.min(), max(grey.max(), grey.min() + 1)
        grey = ((grey - low) / (high - low) * 255).round().astype(np.uint8)
    return facts, grey


def property_of(values: list, synthetic: np.ndarray) -> dict:
    """Of one thing about the files: how many values it has, and whether these go with the kind. Numbers are compared by
    Mann's and Whitney's test, words by Fisher's (or chi-squared for more than two)."""
    kinds = sorted(set(values), key=str)
    if len(kinds) == 1:
        return {"values": 1, "p": 1.0, "leak": False}
    if isinstance(values[0], int | float):
        numbers = np.array(values, float)
        p = float(stats.mannwhitneyu(numbers[synthetic], numbers[~synthetic]).pvalue)
    else:
        names = np.array(values)
        counts = np.array([[(names[side] == kind).sum() for kind in kinds] for side in (synthetic, ~synthetic)])
        test = stats.fisher_exact if len(kinds) == 2 else stats.chi2_contingency
        p = float(test(counts).pvalue)
    return {"values": len(kinds), "p": p, "leak": p < ALPHA}


def features(grey: np.ndarray) -> dict[str, float]:
    """FEATURES of a picture (H, W) uint8."""
    x = grey.astype(np.float64)
    inner = x[1:-1, 1:-1]
    around = (x[:-2, 1:-1] + x[2:, 1:-1] + x[1:-1, :-2] + x[1:-1, 2:]) / 4
    edge = np.concatenate([x[0], x[-1], x[:, 0], x[:, -1]])
    power = np.abs(np.fft.fft2(x - x.mean())) ** 2
    far = np.hypot(*np.meshgrid(*(np.fft.fftfreq(n) for n in x.shape), indexing="ij")) > 0.35
    used = np.bincount(grey.ravel(), minlength=256) > 0
    low, high = int(grey.min()), int(grey.max())
    return {
        "mean": x.mean(),
        "spread": x.std(),
        "darkest": float(low),
        "brightest": float(high),
        "black": (x == 0).mean(),
        "white": (x == 255).mean(),
        "greys": float(used.sum()),
        "noise": float(np.median(np.abs(inner - around))),
        "fine": float(np.log((power[far].mean() + 1e-9) / (power.mean() + 1e-9))),
        "border": edge.mean() - x.mean(),
        "comb": 1 - used[low : high + 1].mean(),
    }


def machine(table: np.ndarray, synthetic: np.ndarray) -> dict:
    """Area under the ROC curve of a logistic regression on features (N, F), each image scored by fits that have not
    seen it (five folds, four times, fixed seeds), and its interval over images by the jackknife."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import StratifiedKFold, cross_val_predict
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    from ganlab.study.analysis.statistics import jackknifed

    fitted = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
    scores = np.zeros(len(synthetic))
    for seed in range(ROUNDS):
        folds = StratifiedKFold(FOLDS, shuffle=True, random_state=seed)
        scores += cross_val_predict(fitted, table, synthetic, cv=folds, method="decision_function") / ROUNDS
    areas, covariances = jackknifed(scores[None], synthetic)
    reach = 1.96 * float(np.sqrt(covariances[0, 0]))
    return {"area": float(areas[0]), "low": max(0.0, areas[0] - reach), "high": min(1.0, areas[0] + reach)}


def format_audit(found: dict) -> str:
    """In sentences and two small tables."""
    lines = [f"{found['images']} images, {found['synthetic']} synthetic.", ""]
    for name, facts in found["files"].items():
        told = "the same in all" if facts["values"] == 1 else f"{facts['values']} values, p {facts['p']:.3g}"
        lines.append(f"{PROPERTIES[name]}: {told}{'   LEAK: it goes with the kind' if facts['leak'] else ''}")
    lines.append("")
    for name, value in sorted(found["features"].items(), key=lambda item: -abs(item[1] - 0.5)):
        lines.append(f"{FEATURES[name]}: area {value:.2f}")
    m = found["machine"]
    lines += ["", f"All features, logistic regression: area {m['area']:.2f} ({m['low']:.2f} to {m['high']:.2f})."]
    if found["leaks"]:
        words = ", ".join(PROPERTIES[name] for name in found["leaks"])
        lines.append(f"Do not start: {words} tell the kinds apart before anybody looks.")
    elif m["low"] > 0.5:
        lines.append("A machine that sees no anatomy can tell them; say so beside what readers can.")
    return "\n".join(lines)
