// The latent space: requests images of latent points and displays them.
// Python's side: ganlab/ui/pages/generate/latent_space.py, which also defines points.

const LATENT_PATH = "gradio_api/ganlab/generate";
const FRAMES = 60; // of a walk
const FPS = 20;
const STEPS = 9; // between A and B
const SIDE = 6; // of the sheet between four
const COLUMNS = 8; // of the gallery
const COUNT = 64; // of the gallery
const LARGE = 336; // CSS px of the chosen image, at most
const SETTLED = 150; // debounce of the slower requests, ms
const POLL = 1500; // ms between questions while the training images are being made

// |z| along both paths from A to B. ways: {slerp, lerp}, each a list of lengths.
function drawNorms(canvas, ways, ink) {
  const width = Math.min(canvas.parentElement.clientWidth, 420),
    height = 74,
    left = 30,
    low = 18;
  const ratio = window.devicePixelRatio || 1,
    g = canvas.getContext("2d");
  Object.assign(canvas, { width: width * ratio, height: height * ratio });
  Object.assign(canvas.style, { width: `${width}px`, height: `${height}px` });
  g.scale(ratio, ratio);
  g.font = "11px system-ui, sans-serif";
  const all = Object.values(ways).flat(),
    top = Math.ceil(Math.max(...all));
  const bottom = Math.min(Math.floor(Math.min(...all)), top - 1);
  const y = (value) => 6 + ((top - value) / (top - bottom)) * (height - low - 6);
  const x = (k, count) => left + ((k + 0.5) / count) * (width - left);
  g.fillStyle = g.strokeStyle = ink;
  for (const value of [bottom, top]) {
    g.fillText(String(value), 0, y(value) + 4);
    g.globalAlpha = 0.25;
    g.fillRect(left, y(value), width - left, 1);
    g.globalAlpha = 1;
  }
  g.fillText("|z|", 0, (y(top) + y(bottom)) / 2 + 4);
  g.fillText("A", x(0, all.length / 2) - 4, height - 4);
  g.fillText("B", x(all.length / 2 - 1, all.length / 2) - 4, height - 4);
  const colours = { slerp: document.body.classList.contains("dark") ? REAL_ON_DARK : REAL, lerp: SYNTHETIC };
  for (const [name, values] of Object.entries(ways)) {
    g.strokeStyle = g.fillStyle = colours[name];
    g.lineWidth = 2;
    g.setLineDash(name === "lerp" ? [4, 3] : []);
    g.beginPath();
    values.forEach((value, k) => g.lineTo(x(k, values.length), y(value)));
    g.stroke();
    const middle = values[(values.length - 1) / 2];
    g.fillText(name, x((values.length - 1) / 2, values.length) + 6, y(middle) + (name === "slerp" ? 13 : -5));
  }
}

// Images [n, h, w] and more of them, as one array.
function joinImages(first, second) {
  const data = new Uint16Array(first.data.length + second.data.length);
  data.set(first.data);
  data.set(second.data, first.data.length);
  return { shape: [first.shape[0] + second.shape[0], ...first.shape.slice(1)], data };
}

