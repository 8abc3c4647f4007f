"""ganlab info, models and app: what is here, and the pages."""

from __future__ import annotations

from ganlab.cli.console import Device, Json, Seed, say


def info(as_json: Json = False, seed: Seed = 0, device: Device = "auto") -> None:
    """Versions, device and threads of this machine."""
    import ganlab
    from ganlab.device import describe, resolve

    say({"ganlab": ganlab.__version__, **describe(), "device": resolve(device)}, as_json)


def models(as_json: Json = False, seed: Seed = 0, device: Device = "auto") -> None:
    """Pretrained models, with their task, size and a one-line summary from their cards."""
    from ganlab.checkpoints import list_models

    cards = list_models()
    width = max((len(card["name"]) for card in cards), default=0)
    rows = [f"{c['name']:<{width}}  {c['task']:<8} {c['parameters']:>10,} parameters  {c['summary']}" for c in cards]
    say({"models": cards}, as_json, "\n".join(rows) or "No pretrained models.")


def serve_app() -> None:
    """Serve the pages and print their address, as `python app.py` does in a checkout."""
    from ganlab.ui.app import launch

    launch()
