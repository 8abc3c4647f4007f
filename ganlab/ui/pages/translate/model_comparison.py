"""Is it worth being adversarial? A task's models on the held-out patients: from their cards, or measured here again."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import gradio as gr

from ganlab.errors import Cancelled
from ganlab.translation.tasks import cards_of
from ganlab.ui.components import QUIET
from ganlab.ui.report import alert
from ganlab.ui.sessions import Store

PROGRESS = gr.Progress()  # as a parameter's default, gradio gives each run its own
MEASURED = "Measured here, just now."
STOPPED = "Cancelled. What was measured until then is shown."


def compared(task: str) -> str:
    """The models of a task on the held-out patients, from their cards, in Markdown."""
    return table(task, {card["name"]: card["metrics"] for card in cards_of(task) if card["metrics"]})


def table(task: str, results: dict[str, dict]) -> str:
    """What `measure_model` found of each model, with what the numbers mean, in Markdown."""
    from ganlab.translation.measure import format_comparison, lesion_note

    return (
        "The same phantom patients, none of them trained on. *unet* and *pix2pix* are one generator under two losses; "
        "a CycleGAN sees no pairs, and its card says what its generator is. Mean ± standard deviation over patients. "
        "Sharpness is the mean gradient relative to the reference: 1 is as sharp, below 1 is blurred. Flicker is the "
        "step between neighbouring slices relative to the reference, in the worst of three directions: slices that are "
        "translated one by one do not fit each other, and the mean of three "
        f"planes mends that. {lesion_note(task)}\n\n{format_comparison(results, task)}\n\nThe same on the command "
        f"line: `python -m ganlab evaluate-models --task {task}`."
    )


def measure(store: Store, holder: str, task: str, progress: Callable[[float, str], None]) -> Iterator[tuple]:
    """(what is said, the table) after each model; what was measured before a Cancel stays."""
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
    """Measure and Cancel."""
    return gr.Button(interactive=not running), gr.Button(interactive=running)


def build(store: Store, task: gr.Radio, demo: gr.Blocks) -> None:
    """Add the section for what `task` is set to."""
    with gr.Accordion("Is it worth being adversarial?", open=False, elem_id="worth") as section:
        said = gr.HTML("", elem_id="worth-said", apply_default_css=False)
        comparison = gr.Markdown(elem_id="comparison")
        with gr.Row():
            again = gr.Button("Measure all again (minutes per model)", size="md", elem_id="measure")
            stop = gr.Button("Cancel", interactive=False, size="md", elem_id="measure-stop")

    def mine(request: gr.Request) -> str:
        return f"{request.session_hash} worth"  # beside what the session holds of other pages

    def run(name: str, request: gr.Request, bar=PROGRESS):
        yield from measure(store, mine(request), name, lambda done, what: bar(done, desc=what))

    def cancel(request: gr.Request):
        store.cancel(mine(request))
        return alert(STOPPED), *buttons_while(False)

    def close(request: gr.Request):
        store.close(mine(request))

    for event in (section.expand, task.input):
        event(compared, task, comparison, **QUIET)
    buttons = [again, stop]
    started = again.click(lambda: buttons_while(True), None, buttons, **QUIET)
    running = started.then(
        run, task, [said, comparison], show_progress_on=said, concurrency_id="translation", concurrency_limit=1,
        api_visibility="private",
    )  # fmt: skip
    running.then(lambda: buttons_while(False), None, buttons, **QUIET)
    stop.click(cancel, None, [said, *buttons], cancels=[running], **QUIET)
    demo.unload(close)
