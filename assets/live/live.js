// The live page: pulls frames of a training from the server, draws them, and sends what is pressed.
// Python's side: ganlab/ui/pages/live/sessions.py and ganlab/toy/frames.py.

const LIVE_PATH = "gradio_api/ganlab/toy";

const LINES = [
  "Draw m samples z from the noise and m examples x from the data.",
  "Update D: one descent step on its own loss (k times).",
  "Draw m samples z from the noise.",
  "Update G: one descent step on its own loss.",
];
const LAYER_BUTTONS = [
  ["real", "Real", "Points of the data"],
  ["fake", "Generated", "Points that the generator makes"],
  ["heat", "D's view", "What the discriminator says of every place; the lines are at 1/4, 1/2 and 3/4"],
  ["optimum", "D \u2212 D*", "How far the discriminator is from the best one against this generator"],
  ["field", "G's gradient", "Where G's own loss would move a point, over the whole plane"],
  ["arrows", "Arrows", "The same at the generated points"],
  ["warp", "Noise grid", "A square grid of noise, as the generator bends it; point at it"],
];
const SLOW = 1200; // ms per step in slow motion
const STEADY = 4; // measurements in a row that a mode must be lit before its loss raises the alarm
const SHARES = { lit: 0.25, dark: 0.1 }; // of a mode's fair share: from here on it is lit, below that it is dark

// Arrays named "NAME.k" belong to game k of a frame.
function arraysByGame(arrays, count) {
  const games = Array.from({ length: count }, () => ({}));
  for (const [name, array] of Object.entries(arrays)) {
    const [, base, game] = name.match(/^(.+)\.(\d+)$/) ?? [];
    if (game) games[game][base] = array;
  }
  return games;
}

