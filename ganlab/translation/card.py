"""The model card of a trained translator: what it is, how it was trained, its figures and limits."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ganlab.checkpoints import as_config, model_folder, read_card, write_card
from ganlab.translation.dataset.folders import stem_of
from ganlab.translation.measure import HELD_OUT, format_patients, lesion_note
from ganlab.translation.networks import ResNetConfig
from ganlab.translation.real_figures import format_heads
from ganlab.translation.tasks import REVERSE, get_task, method_of
from ganlab.translation.training_config import TrainingConfig


@dataclass(frozen=True)
class Trained:
    """A training at its current step. volumes: number of the user's own volumes, 0 for phantoms. heads: names of the
    CT heads whose anatomy was mixed with the phantoms'."""

    config: TrainingConfig
    step: int
    device: str
    minutes: float
    volumes: int = 0
    heads: tuple[str, ...] = ()


def write_new_card(folder: Path, trained: Trained, parameters: int, back: bool = False) -> None:
    """Write the card of a training at its current step; `evaluate-models --write-card` adds the figures.

    back: the card of the other direction, in a sub-folder of the training's own.
    """
    config, training = trained.config, (folder.parent if back else folder).name
    task = REVERSE[config.task] if back else config.task
    name = f"{task}-{method_of(training)}" if back else training
    network = "ResNet" if isinstance(config.network, ResNetConfig) else "U-Net"
    sources = [f"own data: {trained.volumes} volumes"] if trained.volumes else []
    if trained.heads or not sources:
        sources.append("phantom patients, sampler streams from 10^9 on")
    if trained.heads:
        sources.append(f"patients with the anatomy of real CT heads ({'; '.join(map(source_of, trained.heads))})")
    front = {
        "name": name,
        "task": task,
        "summary": f"{network}, {SUMMARIES[config.method]}",
        "architecture": f"{_architecture(config)}, 2-D slices of {config.spacing} mm, {_planes(config)}",
        "config": as_config(config),
        "parameters": parameters,
        "training_data": f"{' and '.join(sources)}, {trained.step * config.batch} random slices",
        "steps": trained.step,
        "device": trained.device,
        "minutes": round(trained.minutes),
        "metrics": {},
        "intended_use": "teaching and research on image translation; not a medical device",
    }
    write_card(folder, front, _text(name, task, training, network, trained, back))


def update_card(name: str, result: dict) -> None:
    """Replace the figures of a card by a result of `measure_model`: in its front matter and in its table."""
    folder = model_folder(name)
    front = read_card(folder)
    front["metrics"] = {
        **front["metrics"],
        "held_out_seeds": list(HELD_OUT),
        "mean": result["mean"],
        "sd": result["sd"],
    }
    table = f"{format_patients(result, front['task'])}\n\n{lesion_note(front['task'])}"
    write_card(folder, front, _filled(_body(folder), "held-out", table))


def update_real_heads(name: str, heads: dict[str, dict[str, float]]) -> None:
    """Replace what a card says "On real heads" by the figures of `measure_on_heads` for this model, {head: figures}:
    in its front matter and in its table. A card without this section gets it, before its limits."""
    folder = model_folder(name)
    front = read_card(folder)
    front["metrics"] = {**front["metrics"], "real_heads": heads}
    text = _body(folder)
    if "<!-- real-heads -->\n" not in text:
        section = REAL_HEADS.format(**front)
        before, limits, after = text.partition("## Limits\n")
        text = f"{before}{section}\n{limits}{after}" if limits else f"{text.rstrip()}\n\n{section}"
    write_card(folder, front, _filled(text, "real-heads", format_heads({front["name"]: heads}, front["task"])))


def _body(folder: Path) -> str:
    """A card's text, without its front matter."""
    return (folder / "card.md").read_text(encoding="utf-8").split("---\n", 2)[2]


def _filled(text: str, part: str, table: str) -> str:
    """The text with a table between the comments that mark a part."""
    before, _, rest = text.partition(f"<!-- {part} -->\n")
    _, _, after = rest.partition(f"<!-- /{part} -->\n")
    return f"{before}<!-- {part} -->\n{table}\n<!-- /{part} -->\n{after}"


