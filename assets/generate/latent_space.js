// The latent space: asks the server for images of points and shows them. Python's side: ganlab/ui/pages/generate/latent_space.py.

const LATENT_PATH = "gradio_api/ganlab/generate";
const LETTERS = ["A", "B", "C", "D"];
const FRAMES = 60; // of a walk
const FPS = 20;
const STEPS = 9; // between A and B
const SIDE = 6; // of the sheet between four
const COUNT = 64; // of the gallery
const LARGE = 336; // CSS px of the chosen image, at most
const SETTLED = 150; // ms
const GAP = 2; // CSS px between tiles

// 4096 grey pixels for values from low to high, black at `dark` and white at `bright`.
function greyLook(low, high, dark, bright) {
  return Uint32Array.from({ length: 4096 }, (_, i) => {
    const share = (low + ((i + 0.5) / 4096) * (high - low) - dark) / (bright - dark);
    const v = Math.round(255 * Math.min(1, Math.max(0, share)));
    return (0xff000000 | (v << 16) | (v << 8) | v) >>> 0;
  });
}

// 4096 pixels of a diverging map, for values from -1 to 1.
const signedLook = (dark) => Uint32Array.from({ length: 4096 }, (_, i) => palettes[dark ? "divergingDark" : "divergingLight"][i >> 2]);

