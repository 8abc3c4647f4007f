"""Can a machine tell real from synthetic images of a study by their files, or by pixel statistics without anatomy?

A reader study whose files reveal the truth measures nothing, so every property of a file other than its picture must be
the same for both kinds. Eleven trivial pixel features go into a logistic regression; its cross-validated area under the
ROC curve is reported beside the readers'.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError
from scipy import stats

from ganlab.errors import InputError
from ganlab.imaging.wording import quoted
from ganlab.study.design.stimuli import LEAST
from ganlab.study.mrmc import jackknifed
from ganlab.study.statistics import CHANCE, area

FOLDS, ROUNDS = 5, 4
EASY = 0.8  # if the classifier's whole interval is above, or below 1 - EASY, the images are trivially distinguishable
EASY_WARNING = (
    "Warning: noise, sharpness or grey values alone separate real from synthetic, and readers may learn that instead "
    "of looking at anatomy. Run study audit to see which, and give both kinds the same noise and resolution."
)
MAX_PIXELS = 50_000_000
ALPHA = 0.01  # significance level for an association of a file property with the kind
PROPERTIES = {
    "format": "file format", "mode": "colour mode and depth", "pixels": "width and height", "words": "metadata",
    "bytes": "file size", "changed": "modification date",
}  # fmt: skip
FEATURES = {
    "mean": "mean grey value", "spread": "standard deviation", "darkest": "darkest grey value",
    "brightest": "brightest grey value", "black": "share of black pixels", "white": "share of white pixels",
    "greys": "grey values in use", "noise": "noise floor", "fine": "power at the finest scale",
    "border": "border minus mean", "comb": "gaps in the histogram",
}  # fmt: skip


def audit(folder: Path, truth: dict[str, bool]) -> dict:
    """Find properties that separate real from synthetic images.

    Returns "files": each file property with its p; "leaks": properties associated with the kind; "features": the area
    of each pixel feature; "machine": the area of all features together. folder: pictures named by their codes. Raises
    InputError for pictures that are missing, damaged, too few or duplicated.
    """
    paths = {path.stem: path for path in sorted(Path(folder).iterdir()) if path.is_file()} if folder.is_dir() else {}
    missing = sorted(set(truth) - set(paths))
    if missing:
        raise InputError(f'{quoted(folder)} is missing {len(missing)} of {len(truth)} images, such as "{missing[0]}".')
    codes = sorted(truth)
    synthetic = np.array([truth[code] for code in codes])
    if min(synthetic.sum(), (~synthetic).sum()) < LEAST:
        raise InputError(
            f"{synthetic.sum()} synthetic and {(~synthetic).sum()} real images are too few to audit; give {LEAST} each."
        )
    looked = [look(paths[code]) for code in codes]
    seen: dict[bytes, str] = {}
    for code, (_, grey) in zip(codes, looked, strict=True):
        other = seen.setdefault(grey.tobytes() + str(grey.shape).encode(), code)
        if other != code:
            raise InputError(f'"{code}" and "{other}" are the same picture; remove one of them.')
    files = {name: property_of([facts[name] for facts, _ in looked], synthetic) for name in PROPERTIES}
    return {
        "images": len(codes),
        "synthetic": int(synthetic.sum()),
        "files": files,
        "leaks": [name for name, facts in files.items() if facts["leak"]],
        **inspect([grey for _, grey in looked], synthetic),
    }


def inspect(images: Sequence[np.ndarray], synthetic: np.ndarray, patients: Sequence[str] = ()) -> dict:
    """How well pixel statistics separate images (H, W) uint8: the area of each feature, and of all together. patients:
    whose image each is, "" for one of its own."""
    table = np.array([list(features(image).values()) for image in images])
    areas = {name: area(table[:, k], synthetic) for k, name in enumerate(FEATURES)}
    groups = np.array([who or f"image {k}" for k, who in enumerate(patients or [""] * len(images))])
    return {"features": areas, "machine": machine(table, synthetic, groups)}


def is_easy(found: dict) -> bool:
    """Whether the `machine` of an audit separates the kinds so well that readers could do it without anatomy; a
    classifier that is wrong about nearly all images separates them, too."""
    return max(found["low"], 1 - found["high"]) > EASY


def look(path: Path) -> tuple[dict, np.ndarray]:
    """(properties of a file, its picture as (H, W) uint8). Raises InputError."""
    try:
        with Image.open(path) as image:
            if image.width * image.height > MAX_PIXELS:
                raise InputError(f"{quoted(path)} has more than {MAX_PIXELS // 10**6} million pixels; downsample it.")
            facts = {
                "format": image.format, "mode": image.mode, "pixels": f"{image.width} x {image.height}",
                "words": ", ".join(sorted(map(str, image.info))) or "none",
                "bytes": path.stat().st_size, "changed": path.stat().st_mtime,
            }  # fmt: skip
            deep = image.mode.startswith("I") or image.mode == "F"
            grey = np.asarray(image, np.float64) if deep else np.asarray(image.convert("L"))
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError) as error:
        raise InputError(f"{quoted(path)} is damaged or not a picture; save it again as PNG.") from error
    if deep:
        low, high = grey.min(), max(grey.max(), grey.min() + 1)
        grey = ((grey - low) / (high - low) * 255).round().astype(np.uint8)
    return facts, grey


def property_of(values: list, synthetic: np.ndarray) -> dict:
    """How many values a file property takes, and whether they are associated with the kind of image. Numbers are
    compared with the Mann-Whitney test, text with Fisher's exact test (more than two values: chi-squared)."""
    distinct = sorted(set(values), key=str)
    if len(distinct) == 1:
        return {"values": 1, "p": 1.0, "leak": False}
    if isinstance(values[0], int | float):
        numbers = np.array(values, float)
        p = float(stats.mannwhitneyu(numbers[synthetic], numbers[~synthetic]).pvalue)
    else:
        text = np.array(values)
        counts = np.array([[(text[arm] == value).sum() for value in distinct] for arm in (synthetic, ~synthetic)])
        test = stats.fisher_exact if len(distinct) == 2 else stats.chi2_contingency
        p = float(test(counts).pvalue)
    return {"values": len(distinct), "p": p, "leak": p < ALPHA}


