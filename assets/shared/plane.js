// Draws one run of a live game at one step. Python's side: ganlab/toy/frames.py.
//
// run: {arrays: of a frame, k: number of the run in them, real, modes, density: what does not change, dim, reach, layers:
// those shown, modeState: see coveredModes(), colours, dark, pointer: [x, y] or null}.

// D's output: fake, undecided, real
const ANSWERS = { light: ["#D55E00", "#ffffff", "#009E73"], dark: ["#e8843a", "#12161b", "#2bbd95"] };
const LEVEL_LINES = [0.25, 0.5, 0.75]; // of D
const NOWHERE = -32768; // D - D* where neither distribution has mass

// The values of run k.
function slice(array, k) {
  const size = array.data.length / array.shape[0];
  return array.data.subarray(k * size, (k + 1) * size);
}

function drawRun(g, w, h, run) {
  g.fillStyle = run.colours.page;
  g.fillRect(0, 0, w, h);
  (run.dim === 1 ? drawLine : drawPlane)(g, w, h, run);
  g.strokeStyle = run.colours.line;
  g.lineWidth = 1;
  g.strokeRect(0.5, 0.5, w - 1, h - 1);
}

function drawPlane(g, w, h, run) {
  const { arrays, k, layers, colours } = run;
  const at = (data, i) => [((data[2 * i] / 32767 + 1) * w) / 2, ((1 - data[2 * i + 1] / 32767) * h) / 2];
  const size = Math.max(1.1, w / 330);
  const dots = ({ data, n }, fill, alpha) => {
    g.fillStyle = fill;
    g.globalAlpha = alpha;
    for (let i = 0; i < n; i++) {
      if (Math.max(Math.abs(data[2 * i]), Math.abs(data[2 * i + 1])) >= 32767) continue; // outside the plane
      const [x, y] = at(data, i);
      g.fillRect(x - size, y - size, 2 * size, 2 * size);
    }
    g.globalAlpha = 1;
  };
  if (arrays.optimum && layers.has("optimum")) drawGap(g, slice(arrays.optimum, k), arrays.optimum.shape[1], w, h, run);
  else if (arrays.heat && layers.has("heat")) drawHeat(g, slice(arrays.heat, k), arrays.heat.shape[1], w, h, run);
  if (arrays.warp && layers.has("warp")) drawWarp(g, slice(arrays.warp, k), arrays.warp.shape, at, run);
  if (run.real && layers.has("real")) dots({ data: run.real.data, n: run.real.shape[0] }, colours.real, 0.5);
  const fake = { data: slice(arrays.fake, k), n: arrays.fake.shape[1] };
  if (layers.has("fake")) dots(fake, SYNTHETIC, 0.9);
  const lengths = [];
  if (arrays.field && layers.has("field")) {
    const n = arrays.field.shape[1],
      cell = w / n;
    const places = Array.from({ length: n * n }, (_, i) => [
      (Math.floor(i / n) + 0.5) * cell,
      h - (((i % n) + 0.5) * h) / n,
    ]);
    lengths.push(drawArrows(g, places, slice(arrays.field, k), cell, colours.ink));
  }
  if (arrays.arrows && layers.has("arrows")) {
    const places = Array.from({ length: Math.min(120, fake.n) }, (_, i) => at(fake.data, i));
    lengths.push(drawArrows(g, places, slice(arrays.arrows, k), w / 14, colours.ink));
  }
  drawModes(g, w, at, run);
  if (arrays.warp?.shape.length === 4 && layers.has("warp")) drawLatent(g, w, h, at, run);
  if (lengths.length)
    words(
      g,
      `G's gradient: median ${lengths[0][0].toPrecision(2)}, largest ${lengths[0][1].toPrecision(2)}`,
      6,
      h - 7,
      run.colours.ink,
    );
}

function words(g, text, x, y, fill, align = "left") {
  g.font = "11px system-ui, sans-serif";
  g.textAlign = align;
  g.fillStyle = fill;
  g.fillText(text, x, y);
  g.textAlign = "left";
}