function latentSpace(root, props, watch, trigger) {
  const facts = () => props.value;
  const state = {
    picks: [], // points A to D
    chosen: null, // the selected point, without slider offsets
    moves: {}, // name of a slider -> how far
    label: null, // of the gallery; null is all classes in turn
    psi: 1,
    seed: 0,
    window: null, // name of the intensity window
    shown: {}, // images, points and numbers by name
    grids: {}, // name of a canvas -> where its tiles lie
    walk: null,
    hold: false, // whether A to D take the class of A
    playing: false,
    wanted: undefined, // the point in a link
  };
  const c = latentCanvases();
  const ui = latentControls({
    reseed,
    truncate(psi) {
      state.psi = psi;
      ui.psiText.textContent = psi.toFixed(2);
      begin(true);
    },
    chooseClass(value) {
      state.label = value === "all" ? null : Number(value);
      begin();
    },
    chooseWindow(value) {
      state.window = value;
      redraw();
    },
    selectNumber() {
      const n = Number(ui.oneOf.value);
      if (!(n >= 1 && n <= facts().z)) ui.oneOf.value = 1;
      ui.oneFar.value = state.moves[`z${ui.oneOf.value - 1}`] ?? 0;
    },
    slide,
    holdClass(hold) {
      state.hold = hold;
      follow();
    },
    resetSliders() {
      clearSliders();
      move();
    },
    pick,
    playWalk() {
      state.playing = !state.playing;
      ui.play.setAttribute("aria-pressed", String(state.playing));
    },
    film(form, type, ending) {
      const question = { what: "walk", points: picked(), frames: FRAMES, film: form, window: state.window };
      ask("film", question, (_, { film }) => saveBytes(film, type, `${facts().model}-walk.${ending}`));
    },
    saveGallery: () => savePicture("gallery", `seed${state.seed}`),
    savePicture,
    copyLink: () => navigator.clipboard?.writeText(link()).then(() => (ui.status.textContent = "Link copied.")),
  });
  layOutLatent(root, c, ui);

  const answered = newestOnly(LATENT_PATH, (text) => tell(text));
  const ask = (kind, question, take) => answered(kind, { model: facts().model, psi: state.psi, ...question }, take);
  function tell(text) {
    ui.alert.textContent = text;
    ui.alert.hidden = !text;
  }
  function savePicture(canvas, name) {
    save(c[canvas].toDataURL("image/png"), `${facts().model}-${name}.png`);
  }
  function slide(name, far) {
    if (far) state.moves[name] = far;
    else delete state.moves[name];
    move();
  }
  function clearSliders() {
    state.moves = {};
    for (const slider of [...ui.sliders.querySelectorAll("input[type=range]"), ui.oneFar]) slider.value = 0;
  }

  // Points
  const same = (a, b) => a && b && JSON.stringify(a) === JSON.stringify(b);
  const isChosen = (point) => same(point, state.chosen);
  const withClassOf = (point, { label, mix }) => {
    const { mix: _, label: __, ...rest } = point;
    return mix ? { ...rest, mix } : { ...rest, label };
  };
  const picked = () => (state.hold ? state.picks.map((point) => withClassOf(point, state.picks[0])) : state.picks);
  const moved = () => ({ ...state.chosen, ...(Object.keys(state.moves).length ? { moves: state.moves } : {}) });
  function classText({ label, mix }) {
    const names = facts().classes;
    if (!mix) return names[label] ?? "";
    return mix.flatMap((share, k) => (share > 0.005 ? [`${Math.round(100 * share)} % ${names[k]}`] : [])).join(", ");
  }

  // Drawing
  function look() {
    const { low, high, windows: all } = facts();
    return greyLook(low, high, ...(all[state.window] ?? [low, high]));
  }
  const atMost = (canvas, width) => Math.min(canvas.parentElement.clientWidth, width);
  function redraw() {
    if (!root.clientWidth || !facts()?.model) return;
    const css = getComputedStyle(root),
      accent = css.getPropertyValue("--gl-accent").trim(),
      ring = SYNTHETIC;
    const grey = look(),
      { shown } = state;
    const draw = (name, columns, more) => {
      if (shown[name]) state.grids[name] = { columns, ...drawTiles(c[name], shown[name], columns, grey, more) };
    };
    const ofChosen = (points) => (k) => (isChosen(points?.[k]) ? ["", accent] : null);
    const ofGallery = (k) => {
      const point = shown.points?.[k],
        letter = LETTERS[state.picks.findIndex((pick) => same(pick, point))];
      if (isChosen(point)) return [letter ?? "", accent];
      return letter ? [letter, ring] : null;
    };
    for (const name of ["others", "alike", "near"]) c[name].hidden = !shown[name];
    ui.alikeText.hidden = !shown.alike;
    draw("gallery", COLUMNS, { marks: ofGallery });
    drawLarge();
    const classes = Math.min(10, shown.others?.shape[0] ?? 0);
    const ofClass = (k) => (k === state.chosen.label ? ["", accent] : null);
    draw("others", classes, { marks: ofClass, width: atMost(c.others, 60 * classes) });
    draw("strip", STEPS, { marks: ofChosen(shown.stripPoints) });
    if (shown.strip) drawNorms(c.chart, shown.norms, css.color);
    draw("alike", STEPS);
    draw("four", 4, { marks: (k) => [LETTERS[k], ring] });
    draw("square", SIDE, { marks: ofChosen(shown.squarePoints), width: atMost(c.square, 420) });
    draw("near", 4, { marks: (k) => (k ? null : ["", accent]) });
    draw("sum", 4, { marks: (k) => [["A", "B", "C", "="][k], k < 3 ? ring : accent] });
    const plain = greyLook(0, 1, 0, 1);
    for (const { canvas, maps } of shown.layers ?? []) {
      drawTiles(canvas, maps, maps.shape[0], plain, { width: atMost(canvas, 48 * maps.shape[0]) });
    }
    drawVerdict(grey);
    drawFrame();
  }
  // The image and the map of what moves D's score, side by side in one canvas.
  function drawVerdict(grey) {
    const { large: image, verdict: map } = state.shown;
    c.verdict.parentElement.hidden = !map;
    if (!map || !image) return;
    const part = document.createElement("canvas"),
      ratio = window.devicePixelRatio || 1;
    const { tile, tall } = drawTiles(c.verdict, joinImages(image, image), 2, grey, { width: atMost(c.verdict, 320) });
    drawTiles(part, map, 1, signedLook(document.body.classList.contains("dark")), { width: tile });
    const g = c.verdict.getContext("2d");
    g.setTransform(1, 0, 0, 1, 0, 0);
    g.drawImage(part, Math.round((tile + TILE_GAP) * ratio), 0, Math.round(tile * ratio), Math.round(tall * ratio));
  }
  function drawLarge() {
    if (!state.shown.large) return;
    annotate(c.large, facts(), drawTiles(c.large, state.shown.large, 1, look(), { width: atMost(c.large, LARGE) }));
  }
  function drawFrame() {
    if (!state.walk || !root.clientWidth) return;
    const [, h, w] = state.walk.shape,
      at = state.frame ?? 0;
    const one = { shape: [1, h, w], data: state.walk.data.subarray(at * h * w, (at + 1) * h * w) };
    drawTiles(c.film, one, 1, look(), { width: atMost(c.film, 260) });
  }

  // Questions
  function begin(keepPicks = false) {
    const { label } = state,
      { classes, model } = facts();
    const options = `${label === null ? "" : ` --label ${classes[label]}`}${state.psi < 1 ? ` --psi ${state.psi}` : ""}`;
    ui.command.textContent = `python -m ganlab generate --model ${model} --n ${COUNT} --seed ${state.seed}${options} --out samples`;
    ask("gallery", { what: "gallery", seed: state.seed, count: COUNT, label }, ({ points }, { images }) => {
      Object.assign(state.shown, { gallery: images, points });
      const ofClass = label === null ? "" : `, ${classes[label]}`;
      ui.status.textContent = `Seed ${state.seed}${ofClass}: ${points.length} images`;
      if (keepPicks && state.chosen) move();
      else {
        const n = Math.max(1, classes.length);
        // of two classes where all are shown, so that A - B + C changes the class of C
        const mixed = [1, n, 2 * n, 3 * n + 1].map((k) => points[k]);
        state.picks = label === null && n > 1 ? mixed : points.slice(0, 4);
        choose(state.wanted ?? points[0]);
        state.wanted = null;
      }
      follow();
    });
  }
  function choose(point) {
    state.chosen = point;
    clearSliders();
    const all = facts().classes.map((_, label) => withClassOf(point, { label }));
    if (all.length > 1) showAs("others", { what: "points", points: all });
    else state.shown.others = null;
    redraw();
    move();
  }
  // Ask, show the images under a name, redraw.
  function showAs(name, question) {
    ask(name, question, (_, { images }) => {
      state.shown[name] = images;
      redraw();
    });
  }
  function move() {
    if (!state.chosen) return;
    const point = moved();
    ask("chosen", { what: "points", points: [point] }, ({ scores, norms }, { images }) => {
      state.shown.large = images;
      const verdict = scores ? `, D: ${(100 * scores[0]).toFixed(0)} % real` : "";
      const which = "seed" in point ? `draw ${point.index} of seed ${point.seed}` : "moved point";
      const text = [classText(point), which].filter(Boolean).join(", ");
      ui.about.textContent = `${text}: |z| ${norms[0].toFixed(1)}${verdict}`;
      drawLarge();
      c.large.dataset.point = JSON.stringify(point);
    });
    clearTimeout(state.settling);
    state.settling = setTimeout(() => settle(point), SETTLED);
  }
  // Slower requests wait until the slider is released.
  function settle(point) {
    redraw();
    ask("layers", { what: "layers", points: [point] }, showLayers);
    ask("verdict", { what: "verdict", points: [point] }, ({ score, reach }, { map }) => {
      state.shown.verdict = map;
      ui.verdictText.textContent =
        `D's score is ${score?.toFixed(2).replace("-", "\u2212")} (above 0: real). Blurring an orange region lowers the ` +
        "score, because it looks real to D; blurring a blue region raises it. " +
        `Full colour is \u00b1${reach?.toPrecision(2)}.`;
      redraw();
    });
    neighbours(point);
  }
  function showLayers({ layers }, arrays) {
    const rows = layers.map(({ shape }, k) => {
      const canvas = tilesCanvas(`Feature maps of layer ${k + 1}`),
        maps = arrays[`layer${k}`]; // none for a vector
      const name = k === layers.length - 1 ? "image" : k ? `layer ${k + 1}` : "projected noise";
      const title = tag("span", {}, `${name}, ${shape.join(" x ")}`);
      return { canvas, maps, row: tag("div", {}, title, tag("div", {}, ...(maps ? [canvas] : []))) };
    });
    ui.inside.replaceChildren(...rows.map(({ row }) => row));
    state.shown.layers = rows.filter(({ maps }) => maps);
    redraw();
  }
  // Of the images between A and B, once the training images are there.
  function likenesses() {
    const points = state.shown.stripPoints?.slice(0, STEPS);
    if (!points) return;
    ask("alike", { what: "neighbours", points }, ({ distances }, { images }) => {
      if (!images) return;
      state.shown.alike = images;
      const [nearest, farthest] = [Math.min(...distances), Math.max(...distances)];
      ui.alikeText.textContent =
        "Third row: the nearest training image of each image in the first; " +
        `distances ${nearest.toFixed(3)} to ${farthest.toFixed(3)}.`;
      redraw();
    });
  }
  function neighbours(point) {
    ask("near", { what: "neighbours", points: [point] }, ({ made, count, distances, usual }, { images }) => {
      if (!images) {
        ui.nearText.textContent = `Generating the training images: ${Math.round(100 * made)} %`;
        setTimeout(() => root.isConnected && neighbours(moved()), POLL);
        return;
      }
      if (!state.shown.large) return;
      state.shown.near = joinImages(state.shown.large, images);
      ui.nearText.textContent =
        `Nearest to the chosen image among ${count.toLocaleString("en")} training images: distance ` +
        `${distances[0].toFixed(3)}. For other real images it is ${usual.toFixed(3)}, for a copy it would be near 0.`;
      if (!state.shown.alike) likenesses();
      redraw();
    });
  }
  function pick(i) {
    if (!state.chosen) return;
    state.picks[i] = moved();
    follow();
  }
  // Update everything that depends on A to D.
  function follow() {
    const points = picked();
    if (points.length < 4) return;
    showAs("four", { what: "points", points: state.picks });
    ask("strip", { what: "between", points: points.slice(0, 2), steps: STEPS }, (reply, { slerp, lerp }) => {
      const { norms, points: stripPoints } = reply,
        middle = (STEPS - 1) / 2;
      Object.assign(state.shown, { strip: joinImages(slerp, lerp), stripPoints, norms, alike: null });
      likenesses();
      ui.norms.textContent =
        `Above, along the great circle (slerp): |z| is ${norms.slerp[middle].toFixed(1)} in the middle. Below, along the ` +
        `straight line (lerp): |z| falls from ${norms.lerp[0].toFixed(1)} to ${norms.lerp[middle].toFixed(1)}, ` +
        "where the generator was never trained.";
      redraw();
    });
    ask("square", { what: "sheet", points, side: SIDE }, ({ points: squarePoints }, { images }) => {
      Object.assign(state.shown, { square: images, squarePoints });
      redraw();
    });
    ask("walk", { what: "walk", points, frames: FRAMES }, (_, { images }) => {
      Object.assign(state, { walk: images, frame: 0 });
      redraw();
    });
    ask("sum", { what: "sum", points: points.slice(0, 3) }, (reply) => {
      state.shown.sumPoints = [...points.slice(0, 3), ...reply.points];
      showAs("sum", { what: "points", points: state.shown.sumPoints });
    });
    redraw();
  }
  function reseed(value) {
    if (!Number.isInteger(value) || value < 0 || value > MAX_SEED) {
      tell(`The seed ${value} is not a whole number from 0 to ${MAX_SEED}.`);
      return;
    }
    state.seed = value;
    ui.seed.value = value;
    begin();
  }
  function link() {
    const query = new URLSearchParams({ tab: "generate", model: facts().model, seed: state.seed, psi: state.psi });
    if (state.label !== null) query.set("label", facts().classes[state.label]);
    if (state.chosen) query.set("point", JSON.stringify(moved()));
    return `${location.origin}${location.pathname}?${query}`;
  }

  // Pointing and keys
  const tileAt = (canvas, grid, event) => {
    const box = canvas.getBoundingClientRect();
    const row = Math.floor((event.clientY - box.top) / (grid.tall + TILE_GAP));
    return row * grid.columns + Math.floor((event.clientX - box.left) / (grid.tile + TILE_GAP));
  };
  const pointsIn = (name) => state.shown[name === "gallery" ? "points" : `${name}Points`] ?? [];
  for (const name of ["gallery", "strip", "square", "sum"]) {
    c[name].addEventListener("click", (event) => {
      const point = pointsIn(name)[tileAt(c[name], state.grids[name], event)];
      if (point) choose(point);
    });
    c[name].addEventListener("keydown", (event) => {
      const columns = state.grids[name]?.columns ?? 1,
        letter = "abcd".indexOf(event.key.toLowerCase());
      const step = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -columns, ArrowDown: columns }[event.key];
      if (step) {
        const now = pointsIn(name).findIndex(isChosen),
          next = pointsIn(name)[now < 0 ? 0 : now + step];
        if (next) choose(next);
      } else if (event.key.length === 1 && letter >= 0) pick(letter);
      else return;
      event.preventDefault();
    });
  }
  c.others.addEventListener("click", (event) => {
    const count = facts().classes.length,
      box = c.others.getBoundingClientRect();
    const label = Math.min(count - 1, Math.floor(((event.clientX - box.left) / box.width) * count));
    state.chosen = withClassOf(state.chosen, { label });
    move();
  });

  // Start with another generator.
  function open() {
    if (!facts()?.model) return;
    const { classes: names, windows: all, directions, reach, z, asked = {} } = facts();
    Object.assign(state, { picks: [], chosen: null, moves: {}, shown: {}, walk: null, wanted: asked.point });
    Object.assign(state, { label: null, seed: asked.seed ?? 0, psi: asked.psi ?? 1 });
    if (names.includes(asked.label)) state.label = names.indexOf(asked.label);
    ui.seed.value = state.seed;
    ui.psi.value = state.psi;
    ui.psiText.textContent = state.psi.toFixed(2);
    ui.holding.hidden = ui.classes.element.hidden = names.length < 2;
    ui.oneOf.max = z;
    ui.classes.fill([["all", "All"], ...names.map((name, i) => [String(i), name])]);
    ui.classes.set(state.label === null ? "all" : String(state.label));
    const windows = Object.keys(all);
    [state.window] = windows;
    ui.windows.element.hidden = windows.length < 2;
    ui.windows.fill(windows.map((name) => [name, name]));
    ui.windows.set(state.window);
    ui.sliders.replaceChildren(...directions.map((share, k) => directionSlider(share, k, reach)));
    begin();
  }
  function directionSlider(share, k, reach) {
    const input = tag("input", {
      type: "range",
      min: -reach,
      max: reach,
      step: 0.1,
      value: 0,
      "aria-label": `Principal direction ${k + 1}`,
      oninput: () => slide(k, Number(input.value)),
    });
    const percent = tag("small", {}, `${(100 * share).toFixed(1)} %`);
    return tag("label", {}, tag("span", {}, `Direction ${k + 1}`), input, percent);
  }

  new ResizeObserver(() => redraw()).observe(root);
  new MutationObserver(() => redraw()).observe(document.body, { attributes: true, attributeFilter: ["class"] });
  setInterval(() => {
    if (!root.isConnected || !state.playing || !state.walk || document.hidden) return;
    state.frame = ((state.frame ?? 0) + 1) % FRAMES;
    drawFrame();
  }, 1000 / FPS);
  watch("value", open);
  open();
  const linked = new URLSearchParams(location.search).get("tab") === "generate"; // the value then arrives with the page load
  whenSeen(root, () => facts()?.model || linked || trigger("input"));
}
