"""ganlab info, models and app: versions, models and the web app."""

from __future__ import annotations

from ganlab.cli.console import Device, Json, Seed, say


def info(as_json: Json = False, seed: Seed = 0, device: Device = "auto") -> None:
    """Show the versions, device and thread counts of this machine."""
    import ganlab
    from ganlab.device import describe, resolve

    say({"ganlab": ganlab.__version__, **describe(), "device": resolve(device)}, as_json)


def models(as_json: Json = False, seed: Seed = 0, device: Device = "auto") -> None:
    """List the pretrained models with task, size and a one-line summary."""
    from ganlab.checkpoints import list_models

    cards = list_models()
    width = max((len(card["name"]) for card in cards), default=0)
    rows = [f"{c['name']:<{width}}  {c['task']:<8} {c['parameters']:>10,} parameters  {c['summary']}" for c in cards]
    say({"models": cards}, as_json, "\n".join(rows) or "No pretrained models.")


def serve_app() -> None:
    """Start the web app and print its address, as `python app.py` does in a checkout."""
    from ganlab.ui.app import launch

    launch()
