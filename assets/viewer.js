// The volume viewer: linked planes of registered layers on one canvas, driven by mouse, touch and keyboard.
// volumeViewer(root, props, watch) fills `root` and shows the manifest in props.value, now and when it changes.

const PRESETS = [
  { title: "Bone", width: 2000, level: 500 },
  { title: "Brain", width: 80, level: 40 },
  { title: "Soft tissue", width: 400, level: 40 },
  { title: "Full" }, // everything there is
];
const ERROR_RANGE = 300; // HU shown to either side of zero at first
const NARROW = 560; // CSS pixels below which panes are stacked
const MAX_RASTER = 1.2e6; // pixels computed for one pane; denser screens scale them up
const HELP = [
  ["Click or drag, arrow keys", "move the crosshair"],
  ["Wheel, Page Up, Page Down", "slices (with Shift: ten)"],
  ["Right drag, W + drag, two fingers", "window: sideways width, up and down level"],
  ["Ctrl + wheel, pinch, + and \u2212", "zoom"],
  ["Middle drag, Shift + drag", "pan"],
  ["Double click, 0", "reset zoom, pan and window"],
  ["1 2 3 4", "bone, brain, soft tissue, full window"],
  ["A C S", "axial, coronal, sagittal"],
  ["[ and ]", "previous, next layer"],
  ["P", "line profile: drag a line"],
  ["F", "radiological or neurological sides"],
  ["X", "crosshair on and off"],
  ["H", "this list"],
];

function tag(name, attributes = {}, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
    else if (typeof value === "boolean") element.toggleAttribute(key, value);
    else element.setAttribute(key, value);
  }
  element.append(...children);
  return element;
}

