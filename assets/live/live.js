// The live page: pulls frames of a game from the server, draws them, and sends commands.
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
  ["fake", "Generated", "Points from the generator"],
  ["heat", "D's view", "The discriminator's output at every point; contours at 1/4, 1/2 and 3/4"],
  ["optimum", "D \u2212 D*", "How far D is from the best discriminator for this generator"],
  ["field", "G's gradient", "Where G's loss would move a point, over the whole plane"],
  ["arrows", "Arrows", "Where G's loss moves the generated points"],
  ["warp", "Noise grid", "A square grid of noise, as the generator maps it; point at it to see where it goes"],
];
const ALWAYS_SENT = ["real", "fake"]; // layers that are part of every frame
const SLOW = 1200; // ms per step in slow motion
const TEXT_MS = 250; // between updates of slider and step while playing: they cost a layout of the page
const STATUS_MS = 1000; // between updates of the screen-reader status while playing

// Arrays named "NAME.k" belong to game k of a frame.
function arraysByGame(arrays, count) {
  const games = Array.from({ length: count }, () => ({}));
  for (const [name, array] of Object.entries(arrays)) {
    const [, base, game] = name.match(/^(.+)\.(\d+)$/) ?? [];
    if (game) games[game][base] = array;
  }
  return games;
}

// The charts beside the picture. state: as in liveToy.
function liveCharts(state) {
  const modes = { from: 0, to: () => state.constant.modes?.shape[0] ?? 1, marks: () => state.lost };
  const js = { floor: "js", level: [Math.log(2), "log 2"], from: 0 };
  return [
    chart("Loss", [
      ["loss_d", "D", "ink"],
      ["loss_g", "G", SYNTHETIC],
    ]),
    chart("V(D, G)", [["value", "V", "ink"]], { level: [-Math.log(4), "\u2212log 4"] }),
    chart(
      "Jensen-Shannon",
      [
        ["js", "JS", SYNTHETIC],
        ["bound", "(V + log 4)/2", "ink"],
      ],
      js,
    ),
    chart(
      "Kullback-Leibler",
      [
        ["kl", "KL(p, p_g)", "ink"],
        ["reverse_kl", "KL(p_g, p)", SYNTHETIC],
      ],
      {
        floor: "kl",
        from: 0,
      },
    ),
    chart("Modes covered", [["modes_covered", "modes", SYNTHETIC]], modes),
    chart(
      "Gradient norm",
      [
        ["norm_d", "D", "ink"],
        ["norm_g", "G", SYNTHETIC],
      ],
      { log: true },
    ),
  ];
}

// The status of a frame: for each game its step, modes and divergence.
function statusText(frame, state) {
  const ofGame = (game, i) => {
    const last = (name) => game[name] ?? state.series[i]?.[name]?.runs.map((run) => run.at(-1));
    const all = (name, text) => last(name).map(text).join(", ");
    const parts = [`${game.title}: step ${frame.at.toLocaleString("en")}`];
    if (last("modes_covered")) {
      parts.push(`${all("modes_covered", String)} of ${state.constant.modes?.shape[0]} modes`);
      parts.push(`${all("high_quality", (v) => `${Math.round(100 * v)} %`)} near a mode`);
    }
    if (last("js")) parts.push(`JS ${all("js", (v) => v.toFixed(3))} nats (floor ${state.floors.js.toFixed(3)})`);
    return parts.join(" \u00b7 ");
  };
  return frame.games.map(ofGame).join(" | ");
}

