// Small charts beside a canvas: numbers against training steps, and histograms of D's output.

const HEIGHT = 84; // px of a chart
const KEPT = 600; // points of a curve; beyond that every other one is dropped

// Fit a canvas to its width on the page and a height in CSS pixels: [context, width, height], also in CSS pixels.
function fitCanvas(target, height) {
  const scale = window.devicePixelRatio || 1,
    width = target.clientWidth;
  if (target.width !== Math.round(width * scale) || target.height !== Math.round(height * scale)) {
    target.width = Math.round(width * scale);
    target.height = Math.round(height * scale);
    target.style.height = `${height}px`;
  }
  const g = target.getContext("2d");
  g.setTransform(scale, 0, 0, scale, 0, 0);
  g.clearRect(0, 0, width, height);
  return [g, width, height];
}

// Add the numbers of one frame to a game's numbers over time, {name: {steps: [...], runs: [[...], ...]}}.
function record(series, game, step) {
  for (const [name, values] of Object.entries(game)) {
    if (!Array.isArray(values) || (typeof values[0] === "object" && values[0] !== null)) continue;
    const s = (series[name] ??= { steps: [], runs: values.map(() => []) });
    if (s.steps.at(-1) >= step) continue;
    s.steps.push(step);
    values.forEach((value, k) => s.runs[k]?.push(value));
    if (s.steps.length <= KEPT) continue;
    const every = (list) => list.filter((_, i) => i % 2 === 0);
    s.steps = every(s.steps);
    s.runs = s.runs.map(every);
  }
}

// Forget the numbers after a step.
function forget(series, step) {
  for (const s of Object.values(series)) {
    const n = s.steps.filter((at) => at <= step).length;
    s.steps.length = n;
    for (const run of s.runs) run.length = n;
  }
}

// The median, of the non-null values.
function middle(values) {
  const sorted = values.filter((v) => v !== null).sort((a, b) => a - b),
    n = sorted.length;
  return n ? (sorted[(n - 1) >> 1] + sorted[n >> 1]) / 2 : null;
}