// Circles around the modes: solid if covered, dashed if not, heavy if lost.
function drawModes(g, w, at, run) {
  if (!run.modes || !run.modeState) return;
  const n = run.modes.shape[0];
  for (let i = 0; i < n; i++) {
    const [x, y] = at(run.modes.data, i);
    const covered = run.modeState.now[i];
    g.strokeStyle = covered ? run.colours.ink : run.colours.warn;
    g.setLineDash(covered ? [] : [3, 3]);
    g.lineWidth = covered ? 1 : run.modeState.ever[i] ? 3 : 1.4;
    g.beginPath();
    g.arc(x, y, w * (n > 10 ? 0.038 : 0.066), 0, 7);
    g.stroke();
  }
  g.setLineDash([]);
}

// A map of n x n values, x first, smoothly enlarged; paint(value) gives [r, g, b, a].
function drawMap(g, data, n, w, h, paint) {
  const small = (drawMap.canvas ??= document.createElement("canvas"));
  small.width = small.height = n;
  const image = new ImageData(n, n);
  for (let x = 0; x < n; x++)
    for (let y = 0; y < n; y++) image.data.set(paint(data[x * n + y]), 4 * ((n - 1 - y) * n + x));
  small.getContext("2d").putImageData(image, 0, 0);
  g.imageSmoothingEnabled = true;
  g.drawImage(small, 0, 0, w, h);
}

function drawHeat(g, data, n, w, h, run) {
  const stops = run.colours.answers.map((hex) => [1, 3, 5].map((i) => parseInt(hex.slice(i, i + 2), 16)));
  drawMap(g, data, n, w, h, (value) => {
    const t = 2 * Math.max(0, value / 32767),
      from = stops[t < 1 ? 0 : 1],
      to = stops[t < 1 ? 1 : 2],
      f = t < 1 ? t : t - 1;
    return [0, 1, 2].map((c) => from[c] + f * (to[c] - from[c])).concat(150);
  });
  for (const level of LEVEL_LINES)
    drawContour(g, data, n, w, h, level * 32767, run.colours.ink, level === 0.5 ? 0.6 : 0.2);
}

// D - D*: blue where D is too low, orange where it is too high, empty where neither distribution has mass.
function drawGap(g, data, n, w, h, run) {
  const palette = palettes[run.dark ? "divergingDark" : "divergingLight"];
  drawMap(g, data, n, w, h, (value) => {
    if (value === NOWHERE) return [0, 0, 0, 0];
    const pixel = palette[Math.round(((value / 32767 + 1) / 2) * (LEVELS - 1))];
    return [pixel & 255, (pixel >> 8) & 255, (pixel >> 16) & 255, 230];
  });
  words(g, "D \u2212 D*: blue, D is too low; orange, too high", 6, h - 7, run.colours.ink);
}

// Contour of a level by marching squares with linear interpolation.
function drawContour(g, data, n, w, h, level, stroke, alpha) {
  const cross = (a, b) => (level - a) / (b - a);
  g.strokeStyle = stroke;
  g.globalAlpha = alpha;
  g.lineWidth = 1;
  g.beginPath();
  for (let i = 0; i + 1 < n; i++)
    for (let j = 0; j + 1 < n; j++) {
      const [a, b, c, d] = [data[i * n + j], data[(i + 1) * n + j], data[(i + 1) * n + j + 1], data[i * n + j + 1]];
      const points = [];
      if (a < level !== b < level) points.push([i + cross(a, b), j]);
      if (b < level !== c < level) points.push([i + 1, j + cross(b, c)]);
      if (d < level !== c < level) points.push([i + cross(d, c), j + 1]);
      if (a < level !== d < level) points.push([i, j + cross(a, d)]);
      for (let p = 0; p + 1 < points.length; p += 2) {
        g.moveTo(((points[p][0] + 0.5) * w) / n, h - ((points[p][1] + 0.5) * h) / n);
        g.lineTo(((points[p + 1][0] + 0.5) * w) / n, h - ((points[p + 1][1] + 0.5) * h) / n);
      }
    }
  g.stroke();
  g.globalAlpha = 1;
}