def _architecture(config: TrainingConfig) -> str:
    if isinstance(config.network, ResNetConfig):
        return f"ResNet, {config.network.blocks} blocks, width {config.network.width}, instance normalisation"
    patch = config.network.patch
    return f"U-Net{f' on {patch}x{patch} pixel blocks' if patch > 1 else ''}, batch normalisation"


def _planes(config: TrainingConfig) -> str:
    return "three planes" if len(config.planes) == 3 else f"{' and '.join(config.planes)} slices only"


def _text(name: str, task: str, training: str, network: str, trained: Trained, back: bool) -> str:
    from jinja2 import Environment, StrictUndefined

    config = trained.config
    prior = PRIOR.get(config.task, PRIOR_OF_PIXELS)
    environment = Environment(undefined=StrictUndefined, trim_blocks=True, keep_trailing_newline=True, autoescape=False)
    environment.filters["g"] = "{:g}".format
    return environment.from_string(CARD).render(
        name=name,
        task=task,
        title=f"{get_task(task).title}: {network} {TRAINED_AS[config.method]}",
        target=get_task(task).target.upper(),
        config=config,
        cycle_source=config.cycle if config.cycle_source is None else config.cycle_source,
        prior=prior,
        planes=_planes(config),
        training=training,
        volumes=trained.volumes,
        heads=[source_of(name) for name in trained.heads],
        back=back,
        limits=LIMITS[task],
    )


SOURCES = {  # real data by the name of its file: what it is, who gave it, its licence
    "ct_head_unc": (
        "CT of a cadaver's head, Chapel Hill Volume Rendering Test Data Set, University of North Carolina "
        "(North Carolina Memorial Hospital); free to use with credit"
    ),
    "ct_head_invesalius": 'CT of a head, example "Cranium" of InVesalius (Debian: invesalius-examples); GPL-2',
    "t1_head_real": "T1 of one person, defaced, studyforrest subject 02; PDDL (public domain)",
}


def source_of(name: str) -> str:
    """Where real data comes from and its licence, by its file's name; for others, that the card should name it."""
    stem = stem_of(Path(name))
    return f"{name}: {SOURCES.get(stem, 'its source and licence are not known here; name them')}"