// A chart of `lines` [[name, text, colour], ...]: {element, draw(view)}.
//
// level: [value, text] of a horizontal line. floor: the measure whose floor is drawn. from, to(): ends of the axis, else
// those of the data. log: powers of ten. marks(): steps to mark.
// view: {series: one per game, step: the last, cursor: the step looked at, floors, colours}.
function chart(title, lines, { level, log, from, to, floor, marks } = {}) {
  const element = tag("canvas", { class: "gl-toy-chart", role: "img", "aria-label": title });
  const draw = (view) => {
    const visible = lines.filter(([name]) => view.series.some((s) => s[name]?.runs[0].some((v) => v !== null)));
    element.hidden = !visible.length;
    if (element.hidden) return;
    const [g, w, h] = fitCanvas(element, HEIGHT);
    const value = (v) => (v === null ? null : log ? Math.log10(Math.max(v, 1e-8)) : v);
    const curves = [],
      bands = [];
    view.series.forEach((series, game) =>
      visible.forEach(([name, , paint]) => {
        const s = series[name];
        if (!s) return;
        const runs = s.runs.map((run) => run.map(value));
        if (runs.length < 3) for (const run of runs) curves.push({ steps: s.steps, run, paint, game });
        else {
          const across = s.steps.map((_, i) => runs.map((run) => run[i]).filter((v) => v !== null));
          bands.push({
            steps: s.steps,
            low: across.map((v) => Math.min(...v)),
            high: across.map((v) => Math.max(...v)),
            paint,
          });
          curves.push({ steps: s.steps, run: across.map(middle), paint, game });
        }
      }),
    );
    const sorted = [...curves.flatMap((c) => c.run), ...bands.flatMap((b) => [...b.low, ...b.high])]
      .filter(Number.isFinite)
      .sort((a, b) => a - b);
    let low = from ?? sorted[Math.floor(sorted.length * 0.005)],
      high = to?.() ?? sorted[Math.ceil(sorted.length * 0.995) - 1];
    if (level) [low, high] = [Math.min(low, level[0]), Math.max(high, level[0])];
    if (!(high - low > 1e-6)) high = low + 1;
    const digits = high - low < 0.1 * Math.max(Math.abs(high), Math.abs(low)) ? 3 : 2;
    const number = (v) =>
      (log ? `1e${Math.round(v)}` : Math.abs(v) >= 100 ? v.toFixed(0) : v === 0 ? "0" : v.toPrecision(digits)).replace(
        "-",
        "\u2212",
      );
    words(g, title, 2, 11, view.colours.ink);
    const wide = Math.max(...[low, high].map((v) => g.measureText(number(v)).width)); // small losses have many digits
    const [x0, x1, y0, y1] = [Math.max(38, wide + 6), w - 6, 18, h - 15];
    const end = Math.max(1, view.step);
    const X = (step) => x0 + ((x1 - x0) * step) / end;
    const Y = (v) => y1 - ((y1 - y0) * (Math.min(high, Math.max(low, v)) - low)) / (high - low);
    const ink = (paint) => view.colours[paint] ?? paint;
    let at = w - 4;
    for (const [, text, paint] of visible.toReversed()) {
      words(g, text, at, 11, ink(paint), "right");
      at -= g.measureText(text).width + 10;
    }
    words(g, number(high), x0 - 4, y0 + 8, view.colours.muted, "right");
    words(g, number(low), x0 - 4, y1, view.colours.muted, "right");
    words(g, "0", x0, h - 3, view.colours.muted);
    words(g, end.toLocaleString("en"), x1, h - 3, view.colours.muted, "right");
    g.strokeStyle = view.colours.line;
    g.lineWidth = 1;
    g.strokeRect(x0 + 0.5, y0 + 0.5, x1 - x0 - 1, y1 - y0);
    const across = (v, text) => {
      g.setLineDash([3, 3]);
      g.strokeStyle = view.colours.muted;
      g.beginPath();
      g.moveTo(x0, Y(v));
      g.lineTo(x1, Y(v));
      g.stroke();
      g.setLineDash([]);
      words(g, text, x1 - 4, Y(v) + (Y(v) > y0 + 14 ? -3 : 11), view.colours.muted, "right");
    };
    if (level) across(...level);
    if (floor && view.floors?.[floor]) across(view.floors[floor], "floor");
    for (const { steps, low: below, high: above, paint } of bands) {
      g.fillStyle = ink(paint);
      g.globalAlpha = 0.2;
      g.beginPath();
      steps.forEach((step, i) => Number.isFinite(above[i]) && g.lineTo(X(step), Y(above[i])));
      for (let i = steps.length - 1; i >= 0; i--) if (Number.isFinite(below[i])) g.lineTo(X(steps[i]), Y(below[i]));
      g.fill();
      g.globalAlpha = 1;
    }
    for (const { steps, run, paint, game } of curves) {
      g.strokeStyle = ink(paint);
      g.setLineDash(game ? [4, 3] : []);
      g.lineWidth = 1.3;
      g.beginPath();
      let pen = false;
      run.forEach((v, i) => {
        if (v === null) {
          pen = false;
          return;
        }
        pen ? g.lineTo(X(steps[i]), Y(v)) : g.moveTo(X(steps[i]), Y(v));
        pen = true;
      });
      g.stroke();
    }
    g.setLineDash([]);
    g.strokeStyle = view.colours.warn;
    g.lineWidth = 2;
    for (const step of marks?.() ?? []) {
      g.beginPath();
      g.moveTo(X(step), y0);
      g.lineTo(X(step), y0 + 8);
      g.stroke();
    }
    if (view.cursor === null) return;
    g.strokeStyle = view.colours.accent;
    g.lineWidth = 1;
    g.beginPath();
    g.moveTo(X(view.cursor), y0);
    g.lineTo(X(view.cursor), y1);
    g.stroke();
  };
  return { element, draw };
}

// Histograms of D's output on real and on generated data, the mean over the runs of the first game.
function answersChart() {
  const element = tag("canvas", {
    class: "gl-toy-chart",
    role: "img",
    "aria-label": "D(x) on real and on generated data",
  });
  const draw = (view, { data, shape }) => {
    const [g, w, h] = fitCanvas(element, HEIGHT),
      n = shape[2];
    const [x0, x1, y0, y1] = [38, w - 6, 18, h - 15];
    words(g, "D(x)", 2, 11, view.colours.ink);
    words(g, "generated", w - 4, 11, SYNTHETIC, "right");
    words(g, "real", w - 14 - g.measureText("generated").width, 11, view.colours.real, "right");
    const mean = (side) =>
      Array.from({ length: n }, (_, i) => {
        let sum = 0;
        for (let k = 0; k < shape[0]; k++) sum += data[(k * 2 + side) * n + i];
        return sum / shape[0];
      });
    const both = [
      [mean(0), view.colours.real],
      [mean(1), SYNTHETIC],
    ];
    const highest = Math.max(0.2, ...both.flatMap(([values]) => values));
    g.globalAlpha = 0.6;
    for (const [values, fill] of both) {
      g.fillStyle = fill;
      values.forEach((v, i) =>
        g.fillRect(
          x0 + (i * (x1 - x0)) / n,
          y1 - (v / highest) * (y1 - y0),
          (x1 - x0) / n - 1,
          (v / highest) * (y1 - y0),
        ),
      );
    }
    g.globalAlpha = 1;
    g.strokeStyle = view.colours.line;
    g.lineWidth = 1;
    g.strokeRect(x0 + 0.5, y0 + 0.5, x1 - x0 - 1, y1 - y0);
    words(g, "fake", x0, h - 3, view.colours.muted);
    words(g, "real", x1, h - 3, view.colours.muted, "right");
    words(g, "share", x0 - 4, y0 + 8, view.colours.muted, "right");
  };
  return { element, draw };
}