// Arrows at positions along vectors, the longest `reach` px; returns the median and maximum of the vectors' lengths.
function drawArrows(g, places, vectors, reach, stroke) {
  const lengths = places.map((_, i) => Math.hypot(vectors[2 * i], vectors[2 * i + 1]));
  const longest = Math.max(...lengths.filter(Number.isFinite), 1e-30);
  g.strokeStyle = stroke;
  g.lineWidth = 1;
  g.beginPath();
  places.forEach(([x, y], i) => {
    const length = (lengths[i] / longest) * reach;
    if (!(length >= 0.5)) return;
    const [ux, uy] = [vectors[2 * i] / lengths[i], -vectors[2 * i + 1] / lengths[i]],
      tip = Math.min(4, length / 2);
    const [u, v] = [x + ux * length, y + uy * length];
    g.moveTo(x, y);
    g.lineTo(u, v);
    g.moveTo(u - tip * (ux - uy / 2), v - tip * (uy + ux / 2));
    g.lineTo(u, v);
    g.lineTo(u - tip * (ux + uy / 2), v - tip * (uy - ux / 2));
  });
  g.stroke();
  return [middle(lengths.filter(Number.isFinite)), longest];
}

// A square grid of noise, or a line of it, as the generator maps it.
function drawWarp(g, data, shape, at) {
  g.strokeStyle = SYNTHETIC;
  g.globalAlpha = 0.75;
  g.lineWidth = 0.8;
  g.beginPath();
  const n = shape[1];
  const joined = (a, b) => {
    g.moveTo(...at(data, a));
    g.lineTo(...at(data, b));
  };
  if (shape.length === 3) for (let i = 1; i < n; i++) joined(i - 1, i);
  else
    for (let i = 0; i < n; i++)
      for (let j = 0; j < n; j++) {
        if (j) joined(i * n + j - 1, i * n + j);
        if (i) joined((i - 1) * n + j, i * n + j);
      }
  g.stroke();
  g.globalAlpha = 1;
}

// The noise in a corner. The pointer there shows where noise goes; on the plane, where a point comes from.
function drawLatent(g, w, h, at, run) {
  const side = Math.min(110, w * 0.26),
    x0 = w - side - 8,
    y0 = h - side - 8;
  const warp = run.arrays.warp,
    n = warp.shape[1],
    data = slice(warp, run.k);
  g.fillStyle = run.colours.page;
  g.globalAlpha = 0.85;
  g.fillRect(x0, y0, side, side);
  g.globalAlpha = 1;
  g.strokeStyle = run.colours.line;
  g.lineWidth = 1;
  g.beginPath();
  for (let i = 0; i < n; i += 2) {
    const t = (i / (n - 1)) * side;
    g.moveTo(x0 + t, y0);
    g.lineTo(x0 + t, y0 + side);
    g.moveTo(x0, y0 + t);
    g.lineTo(x0 + side, y0 + t);
  }
  g.stroke();
  words(g, "noise z", x0 + 3, y0 - 4, run.colours.ink);
  if (!run.pointer) return;
  const [px, py] = run.pointer;
  let best = [0, 0];
  const [u, v] = [(px - x0) / side, 1 - (py - y0) / side];
  if (u >= 0 && u <= 1 && v >= 0 && v <= 1) best = [Math.round(u * (n - 1)), Math.round(v * (n - 1))];
  else {
    let nearest = Infinity;
    for (let i = 0; i < n; i++)
      for (let j = 0; j < n; j++) {
        const [x, y] = at(data, i * n + j),
          far = Math.hypot(x - px, y - py);
        if (far < nearest) [nearest, best] = [far, [i, j]];
      }
  }
  const [zx, zy] = [x0 + (best[0] / (n - 1)) * side, y0 + side - (best[1] / (n - 1)) * side];
  const [x, y] = at(data, best[0] * n + best[1]);
  g.strokeStyle = g.fillStyle = run.colours.ink;
  g.globalAlpha = 0.6;
  g.beginPath();
  g.moveTo(zx, zy);
  g.lineTo(x, y);
  g.stroke();
  g.globalAlpha = 1;
  for (const [a, b] of [
    [zx, zy],
    [x, y],
  ]) {
    g.beginPath();
    g.arc(a, b, 4, 0, 7);
    g.fill();
  }
}

