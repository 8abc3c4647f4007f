"""Is an adversarial loss worth it? A task's models on the held-out patients: from their cards, or measured again."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import gradio as gr

from ganlab.errors import Cancelled
from ganlab.translation.tasks import cards_of
from ganlab.ui.components import QUIET
from ganlab.ui.report import alert
from ganlab.ui.sessions import Store
from ganlab.ui.volume_controls import PROGRESS

MEASURED = "Measured here, just now."
STOPPED = "Cancelled. The results so far are shown."
EXPLANATION = (
    "The same phantom patients for every model, none of them trained on. *unet* and *pix2pix* are one generator under "
    "two losses; a CycleGAN sees no pairs, and its card describes its generator. Mean ± standard deviation over "
    "patients. Sharpness is the mean gradient relative to the reference: below 1 is blurred. Flicker is the step "
    "between neighbouring slices relative to the reference, in the worst of three directions: slices translated "
    "independently are inconsistent, which the mean of three planes corrects."
)


def compared(task: str) -> str:
    """The models of a task on the held-out patients, from their cards, in Markdown."""
    return table(task, {card["name"]: card["metrics"] for card in cards_of(task) if card["metrics"]})


def table(task: str, results: dict[str, dict]) -> str:
    """The results of `measure_model` by model, and what the numbers mean, in Markdown."""
    from ganlab.translation.measure import format_comparison, lesion_note

    return (
        f"{EXPLANATION} {lesion_note(task)}\n\n{format_comparison(results, task)}\n\n"
        f"The same on the command line: `python -m ganlab evaluate-models --task {task}`."
    )


def measure(store: Store, holder: str, task: str, progress: Callable[[float, str], None]) -> Iterator[tuple]:
    """Measure every model of a task; yields (message, table) after each. Results from before a Cancel are kept."""
    from ganlab.translation.measure import measure_model

    event, results = store.start(holder), {}
    models = [card["name"] for card in cards_of(task)]
    try:
        for k, model in enumerate(models):

            def show(share: float, k=k, model=model) -> None:
                progress((k + share) / len(models), model)

            results[model] = measure_model(model, task, progress=show, cancelled=event.is_set)
            yield "", table(task, results)
        yield f"<p class='gl-note'>{MEASURED}</p>", table(task, results)
    except Cancelled:
        yield alert(STOPPED), table(task, results) if results else gr.skip()
    finally:
        store.release(event)


def buttons_while(running: bool) -> tuple[gr.Button, gr.Button]:
    """The buttons Measure and Cancel."""
    return gr.Button(interactive=not running), gr.Button(interactive=running)


@dataclass(frozen=True)
class MeasuringHandlers:
    """Run, cancel and end the measurement of a browser session."""

    store: Store

    def holder(self, request: gr.Request) -> str:
        """Separate from what the session holds for other pages."""
        return f"{request.session_hash} model comparison"

    def start(self) -> tuple[gr.Button, gr.Button]:
        return buttons_while(True)

    def run(self, task: str, request: gr.Request, bar=PROGRESS) -> Iterator[tuple]:
        yield from measure(self.store, self.holder(request), task, lambda done, model: bar(done, desc=model))

    def end(self) -> tuple[gr.Button, gr.Button]:
        return buttons_while(False)

    def cancel(self, request: gr.Request) -> tuple:
        self.store.cancel(self.holder(request))
        return alert(STOPPED), *buttons_while(False)

    def close(self, request: gr.Request) -> None:
        self.store.close(self.holder(request))


def build(store: Store, task: gr.Radio, demo: gr.Blocks) -> None:
    """Add the section for the chosen task."""
    with gr.Accordion("Is an adversarial loss worth it?", open=False, elem_id="worth") as section:
        message = gr.HTML("", elem_id="worth-said", apply_default_css=False)
        comparison = gr.Markdown(elem_id="comparison")
        with gr.Row():
            again = gr.Button("Measure all again (minutes per model)", size="md", elem_id="measure")
            stop = gr.Button("Cancel", interactive=False, size="md", elem_id="measure-stop")
    handlers, buttons = MeasuringHandlers(store), [again, stop]
    for event in (section.expand, task.input):
        event(compared, task, comparison, **QUIET)
    running = again.click(handlers.start, None, buttons, **QUIET).then(
        handlers.run,
        task,
        [message, comparison],
        show_progress_on=message,
        concurrency_id="translation",
        concurrency_limit=1,
        api_visibility="private",
    )
    running.then(handlers.end, None, buttons, **QUIET)
    stop.click(handlers.cancel, None, [message, *buttons], cancels=[running], **QUIET)
    demo.unload(handlers.close)
