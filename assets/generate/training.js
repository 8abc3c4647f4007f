// An image GAN in training: pulls its samples and losses from the server.
// Python's side: ganlab/ui/pages/generate/training_sessions.py.

const TRAINING_PATH = "gradio_api/ganlab/training";
const WAITING_MS = 300; // between questions while the images are being made

function trainingCharts() {
  const outputs = [
    ["real", "real", "real"],
    ["fake", "generated", SYNTHETIC],
  ];
  return [
    chart("Loss", [
      ["d", "D", "ink"],
      ["g", "G", SYNTHETIC],
    ]),
    chart("D's output, before the sigmoid", outputs, { level: [0, "0"] }),
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

function imageTraining(root, props, watch, trigger) {
  const state = {
    series: {}, // see record()
    shown: null, // the last frame
    images: null, // its sheet
    bins: null, // histograms of D's output
    again: true, // request a frame although nothing changes
    ticks: "", // steps of the kept states, as the slider shows them
  };
  const button = (text, title, onclick, more = {}) => tag("button", { type: "button", title, onclick, ...more }, text);
  const order = (...command) => puller.order(command);
  const toggle = () => order(state.shown?.playing ? "pause" : "play");
  const play = button("Play", "Train until paused (space)", toggle, { "aria-pressed": "false", class: "gl-play" });
  const more = [
    button("Step", "One step of D and one of G", () => order("step")),
    button("GIF", "Download the samples so far as a film", () => order("film", "gif")),
    button("MP4", "Download the film for slides, smaller", () => order("film", "mp4")),
    button("PNG", "Download the samples", () => save(sheet.toDataURL("image/png"), "samples.png")),
    button("Save G", "Download the generator's weights as safetensors", () => order("save")),
  ];
  const slider = tag("input", {
    type: "range",
    min: "0",
    max: "0",
    value: "0",
    list: "training-kept",
    "aria-label": "Step that is shown",
    oninput: look,
  });
  const kept = tag("datalist", { id: "training-kept" }); // ticks
  const stepText = tag("output", { class: "gl-toy-step" });
  const backTitle = "Restore the networks of that step and continue with the current settings";
  const back = button("", backTitle, () => order("back", state.shown.at));
  const command = tag("pre", { class: "gl-commands" }),
    origin = tag("p", { class: "gl-note" });
  const goBack = tag("span", { class: "gl-buttons" }, back);
  const past = tag("div", { class: "gl-toy-time" }, slider, kept, stepText, goBack);
  const alert = tag("p", { class: "gl-alert", role: "alert", hidden: true });
  const status = tag("p", { class: "gl-note", role: "status", "aria-live": "polite" });
  const label = "Samples of the same noise at this step";
  const sheet = tag("canvas", { class: "gl-tiles", role: "img", "aria-label": label, tabindex: 0 });
  const charts = trainingCharts();
  const answers = answersChart();
  const stage = tag(
    "div",
    { class: "gl-latent", hidden: true },
    tag("div", { class: "gl-panel gl-training" }, sheet, past, command, origin),
    tag("div", { class: "gl-toy-charts" }, ...charts.map((one) => one.element), answers.element),
  );
  const bar = tag("div", { class: "gl-bar" }, tag("span", { class: "gl-buttons" }, play, ...more));
  root.replaceChildren(bar, alert, status, stage);
  sheet.addEventListener("keydown", (event) => {
    if (event.key !== " ") return;
    play.click();
    event.preventDefault();
  });

  const puller = framePuller(TRAINING_PATH, {
    token: () => props.value?.token,
    due(waiting) {
      if (!state.visible || document.hidden) return false;
      return Boolean(state.shown?.playing || waiting || state.again || (state.shown && !state.shown.kind));
    },
    question() {
      state.again = false;
      return {};
    },
    take,
    tell,
    ended: () => (state.shown = null),
  });
  function look() {
    const { moments, step } = state.shown,
      k = Number(slider.value);
    puller.order(["look", k === moments.length - 1 ? step : moments[k]], true);
  }
  function tell(text) {
    alert.textContent = text;
    alert.hidden = !text;
  }

  function take(answer, { film, saved, images }) {
    const { frame } = answer;
    tell(answer.error ?? frame.trouble);
    if (film) saveBytes(film, answer.form === "gif" ? "image/gif" : "video/mp4", `training.${answer.form}`);
    if (saved) saveBytes(saved, "application/octet-stream", "generator.safetensors");
    if (frame.fresh) state.series = {};
    if (state.shown && frame.step < state.shown.step) forget(state.series, frame.step);
    if (frame.numbers && frame.step) record(state.series, frame.numbers, frame.step);
    Object.assign(state, { shown: frame, images: images ?? null, bins: frame.bins ?? null });
    play.textContent = frame.playing ? "Pause" : "Play";
    play.setAttribute("aria-pressed", String(frame.playing));
    const making = frame.kind ? "" : `Generating the training images: ${Math.round(100 * frame.made)} %`;
    status.textContent = [frame.notice, making].filter(Boolean).join(" ");
    root.dataset.step = frame.step;
    stage.hidden = !frame.kind;
    if (frame.kind) showMoment(frame);
    draw();
    return frame.kind ? 0 : WAITING_MS;
  }
  // The step that is shown, the command that repeats it, and the step from which training can go on.
  function showMoment({ step, at, moments, kept: states, command: text, changed }) {
    const count = (n) => n.toLocaleString("en");
    const from = states.findLast((k) => k <= at),
      isPast = at < moments.at(-1);
    slider.max = moments.length - 1;
    if (!puller.waiting()) slider.value = moments.lastIndexOf(at);
    slider.setAttribute("aria-valuetext", `step ${at}`);
    const ticks = states.map((k) => moments.indexOf(k)).filter((k) => k >= 0);
    if (ticks.join() !== state.ticks) kept.replaceChildren(...ticks.map((value) => tag("option", { value })));
    state.ticks = ticks.join();
    stepText.textContent = isPast ? `step ${count(at)} of ${count(step)}` : `step ${count(step)}`;
    back.textContent = from === at ? "Continue from here" : `Continue from step ${count(from)}`;
    goBack.hidden = !isPast;
    command.textContent = text;
    origin.textContent = changed.length
      ? `The settings changed at step ${changed.map(count).join(", ")}; the command uses the last ones from the start.`
      : "";
  }
  function draw() {
    if (!state.shown?.kind || !state.images || !root.clientWidth) return;
    const { low, high, windows } = state.shown.kind,
      [dark, bright] = Object.values(windows)[0];
    drawTiles(sheet, state.images, state.shown.columns, greyLook(low, high, dark, bright));
    const css = getComputedStyle(root),
      night = document.body.classList.contains("dark");
    const colours = { real: night ? REAL_ON_DARK : REAL };
    for (const name of ["ink", "muted", "line", "warn", "accent"]) {
      colours[name] = css.getPropertyValue(`--gl-${name}`).trim();
    }
    const { step, at, moments } = state.shown;
    const view = { series: [state.series], step, cursor: at < moments.at(-1) ? at : null, colours };
    for (const one of charts) one.draw(view);
    answers.element.hidden = !state.bins;
    if (state.bins) answers.draw(view, { data: state.bins.flat(), shape: [1, 2, state.bins[0].length] });
  }

  function again() {
    state.again = true;
    puller.pull();
  }
  const seen = ([entry]) => {
    state.visible = entry.isIntersecting;
    again();
  };
  new IntersectionObserver(seen).observe(root);
  new ResizeObserver(draw).observe(root);
  new MutationObserver(draw).observe(document.body, { attributeFilter: ["class"] });
  document.addEventListener("visibilitychange", () => root.isConnected && puller.pull());
  watch("value", again);
  whenSeen(root, () => props.value?.token || trigger("input"));
}