// One dimension: p, p_g and D over x, and below them the map from z to x.
function drawLine(g, w, h, run) {
  const { arrays, k, layers, colours } = run;
  const top = 26,
    bottom = layers.has("warp") ? h * 0.72 : h - 22,
    floor = h - 18;
  const fake = slice(arrays.fake_density, k),
    n = fake.length;
  const X = (x) => ((x / run.reach + 1) * w) / 2;
  const highest = Math.max(...(run.density?.data ?? [0.5]), Math.min(2, Math.max(...fake))) * 1.08;
  const curve = (values, scale, stroke, dash = [], width = 2) => {
    g.strokeStyle = stroke;
    g.lineWidth = width;
    g.setLineDash(dash);
    g.beginPath();
    let pen = false;
    values.forEach((v, i) => {
      if (v === null) {
        pen = false;
        return;
      }
      const y = Math.max(top - 8, bottom - v * scale);
      pen ? g.lineTo(((i + 0.5) * w) / n, y) : g.moveTo(((i + 0.5) * w) / n, y);
      pen = true;
    });
    g.stroke();
    g.setLineDash([]);
  };
  const key = [];
  const named = (text, paint) => key.push([text, paint]);
  if (run.density && layers.has("real")) {
    curve([...run.density.data], (bottom - top) / highest, colours.real);
    named("p(x)", colours.real);
  }
  if (layers.has("fake")) {
    curve([...fake], (bottom - top) / highest, SYNTHETIC);
    named("p_g(x)", SYNTHETIC);
  }
  const d = arrays.heat && Array.from(slice(arrays.heat, k), (v) => v / 32767);
  if (d && layers.has("heat")) {
    curve(d, bottom - top, colours.answers[2], [6, 4]);
    named("D(x), 0 to 1", colours.answers[2]);
  }
  if (d && arrays.optimum && layers.has("optimum")) {
    const gap = slice(arrays.optimum, k);
    curve(
      d.map((v, i) => (gap[i] === NOWHERE ? null : v - gap[i] / 32767)),
      bottom - top,
      colours.ink,
      [2, 3],
      1.3,
    );
    named("D*(x)", colours.ink);
  }
  g.strokeStyle = colours.muted;
  g.lineWidth = 1;
  g.beginPath();
  for (const y of layers.has("warp") ? [bottom, floor] : [bottom]) {
    g.moveTo(0, y);
    g.lineTo(w, y);
  }
  g.stroke();
  if (arrays.warp?.shape.length === 3 && layers.has("warp")) {
    const data = slice(arrays.warp, k),
      m = data.length;
    g.strokeStyle = SYNTHETIC;
    g.globalAlpha = 0.6;
    g.beginPath();
    for (let i = 0; i < m; i += 4) {
      g.moveTo(((i + 0.5) * w) / m, floor);
      g.lineTo(((data[i] / 32767 + 1) * w) / 2, bottom);
    }
    g.stroke();
    g.globalAlpha = 1;
    words(g, "noise z", w - 6, floor + 12, colours.muted, "right");
  }
  for (const x of [-1.5, -1, -0.5, 0, 0.5, 1, 1.5])
    words(g, String(x).replace("-", "\u2212"), X(x), bottom + 12, colours.muted, "center");
  let x = w - 8;
  for (const [text, paint] of key.toReversed()) {
    words(g, text, x, 16, paint, "right");
    x -= g.measureText(text).width + 12;
  }
}