function liveToy(root, props, watch, trigger) {
  const state = {
    layers: new Set(["real", "fake", "heat"]), slow: false, scrubbing: false,
    shown: null, constant: {}, series: [], lit: [], lost: [], floors: null, pointer: null, drawing: null, told: 0, spoken: 0,
  };
  const colour = (name) => getComputedStyle(root).getPropertyValue(`--gl-${name}`).trim();

  // Controls
  const button = (text, title, onclick, more = {}) => tag("button", { type: "button", title, onclick, ...more }, text);
  const play = button("Play", "Train on and on (space)", toggle, { "aria-pressed": "false", class: "gl-play" });
  const steps = [
    button("Step", "One round of the game (right arrow)", () => puller.order(["step", "dg"])),
    button("D only", "A step of the discriminator alone", () => puller.order(["step", "d"])),
    button("G only", "A step of the generator alone", () => puller.order(["step", "g"])),
  ];
  const speed = segmented("toy", "Speed", [["full", "Full"], ["slow", "Slow motion"]], (value) => {
    state.slow = value === "slow";
    caption.hidden = !state.slow;
  });
  speed.set("full");
  const layerButtons = LAYER_BUTTONS.map(([name, text, title]) => {
    const flip = () => {
      state.layers.has(name) ? state.layers.delete(name) : state.layers.add(name);
      showLayers();
    };
    return button(text, title, flip);
  });
  const pencil = button("Draw data", "Draw your own data on the plane; press again when it is done", sketch, { "aria-pressed": "false" });
  const takeaway = [
    button("Copy link", "A link that reopens this very run", () => puller.order(["link"])),
    button("Script", "One Python file that repeats this run, bit for bit", () => puller.order(["script"])),
    button("Save run", "Weights, settings and data, as safetensors; Open file brings them back", () => puller.order(["save"])),
    button("PNG", "The picture", () => save(canvas.toDataURL("image/png"), "gan.png")),
    button("GIF", "The training so far as a moving picture", () => { tell("The film is being made."); puller.order(["film"]); }),
  ];
  const label = "Real points, generated points and the discriminator's view. Space plays and pauses, the right arrow takes a step.";
  const canvas = tag("canvas", { class: "gl-toy-canvas", role: "img", "aria-label": label, tabindex: "0" });
  const slider = tag("input", { type: "range", min: "0", max: "0", value: "0", "aria-label": "Time machine: the step that is shown", oninput: look });
  const stepText = tag("output", { class: "gl-toy-step" }, "step 0");
  const status = tag("p", { class: "gl-note", role: "status", "aria-live": "polite" });
  const alarm = tag("p", { class: "gl-note gl-toy-alarm", hidden: true });
  const alert = tag("p", { class: "gl-alert", role: "alert", hidden: true });
  const caption = tag("ol", { class: "gl-toy-lines", hidden: true }, ...LINES.map((line) => tag("li", {}, line)));
  const charts = [
    chart("Loss", [["loss_d", "D", "ink"], ["loss_g", "G", SYNTHETIC]]),
    chart("V(D, G)", [["value", "V", "ink"]], { level: [-Math.log(4), "\u2212log 4"] }),
    chart("Jensen-Shannon", [["js", "JS", SYNTHETIC], ["bound", "(V + log 4)/2", "ink"]], { floor: "js", level: [Math.log(2), "log 2"], from: 0 }),
    chart("Kullback-Leibler", [["kl", "KL(p, p_g)", "ink"], ["reverse_kl", "KL(p_g, p)", SYNTHETIC]], { floor: "kl", from: 0 }),
    chart("Modes covered", [["modes_covered", "modes", SYNTHETIC]], { from: 0, to: () => state.constant.modes?.shape[0] ?? 1, marks: () => state.lost }),
    chart("Gradient norm", [["norm_d", "D", "ink"], ["norm_g", "G", SYNTHETIC]], { log: true }),
  ];
  const answers = answersChart();
  const stage = tag("div", { class: "gl-toy-stage" },
    tag("div", { class: "gl-toy-picture" }, canvas, tag("div", { class: "gl-toy-time" }, slider, stepText), caption),
    tag("div", { class: "gl-toy-charts" }, ...charts.map((c) => c.element), answers.element));
  root.replaceChildren(
    tag("div", { class: "gl-bar" },
      tag("span", { class: "gl-buttons" }, play, ...steps), speed.element,
      tag("fieldset", { class: "gl-field" }, tag("legend", {}, "Show"), tag("span", { class: "gl-buttons" }, ...layerButtons)),
      tag("span", { class: "gl-buttons" }, pencil), tag("span", { class: "gl-buttons" }, ...takeaway)),
    alert, stage, alarm, status);
  showLayers();

  function toggle() {
    if (state.drawing) sketch();
    puller.order([state.shown?.playing ? "pause" : "play"]);
  }
  function look() {
    state.scrubbing = true;
    puller.order(["look", Number(slider.value)], true);
    stepText.textContent = `step ${Number(slider.value).toLocaleString("en")}`;
  }
  function showLayers() {
    layerButtons.forEach((b, i) => b.setAttribute("aria-pressed", String(state.layers.has(LAYER_BUTTONS[i][0]))));
    state.again = true;
  }
  canvas.addEventListener("keydown", (event) => {
    if (event.key === " ") toggle();
    else if (event.key === "ArrowRight") puller.order(["step", "dg"]);
    else return;
    event.preventDefault();
  });

  // Drawing data: a stroke scatters points about its path.
  function sketch() {
    const points = state.drawing;
    state.drawing = points ? null : [];
    pencil.setAttribute("aria-pressed", String(!points));
    pencil.textContent = points ? "Draw data" : "Use drawing";
    canvas.classList.toggle("gl-drawing", !points);
    if (points) puller.order(["draw", points]);
    else { puller.order(["pause"]); tell("Draw on the plane with mouse, pen or finger; then press Use drawing."); draw(); }
  }
  function scatter(event) {
    const box = canvas.getBoundingClientRect(), side = state.side ?? box.width, reach = state.shown.reach;
    for (let i = 0; i < 4; i++) {
      const [dx, dy] = [Math.random() + Math.random() - 1, Math.random() + Math.random() - 1];
      const x = ((event.clientX - box.left) / side * 2 - 1) * reach + 0.06 * dx, y = (1 - (event.clientY - box.top) / side * 2) * reach + 0.06 * dy;
      if (Math.max(Math.abs(x), Math.abs(y)) < reach) state.drawing.push([Number(x.toFixed(3)), Number(y.toFixed(3))]);
    }
    draw();
  }
  canvas.addEventListener("pointerdown", (event) => {
    if (!state.drawing) return;
    canvas.setPointerCapture(event.pointerId);
    event.preventDefault();
    scatter(event);
  });
  canvas.addEventListener("pointermove", (event) => {
    if (state.drawing && event.buttons) return scatter(event);
    const box = canvas.getBoundingClientRect();
    state.pointer = [event.clientX - box.left, event.clientY - box.top];
    if (state.layers.has("warp") && !state.shown?.playing) draw();
  });
  canvas.addEventListener("pointerleave", () => (state.pointer = null));

  // Frames are pulled as soon as they can be shown; drawing waits for the screen.
  let last = 0;
  const puller = framePuller(LIVE_PATH, {
    token: () => props.value?.token,
    due(waiting) {
      const moving = state.shown?.playing;
      if (!state.visible || document.hidden) return false;
      if (!moving && !waiting && state.shown && !state.again) return false;
      return !(state.slow && moving && performance.now() - last < SLOW && !waiting);
    },
    question() {
      last = performance.now();
      state.again = false;
      const layers = [...state.layers].filter((name) => !["real", "fake"].includes(name));
      return { layers, static: !state.constant.real, slow: state.slow };
    },
    take,
    tell,
    ended: () => showPlaying(false),
  });
  function tick(now) {
    if (!root.isConnected) return;
    requestAnimationFrame(tick);
    if (state.slow && state.shown?.playing) {
      const lit = Math.floor((now - last) / SLOW * LINES.length);
      [...caption.children].forEach((line, i) => line.classList.toggle("gl-lit", i === lit));
    }
    if (state.stale) draw();
    puller.pull();
  }

  function take(answer, arrays) {
    if (answer.error) tell(answer.error);
    if (answer.link) copy(answer.link);
    if (arrays.script) saveBytes(arrays.script, "text/x-python", "gan.py");
    if (arrays.saved) saveBytes(arrays.saved, "application/octet-stream", "gan.safetensors");
    if (arrays.film) {
      alert.hidden = true;
      saveBytes(arrays.film, "image/gif", "gan.gif");
    }
    const { frame } = answer;
    arraysByGame(arrays, frame.games.length).forEach((own, i) => (frame.games[i].arrays = own));
    if (answer.fresh) {
      Object.assign(state, { series: [], lit: [], lost: [], constant: {}, scrubbing: false });
      alarm.hidden = true;
      if (!answer.error) alert.hidden = true;
    }
    if (answer.own) trigger("input");
    if (frame.trouble && frame.trouble !== state.shown?.trouble) tell(frame.trouble);
    if (frame.playing && !state.shown?.playing && !answer.error) alert.hidden = true;
    const { real, modes, density } = arrays;
    if (real) state.constant = { real, modes, density };
    if (!frame.past && state.shown && !answer.fresh && frame.steps < state.shown.steps) {
      state.series.forEach((s) => forget(s, frame.steps));
      state.lost = state.lost.filter((step) => step <= frame.steps);
    }
    state.floors = frame.games[0].floors ?? state.floors;
    frame.games.forEach((game, i) => {
      if (!frame.past) record((state.series[i] ??= {}), game, frame.steps);
      if (game.shares) light(i, game, frame);
    });
    state.shown = frame;
    state.stale = true;
    if (!frame.past) state.scrubbing = false;
    showPlaying(frame.playing);
    if (frame.playing && performance.now() - state.told < 250) return; // slider and words cost a layout of the page
    state.told = performance.now();
    slider.max = frame.steps;
    if (!state.scrubbing) slider.value = frame.steps;
    stepText.textContent = `step ${frame.at.toLocaleString("en")}${frame.past ? ` of ${frame.steps.toLocaleString("en")}` : ""}`;
    say(frame);
  }

  function showPlaying(playing) {
    if (play.getAttribute("aria-pressed") === String(playing)) return;
    play.textContent = playing ? "Pause" : "Play";
    play.setAttribute("aria-pressed", String(playing));
  }

  // Which modes are lit, per run; a lit one that goes dark raises the alarm.
  function light(i, game, frame) {
    const before = state.lit[i];
    state.lit[i] = game.shares.map((shares, k) => {
      const fair = 1 / shares.length, was = before?.[k];
      const now = shares.map((share, m) => share >= fair * (was?.now[m] ? SHARES.dark : SHARES.lit));
      const steady = now.map((on, m) => (on ? (was?.steady[m] ?? 0) + 1 : 0));
      const lost = was && !frame.past ? now.filter((on, m) => was.steady[m] >= STEADY && !on).length : 0;
      if (lost && frame.steps) {
        state.lost.push(frame.at);
        const run = game.shares.length > 1 ? `, seed ${game.seed + k}` : state.shown?.games.length === 2 ? `, ${game.title}` : "";
        alarm.textContent = `Step ${frame.at.toLocaleString("en")}${run}: ${lost === 1 ? "a mode that was lit went" : `${lost} modes that were lit went`} dark; ${now.filter(Boolean).length} of ${now.length} are lit.`;
        alarm.hidden = false;
      }
      if (!lost && now.every(Boolean)) alarm.hidden = true; // all is well again
      return { now, steady, ever: now.map((_, m) => steady[m] >= STEADY || Boolean(was?.ever[m])) };
    });
  }

  function tell(text) {
    alert.textContent = text;
    alert.hidden = false;
  }
  async function copy(link) {
    const url = new URL(location.href);
    url.search = new URLSearchParams({ tab: "toy", toy: link });
    try {
      await navigator.clipboard.writeText(url.href);
      tell("The link is in the clipboard.");
    } catch {
      tell(url.href); // no clipboard without https: here it can be copied by hand
    }
  }

  function say(frame) {
    if (frame.playing && performance.now() - state.spoken < 1000) return;
    state.spoken = performance.now();
    status.textContent = frame.games.map((game, i) => {
      const end = (name) => game[name] ?? state.series[i]?.[name]?.runs.map((run) => run.at(-1));
      const all = (name, word) => (end(name) ? end(name).map(word).join(", ") : null);
      const parts = [`${game.title}: step ${frame.at.toLocaleString("en")}`];
      if (end("modes_covered")) parts.push(`${all("modes_covered", String)} of ${state.constant.modes?.shape[0]} modes`, `${all("high_quality", (v) => `${Math.round(100 * v)} %`)} near a mode`);
      if (end("js")) parts.push(`JS ${all("js", (v) => v.toFixed(3))} nats (floor ${state.floors.js.toFixed(3)})`);
      return parts.join(" \u00b7 ");
    }).join(" | ");
  }

  // Drawing
  function draw() {
    const frame = state.shown;
    if (!frame || !canvas.clientWidth) return;
    if (state.stale) Object.assign(root.dataset, { frame: Number(root.dataset.frame ?? 0) + 1, at: frame.at }); // for whoever measures
    state.stale = false;
    const dark = document.body.classList.contains("dark");
    const colours = { real: dark ? REAL_ON_DARK : REAL, answers: ANSWERS[dark ? "dark" : "light"] };
    for (const name of ["ink", "muted", "line", "page", "warn", "accent"]) colours[name] = colour(name);
    const panels = state.drawing ? [[frame.games[0], 0, 0]] : frame.games.flatMap((game, i) => Array.from({ length: game.runs }, (_, k) => [game, i, k]));
    stage.classList.toggle("gl-wide", panels.length > 1);
    const wide = canvas.clientWidth;
    const columns = Math.min(panels.length, wide < 520 ? Math.min(2, panels.length === 2 ? 1 : 2) : 4);
    const gap = 8, side = (wide - gap * (columns - 1)) / columns;
    const tall = frame.dim === 1 && !state.drawing ? Math.max(side * 0.62, 200) : side;
    const [g] = fitCanvas(canvas, Math.ceil(panels.length / columns) * (tall + gap) - gap);
    state.side = side;
    panels.forEach(([game, i, k], place) => {
      const [left, top] = [(place % columns) * (side + gap), Math.floor(place / columns) * (tall + gap)];
      g.save();
      g.translate(left, top);
      g.beginPath();
      g.rect(0, 0, side, tall);
      g.clip();
      const inside = state.pointer && state.pointer[0] >= left && state.pointer[0] < left + side && state.pointer[1] >= top && state.pointer[1] < top + tall;
      const pointer = inside ? [state.pointer[0] - left, state.pointer[1] - top] : null;
      if (state.drawing) drawSketch(g, side, colours, frame.reach);
      else {
        drawRun(g, side, tall, { ...state.constant, arrays: game.arrays, k, dim: frame.dim, reach: frame.reach, layers: state.layers, lit: state.lit[i]?.[k], colours, dark, pointer });
        const name = panels.length === 1 ? "" : game.runs > 1 ? `seed ${game.seed + k}` : game.title;
        const lit = state.lit[i]?.[k]?.now;
        words(g, [name, lit ? `${lit.filter(Boolean).length}/${lit.length} modes` : ""].filter(Boolean).join("  "), 7, 16, colours.ink);
      }
      g.restore();
    });
    const view = { series: state.series, step: frame.steps, cursor: frame.past ? frame.at : null, floors: state.floors, colours };
    for (const c of charts) c.draw(view);
    answers.draw(view, frame.games[0].arrays.histogram);
  }

  function drawSketch(g, side, colours, reach) {
    g.fillStyle = colours.page;
    g.fillRect(0, 0, side, side);
    g.strokeStyle = colours.accent;
    g.strokeRect(1, 1, side - 2, side - 2);
    g.fillStyle = colours.real;
    for (const [x, y] of state.drawing) g.fillRect((x / reach + 1) * side / 2 - 1.2, (1 - y / reach) * side / 2 - 1.2, 2.4, 2.4);
    words(g, `${state.drawing.length} points`, 7, 16, colours.ink);
  }

  function adopt() {
    const { layers, speed: wanted } = props.value ?? {};
    if (layers) { state.layers = new Set(layers); showLayers(); }
    if (wanted) { speed.set(wanted); state.slow = wanted === "slow"; caption.hidden = !state.slow; }
    state.again = true;
  }
  new IntersectionObserver(([seen]) => (state.visible = seen.isIntersecting)).observe(root);
  watch("value", adopt);
  adopt();
  new ResizeObserver(draw).observe(canvas);
  new MutationObserver(draw).observe(document.body, { attributeFilter: ["class"] });
  requestAnimationFrame(tick);
}