// |z| along both ways from A to B, over where they are.
function drawNorms(canvas, ways, ink) {
  const width = Math.min(canvas.parentElement.clientWidth, 420), height = 74, left = 30, low = 18;
  const ratio = window.devicePixelRatio || 1, g = canvas.getContext("2d");
  Object.assign(canvas, { width: width * ratio, height: height * ratio });
  Object.assign(canvas.style, { width: `${width}px`, height: `${height}px` });
  g.scale(ratio, ratio);
  g.font = "11px system-ui, sans-serif";
  const all = Object.values(ways).flat(), top = Math.ceil(Math.max(...all)), bottom = Math.min(Math.floor(Math.min(...all)), top - 1);
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

// A picture of `shape` = [count, height, width] images in rows of `columns`; marks(k) gives [letter, colour] or nothing.
function drawTiles(canvas, images, columns, look, { marks = () => null, width = canvas.parentElement.clientWidth } = {}) {
  const [count, h, w] = images.shape, rows = Math.ceil(count / columns);
  const ratio = window.devicePixelRatio || 1, tile = Math.floor((width - (columns - 1) * GAP) / columns);
  const tall = Math.round((tile * h) / w);
  canvas.width = Math.round(width * ratio);
  canvas.height = Math.round((rows * (tall + GAP) - GAP) * ratio);
  canvas.style.width = `${width}px`;
  canvas.style.height = `${rows * (tall + GAP) - GAP}px`;
  const g = canvas.getContext("2d");
  g.scale(ratio, ratio);
  g.imageSmoothingQuality = "high";
  const small = (drawTiles.canvas ??= document.createElement("canvas"));
  small.width = w;
  small.height = h;
  const pixels = new ImageData(w, h), out = new Uint32Array(pixels.data.buffer);
  for (let k = 0; k < count; k++) {
    for (let i = 0; i < h * w; i++) out[i] = look[images.data[k * h * w + i] >> 4];
    small.getContext("2d").putImageData(pixels, 0, 0);
    const x = (k % columns) * (tile + GAP), y = Math.floor(k / columns) * (tall + GAP);
    g.drawImage(small, x, y, tile, tall);
    const mark = marks(k);
    if (!mark) continue;
    const [letter, colour] = mark;
    g.strokeStyle = colour;
    g.lineWidth = 2;
    g.strokeRect(x + 1, y + 1, tile - 2, tall - 2);
    if (!letter) continue;
    g.font = "600 12px system-ui, sans-serif";
    g.fillStyle = colour;
    g.fillRect(x, y, 16, 16);
    g.fillStyle = "#000";
    g.fillText(letter, x + 4, y + 12.5);
  }
  return { tile, tall };
}

// Sides of the patient [left, right, top, bottom of the picture], where they are known, and a bar of some whole mm.
function annotate(canvas, { sides, mm, size }, { tile, tall }) {
  const g = canvas.getContext("2d"), edge = 6;
  g.font = "600 12px system-ui, sans-serif";
  const write = (words, x, y, align, base) => {
    Object.assign(g, { textAlign: align, textBaseline: base, lineWidth: 3, strokeStyle: "#000", fillStyle: "#fff", lineJoin: "round" });
    g.strokeText(words, x, y);
    g.fillText(words, x, y);
  };
  if (sides.length) {
    write(sides[0], edge, tall / 2, "left", "middle");
    write(sides[1], tile - edge, tall / 2, "right", "middle");
    write(sides[2], tile / 2, edge, "center", "top");
    write(sides[3], tile / 2, tall - edge, "center", "bottom");
  }
  if (!mm) return;
  const bar = [50, 20, 10, 5].find((length) => length < (size * mm) / 3) ?? 2, long = (bar / (size * mm)) * tile;
  g.fillStyle = "#000";
  g.fillRect(edge - 1, tall - edge - 4, long + 2, 5);
  g.fillStyle = "#fff";
  g.fillRect(edge, tall - edge - 3, long, 3);
  write(`${bar} mm`, edge, tall - edge - 7, "left", "bottom");
}

function latentSpace(root, props, watch, trigger) {
  const facts = () => props.value;
  const state = { picks: [], chosen: null, moves: {}, label: null, psi: 1, seed: 0, window: null, shown: {}, grids: {}, walk: null, hold: false };
  let drawing = null;

  const answered = newestOnly(LATENT_PATH, (words) => say(words));
  const ask = (kind, question, take) => answered(kind, { model: facts().model, psi: state.psi, ...question }, take);
  const say = (words) => { alert.textContent = words; alert.hidden = !words; };

  // Controls
  const button = (text, title, onclick, more = {}) => tag("button", { type: "button", title, onclick, ...more }, text);
  const seed = tag("input", { type: "number", min: 0, max: 4294967295, step: 1, "aria-label": "Seed of the gallery", onchange: () => reseed(Number(seed.value)) });
  const fresh = button("New seed", "Other draws", () => reseed(Math.floor(Math.random() * 100000)));
  const classes = segmented("latent", "Class", [], (value) => { state.label = value === "all" ? null : Number(value); begin(); });
  const windows = segmented("latent", "Window", [], (value) => { state.window = value; redraw(); });
  const psiText = tag("output", {}, "1.00");
  const psi = tag("input", {
    type: "range", min: 0.05, max: 1, step: 0.05, value: 1, "aria-label": "Truncation: a factor of z",
    oninput: () => { state.psi = Number(psi.value); psiText.textContent = state.psi.toFixed(2); begin(true); },
  });
  const alert = tag("p", { class: "gl-alert", role: "alert", hidden: true });
  const status = tag("p", { class: "gl-spoken", role: "status", "aria-live": "polite" });
  const canvasOf = (words, more = {}) => tag("canvas", { class: "gl-tiles", role: "img", "aria-label": words, ...more });
  const gallery = canvasOf("Gallery of generated images; select one by click or arrow keys", { tabindex: 0 });
  const alike = canvasOf("The nearest training image of each image in the upper row"), verdict = canvasOf("The chosen image and what D's score depends on");
  const alikeWords = tag("p", { class: "gl-note" }), verdictWords = tag("p", { class: "gl-note" }), chart = canvasOf("The length of z on both paths");
  const large = canvasOf("The chosen image"), others = canvasOf("The same noise in every class");
  const strip = canvasOf("From A to B: along the great circle above, along the straight line below; click an image to select it", { tabindex: 0 });
  const square = canvasOf("Between A, B, C and D; click an image to select it", { tabindex: 0 }), film = canvasOf("A walk from A to B, C, D and back");
  const near = canvasOf("The chosen image and its three nearest training images"), nearWords = tag("p", { class: "gl-note" });
  const inside = tag("div", { class: "gl-inside" });
  const sum = canvasOf("A, B, C, and A minus B plus C; click an image to select it", { tabindex: 0 }), four = canvasOf("A, B, C and D");
  const about = tag("p", { class: "gl-note" }), norms = tag("p", { class: "gl-note" });
  const sliders = tag("div", { class: "gl-sliders" });
  const still = () => { state.moves = {}; [...sliders.querySelectorAll("input[type=range]"), oneFar].forEach((s) => (s.value = 0)); };
  const reset = button("Back", "Set all sliders to 0", () => { still(); move(); });
  const oneOf = tag("input", { type: "number", min: 1, max: 100, step: 1, value: 1, "aria-label": "Coordinate of z", onchange: () => { const n = Number(oneOf.value); if (!(n >= 1 && n <= facts().z)) oneOf.value = 1; oneFar.value = state.moves[`z${oneOf.value - 1}`] ?? 0; } });
  const oneFar = tag("input", { type: "range", min: -5, max: 5, step: 0.1, value: 0, "aria-label": "Change of this coordinate of z", oninput: () => slide(`z${oneOf.value - 1}`, Number(oneFar.value)) });
  const single = tag("label", { class: "gl-single" }, tag("span", {}, "Coordinate"), oneOf, tag("span", {}, "of z"), oneFar);
  const slide = (name, far) => { if (far) state.moves[name] = far; else delete state.moves[name]; move(); };
  const hold = tag("input", { type: "checkbox", onchange: () => { state.hold = hold.checked; follow(); } });
  const holding = tag("label", { class: "gl-check" }, hold, tag("span", {}, "Keep the class of A"));
  const pictureOf = (canvas, name) => tag("span", { class: "gl-buttons" }, button("PNG", "This picture", () => save(canvas.toDataURL("image/png"), `${facts().model}-${name}.png`)));
  const keep = LETTERS.map((letter, i) => button(letter, `Keep the chosen image as ${letter} (key ${letter.toLowerCase()})`, () => pick(i)));
  const play = button("Play", "Play the walk", () => { state.playing = !state.playing; play.setAttribute("aria-pressed", String(state.playing)); }, { "aria-pressed": "false" });
  const filmAs = (form, type, words, ending = form) => button(words, `Download the walk as ${form === "strip" ? "a strip of images" : "a film"}, ${ending.toUpperCase()}`, () => ask("film", { what: "walk", points: picked(), frames: FRAMES, film: form, window: state.window }, (_, { film: made }) => saveBytes(made, type, `${facts().model}-walk.${ending}`)));
  const png = button("PNG", "The gallery", () => save(gallery.toDataURL("image/png"), `${facts().model}-seed${state.seed}.png`));
  const copyLink = button("Copy link", "A link that reopens this gallery and this image", () => navigator.clipboard?.writeText(link()).then(() => (status.textContent = "Link copied.")));
  const command = tag("pre", { class: "gl-commands" });
  const panel = (title, note, ...inside) => tag("section", { class: "gl-panel" }, tag("h3", {}, title), ...inside, tag("p", { class: "gl-note" }, note));
  root.replaceChildren(
    tag("div", { class: "gl-bar" },
      tag("fieldset", { class: "gl-field" }, tag("legend", {}, "Seed"), seed, tag("span", { class: "gl-buttons" }, fresh)),
      classes.element, windows.element,
      tag("fieldset", { class: "gl-field" }, tag("legend", {}, "Truncation"), psi, psiText),
      tag("span", { class: "gl-buttons" }, png, copyLink)),
    alert,
    tag("div", { class: "gl-latent" },
      tag("div", { class: "gl-panel" }, gallery, command),
      tag("div", { class: "gl-panel" }, large, about,
        tag("div", { class: "gl-bar" }, tag("fieldset", { class: "gl-field" }, tag("legend", {}, "Keep as"), tag("span", { class: "gl-buttons" }, ...keep)), tag("span", { class: "gl-buttons" }, reset)),
        sliders, single, others)),
    tag("div", { class: "gl-panels" },
      tag("div", { class: "gl-stack" },
        panel("A, B, C, D", "Press A, B, C or D above to store the chosen image there.", four, holding),
        panel("From A to B", "", strip, alike, chart, norms, alikeWords, pictureOf(strip, "a-to-b")),
        panel("A \u2212 B + C", "The difference of two images added to a third, scaled to its length (Radford et al. 2016); classes likewise.", sum)),
      tag("div", { class: "gl-stack" },
        panel("Between the four", "Great circles along each edge and across; classes are blended. Click an image here or between A and B to select it.", square, pictureOf(square, "between-four")),
        panel("What D's score depends on", "", verdict, verdictWords)),
      tag("div", { class: "gl-stack" },
        panel("A walk", "From A to B, C, D and back along great circles.", film, tag("span", { class: "gl-buttons" }, play, filmAs("gif", "image/gif", "GIF"), filmAs("mp4", "video/mp4", "MP4"), filmAs("strip", "image/png", "Strip", "png"))),
        panel("Nearest in the training set", "", near, nearWords))),
    panel("Inside G", "Feature maps for the chosen image, at most 16 per layer, each scaled to its own range. Shapes are channels x height x width.", inside),
    status);

  // What is shown
  const colours = () => { const all = getComputedStyle(root); return { accent: all.getPropertyValue("--gl-accent").trim(), pick: SYNTHETIC }; };
  function look() {
    const { low, high, windows: all } = facts();
    return greyLook(low, high, ...(all[state.window] ?? [low, high]));
  }
  const same = (a, b) => a && b && JSON.stringify(a) === JSON.stringify(b);
  const classed = (p, { label, mix }) => { const { mix: _, label: __, ...rest } = p; return mix ? { ...rest, mix } : { ...rest, label }; };
  const picked = () => (state.hold ? state.picks.map((p) => classed(p, state.picks[0])) : state.picks);
  const moved = () => ({ ...state.chosen, ...(Object.keys(state.moves).length ? { moves: state.moves } : {}) });
  const classOf = ({ label, mix }) => (mix ? mix.flatMap((share, k) => (share > 0.005 ? [`${Math.round(100 * share)} % ${facts().classes[k]}`] : [])).join(", ") : facts().classes[label] ?? "");

  function redraw() {
    if (!root.clientWidth || !facts()?.model) return;
    const grey = look(), { accent, pick: ring } = colours(), { shown } = state;
    const columns = 8;
    const marks = (k) => {
      const point = shown.points?.[k], letter = LETTERS[state.picks.findIndex((p) => same(p, point))];
      return same(point, state.chosen) ? [letter ?? "", accent] : letter ? [letter, ring] : null;
    };
    const among = (points) => (k) => (same(points?.[k], state.chosen) ? ["", accent] : null);
    const draw = (canvas, name, images, count, more) => { state.grids[name] = { columns: count, ...drawTiles(canvas, images, count, grey, more) }; };
    if (shown.gallery) draw(gallery, "gallery", shown.gallery, columns, { marks });
    drawLarge();
    others.hidden = !shown.others;
    if (shown.others) drawTiles(others, shown.others, Math.min(10, shown.others.shape[0]), grey, { marks: (k) => (k === state.chosen.label ? ["", accent] : null), width: Math.min(others.parentElement.clientWidth, 60 * Math.min(10, shown.others.shape[0])) });
    if (shown.strip) {
      draw(strip, "strip", shown.strip, STEPS, { marks: among(shown.stripPoints) });
      drawNorms(chart, shown.norms, getComputedStyle(root).color);
    }
    alike.hidden = alikeWords.hidden = !shown.alike;
    if (shown.alike) drawTiles(alike, shown.alike, STEPS, grey);
    if (shown.four) drawTiles(four, shown.four, 4, grey, { marks: (k) => [LETTERS[k], ring] });
    if (shown.square) draw(square, "square", shown.square, SIDE, { marks: among(shown.squarePoints), width: Math.min(square.parentElement.clientWidth, 420) });
    near.hidden = !shown.near;
    if (shown.near) drawTiles(near, shown.near, 4, grey, { marks: (k) => (k ? null : ["", accent]) });
    const plain = greyLook(0, 1, 0, 1);
    for (const { canvas, maps } of shown.layers ?? []) drawTiles(canvas, maps, maps.shape[0], plain, { width: Math.min(canvas.parentElement.clientWidth, 48 * maps.shape[0]) });
    if (shown.sum) draw(sum, "sum", shown.sum, 4, { marks: (k) => [["A", "B", "C", "="][k], k < 3 ? ring : accent] });
    drawVerdict(grey);
    drawFrame();
  }
  // The image and its map side by side, in one canvas.
  function drawVerdict(grey) {
    const { large: image, verdict: map } = state.shown;
    verdict.parentElement.hidden = !map;
    if (!map || !image) return;
    const width = Math.min(verdict.parentElement.clientWidth, 320), part = document.createElement("canvas"), ratio = window.devicePixelRatio || 1;
    const { tile, tall } = drawTiles(verdict, { shape: [2, ...image.shape.slice(1)], data: [...image.data, ...image.data] }, 2, grey, { width });
    drawTiles(part, map, 1, signedLook(document.body.classList.contains("dark")), { width: tile });
    const g = verdict.getContext("2d");
    g.setTransform(1, 0, 0, 1, 0, 0);
    g.drawImage(part, Math.round((tile + GAP) * ratio), 0, Math.round(tile * ratio), Math.round(tall * ratio));
  }
  function drawLarge() {
    if (!state.shown.large) return;
    annotate(large, facts(), drawTiles(large, state.shown.large, 1, look(), { width: Math.min(large.parentElement.clientWidth, LARGE) }));
  }
  function drawFrame() {
    if (!state.walk || !root.clientWidth) return;
    const [, h, w] = state.walk.shape, at = state.frame ?? 0;
    const one = { shape: [1, h, w], data: state.walk.data.subarray(at * h * w, (at + 1) * h * w) };
    drawTiles(film, one, 1, look(), { width: Math.min(film.parentElement.clientWidth, 260) });
  }

  function begin(keepPicks = false) {
    const label = state.label;
    command.textContent = `python -m ganlab generate --model ${facts().model} --n ${COUNT} --seed ${state.seed}` +
      `${label === null ? "" : ` --label ${facts().classes[label]}`}${state.psi < 1 ? ` --psi ${state.psi}` : ""} --out samples`;
    ask("gallery", { what: "gallery", seed: state.seed, count: COUNT, label }, (head, found) => {
      state.shown.gallery = found.images;
      state.shown.points = head.points;
      status.textContent = `Seed ${state.seed}${label === null ? "" : `, ${facts().classes[label]}`}: ${head.points.length} images`;
      if (!keepPicks || !state.chosen) {
        const n = Math.max(1, facts().classes.length);
        // of two classes where all are shown, so that A - B + C changes the class of C
        state.picks = label === null && n > 1 ? [1, n, 2 * n, 3 * n + 1].map((k) => head.points[k]) : head.points.slice(0, 4);
        choose(state.wanted ?? head.points[0]);
        state.wanted = null;
      } else move();
      follow();
    });
  }
  function choose(point) {
    state.chosen = point;
    still();
    const all = facts().classes.map((_, label) => classed(point, { label }));
    if (all.length > 1) ask("others", { what: "points", points: all }, (_, found) => { state.shown.others = found.images; redraw(); });
    else state.shown.others = null;
    redraw();
    move();
  }
  function move() {
    if (!state.chosen) return;
    const point = moved();
    ask("chosen", { what: "points", points: [point] }, (head, found) => {
      state.shown.large = found.images;
      const says = head.scores ? `, D: ${(100 * head.scores[0]).toFixed(0)} % real` : "";
      const which = "seed" in point ? `draw ${point.index} of seed ${point.seed}` : "moved point";
      about.textContent = `${classOf(point)}${classOf(point) ? ", " : ""}${which}: |z| ${head.norms[0].toFixed(1)}${says}`;
      drawLarge();
      large.dataset.point = JSON.stringify(point);
    });
    clearTimeout(state.settling); // what takes longer waits until the slider rests
    state.settling = setTimeout(() => settle(point), SETTLED);
  }
  function settle(point) {
    redraw();
    ask("layers", { what: "layers", points: [point] }, (head, found) => {
      const rows = head.layers.map(({ shape }, k) => {
        const canvas = canvasOf(`Feature maps of layer ${k + 1}`), maps = found[`layer${k}`]; // none of a vector
        const words = k === head.layers.length - 1 ? "image" : k ? `layer ${k + 1}` : "projected noise";
        return { canvas, maps, row: tag("div", {}, tag("span", {}, `${words}, ${shape.join(" x ")}`), tag("div", {}, ...(maps ? [canvas] : []))) };
      });
      inside.replaceChildren(...rows.map(({ row }) => row));
      state.shown.layers = rows.filter(({ maps }) => maps);
      redraw();
    });
    ask("verdict", { what: "verdict", points: [point] }, (head, found) => {
      state.shown.verdict = found.map;
      verdictWords.textContent = `D's score is ${head.score?.toFixed(2).replace("-", "\u2212")} (above 0: real). Blurring an orange region lowers the score, because it looks real to D; blurring a blue region raises it. Full colour is \u00b1${head.reach?.toPrecision(2)}.`;
      redraw();
    });
    neighbours(point);
  }
  // Of the images between A and B, once the training images are there.
  function likenesses() {
    const points = state.shown.stripPoints?.slice(0, STEPS);
    if (!points) return;
    ask("alike", { what: "neighbours", points }, (head, found) => {
      if (!found.images) return;
      state.shown.alike = found.images;
      alikeWords.textContent = `Third row: the nearest training image of each image in the first; distances ${Math.min(...head.distances).toFixed(3)} to ${Math.max(...head.distances).toFixed(3)}.`;
      redraw();
    });
  }
  function neighbours(point) {
    ask("near", { what: "neighbours", points: [point] }, (head, found) => {
      if (!found.images) {
        nearWords.textContent = `Making the training images: ${Math.round(100 * head.made)} %`;
        setTimeout(() => root.isConnected && neighbours(moved()), 1500);
        return;
      }
      const { shown } = state, count = shown.large?.data.length ?? 0;
      if (!count) return;
      const all = new Uint16Array(4 * count);
      all.set(shown.large.data);
      all.set(found.images.data, count);
      shown.near = { shape: [4, ...found.images.shape.slice(1)], data: all };
      nearWords.textContent = `Nearest to the chosen image among ${head.count.toLocaleString("en")} training images: distance ${head.distances[0].toFixed(3)}. For other real images it is ${head.usual.toFixed(3)}, for a copy it would be near 0.`;
      if (!shown.alike) likenesses();
      redraw();
    });
  }
  function pick(i) {
    if (!state.chosen) return;
    state.picks[i] = moved();
    follow();
  }
  // All that follows from A to D.
  function follow() {
    const points = picked();
    if (points.length < 4) return;
    ask("four", { what: "points", points: state.picks }, (_, found) => { state.shown.four = found.images; redraw(); });
    ask("strip", { what: "between", points: points.slice(0, 2), steps: STEPS }, (head, { slerp, lerp }) => {
      const both = new Uint16Array(slerp.data.length * 2);
      both.set(slerp.data);
      both.set(lerp.data, slerp.data.length);
      Object.assign(state.shown, { strip: { shape: [2 * STEPS, ...slerp.shape.slice(1)], data: both }, stripPoints: head.points, norms: head.norms, alike: null });
      likenesses();
      const middle = (STEPS - 1) / 2, { slerp: round, lerp: straight } = head.norms;
      norms.textContent = `Above, along the great circle (slerp): |z| is ${round[middle].toFixed(1)} in the middle. Below, along the straight line (lerp): |z| falls from ${straight[0].toFixed(1)} to ${straight[middle].toFixed(1)}, where the generator was never trained.`;
      redraw();
    });
    ask("square", { what: "sheet", points, side: SIDE }, (head, found) => { Object.assign(state.shown, { square: found.images, squarePoints: head.points }); redraw(); });
    ask("walk", { what: "walk", points, frames: FRAMES }, (_, found) => { state.walk = found.images; state.frame = 0; redraw(); });
    ask("sum", { what: "sum", points: points.slice(0, 3) }, (head) => {
      const all = [...points.slice(0, 3), ...head.points];
      ask("sum4", { what: "points", points: all }, (_, found) => { Object.assign(state.shown, { sum: found.images, sumPoints: all }); redraw(); });
    });
    redraw();
  }
  function reseed(value) {
    if (!Number.isInteger(value) || value < 0 || value > 4294967295) { say(`The seed ${value} is not a whole number from 0 to 4294967295.`); return; }
    state.seed = value;
    seed.value = value;
    begin();
  }
  const link = () => {
    const query = new URLSearchParams({ tab: "generate", model: facts().model, seed: state.seed, psi: state.psi });
    if (state.label !== null) query.set("label", facts().classes[state.label]);
    if (state.chosen) query.set("point", JSON.stringify(moved()));
    return `${location.origin}${location.pathname}?${query}`;
  };

  // Pointing and keys
  const at = (canvas, grid, event) => {
    const box = canvas.getBoundingClientRect();
    return Math.floor((event.clientY - box.top) / (grid.tall + GAP)) * grid.columns + Math.floor((event.clientX - box.left) / (grid.tile + GAP));
  };
  const points = (name) => state.shown[name === "gallery" ? "points" : `${name}Points`] ?? [];
  for (const [name, canvas] of Object.entries({ gallery, strip, square, sum })) {
    canvas.addEventListener("click", (event) => {
      const point = points(name)[at(canvas, state.grids[name], event)];
      if (point) choose(point);
    });
    canvas.addEventListener("keydown", (event) => {
      const columns = state.grids[name]?.columns ?? 1, letter = "abcd".indexOf(event.key.toLowerCase());
      const step = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -columns, ArrowDown: columns }[event.key];
      if (step) {
        const now = points(name).findIndex((p) => same(p, state.chosen)), next = points(name)[now < 0 ? 0 : now + step];
        if (next) choose(next);
      } else if (event.key.length === 1 && letter >= 0) pick(letter);
      else return;
      event.preventDefault();
    });
  }
  others.addEventListener("click", (event) => {
    const count = facts().classes.length, box = others.getBoundingClientRect();
    const label = Math.min(count - 1, Math.floor(((event.clientX - box.left) / box.width) * count));
    state.chosen = classed(state.chosen, { label });
    move();
  });

  function open() {
    if (!facts()?.model) return;
    const { classes: names, windows: all, directions, reach, asked = {} } = facts();
    Object.assign(state, { picks: [], chosen: null, moves: {}, shown: {}, walk: null, label: null, seed: asked.seed ?? 0, psi: asked.psi ?? 1, wanted: asked.point });
    if (names.includes(asked.label)) state.label = names.indexOf(asked.label);
    seed.value = state.seed;
    psi.value = state.psi;
    psiText.textContent = state.psi.toFixed(2);
    holding.hidden = classes.element.hidden = names.length < 2;
    oneOf.max = facts().z;
    classes.fill([["all", "All"], ...names.map((name, i) => [String(i), name])]);
    classes.set(state.label === null ? "all" : String(state.label));
    const keys = Object.keys(all);
    state.window = keys[0];
    windows.element.hidden = keys.length < 2;
    windows.fill(keys.map((key) => [key, key]));
    windows.set(state.window);
    sliders.replaceChildren(...directions.map((share, k) => {
      const input = tag("input", {
        type: "range", min: -reach, max: reach, step: 0.1, value: 0, "aria-label": `Principal direction ${k + 1}`,
        oninput: () => slide(k, Number(input.value)),
      });
      return tag("label", {}, tag("span", {}, `Direction ${k + 1}`), input, tag("small", {}, `${(100 * share).toFixed(1)} %`));
    }));
    begin();
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
  const linked = new URLSearchParams(location.search).get("tab") === "generate"; // then the page's load brings the value
  whenSeen(root, () => facts()?.model || linked || trigger("input"));
}
