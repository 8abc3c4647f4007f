"""The browser app: pages, theme and launch. Settings come from the environment."""

from __future__ import annotations

import signal
import sys

import gradio as gr

from ganlab import __doc__ as ABOUT
from ganlab.ui import experiment_results, viewer
from ganlab.ui.components import ASSETS, QUIET, bound
from ganlab.ui.pages.cycle import page as cycle
from ganlab.ui.pages.generate import latent_space, training_sessions
from ganlab.ui.pages.generate import page as generate
from ganlab.ui.pages.live import page as live
from ganlab.ui.pages.live import sessions as live_sessions
from ganlab.ui.pages.translate import page as translate
from ganlab.ui.pages.turing import page as turing
from ganlab.ui.pages.turing import practice, study_server
from ganlab.ui.server_settings import Settings
from ganlab.ui.sessions import Store

PAGES = (live, generate, translate, cycle, turing)  # each has TITLE, SLUG, offered() and build(store, settings, demo)
SYSTEM_FONTS = ("system-ui", "-apple-system", "Segoe UI", "Roboto", "Noto Sans", "sans-serif")
MONO_FONTS = ("ui-monospace", "SFMono-Regular", "Menlo", "Consolas", "monospace")
HOUR = 3600  # s


def build(store: Store, settings: Settings) -> gr.Blocks:
    """The whole app as Blocks, one tab per page; ?tab=SLUG opens that tab."""
    pages = [page for page in PAGES if page.offered()]
    with gr.Blocks(title="ganlab", analytics_enabled=False, fill_width=True, delete_cache=(HOUR, HOUR)) as demo:
        gr.HTML(f"<header class='gl-header'><h1>ganlab</h1><p>{ABOUT}</p></header>", apply_default_css=False)
        with gr.Tabs() as tabs:
            for page in pages:
                with gr.Tab(page.TITLE, id=page.SLUG):
                    page.build(store, settings, demo)
        demo.load(bound(open_tab, {page.SLUG for page in pages}), None, tabs, **QUIET)
        demo.unload(bound(close_session, store))
    return demo


def open_tab(slugs: set[str], request: gr.Request):
    """?tab=SLUG opens a page."""
    slug = request.query_params.get("tab")
    return gr.Tabs(selected=slug) if slug in slugs else gr.skip()


def close_session(store: Store, request: gr.Request) -> None:
    """Close a visitor's session when the page is closed."""
    store.close(request.session_hash)


def theme() -> gr.themes.Base:
    """A quiet theme: system fonts, flat, small radii, Okabe-Ito blue for everything that can be pressed."""
    blue = gr.themes.Color(
        name="okabe-ito-blue", c50="#eff6fb", c100="#dcebf6", c200="#b9d8ed", c300="#8abfe0", c400="#4a9dce",
        c500="#0072B2", c600="#00639b", c700="#005282", c800="#004268", c900="#00314d", c950="#002236",
    )  # fmt: skip
    return gr.themes.Base(
        primary_hue=blue,
        secondary_hue=blue,
        neutral_hue=gr.themes.colors.gray,
        radius_size=gr.themes.sizes.radius_sm,
        text_size=gr.themes.sizes.text_sm,
        spacing_size=gr.themes.sizes.spacing_sm,
        font=SYSTEM_FONTS,
        font_mono=MONO_FONTS,
    )


def launch(settings: Settings | None = None, **overrides):
    """Serve the app; returns what gr.Blocks.launch returns. overrides: arguments of launch, for tests."""
    settings = settings or Settings.from_environment()
    sys.setswitchinterval(5e-4)  # shorter GIL switch interval, so that requests do not wait for training threads
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))  # so that a stop by the host deletes temporary files
    store = Store()
    routes = [
        *viewer.routes(store),
        *experiment_results.routes(),
        *latent_space.routes(),
        *study_server.routes(study_server.StudyDatabase(), settings.host_secret),
    ]
    for page in (live_sessions, training_sessions, practice):
        routes += page.routes(store.live(page.LIMITS))
    demo = build(store, settings).queue(default_concurrency_limit=1, max_size=settings.queue)
    served = demo.launch(
        **{
            "server_name": settings.host,
            "server_port": settings.port,
            "max_file_size": f"{settings.max_upload_mb}mb",
            "app_kwargs": {"routes": routes},
            "theme": theme(),
            "css_paths": ASSETS / "shared" / "ganlab.css",
            "footer_links": [],
            "ssr_mode": False,
            "enable_monitoring": False,
            "run_history": False,
            "show_error": False,
            "share": False,
            **overrides,
            "prevent_thread_lock": True,
        }
    )
    import torch  # noqa: F401  # so that the first training does not wait for it

    if not overrides.get("prevent_thread_lock"):
        demo.block_thread()
    return served