function volumeViewer(root, props, watch) {
  const state = {
    plane: "axial",
    layout: "main", // one plane large and two small | "planes": three alike | "layers": one plane of every layer
    layer: "synthetic",
    error: "signed", // the error that the "layers" layout shows
    compare: "swipe", // "off" | "swipe" | "blend"
    other: "input", // the layer compared with
    split: 0.5, // where the swipe divides a pane
    mix: 0.5, // share of the other layer in a blend
    radiological: true,
    crosshair: true,
    profiling: false,
    line: null, // {plane, ends: [[u, v], [u, v]]}
    voxel: [0, 0, 0], // the crosshair
    pointer: null, // the voxel under the mouse
    views: {}, // plane -> {zoom, pan: [mm, mm]}
    ranges: {}, // group of layers -> [low, high] shown
  };
  let volume = null;
  let message = "";
  let theme = readTheme();
  let loading = null; // AbortController of the fetch under way
  let scheduled = false;
  const scratch = tag("canvas");
  const dom = build();

  // ---- layers, ranges, geometry -------------------------------------------------------------------------------

  const layerNamed = (name) => volume.layers.find((layer) => layer.name === name);
  const groupOf = (layer) => (layer.kind === "image" ? layer.unit || layer.name : "error");
  const axesOf = (plane) => PLANES[plane].axes;
  const sizeOf = (plane) => axesOf(plane).map((axis) => volume.shape[axis]);
  const sliceIndex = (plane) => state.voxel[PLANES[plane].across];
  const comparing = () => (state.compare !== "off" && state.layout !== "layers" && state.other !== state.layer ? layerNamed(state.other) : null);

  function rangeOf(layer) {
    const [low, high] = state.ranges[groupOf(layer)];
    return layer.kind === "absolute" ? [0, high] : [low, high];
  }

  function defaultRange(layer) {
    return layer.kind === "image" ? layer.window : [-ERROR_RANGE, ERROR_RANGE];
  }

  function fullRange(unit) {
    let [low, high] = [Infinity, -Infinity];
    for (const { data, scale, offset } of volume.layers.filter((layer) => layer.kind === "image" && layer.unit === unit)) {
      for (const stored of data) {
        const value = stored * scale + offset;
        if (value < low) low = value;
        if (value > high) high = value;
      }
    }
    return [low, high];
  }

  function paletteOf(layer) {
    if (layer.kind === "image") return palettes.grey;
    if (layer.kind === "absolute") return palettes.sequential;
    return theme.dark ? palettes.divergingDark : palettes.divergingLight;
  }

  const inkOf = (layer) => (layer.kind === "signed" && !theme.dark ? DARK_INK : LIGHT_INK);
  const horizontalSign = (plane) => (plane === "sagittal" || state.radiological ? -1 : 1); // the nose points left

  // How a pane shows its plane: pixels per mm and the maps between plane points [u, v] and CSS pixels.
  function frameOf(pane) {
    const axes = axesOf(pane.plane);
    const { zoom, pan } = state.views[pane.plane];
    const spacing = axes.map((axis) => volume.spacing[axis]);
    const extent = axes.map((axis, k) => volume.shape[axis] * spacing[k]);
    const fit = Math.min((pane.width - 8) / extent[0], (pane.height - 8) / extent[1]);
    const scale = Math.max(0.01, fit) * zoom;
    const centre = [pane.x + pane.width / 2, pane.y + pane.height / 2];
    const signs = [horizontalSign(pane.plane), -1];
    return {
      scale,
      signs,
      toScreen: (point) => point.map((p, k) => centre[k] + signs[k] * ((p + 0.5) * spacing[k] - extent[k] / 2 - pan[k]) * scale),
      toPlane: (xy) => xy.map((p, k) => (extent[k] / 2 + pan[k] + (signs[k] * (p - centre[k])) / scale) / spacing[k] - 0.5),
    };
  }

  function lettersOf(plane) {
    const [u, v] = axesOf(plane);
    const [low, high] = LETTERS[u];
    const sides = horizontalSign(plane) < 0 ? [high, low] : [low, high];
    return [...sides, LETTERS[v][1], LETTERS[v][0]];
  }

  function canvasHeight(width) {
    const narrow = width < NARROW;
    const shown = state.layout === "layers" ? layersShown().length : 3;
    if (narrow) return Math.round(width * { main: 1.62, planes: 3 * 0.95, layers: 0.62 * Math.ceil(shown / 2) }[state.layout]);
    const room = Math.max(420, window.innerHeight - 210);
    return Math.round(Math.min(room, width * { main: 0.66, planes: 0.42, layers: shown > 2 ? 0.7 : 0.56 }[state.layout]));
  }

  function layersShown() {
    return [...volume.layers.filter((layer) => layer.kind === "image"), ...volume.layers.filter((layer) => layer.name === state.error)];
  }

  // The panes of the present layout: {plane, layer, x, y, width, height, large}.
  function panesFor(width, height) {
    const narrow = width < NARROW;
    const layer = layerNamed(state.layer);
    const others = Object.keys(PLANES).filter((plane) => plane !== state.plane);
    const pane = (plane, x, y, w, h, large = true, shown = layer) => ({ plane, layer: shown, x, y, width: w, height: h, large });
    if (state.layout === "planes") {
      return Object.keys(PLANES).map((plane, i) => (narrow ? pane(plane, 0, (i * height) / 3, width, height / 3) : pane(plane, (i * width) / 3, 0, width / 3, height)));
    }
    if (state.layout === "layers") {
      const shown = layersShown();
      const rows = Math.ceil(shown.length / 2);
      return shown.map((one, i) => pane(state.plane, ((i % 2) * width) / 2, (Math.floor(i / 2) * height) / rows, width / 2, height / rows, true, one));
    }
    if (narrow) {
      const main = height * 0.68;
      return [pane(state.plane, 0, 0, width, main), ...others.map((plane, i) => pane(plane, (i * width) / 2, main, width / 2, height - main, false))];
    }
    const main = width * 0.64;
    return [pane(state.plane, 0, 0, main, height), ...others.map((plane, i) => pane(plane, main, (i * height) / 2, width - main, height / 2, false))];
  }

  // ---- drawing ------------------------------------------------------------------------------------------------

  function redraw() {
    if (scheduled) return;
    scheduled = true;
    requestAnimationFrame(() => {
      scheduled = false;
      draw();
    });
  }

  function draw() {
    const width = root.clientWidth;
    if (!width) return; // on a hidden page
    const height = volume ? canvasHeight(width) : Math.round(width * (width < NARROW ? 1.2 : 0.6));
    const ctx = prepare(dom.canvas, width, height, window.devicePixelRatio);
    if (volume) drawPanes(ctx, width, height, window.devicePixelRatio);
    else write(ctx, message, width / 2, height / 2, LIGHT_INK, { align: "center", size: 14 });
    dom.profile.hidden = !(volume && state.profiling && state.line);
    if (!dom.profile.hidden) drawProfileInto(prepare(dom.profile, width, 250, window.devicePixelRatio), width, 250);
  }

  function prepare(canvas, width, height, density) {
    const [w, h] = [Math.round(width * density), Math.round(height * density)];
    if (canvas.width !== w || canvas.height !== h) {
      [canvas.width, canvas.height] = [w, h];
      canvas.style.height = `${height}px`;
    }
    const ctx = canvas.getContext("2d");
    ctx.setTransform(density, 0, 0, density, 0, 0);
    ctx.clearRect(0, 0, width, height);
    return ctx;
  }

  function drawPanes(ctx, width, height, density) {
    for (const pane of panesFor(width, height)) {
      ctx.save();
      ctx.beginPath();
      ctx.rect(pane.x, pane.y, pane.width - 1, pane.height - 1);
      ctx.clip();
      drawPane(ctx, pane, density);
      ctx.restore();
    }
  }

  function drawPane(ctx, pane, density) {
    const { plane, layer } = pane;
    const frame = frameOf(pane);
    const other = comparing();
    const divider = pane.x + state.split * pane.width;
    paint(ctx, pane, frame, layer, density);
    if (other) {
      ctx.save();
      if (state.compare === "blend") ctx.globalAlpha = state.mix;
      else {
        ctx.beginPath();
        ctx.rect(divider, pane.y, pane.width, pane.height);
        ctx.clip();
      }
      paint(ctx, pane, frame, other, density);
      ctx.restore();
    }
    const ink = inkOf(layer);
    const inkRight = other ? (state.compare === "swipe" ? inkOf(other) : ink) : ink;
    if (state.crosshair) {
      const centre = frame.toScreen(axesOf(plane).map((axis) => state.voxel[axis]));
      drawCrosshair(ctx, pane, centre, ink === DARK_INK ? "rgb(0 90 150 / 80%)" : "rgb(86 180 233 / 80%)");
    }
    if (other && state.compare === "swipe") drawDivider(ctx, pane, divider);
    if (state.profiling && state.line?.plane === plane) drawLine(ctx, state.line.ends.map(frame.toScreen), ink);
    drawLetters(ctx, pane, lettersOf(plane), ink, other && state.compare === "swipe" ? divider : NaN);
    const place = `${PLANES[plane].title} ${sliceIndex(plane) + 1}/${volume.shape[PLANES[plane].across]}`;
    if (!pane.large) return drawCaption(ctx, pane, [pane.width < 240 ? PLANES[plane].title : place], ink);
    drawCaption(ctx, pane, [place, layer.label, windowText(layer)], ink);
    drawScaleBar(ctx, pane, frame.scale, ink);
    if (pane.height > 180) {
      if (other) drawColourBar(ctx, pane, paletteOf(layer), rangeOf(layer), layer.unit, ink, "left");
      const right = other ?? layer;
      drawColourBar(ctx, pane, paletteOf(right), rangeOf(right), right.unit, inkRight);
    }
    if (other) drawCaption(ctx, pane, [other.label, windowText(other)], inkRight, "right");
  }

  function paint(ctx, pane, frame, layer, density) {
    const finest = Math.sqrt(MAX_RASTER / (pane.width * pane.height));
    const fineness = Math.min(density, finest);
    const [width, height] = [Math.max(1, Math.round(pane.width * fineness)), Math.max(1, Math.round(pane.height * fineness))];
    const at = (x, y) => frame.toPlane([pane.x + ((x + 0.5) * pane.width) / width, pane.y + ((y + 0.5) * pane.height) / height]);
    const [first, next] = [at(0, 0), at(1, 1)];
    const raster = { width, height, u: first[0], v: first[1], du: next[0] - first[0], dv: next[1] - first[1] };
    const range = rangeOf(layer);
    const values = sliceOf(volume, layer, pane.plane, sliceIndex(pane.plane));
    const image = new ImageData(width, height);
    const outside = layer.kind === "image" ? range[0] : 0;
    paintSlice(values, sizeOf(pane.plane), raster, paletteOf(layer), range, outside, new Uint32Array(image.data.buffer));
    [scratch.width, scratch.height] = [width, height];
    scratch.getContext("2d").putImageData(image, 0, 0);
    ctx.drawImage(scratch, pane.x, pane.y, pane.width, pane.height);
  }

  function drawDivider(ctx, pane, x) {
    ctx.fillStyle = "rgb(0 0 0 / 60%)";
    ctx.fillRect(x - 2, pane.y, 4, pane.height);
    ctx.fillStyle = "#fff";
    ctx.fillRect(x - 0.75, pane.y, 1.5, pane.height);
    ctx.fillRect(x - 3, pane.y + pane.height * 0.75 - 14, 6, 28);
  }

  function drawLine(ctx, [from, to], ink) {
    for (const [colour, width] of [[ink.halo, 4], [SYNTHETIC, 2]]) {
      ctx.strokeStyle = colour;
      ctx.lineWidth = width;
      ctx.beginPath();
      ctx.moveTo(...from);
      ctx.lineTo(...to);
      ctx.stroke();
    }
    write(ctx, "0", from[0], from[1] - 6, ink, { align: "center", size: 11 });
  }

  function drawProfileInto(ctx, width, height) {
    const { plane, ends } = state.line;
    const spacing = axesOf(plane).map((axis) => volume.spacing[axis]);
    const length = Math.hypot(...[0, 1].map((k) => (ends[1][k] - ends[0][k]) * spacing[k]));
    const samples = Math.max(2, Math.ceil((2 * length) / Math.min(...spacing)));
    const colours = { synthetic: SYNTHETIC, reference: theme.dark ? REAL_ON_DARK : REAL };
    const series = volume.layers
      .filter((layer) => layer.kind === "image")
      .sort((a, b) => (b.unit === "HU") - (a.unit === "HU"))
      .map((layer) => {
        const values = sliceOf(volume, layer, plane, sliceIndex(plane));
        const at = (i) => ends[0].map((p, k) => p + ((ends[1][k] - p) * i) / (samples - 1));
        return {
          label: layer.label,
          unit: layer.unit,
          colour: colours[layer.name] ?? theme.muted,
          values: Array.from({ length: samples }, (_, i) => sampleSlice(values, sizeOf(plane), at(i))),
        };
      });
    drawProfile(ctx, width, height, length || 1, series, theme);
  }

  // ---- words --------------------------------------------------------------------------------------------------

  function windowText(layer) {
    const [low, high] = rangeOf(layer);
    const span = high - low;
    if (layer.kind === "signed") return `\u00b1${formatValue(high, span)} ${layer.unit}`;
    if (layer.kind === "absolute") return `0 to ${formatValue(high, span)} ${layer.unit}`;
    return `W ${formatValue(span, span)} L ${formatValue((low + high) / 2, span)}`;
  }

  function valueText(layer, voxel) {
    const value = valueAt(volume, layer, voxel);
    const text = layer.unit === "HU" ? formatValue(Math.round(value), 100) : formatValue(value, layer.window ? layer.window[1] - layer.window[0] : 1);
    return `${layer.kind === "signed" && value > 0 ? "+" : ""}${text}${layer.unit ? ` ${layer.unit}` : ""}`;
  }

  function statusText() {
    const { title, across } = PLANES[state.plane];
    const layer = layerNamed(state.layer);
    const values = volume.layers.map((one) => `${one.label} ${valueText(one, state.voxel)}`).join(", ");
    return `${volume.title}. ${title} slice ${sliceIndex(state.plane) + 1} of ${volume.shape[across]}, ${layer.label}, ${windowText(layer)}. Crosshair at ${positionText(worldOf(volume, state.voxel))} mm: ${values}.`;
  }

  function say(text) {
    if (dom.status.textContent !== text) dom.status.textContent = text;
  }

  // ---- changes ------------------------------------------------------------------------------------------------

  // Everything that changes the state goes through here: controls, read-out, spoken status and picture follow.
  function change(update = {}) {
    Object.assign(state, update);
    if (!volume) return redraw();
    const layer = layerNamed(state.layer);
    if (layer.kind !== "image") state.error = layer.name;
    const [low, high] = rangeOf(layer);
    dom.layer.set(state.layer);
    dom.layout.set(state.layout);
    dom.plane.set(state.plane);
    dom.compare.set(state.compare);
    dom.compare.element.disabled = state.layout === "layers";
    dom.other.value = state.other;
    dom.other.disabled = state.compare === "off" || state.layout === "layers";
    dom.mix.hidden = state.compare !== "blend" || state.layout === "layers";
    dom.mix.value = state.mix;
    const digits = (value) => Number(value.toFixed(high - low >= 20 ? 0 : 3));
    dom.level.parentElement.hidden = layer.kind !== "image";
    dom.width.previousSibling.textContent = layer.kind === "image" ? "W" : layer.kind === "signed" ? "\u00b1" : "max";
    if (document.activeElement !== dom.width) dom.width.value = digits(layer.kind === "image" ? high - low : high);
    if (document.activeElement !== dom.level) dom.level.value = digits((low + high) / 2);
    const { across, title } = PLANES[state.plane];
    dom.slice.max = volume.shape[across] - 1;
    dom.slice.value = state.voxel[across];
    dom.slice.setAttribute("aria-label", `${title} slice`);
    for (const [name, on] of [["crosshair", state.crosshair], ["profiling", state.profiling], ["radiological", !state.radiological]]) {
      dom.toggles[name].setAttribute("aria-pressed", on);
    }
    const shown = state.pointer ?? state.voxel;
    dom.readout.replaceChildren(
      tag("span", {}, tag("b", {}, state.pointer ? "Pointer" : "Crosshair"), ` ${positionText(worldOf(volume, shown))} mm`),
      ...volume.layers.map((one) => tag("span", {}, tag("b", {}, one.label), ` ${valueText(one, shown)}`)),
    );
    say(statusText());
    redraw();
  }

  function moveTo(voxel) {
    change({ voxel: clampVoxel(volume, voxel) });
  }

  function step(axis, by) {
    const voxel = [...state.voxel];
    voxel[axis] += by;
    moveTo(voxel);
  }

  function setRange(layer, [low, high]) {
    const least = layer.kind === "image" ? (layer.window[1] - layer.window[0]) / 1000 : 1;
    if (layer.kind !== "image") state.ranges.error = [-Math.max(least, high), Math.max(least, high)];
    else state.ranges[groupOf(layer)] = high - low >= least ? [low, high] : [(low + high - least) / 2, (low + high + least) / 2];
    change();
  }

  function preset(number) {
    const { width, level } = PRESETS[number];
    state.ranges.HU = width ? [level - width / 2, level + width / 2] : fullRange("HU");
    change();
  }

  function dragWindow(layer, dx, dy) {
    const [low, high] = rangeOf(layer);
    const unit = (high - low) / 300;
    if (layer.kind !== "image") return setRange(layer, [0, high * (1 + dx / 200)]);
    const [width, level] = [high - low + dx * unit, (low + high) / 2 + dy * unit];
    setRange(layer, [level - width / 2, level + width / 2]);
  }

  function zoomAt(pane, factor, xy) {
    const view = state.views[pane.plane];
    const before = frameOf(pane).toPlane(xy);
    view.zoom = Math.min(20, Math.max(0.5, view.zoom * factor));
    const after = frameOf(pane).toPlane(xy);
    axesOf(pane.plane).forEach((axis, k) => (view.pan[k] += (before[k] - after[k]) * volume.spacing[axis]));
    change();
  }

  function panBy(pane, dx, dy) {
    const { scale, signs } = frameOf(pane);
    const { pan } = state.views[pane.plane];
    pan[0] -= (signs[0] * dx) / scale;
    pan[1] -= (signs[1] * dy) / scale;
    change();
  }

  function reset() {
    for (const plane of Object.keys(PLANES)) state.views[plane] = { zoom: 1, pan: [0, 0] };
    for (const layer of volume.layers) state.ranges[groupOf(layer)] = defaultRange(layer);
    change();
  }

  function toggleProfile() {
    const profiling = !state.profiling;
    if (profiling && state.line?.plane !== state.plane) {
      const [u, v] = axesOf(state.plane);
      const ends = [0, volume.shape[u] - 1].map((x) => [x, state.voxel[v]]);
      if (horizontalSign(state.plane) < 0) ends.reverse(); // from the left of the screen to its right
      state.line = { plane: state.plane, ends };
    }
    change({ profiling });
  }

  function nextLayer(by) {
    const at = volume.layers.findIndex((layer) => layer.name === state.layer);
    change({ layer: volume.layers[(at + by + volume.layers.length) % volume.layers.length].name });
  }

  // ---- loading ------------------------------------------------------------------------------------------------

  async function show(manifest) {
    loading?.abort();
    if (!manifest?.layers) return;
    const controller = (loading = new AbortController());
    root.dataset.state = "loading";
    if (!volume) announce("Loading the volumes \u2026");
    try {
      const loaded = await loadVolume(manifest, controller.signal);
      const alike = volume && String(volume.shape) === String(loaded.shape);
      volume = loaded;
      const has = (name) => volume.layers.some((layer) => layer.name === name);
      if (!has(state.layer)) state.layer = "synthetic";
      if (!has(state.other)) state.other = "input";
      if (!alike) state.line = null;
      state.profiling = state.profiling && Boolean(state.line);
      state.pointer = null;
      state.voxel = clampVoxel(volume, manifest.crosshair);
      const options = volume.layers.map((layer) => [layer.name, layer.label]);
      dom.layer.fill(options);
      dom.other.replaceChildren(...options.map(([value, text]) => tag("option", { value }, text)));
      for (const plane of Object.keys(PLANES)) state.views[plane] = { zoom: 1, pan: [0, 0] };
      for (const layer of volume.layers) {
        const group = groupOf(layer);
        if (layer.name === "input" || !state.ranges[group]) state.ranges[group] = defaultRange(layer);
      }
      root.dataset.state = "ready";
      root.dataset.token = manifest.token;
      change();
    } catch (error) {
      if (error.name === "AbortError") return;
      root.dataset.state = "error";
      announce(error.message);
    }
  }

  function announce(text) {
    message = text;
    say(text);
    redraw();
  }

  function readTheme() {
    const style = getComputedStyle(root);
    const colour = (name) => style.getPropertyValue(name).trim();
    return { dark: document.body.classList.contains("dark"), ink: colour("--gl-ink"), muted: colour("--gl-muted"), line: colour("--gl-line"), page: colour("--gl-page") };
  }

  // The canvas as it stands, with its profile and a caption that says how it was made, as a PNG.
  function savePicture() {
    const density = 2;
    const width = dom.canvas.clientWidth;
    const heights = [dom.canvas.clientHeight, dom.profile.hidden ? 0 : 250];
    const other = comparing();
    const view = `${PLANES[state.plane].title} slice ${sliceIndex(state.plane) + 1} of ${volume.shape[PLANES[state.plane].across]}, crosshair ${positionText(worldOf(volume, state.voxel))} mm; ${layerNamed(state.layer).label} ${windowText(layerNamed(state.layer))}${other ? `, ${state.compare} with ${other.label} ${windowText(other)}` : ""}; ${state.radiological ? "radiological" : "neurological"} convention.`;
    const picture = tag("canvas");
    const ctx = picture.getContext("2d");
    ctx.font = `12px ${FONT}`;
    const lines = [view, ...volume.caption].flatMap((text) => wrap(ctx, text, width - 24));
    const height = heights[0] + heights[1] + 20 + 17 * lines.length;
    [picture.width, picture.height] = [width * density, height * density];
    ctx.setTransform(density, 0, 0, density, 0, 0);
    ctx.fillStyle = theme.page;
    ctx.fillRect(0, 0, width, height);
    ctx.fillStyle = "#000";
    ctx.fillRect(0, 0, width, heights[0]);
    drawPanes(ctx, width, heights[0], density);
    ctx.translate(0, heights[0]);
    if (heights[1]) drawProfileInto(ctx, width, heights[1]);
    lines.forEach((line, i) => write(ctx, line, 12, heights[1] + 22 + 17 * i, { text: theme.ink }));
    picture.toBlob((blob) => {
      const href = URL.createObjectURL(blob);
      tag("a", { href, download: `${volume.stem}-${state.plane}.png` }).click();
      URL.revokeObjectURL(href);
    });
  }

  function wrap(ctx, text, width) {
    const lines = [""];
    for (const word of text.split(" ")) {
      const longer = lines.at(-1) ? `${lines.at(-1)} ${word}` : word;
      if (ctx.measureText(longer).width <= width) lines[lines.length - 1] = longer;
      else lines.push(word);
    }
    return lines;
  }

  // ---- mouse, touch, keyboard ---------------------------------------------------------------------------------

  function listen(canvas) {
    const pressed = new Map(); // pointer id -> [x, y]
    let drag = null; // {kind, pane, at}
    let holdingW = false;
    let scrolled = 0;
    let lastTap = { time: 0, at: [0, 0] };
    const where = (event) => {
      const box = canvas.getBoundingClientRect();
      return [event.clientX - box.left, event.clientY - box.top];
    };
    const paneAt = ([x, y]) => panesFor(canvas.clientWidth, canvas.clientHeight).find((pane) => x >= pane.x && y >= pane.y && x < pane.x + pane.width && y < pane.y + pane.height);
    const voxelAt = (pane, xy) => {
      const voxel = [...state.voxel];
      frameOf(pane).toPlane(xy).forEach((p, k) => (voxel[axesOf(pane.plane)[k]] = p));
      return voxel;
    };
    const nearDivider = (pane, xy) => comparing() && state.compare === "swipe" && Math.abs(xy[0] - pane.x - state.split * pane.width) < 9;
    const kindOf = (event, pane, xy) => {
      if (event.button === 2 || (event.button === 0 && holdingW)) return "window";
      if (event.button === 1 || event.shiftKey) return "pan";
      if (nearDivider(pane, xy)) return "divide";
      return state.profiling ? "line" : "crosshair";
    };
    const follow = (xy) => {
      const { kind, pane, at } = drag;
      const [dx, dy] = [xy[0] - at[0], xy[1] - at[1]];
      drag.at = xy;
      if (kind === "crosshair") moveTo(voxelAt(pane, xy));
      else if (kind === "window") dragWindow(pane.layer, dx, dy);
      else if (kind === "pan") panBy(pane, dx, dy);
      else if (kind === "divide") change({ split: Math.min(1, Math.max(0, (xy[0] - pane.x) / pane.width)) });
      else if (kind === "line") change({ line: { plane: pane.plane, ends: [drag.from, frameOf(pane).toPlane(xy)] } });
    };
    // Two fingers: whichever moves first, their distance (zoom and pan) or their middle (window), decides.
    const gesture = () => {
      const [a, b] = [...pressed.values()];
      const middle = [(a[0] + b[0]) / 2, (a[1] + b[1]) / 2];
      const apart = Math.hypot(a[0] - b[0], a[1] - b[1]);
      if (drag.kind !== "pinch" && drag.kind !== "window") {
        drag.start ??= { middle, apart };
        if (Math.abs(apart - drag.start.apart) > 12) drag.kind = "pinch";
        else if (Math.hypot(middle[0] - drag.start.middle[0], middle[1] - drag.start.middle[1]) > 12) drag.kind = "window";
      } else if (drag.kind === "pinch") {
        panBy(drag.pane, middle[0] - drag.middle[0], middle[1] - drag.middle[1]);
        zoomAt(drag.pane, apart / drag.apart, middle);
      } else dragWindow(drag.pane.layer, middle[0] - drag.middle[0], middle[1] - drag.middle[1]);
      Object.assign(drag, { middle, apart });
    };

    canvas.addEventListener("pointerdown", (event) => {
      const xy = where(event);
      const pane = volume && paneAt(xy);
      if (!pane) return;
      event.preventDefault();
      canvas.focus({ preventScroll: true });
      canvas.setPointerCapture(event.pointerId);
      pressed.set(event.pointerId, xy);
      state.pointer = null;
      if (pressed.size === 2) drag = { kind: "gesture", pane: drag?.pane ?? pane };
      if (pressed.size > 1) return;
      drag = { kind: kindOf(event, pane, xy), pane, at: xy, from: frameOf(pane).toPlane(xy) };
      if (state.layout === "planes" && pane.plane !== state.plane) change({ plane: pane.plane });
      if (drag.kind === "crosshair") follow(xy);
    });
    canvas.addEventListener("pointermove", (event) => {
      if (!volume) return;
      const xy = where(event);
      if (pressed.has(event.pointerId)) {
        pressed.set(event.pointerId, xy);
        if (pressed.size === 1) follow(xy);
        else if (pressed.size === 2) gesture();
        return;
      }
      const pane = paneAt(xy);
      canvas.style.cursor = pane && nearDivider(pane, xy) ? "ew-resize" : "crosshair";
      const voxel = pane && voxelAt(pane, xy).map(Math.round);
      const inside = voxel?.every((x, axis) => x >= 0 && x < volume.shape[axis]);
      change({ pointer: inside && event.pointerType === "mouse" ? voxel : null });
    });
    for (const end of ["pointerup", "pointercancel"]) {
      canvas.addEventListener(end, (event) => {
        pressed.delete(event.pointerId);
        if (pressed.size === 0) drag = null;
        else if (drag) drag.kind = "none"; // a finger lifted from a gesture is not a crosshair move
      });
    }
    canvas.addEventListener("pointerleave", () => volume && state.pointer && change({ pointer: null }));
    canvas.addEventListener("dblclick", () => volume && reset());
    canvas.addEventListener("contextmenu", (event) => event.preventDefault());
    canvas.addEventListener(
      "wheel",
      (event) => {
        const xy = where(event);
        const pane = volume && paneAt(xy);
        if (!pane) return;
        event.preventDefault();
        const pixels = event.deltaY * [1, 33, 400][event.deltaMode] || event.deltaX; // Shift turns the wheel sideways
        if (event.ctrlKey) return zoomAt(pane, Math.exp(-pixels / 300), xy);
        scrolled = Math.sign(pixels) === Math.sign(scrolled) ? scrolled + pixels : pixels;
        const notches = Math.trunc(scrolled / 50) && Math.sign(scrolled) * Math.max(1, Math.floor(Math.abs(scrolled) / 100));
        if (!notches) return;
        scrolled = 0;
        step(PLANES[pane.plane].across, -notches * (event.shiftKey ? 10 : 1));
      },
      { passive: false },
    );
    canvas.addEventListener("keyup", (event) => {
      if (event.key.toLowerCase() === "w") holdingW = false;
    });
    canvas.addEventListener("blur", () => (holdingW = false));
    canvas.addEventListener("keydown", (event) => {
      if (!volume || event.ctrlKey || event.metaKey || event.altKey) return;
      const [u, v] = axesOf(state.plane);
      const { across } = PLANES[state.plane];
      const stride = event.shiftKey ? 10 : 1;
      const main = panesFor(canvas.clientWidth, canvas.clientHeight).find((pane) => pane.plane === state.plane);
      const centre = () => frameOf(main).toScreen(axesOf(state.plane).map((axis) => state.voxel[axis]));
      const actions = {
        arrowleft: () => step(u, -horizontalSign(state.plane) * stride),
        arrowright: () => step(u, horizontalSign(state.plane) * stride),
        arrowup: () => step(v, stride),
        arrowdown: () => step(v, -stride),
        pageup: () => step(across, stride),
        pagedown: () => step(across, -stride),
        a: () => change({ plane: "axial" }),
        c: () => change({ plane: "coronal" }),
        s: () => change({ plane: "sagittal" }),
        "[": () => nextLayer(-1),
        "]": () => nextLayer(1),
        "+": () => zoomAt(main, 1.25, centre()),
        "=": () => zoomAt(main, 1.25, centre()),
        "-": () => zoomAt(main, 0.8, centre()),
        0: reset,
        w: () => (holdingW = true),
        p: toggleProfile,
        x: () => change({ crosshair: !state.crosshair }),
        f: () => change({ radiological: !state.radiological }),
        h: toggleHelp,
      };
      PRESETS.forEach((_, i) => (actions[i + 1] = () => preset(i)));
      const action = actions[event.key.toLowerCase()];
      if (!action) return;
      event.preventDefault();
      state.pointer = null;
      action();
    });
  }

  function toggleHelp() {
    dom.help.hidden = !dom.help.hidden;
    dom.toggles.help.setAttribute("aria-expanded", !dom.help.hidden);
  }

  // ---- controls -----------------------------------------------------------------------------------------------

  function segmented(legend, options, choose) {
    const name = `${root.id}-${legend.toLowerCase().replace(/\W/g, "-")}`;
    const holder = tag("span", { class: "gl-segments" });
    const element = tag("fieldset", { class: "gl-field" }, tag("legend", {}, legend), holder);
    const fill = (pairs) =>
      holder.replaceChildren(...pairs.map(([value, text]) => tag("label", {}, tag("input", { type: "radio", name, value, onchange: () => choose(value) }), tag("span", {}, text))));
    const set = (value) => holder.querySelectorAll("input").forEach((input) => (input.checked = input.value === value));
    fill(options);
    return { element, fill, set };
  }

  function build() {
    const button = (text, title, onclick, attributes = {}) => tag("button", { type: "button", title, onclick: () => volume && onclick(), ...attributes }, text);
    const toggle = (text, title, onclick) => button(text, title, onclick, { "aria-pressed": "false" });
    const layer = segmented("Layer", [], (value) => change({ layer: value }));
    const layout = segmented("Layout", [["main", "1 + 2"], ["planes", "3 planes"], ["layers", "All layers"]], (value) => change({ layout: value }));
    const plane = segmented("Plane", Object.entries(PLANES).map(([name, { title }]) => [name, title]), (value) => change({ plane: value }));
    const compare = segmented("Compare", [["off", "Off"], ["swipe", "Swipe"], ["blend", "Blend"]], (value) => change({ compare: value }));
    const other = tag("select", { "aria-label": "Compare with", onchange: () => change({ other: other.value }) });
    const mix = tag("input", { type: "range", min: 0, max: 1, step: 0.01, "aria-label": "Share of the other layer", oninput: () => change({ mix: Number(mix.value) }) });
    compare.element.append(other, mix);
    const typed = () => {
      const shown = volume && layerNamed(state.layer);
      const [w, l] = [Number(width.value), Number(level.value)];
      if (shown && w > 0) setRange(shown, shown.kind === "image" ? [l - w / 2, l + w / 2] : [0, w]);
    };
    const width = tag("input", { type: "number", step: "any", "aria-label": "Window width", onchange: typed });
    const level = tag("input", { type: "number", step: "any", "aria-label": "Window level", onchange: typed });
    const windows = tag(
      "fieldset",
      { class: "gl-field" },
      tag("legend", {}, "Window"),
      tag("span", { class: "gl-buttons" }, ...PRESETS.map(({ title, width: w, level: l }, i) => button(title, w ? `CT width ${w}, level ${l} HU (key ${i + 1})` : `All CT values (key ${i + 1})`, () => preset(i)))),
      tag("label", {}, "W", width),
      tag("label", {}, "L", level),
    );
    const toggles = {
      crosshair: toggle("Crosshair", "Show the crosshair (X)", () => change({ crosshair: !state.crosshair })),
      profiling: toggle("Profile", "Values along a line (P): drag the line in a picture", toggleProfile),
      radiological: toggle("Neurological", "Patient's left on the left of the screen (F)", () => change({ radiological: !state.radiological })),
      reset: button("Reset", "Zoom, pan and windows (double click or 0)", reset),
      save: button("Save PNG", "This picture with a caption that says how it was made", savePicture),
      help: button("Keys", "Mouse, touch and keys (H)", toggleHelp, { "aria-expanded": "false" }),
    };
    const slice = tag("input", { type: "range", min: 0, step: 1, class: "gl-slice", oninput: () => step(PLANES[state.plane].across, Number(slice.value) - sliceIndex(state.plane)) });
    const status = tag("div", { role: "status", "aria-live": "polite", class: "gl-spoken" });
    status.id = `${root.id}-status`;
    const canvas = tag("canvas", { tabindex: "0", role: "application", class: "gl-canvas", "aria-roledescription": "volume viewer", "aria-label": "Three linked planes through the head. Arrow keys move the crosshair, Page Up and Page Down change the slice, H lists all keys.", "aria-describedby": status.id });
    const readout = tag("div", { class: "gl-readout" });
    const profile = tag("canvas", { role: "img", class: "gl-profile", "aria-label": "Values of every layer along the line, in HU against mm", hidden: true });
    const help = tag("dl", { class: "gl-help", hidden: true }, ...HELP.map(([keys, what]) => tag("div", {}, tag("dt", {}, keys), tag("dd", {}, what))));
    root.classList.add("gl-viewer");
    root.replaceChildren(
      tag("div", { class: "gl-bar" }, layer.element, compare.element, plane.element, layout.element, windows, tag("span", { class: "gl-buttons" }, ...Object.values(toggles))),
      help,
      canvas,
      slice,
      readout,
      profile,
      status,
    );
    return { layer, layout, plane, compare, other, mix, width, level, toggles, slice, status, canvas, readout, profile, help };
  }

  listen(dom.canvas);
  new ResizeObserver(redraw).observe(root);
  new MutationObserver(() => {
    theme = readTheme();
    redraw();
  }).observe(document.body, { attributeFilter: ["class"] });
  watch("value", () => show(props.value));
  show(props.value);
}
