// An image GAN that learns: pulls its samples and numbers from the server. Python's side: ganlab/ui/trainings.py.

function imageTraining(root, props, watch, trigger) {
  const state = { queue: [], busy: false, series: {}, shown: null, images: null, bins: null, again: true, look: null };
  const button = (text, title, onclick, more = {}) => tag("button", { type: "button", title, onclick, ...more }, text);
  const order = (...command) => { state.queue.push(command); pull(); };
  const play = button("Play", "Train on and on (space)", () => order(state.shown?.playing ? "pause" : "play"), { "aria-pressed": "false", class: "gl-play" });
  const more = [
    button("Step", "One step of D and one of G", () => order("step")),
    button("GIF", "The samples so far as a moving picture", () => order("film", "gif")),
    button("MP4", "The same for slides, smaller", () => order("film", "mp4")),
    button("PNG", "The samples", () => save(sheet.toDataURL("image/png"), "samples.png")),
    button("Save G", "The generator's averaged weights, as safetensors", () => order("save")),
  ];
  const alert = tag("p", { class: "gl-alert", role: "alert", hidden: true });
  const status = tag("p", { class: "gl-note", role: "status", "aria-live": "polite" });
  const sheet = tag("canvas", { class: "gl-tiles", role: "img", "aria-label": "What the same noise gives by now", tabindex: 0 });
  const charts = [
    chart("Loss", [["d", "D", "ink"], ["g", "G", SYNTHETIC]]),
    chart("D's output, before the sigmoid", [["real", "real", "real"], ["fake", "generated", SYNTHETIC]], { level: [0, "0"] }),
    chart("Gradient norm", [["norm_d", "D", "ink"], ["norm_g", "G", SYNTHETIC]], { log: true }),
  ];
  const answers = answersChart();
  root.replaceChildren(
    tag("div", { class: "gl-bar" }, tag("span", { class: "gl-buttons" }, play, ...more)), alert, status,
    tag("div", { class: "gl-latent" },
      tag("div", { class: "gl-panel" }, sheet),
      tag("div", { class: "gl-toy-charts" }, ...charts.map((c) => c.element), answers.element)));
  sheet.addEventListener("keydown", (event) => {
    if (event.key !== " ") return;
    play.click();
    event.preventDefault();
  });

  async function pull() {
    const waiting = state.shown && state.shown.kind === undefined; // for its images
    if (state.busy || !props.value?.token || !state.visible || document.hidden) return;
    if (!state.shown?.playing && !state.queue.length && !state.again && !waiting) return;
    state.busy = true;
    state.again = false;
    let answer;
    try {
      const body = JSON.stringify({ token: props.value.token, do: state.queue.splice(0) });
      const response = await fetch("gradio_api/ganlab/training", { method: "POST", body });
      if (!response.ok) throw new Error(response.statusText);
      answer = unpackImages(await response.arrayBuffer());
    } catch {
      tell("The server does not answer; it is asked again in a moment.");
      state.again = true;
      setTimeout(() => { state.busy = false; pull(); }, 1000);
      return;
    }
    take(answer);
    const pause = state.shown && state.shown.kind === undefined ? 300 : 0;
    setTimeout(() => { state.busy = false; pull(); }, pause);
  }
  function tell(words) { alert.textContent = words; alert.hidden = !words; }

  function take({ head, found }) {
    if (head.gone) { tell(head.error); state.shown = null; return; }
    tell(head.error ?? head.trouble ?? "");
    if (head.film) save(`data:${head.form === "gif" ? "image/gif" : "video/mp4"};base64,${head.film}`, `training.${head.form}`);
    if (head.saved) save(`data:application/octet-stream;base64,${head.saved}`, "generator.safetensors");
    if (head.fresh) state.series = {};
    if (state.shown && head.step < state.shown.step) forget(state.series, head.step);
    if (head.numbers && head.step) record(state.series, head.numbers, head.step);
    Object.assign(state, { shown: head, images: found.images ?? null, bins: head.bins ?? null });
    play.textContent = head.playing ? "Pause" : "Play";
    play.setAttribute("aria-pressed", String(head.playing));
    status.textContent = head.kind ? `Step ${head.step.toLocaleString("en")}` : `Making the images to learn from: ${Math.round(100 * head.made)} %`;
    root.dataset.step = head.step;
    draw();
  }
  function draw() {
    if (!state.shown?.kind || !state.images || !root.clientWidth) return;
    const { low, high, windows } = state.shown.kind, [dark, bright] = Object.values(windows)[0];
    drawTiles(sheet, state.images, state.shown.columns, greyLook(low, high, dark, bright));
    const css = getComputedStyle(root), night = document.body.classList.contains("dark");
    const colours = { real: night ? REAL_ON_DARK : REAL };
    for (const name of ["ink", "muted", "line", "warn", "accent"]) colours[name] = css.getPropertyValue(`--gl-${name}`).trim();
    const view = { series: [state.series], step: state.shown.step, cursor: null, colours };
    for (const c of charts) c.draw(view);
    answers.element.hidden = !state.bins;
    if (state.bins) answers.draw(view, { data: state.bins.flat(), shape: [1, 2, state.bins[0].length] });
  }
  new IntersectionObserver(([seen]) => { state.visible = seen.isIntersecting; state.again = true; pull(); }).observe(root);
  new ResizeObserver(draw).observe(root);
  new MutationObserver(draw).observe(document.body, { attributeFilter: ["class"] });
  document.addEventListener("visibilitychange", () => root.isConnected && pull());
  watch("value", () => { state.again = true; pull(); });
  whenSeen(root, () => props.value?.token || trigger("input"));
}
