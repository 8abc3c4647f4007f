// The latent space's controls and canvases, by name. `actions`: their handlers, see latentSpace().

const LETTERS = ["A", "B", "C", "D"];
const MAX_SEED = 4294967295;

// A canvas of tiles with a label for screen readers.
const tilesCanvas = (label, more = {}) =>
  tag("canvas", { class: "gl-tiles", role: "img", "aria-label": label, ...more });

function latentCanvases() {
  const chosen = { tabindex: 0 };
  return {
    gallery: tilesCanvas("Gallery of generated images; select one by click or arrow keys", chosen),
    large: tilesCanvas("The chosen image"),
    others: tilesCanvas("The same noise in every class"),
    four: tilesCanvas("A, B, C and D"),
    strip: tilesCanvas(
      "From A to B: along the great circle above, along the straight line below; click an image to select it",
      chosen,
    ),
    alike: tilesCanvas("The nearest training image of each image in the upper row"),
    chart: tilesCanvas("The length of z on both paths"),
    square: tilesCanvas("Between A, B, C and D; click an image to select it", chosen),
    sum: tilesCanvas("A, B, C, and A minus B plus C; click an image to select it", chosen),
    film: tilesCanvas("A walk from A to B, C, D and back"),
    verdict: tilesCanvas("The chosen image and what D's score depends on"),
    near: tilesCanvas("The chosen image and its three nearest training images"),
  };
}

function latentControls(actions) {
  const button = (text, title, onclick, more = {}) => tag("button", { type: "button", title, onclick, ...more }, text);
  const note = () => tag("p", { class: "gl-note" });
  const seed = tag("input", {
    type: "number",
    min: 0,
    max: MAX_SEED,
    step: 1,
    "aria-label": "Seed of the gallery",
    onchange: () => actions.reseed(Number(seed.value)),
  });
  const psi = tag("input", {
    type: "range",
    min: 0.05,
    max: 1,
    step: 0.05,
    value: 1,
    "aria-label": "Truncation: a factor of z",
    oninput: () => actions.truncate(Number(psi.value)),
  });
  const oneOf = tag("input", {
    type: "number",
    min: 1,
    max: 100,
    step: 1,
    value: 1,
    "aria-label": "Coordinate of z",
    onchange: () => actions.selectNumber(),
  });
  const oneFar = tag("input", {
    type: "range",
    min: -5,
    max: 5,
    step: 0.1,
    value: 0,
    "aria-label": "Change of this coordinate of z",
    oninput: () => actions.slide(`z${oneOf.value - 1}`, Number(oneFar.value)),
  });
  const hold = tag("input", { type: "checkbox", onchange: () => actions.holdClass(hold.checked) });
  const keyOf = (letter) => `Keep the chosen image as ${letter} (key ${letter.toLowerCase()})`;
  return {
    seed,
    psi,
    oneOf,
    oneFar,
    fresh: button("New seed", "Other draws", () => actions.reseed(Math.floor(Math.random() * 100000))),
    classes: segmented("latent", "Class", [], actions.chooseClass),
    windows: segmented("latent", "Window", [], actions.chooseWindow),
    psiText: tag("output", {}, "1.00"),
    single: tag("label", { class: "gl-single" }, tag("span", {}, "Coordinate"), oneOf, tag("span", {}, "of z"), oneFar),
    holding: tag("label", { class: "gl-check" }, hold, tag("span", {}, "Keep the class of A")),
    sliders: tag("div", { class: "gl-sliders" }),
    reset: button("Back", "Set all sliders to 0", actions.resetSliders),
    keep: LETTERS.map((letter, i) => button(letter, keyOf(letter), () => actions.pick(i))),
    play: button("Play", "Play the walk", actions.playWalk, { "aria-pressed": "false" }),
    films: [
      button("GIF", "Download the walk as a film, GIF", () => actions.film("gif", "image/gif", "gif")),
      button("MP4", "Download the walk as a film, MP4", () => actions.film("mp4", "video/mp4", "mp4")),
      button("Strip", "Download the walk as a strip of images, PNG", () => actions.film("strip", "image/png", "png")),
    ],
    png: button("PNG", "The gallery", actions.saveGallery),
    copyLink: button("Copy link", "A link that reopens this gallery and this image", actions.copyLink),
    saveStrip: button("PNG", "This picture", () => actions.savePicture("strip", "a-to-b")),
    saveSquare: button("PNG", "This picture", () => actions.savePicture("square", "between-four")),
    alert: tag("p", { class: "gl-alert", role: "alert", hidden: true }),
    status: tag("p", { class: "gl-spoken", role: "status", "aria-live": "polite" }),
    command: tag("pre", { class: "gl-commands" }),
    inside: tag("div", { class: "gl-inside" }),
    about: note(),
    norms: note(),
    alikeText: note(),
    verdictText: note(),
    nearText: note(),
  };
}

// Fill `root` with them. c: canvases, ui: controls.
function layOutLatent(root, c, ui) {
  const buttons = (...list) => tag("span", { class: "gl-buttons" }, ...list);
  const field = (legend, ...parts) => tag("fieldset", { class: "gl-field" }, tag("legend", {}, legend), ...parts);
  const panel = (title, note, ...parts) =>
    tag("section", { class: "gl-panel" }, tag("h3", {}, title), ...parts, tag("p", { class: "gl-note" }, note));
  const stack = (...panels) => tag("div", { class: "gl-stack" }, ...panels);
  const bar = (...parts) => tag("div", { class: "gl-bar" }, ...parts);
  root.replaceChildren(
    bar(
      field("Seed", ui.seed, buttons(ui.fresh)),
      ui.classes.element,
      ui.windows.element,
      field("Truncation", ui.psi, ui.psiText),
      buttons(ui.png, ui.copyLink),
    ),
    ui.alert,
    tag(
      "div",
      { class: "gl-latent" },
      tag("div", { class: "gl-panel" }, c.gallery, ui.command),
      tag(
        "div",
        { class: "gl-panel" },
        c.large,
        ui.about,
        bar(field("Keep as", buttons(...ui.keep)), buttons(ui.reset)),
        ui.sliders,
        ui.single,
        c.others,
      ),
    ),
    tag(
      "div",
      { class: "gl-panels" },
      stack(
        panel("A, B, C, D", "Press A, B, C or D above to store the selected image there.", c.four, ui.holding),
        panel("From A to B", "", c.strip, c.alike, c.chart, ui.norms, ui.alikeText, buttons(ui.saveStrip)),
        panel(
          "A \u2212 B + C",
          "The difference of two images added to a third, scaled to its length (Radford et al. 2016); classes are combined in the same way.",
          c.sum,
        ),
      ),
      stack(
        panel(
          "Between the four",
          "Great circles along each edge and across; classes are blended. Click an image here or between A and B to " +
            "select it.",
          c.square,
          buttons(ui.saveSquare),
        ),
        panel("What D's score depends on", "", c.verdict, ui.verdictText),
      ),
      stack(
        panel("A walk", "From A to B, C, D and back along great circles.", c.film, buttons(ui.play, ...ui.films)),
        panel("Nearest in the training set", "", c.near, ui.nearText),
      ),
    ),
    panel(
      "Inside G",
      "Feature maps for the chosen image, at most 16 per layer, each scaled to its own range. Shapes are channels x " +
        "height x width.",
      ui.inside,
    ),
    ui.status,
  );
}