function liveToy(root, props, watch, trigger) {
  const state = {
    layers: new Set(["real", "fake", "heat"]),
    slow: false,
    scrubbing: false, // the slider was moved, and the requested frame has not arrived
    again: true, // ask for a frame although nothing moves
    stale: false, // the frame is newer than the picture
    shown: null, // the last frame
    constant: {}, // arrays that do not change: real, modes, density
    series: [], // of each game, see record()
    covered: [], // of each game and run, see coveredModes()
    lost: [], // steps at which a mode was lost
    floors: null,
    pointer: null,
    drawing: null, // points, while data are drawn
    side: null, // px of a panel
    texted: 0,
    spoken: 0,
  };

  // Controls
  const button = (text, title, onclick, more = {}) => tag("button", { type: "button", title, onclick, ...more }, text);
  const order = (...command) => puller.order(command);
  const play = button("Play", "Train until paused (space)", toggle, { "aria-pressed": "false", class: "gl-play" });
  const steps = [
    button("Step", "One round of the game (right arrow)", () => order("step", "dg")),
    button("D only", "A step of the discriminator alone", () => order("step", "d")),
    button("G only", "A step of the generator alone", () => order("step", "g")),
  ];
  const speeds = [
    ["full", "Full"],
    ["slow", "Slow motion"],
  ];
  const speed = segmented("toy", "Speed", speeds, (value) => setSlow(value === "slow"));
  const layerButtons = LAYER_BUTTONS.map(([name, text, title]) => {
    const flip = () => {
      if (!state.layers.delete(name)) state.layers.add(name);
      showLayers();
    };
    return button(text, title, flip);
  });
  const sketchTitle = "Draw your own data on the plane; press again when done";
  const pencil = button("Draw data", sketchTitle, sketch, { "aria-pressed": "false" });
  const downloads = [
    button("Copy link", "A link that reopens this run", () => order("link")),
    button("Script", "One Python file that repeats this run, bit for bit", () => order("script")),
    button("Save run", "Weights, settings and data as safetensors; Open file restores them", () => order("save")),
    button("PNG", "The picture", () => save(canvas.toDataURL("image/png"), "gan.png")),
    button("GIF", "Download the training so far as a film", () => {
      tell("The film is being made.");
      order("film");
    }),
  ];
  const canvas = tag("canvas", {
    class: "gl-toy-canvas",
    role: "img",
    tabindex: "0",
    "aria-label":
      "Real points, generated points and the discriminator's view. Space plays and pauses, the right arrow takes a step.",
  });
  const slider = tag("input", {
    type: "range",
    min: "0",
    max: "0",
    value: "0",
    "aria-label": "Time machine: the step that is shown",
    oninput: look,
  });
  const stepText = tag("output", { class: "gl-toy-step" }, "step 0");
  const status = tag("p", { class: "gl-note", role: "status", "aria-live": "polite" });
  const alarm = tag("p", { class: "gl-note gl-toy-alarm", hidden: true });
  const alert = tag("p", { class: "gl-alert", role: "alert", hidden: true });
  const caption = tag("ol", { class: "gl-toy-lines", hidden: true }, ...LINES.map((line) => tag("li", {}, line)));
  const charts = liveCharts(state);
  const answers = answersChart();
  const time = tag("div", { class: "gl-toy-time" }, slider, stepText);
  const stage = tag(
    "div",
    { class: "gl-toy-stage" },
    tag("div", { class: "gl-toy-picture" }, canvas, time, caption),
    tag("div", { class: "gl-toy-charts" }, ...charts.map((one) => one.element), answers.element),
  );
  const group = (...buttons) => tag("span", { class: "gl-buttons" }, ...buttons);
  const layers = tag("fieldset", { class: "gl-field" }, tag("legend", {}, "Show"), group(...layerButtons));
  const bar = tag(
    "div",
    { class: "gl-bar" },
    group(play, ...steps),
    speed.element,
    layers,
    group(pencil),
    group(...downloads),
  );
  root.replaceChildren(bar, alert, stage, alarm, status);
  speed.set("full");
  showLayers();

  function toggle() {
    if (state.drawing) sketch();
    order(state.shown?.playing ? "pause" : "play");
  }
  function look() {
    state.scrubbing = true;
    puller.order(["look", Number(slider.value)], true);
    stepText.textContent = `step ${Number(slider.value).toLocaleString("en")}`;
  }
  function showLayers() {
    layerButtons.forEach((one, i) => one.setAttribute("aria-pressed", String(state.layers.has(LAYER_BUTTONS[i][0]))));
    state.again = true;
  }
  function setSlow(slow) {
    state.slow = slow;
    caption.hidden = !slow;
  }
  canvas.addEventListener("keydown", (event) => {
    if (event.key === " ") toggle();
    else if (event.key === "ArrowRight") order("step", "dg");
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
    if (points) {
      order("draw", points);
      return;
    }
    order("pause");
    tell("Draw on the plane with mouse, pen or finger; then press Use drawing.");
    draw();
  }
  const placeOf = (event) => {
    const box = canvas.getBoundingClientRect();
    return [event.clientX - box.left, event.clientY - box.top];
  };
  function scatter(event) {
    const { reach } = state.shown;
    const [x, y] = placeOf(event).map((v) => (v / (state.side ?? canvas.clientWidth)) * 2 - 1);
    state.drawing.push(...scatterAbout(x * reach, -y * reach, reach));
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
    state.pointer = placeOf(event);
    if (state.layers.has("warp") && !state.shown?.playing) draw();
  });
  canvas.addEventListener("pointerleave", () => (state.pointer = null));

  // Frames are pulled as soon as they can be shown; drawing waits for the screen.
  let asked = 0;
  const puller = framePuller(LIVE_PATH, {
    token: () => props.value?.token,
    due(waiting) {
      const moving = state.shown?.playing;
      if (!state.visible || document.hidden) return false;
      if (!moving && !waiting && state.shown && !state.again) return false;
      return !(state.slow && moving && performance.now() - asked < SLOW && !waiting);
    },
    question() {
      asked = performance.now();
      state.again = false;
      const wanted = [...state.layers].filter((name) => !ALWAYS_SENT.includes(name));
      return { layers: wanted, static: !state.constant.real, slow: state.slow };
    },
    take,
    tell,
    ended: () => showPlaying(false),
  });
  function tick(now) {
    if (!root.isConnected) return;
    requestAnimationFrame(tick);
    if (state.slow && state.shown?.playing) {
      const current = Math.floor(((now - asked) / SLOW) * LINES.length);
      [...caption.children].forEach((line, i) => line.classList.toggle("gl-lit", i === current));
    }
    if (state.stale) draw();
    puller.pull();
  }

  function take(answer, arrays) {
    const { frame } = answer;
    deliver(answer, arrays);
    arraysByGame(arrays, frame.games.length).forEach((own, i) => (frame.games[i].arrays = own));
    if (answer.fresh) {
      Object.assign(state, { series: [], covered: [], lost: [], constant: {}, scrubbing: false });
      alarm.hidden = true;
      if (!answer.error) alert.hidden = true;
    }
    if (answer.own) trigger("input");
    if (frame.trouble && frame.trouble !== state.shown?.trouble) tell(frame.trouble);
    if (frame.playing && !state.shown?.playing && !answer.error) alert.hidden = true;
    const { real, modes, density } = arrays;
    if (real) state.constant = { real, modes, density };
    if (!frame.past && state.shown && !answer.fresh && frame.steps < state.shown.steps) forgetAfter(frame.steps);
    state.floors = frame.games[0].floors ?? state.floors;
    frame.games.forEach((game, i) => {
      if (!frame.past) record((state.series[i] ??= {}), game, frame.steps);
      if (game.shares) followModes(i, game, frame);
    });
    state.shown = frame;
    state.stale = true;
    if (!frame.past) state.scrubbing = false;
    showPlaying(frame.playing);
    if (!frame.playing || performance.now() - state.texted > TEXT_MS) showStep(frame);
  }
  // Results of commands.
  function deliver({ error, link }, { script, saved, film }) {
    if (error) tell(error);
    if (link) copy(link);
    if (script) saveBytes(script, "text/x-python", "gan.py");
    if (saved) saveBytes(saved, "application/octet-stream", "gan.safetensors");
    if (!film) return;
    alert.hidden = true;
    saveBytes(film, "image/gif", "gan.gif");
  }
  function forgetAfter(step) {
    state.series.forEach((series) => forget(series, step));
    state.lost = state.lost.filter((at) => at <= step);
  }
  function showStep(frame) {
    const count = (n) => n.toLocaleString("en");
    state.texted = performance.now();
    slider.max = frame.steps;
    if (!state.scrubbing) slider.value = frame.steps;
    stepText.textContent = `step ${count(frame.at)}${frame.past ? ` of ${count(frame.steps)}` : ""}`;
    if (frame.playing && performance.now() - state.spoken < STATUS_MS) return;
    state.spoken = performance.now();
    status.textContent = statusText(frame, state);
  }
  function showPlaying(playing) {
    if (play.getAttribute("aria-pressed") === String(playing)) return;
    play.textContent = playing ? "Pause" : "Play";
    play.setAttribute("aria-pressed", String(playing));
  }
  function followModes(i, game, frame) {
    const before = state.covered[i];
    state.covered[i] = game.shares.map((shares, k) => {
      const after = coveredModes(shares, before?.[k]);
      const lost = before?.[k] && !frame.past ? lostModes(before[k], after) : 0;
      if (lost && frame.steps) {
        const twin = frame.games.length === 2 ? `, ${game.title}` : "";
        const whose = game.shares.length > 1 ? `, seed ${game.seed + k}` : twin;
        const covered = after.now.filter(Boolean).length;
        state.lost.push(frame.at);
        alarm.textContent = alarmText({ step: frame.at, lost, covered, total: after.now.length, whose });
        alarm.hidden = false;
      }
      if (!lost && after.now.every(Boolean)) alarm.hidden = true;
      return after;
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
      tell("Link copied to the clipboard.");
    } catch {
      tell(url.href); // no clipboard without HTTPS: show the link for manual copying
    }
  }

  function draw() {
    const frame = state.shown;
    if (!frame || !canvas.clientWidth) return;
    if (state.stale) {
      root.dataset.frame = Number(root.dataset.frame ?? 0) + 1; // for tests and benchmarks
      root.dataset.at = frame.at;
    }
    state.stale = false;
    const dark = document.body.classList.contains("dark");
    const css = getComputedStyle(root);
    const colours = { real: dark ? REAL_ON_DARK : REAL, answers: ANSWERS[dark ? "dark" : "light"] };
    for (const name of ["ink", "muted", "line", "page", "warn", "accent"]) {
      colours[name] = css.getPropertyValue(`--gl-${name}`).trim();
    }
    const runs = frame.games.reduce((sum, game) => sum + game.runs, 0);
    stage.classList.toggle("gl-wide", runs > 1 && !state.drawing);
    state.side = state.drawing
      ? drawSketch(canvas, state.drawing, colours, frame.reach)
      : drawPanels(canvas, frame, { ...state, colours, dark });
    const cursor = frame.past ? frame.at : null;
    const view = { series: state.series, step: frame.steps, cursor, floors: state.floors, colours };
    for (const one of charts) one.draw(view);
    answers.draw(view, frame.games[0].arrays.histogram);
  }

  function adopt() {
    const { layers: wanted, speed: pace } = props.value ?? {};
    if (wanted) {
      state.layers = new Set(wanted);
      showLayers();
    }
    if (pace) {
      speed.set(pace);
      setSlow(pace === "slow");
    }
    state.again = true;
  }
  new IntersectionObserver(([seen]) => (state.visible = seen.isIntersecting)).observe(root);
  watch("value", adopt);
  adopt();
  new ResizeObserver(draw).observe(canvas);
  new MutationObserver(draw).observe(document.body, { attributeFilter: ["class"] });
  requestAnimationFrame(tick);
}