def features(grey: np.ndarray) -> dict[str, float]:
    """The FEATURES of a picture (H, W) uint8."""
    x = grey.astype(np.float64)
    inner = x[1:-1, 1:-1]
    neighbours = (x[:-2, 1:-1] + x[2:, 1:-1] + x[1:-1, :-2] + x[1:-1, 2:]) / 4
    edge = np.concatenate([x[0], x[-1], x[:, 0], x[:, -1]])
    power = np.abs(np.fft.fft2(x - x.mean())) ** 2
    high_frequency = np.hypot(*np.meshgrid(*(np.fft.fftfreq(n) for n in x.shape), indexing="ij")) > 0.35
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
        "noise": float(np.median(np.abs(inner - neighbours))),
        "fine": float(np.log((power[high_frequency].mean() + 1e-9) / (power.mean() + 1e-9))),
        "border": edge.mean() - x.mean(),
        "comb": 1 - used[low : high + 1].mean(),
    }


def machine(table: np.ndarray, synthetic: np.ndarray, patients: np.ndarray) -> dict:
    """Area under the ROC curve of a logistic regression on features (N, F), cross-validated with five folds, four
    times, with fixed seeds. All images of a patient (labels (N,)) are in one fold. Its interval over patients is from
    the jackknife."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import StratifiedGroupKFold, cross_val_predict
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
    scores = np.zeros(len(synthetic))
    for seed in range(ROUNDS):
        folds = StratifiedGroupKFold(min(FOLDS, len(set(patients.tolist()))), shuffle=True, random_state=seed)
        try:
            found = cross_val_predict(model, table, synthetic, groups=patients, cv=folds, method="decision_function")
        except ValueError:  # a fold without images of one kind, as with one patient of either: nothing can be learned
            return {"area": CHANCE, "low": 0.0, "high": 1.0}
        scores += found / ROUNDS
    areas, covariances = jackknifed(scores[None], synthetic, patients)
    reach = 1.96 * float(np.sqrt(covariances[0, 0]))
    return {"area": float(areas[0]), "low": max(0.0, areas[0] - reach), "high": min(1.0, areas[0] + reach)}


def format_audit(result: dict) -> str:
    """The result of `audit` as text."""
    lines = [f"{result['images']} images, {result['synthetic']} synthetic.", ""]
    for name, facts in result["files"].items():
        values = "the same in all" if facts["values"] == 1 else f"{facts['values']} values, p {facts['p']:.3g}"
        lines.append(f"{PROPERTIES[name]}: {values}{'   LEAK: associated with the kind' if facts['leak'] else ''}")
    lines.append("")
    for name, value in sorted(result["features"].items(), key=lambda item: -abs(item[1] - 0.5)):
        lines.append(f"{FEATURES[name]}: area {value:.2f}")
    m = result["machine"]
    lines += ["", f"All features, logistic regression: area {m['area']:.2f} ({m['low']:.2f} to {m['high']:.2f})."]
    if result["leaks"]:
        leaks = ", ".join(PROPERTIES[name] for name in result["leaks"])
        lines.append(f"Do not start: the {leaks} of the files reveals the truth before anyone looks.")
    elif m["low"] > 0.5:
        lines.append("A classifier that sees no anatomy can separate the kinds; report its area beside the readers'.")
    return "\n".join(lines)