SUMMARIES = {
    "l1": "L1 loss, no adversary; the baseline",
    "pix2pix": "L1 loss and an adversary that sees source and target (Isola et al. 2017)",
    "cyclegan": "two generators and two adversaries on unpaired images (Zhu et al. 2017)",
}
TRAINED_AS = {"l1": "with an L1 loss", "pix2pix": "trained as pix2pix", "cyclegan": "trained as a CycleGAN"}
PRIOR = {
    "mr2ct": """G learns CT from T1-weighted images synthesised from the same CT
with textbook tissue signals and the contrast, bias field and noise of arbitrary scanners; F learns the reverse.""",
    "t1fa": """G learns FA from T1-weighted images synthesised from the same FA
with textbook signals and a skull, scalp and face of random shape and signal around the brain; F learns the reverse.""",
}
PRIOR_OF_PIXELS = "both generators learn\nwhat a pixel's value alone says about the other contrast."
LIMITS = {
    "mr2ct": """\
- CT numbers of bone are typical, not this patient's: bone density cannot be read from a T1 scan.
- Weakest are the thin bones of face and skull base, air cells and the throat; strongest is the vault.
- For T1-weighted scans of adult heads with the skull. Not for stripped brains, other contrasts or other body parts.""",
    "ct2mr": """\
- CT hardly distinguishes grey from white matter: the cortex shown is plausible, but not this patient's.
- One contrast only, that of a spoiled gradient echo at 3 T with white matter at 1. No flow, no coil bias field.
- For adult heads. Not for contrast-enhanced CT or other body parts.""",
    "t1fa": """\
- FA is a property of diffusion, which a T1 scan does not measure: the result is an estimate from anatomy. Anything
  that changes diffusion but not T1 is invisible to it.
- Weakest are crossings and thin tracts; strongest are the corpus callosum and the capsules.
- For T1-weighted scans of adult heads, with or without the skull.""",
    "t1flair": """\
- Part of an experiment on lesions that appear and vanish: it may have been trained to do exactly that.""",
}
REAL_HEADS = """\
## On real heads

What the result must have whosever head it is; bold: what no real head has. Measure again with
`python -m ganlab evaluate-models --real FOLDER --task {task} {name}`.

<!-- real-heads -->
<!-- /real-heads -->
"""
CARD = """
# {{ title }}

{% if config.method == "l1" %}
For every slice the network predicts the {{ target }} with the least expected absolute error, `L = E |y - G(x)|`. Where
the scan does not determine the answer, that is the conditional median: thin walls fade and textures are smooth. This
is the baseline for the models with an adversary.
{% elif config.method == "pix2pix" %}
The generator of `{{ task }}-unet`, whose weights it starts from, and a PatchGAN that sees 70 x 70 pixels of source and
result together: `min_G max_D E log D(x, y) + E log(1 - D(x, G(x))) + {{ config.pixel | g }} E |y - G(x)|`. What the L1
loss leaves open, the adversary fills with plausible detail. The result is sharper, but not more accurate.
{% else %}
Trained without pairs, on source slices of some patients and target slices of others: two generators, two PatchGANs with
least squares, and the cycle loss `{{ cycle_source | g }} E |F(G(x)) - x| + {{ config.cycle | g }} E |G(F(y)) - y|`,
after Wolterink et al. 2017.
{% if config.structure %}
The edges of source and result must agree as well (MIND descriptors of Heinrich et al. 2012, as in Yang et al. 2020;
weight {{ config.structure | g }}).
{% endif %}
{% if config.prior %}
The first {{ config.prior }} steps are not adversarial: {{ prior }}
{% if heads and task in ("mr2ct", "ct2mr") %}
Both also learn from pairs made from the CT heads alone, whose MR image is simulated.
{% endif %}
{% if config.known %}
This loss stays in the adversarial steps with weight {{ config.known | g }}.
{% endif %}
{% endif %}
{% if config.discriminator.outline is not none %}
The discriminators also see how deep each pixel lies under the outline of the head.
{% endif %}
{% if config.discriminator.windows %}
They see CT through brain and bone windows as well.
{% endif %}
Nothing in these losses prevents a mapping that is consistent but wrong.
{% endif %}

## Training

Slices of {{ config.size }} x {{ config.size }} pixels at {{ config.spacing }} mm, {{ planes }}, of
{% if volumes and not heads %}
{{ volumes }} volumes of the user's own: cropped and mirrored at random, with no other augmentation. Train it again with
`python -m ganlab train PRESET --source DIR --target DIR`.
{% else %}
phantom patients generated during training: every anatomy is new, field of view and defacing are random, contrast, noise
and resolution of the source are drawn for each slice; one patient in seven has a lesion, some have fillings or a bone
flap. {% if not heads %}No patient's data was used. {% endif %}Train it again with
`python -m ganlab train {{ training }}{% if heads %} --anatomy CT_FOLDER{% endif %}`{% if back %}, whose other
direction this is{% endif %}.
{% if heads %}

A share of {{ config.scanned | g }} of the patients has the anatomy of a real CT head, warped at random, with the
template's brain in it. Bone and air come from:

{% for head in heads %}
- {{ head }}
{% endfor %}
{% if volumes %}

A share of {{ config.own | g }} of the slices is of {{ volumes }} volumes of the user's own.
{% endif %}
{% endif %}
{% endif %}

## Held-out phantom patients

Seeds 9000 to 9005, 1 mm, mean of {{ planes }}.
Measure again with `python -m ganlab evaluate-models --task {{ task }} --model {{ name }}`.

<!-- held-out -->
<!-- /held-out -->

## Limits

{% if volumes and not heads %}
- It knows only the scans that it was trained on, and may fail without warning on other scanners, contrasts, diseases
  and ages. Weights trained on patients may hold traces of their data: handle them like the data.
{% elif heads %}
- It knows the anatomy of its phantoms (adults, some with a tumour, plaques, a bleed, a bone flap or fillings) and of
  {{ heads | length }} CT head{{ "s" if heads | length > 1 }}. Anything else (other diseases, implants, children) is
  unknown to it: a lesion may be lost or invented.
- Weights trained on patients' CTs may hold traces of them: handle them like the data.
{% else %}
- It knows only the anatomy of its phantoms: adults, some with a tumour, plaques, a bleed, a bone flap or fillings.
  Anything else (other diseases, implants, children) is unknown to it: a lesion may be lost or invented, and nothing
  in the result shows it.
{% endif %}
{{ limits }}
- Not a medical device. Not for diagnosis, dose or treatment.
"""
