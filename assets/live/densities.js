// Two draggable densities and all divergences between them.
// Python's side: ganlab/ui/pages/live/divergences.py.

const MEASURES = [
  ["entropy_p", "H(p)", "entropy of p (differential)", true],
  ["entropy_q", "H(q)", "entropy of q (differential)", true],
  ["cross_entropy", "H(p, q)", "cross-entropy", true],
  ["kl", "KL(p, q)", "forward: maximum likelihood", true],
  ["reverse_kl", "KL(q, p)", "reverse: seeks a mode", true],
  ["js", "JS(p, q)", "Jensen-Shannon, at most log 2", true],
  ["pearson", "\u03c7\u00b2(p, q)", "Pearson", false],
  ["squared_hellinger", "H\u00b2(p, q)", "squared Hellinger, at most 2", false],
  ["total_variation", "TV(p, q)", "total variation, at most 1", false],
  ["wasserstein", "W\u2081(p, q)", "Wasserstein, in units of x", false],
];

function densityPlot(root, props, watch, server) {
  const state = {
    p: { centre: -0.6, width: 0.8 },
    q: { centre: 0.8, width: 0.7 },
    answer: null,
    stale: true,
    busy: false,
    drag: null,
  };
  const label =
    "Densities p and q. Drag them sideways; Shift and drag, or the wheel, changes the width. Keys: left and right move q, up and down its width, with Shift p.";
  const canvas = tag("canvas", { class: "gl-toy-canvas gl-drawing", role: "img", "aria-label": label, tabindex: "0" });
  const parts = tag("canvas", { class: "gl-toy-chart", role: "img", "aria-label": "Integrands of the divergences" });
  const body = tag("tbody", {});
  const table = tag("table", { class: "gl-table gl-measures" }, body);
  const status = tag("p", { class: "gl-note", role: "status", "aria-live": "polite" });
  const alert = tag("p", { class: "gl-alert", role: "alert", hidden: true });
  root.replaceChildren(
    alert,
    tag("div", { class: "gl-toy-stage" }, tag("div", { class: "gl-toy-picture" }, canvas, parts), table),
    status,
  );
  const colour = (name) => getComputedStyle(root).getPropertyValue(`--gl-${name}`).trim();
  const real = () => (document.body.classList.contains("dark") ? REAL_ON_DARK : REAL);

  async function tick() {
    if (!root.isConnected) return;
    requestAnimationFrame(tick);
    if (!state.stale || state.busy || root.offsetParent === null || !props.value?.p) return;
    state.stale = false;
    state.busy = true;
    try {
      const answer = await server.compute({
        p: { shape: props.value.p, ...state.p },
        q: { shape: props.value.q, ...state.q },
      });
      alert.hidden = !answer.error;
      if (answer.error) alert.textContent = answer.error;
      else {
        state.answer = answer;
        draw();
        tabulate();
      }
    } catch {
      alert.textContent = "The server does not respond; move a density to retry.";
      alert.hidden = false;
    }
    state.busy = false;
  }

  function tabulate() {
    const bits = props.value.unit === "bits",
      measures = state.answer.measures;
    const text = (name, logs) =>
      measures[name] === null
        ? "\u221e"
        : measures[name] > 1e6
          ? "> 10\u2076"
          : (measures[name] / (logs && bits ? Math.LN2 : 1)).toFixed(3).replace("-", "\u2212");
    body.replaceChildren(
      ...MEASURES.map(([name, sign, what, logs]) =>
        tag(
          "tr",
          {},
          tag("th", { scope: "row" }, sign, tag("small", {}, what)),
          tag("td", {}, `${text(name, logs)}${logs ? ` ${props.value.unit}` : ""}`),
        ),
      ),
    );
    status.textContent = `KL(p, q) ${text("kl", true)}, KL(q, p) ${text("reverse_kl", true)}, JS ${text("js", true)} ${props.value.unit}.`;
  }

  function curves(target, height, list, title) {
    const [g, w, h] = fitCanvas(target, height),
      { curves: values, reach } = state.answer;
    const all = list
      .flatMap(([name]) => values[name])
      .filter((v) => v !== null)
      .sort((a, b) => a - b);
    const high = Math.max(0.1, all.at(-1)) * 1.08,
      low = Math.min(0, all[0] * 1.1);
    const X = (i, n) => ((i + 0.5) / n) * w,
      Y = (v) => 20 + ((h - 38) * (high - v)) / (high - low);
    g.fillStyle = colour("page");
    g.fillRect(0, 0, w, h);
    g.strokeStyle = colour("line");
    g.lineWidth = 1;
    g.strokeRect(0.5, 0.5, w - 1, h - 1);
    g.beginPath();
    g.moveTo(0, Y(0));
    g.lineTo(w, Y(0));
    g.stroke();
    for (let x = -3; x <= 3; x++)
      words(g, String(x).replace("-", "\u2212"), ((x / reach + 1) * w) / 2, h - 4, colour("muted"), "center");
    let at = w - 8;
    for (const [name, paint, text, fill] of list) {
      const n = values[name].length;
      const trace = () => {
        g.beginPath();
        values[name].forEach((v, i) => g.lineTo(X(i, n), Math.max(-5, v === null ? -5 : Y(v))));
      };
      if (fill) {
        trace();
        g.lineTo(w, Y(0));
        g.lineTo(0, Y(0));
        g.fillStyle = paint;
        g.globalAlpha = 0.25;
        g.fill();
        g.globalAlpha = 1;
      }
      trace();
      g.strokeStyle = paint;
      g.lineWidth = 2;
      g.stroke();
      words(g, text, at, 15, paint, "right");
      at -= g.measureText(text).width + 12;
    }
    if (at > 20 + g.measureText(title).width) words(g, title, 7, 15, colour("ink"));
  }

  function draw() {
    if (!state.answer || !canvas.clientWidth) return;
    curves(
      canvas,
      Math.max(200, canvas.clientWidth * 0.42),
      [
        ["q", SYNTHETIC, "q", true],
        ["p", real(), "p", true],
      ],
      "Densities",
    );
    curves(
      parts,
      170,
      [
        ["js", colour("ink"), "JS"],
        ["reverse_kl", SYNTHETIC, "KL(q, p): q log q/p"],
        ["kl", real(), "KL(p, q): p log p/q"],
      ],
      "Integrands",
    );
  }

  function change(which, centre, width) {
    const { centres, widths } = props.value,
      into = (v, [low, high]) => Math.max(low, Math.min(high, Number(v.toFixed(3))));
    state[which] = { centre: into(centre, centres), width: into(width, widths) };
    state.stale = true;
  }
  const place = (event) => {
    const box = canvas.getBoundingClientRect();
    return (((event.clientX - box.left) / box.width) * 2 - 1) * (state.answer?.reach ?? 4);
  };
  const nearest = (x) =>
    Math.abs(x - state.p.centre) / state.p.width < Math.abs(x - state.q.centre) / state.q.width ? "p" : "q";
  canvas.addEventListener("pointerdown", (event) => {
    canvas.setPointerCapture(event.pointerId);
    const x = place(event),
      which = nearest(x);
    state.drag = { which, x, ...state[which] };
  });
  canvas.addEventListener("pointermove", (event) => {
    if (!state.drag || !event.buttons) return;
    const { which, x, centre, width } = state.drag,
      by = place(event) - x;
    event.shiftKey ? change(which, centre, width * Math.exp(by)) : change(which, centre + by, width);
  });
  canvas.addEventListener("pointerup", () => (state.drag = null));
  canvas.addEventListener(
    "wheel",
    (event) => {
      event.preventDefault();
      const which = nearest(place(event)),
        { centre, width } = state[which];
      change(which, centre, width * Math.exp(-event.deltaY / 600));
    },
    { passive: false },
  );
  canvas.addEventListener("keydown", (event) => {
    const step = { ArrowLeft: [-0.1, 0], ArrowRight: [0.1, 0], ArrowUp: [0, 0.05], ArrowDown: [0, -0.05] }[event.key];
    if (!step) return;
    event.preventDefault();
    const which = event.shiftKey ? "p" : "q";
    change(which, state[which].centre + step[0], state[which].width + step[1]);
  });
  watch("value", () => (state.stale = true));
  new ResizeObserver(draw).observe(canvas);
  new MutationObserver(draw).observe(document.body, { attributeFilter: ["class"] });
  requestAnimationFrame(tick);
}
