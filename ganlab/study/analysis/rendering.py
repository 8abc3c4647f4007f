"""HTML from the templates beside this file, and how reports print numbers."""

from __future__ import annotations

from functools import cache

from jinja2 import Environment, PackageLoader, StrictUndefined

NONE = "\u2013"  # printed where there is no value


def share(interval: dict | None, digits: int = 2) -> str:
    """An estimate with its limits: "0.58 (0.48 to 0.67)"."""
    if interval is None or interval["estimate"] is None:
        return NONE
    estimate, low, high = (f"{interval[key]:.{digits}f}" for key in ("estimate", "low", "high"))
    return _minus(f"{estimate} ({low} to {high})")


def number(value: float | None, digits: int = 2) -> str:
    """A number with this many decimals, never "-0"."""
    return NONE if value is None else _minus(f"{round(value, digits) + 0.0:.{digits}f}")


def p_value(p: float | None) -> str:
    """A p value as journals print it: ".043", "< .001"."""
    return NONE if p is None else "< .001" if p < 0.001 else f"{p:.3f}".removeprefix("0")


def percent(value: float, digits: int = 0) -> str:
    """A share as a percentage without its sign."""
    return f"{100 * value:.{digits}f}"


def significant(value: float, digits: int = 3) -> str:
    """A number with this many significant digits."""
    return f"{value:.{digits}g}"


def _minus(text: str) -> str:
    return text.replace("-", "\u2212")


@cache
def environment() -> Environment:
    """The templates, with HTML escaped and missing values refused."""
    templates = Environment(
        loader=PackageLoader("ganlab.study.analysis"), autoescape=True, undefined=StrictUndefined, trim_blocks=True,
        lstrip_blocks=True,
    )  # fmt: skip
    templates.filters |= {
        "share": share, "number": number, "p_value": p_value, "percent": percent, "significant": significant,
    }  # fmt: skip
    return templates


def render(template: str, **values: object) -> str:
    """The HTML of a template."""
    return environment().get_template(template).render(**values)
