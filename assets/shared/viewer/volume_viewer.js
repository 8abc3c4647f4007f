// The volume viewer: linked planes of registered layers on one canvas, driven by mouse, touch and keyboard.
// volumeViewer(root, props, watch) fills `root` and shows the manifest in props.value, now and when it changes.

const MAX_RASTER = 7e5; // pixels computed for one picture; denser screens scale them up
const PROFILE_HEIGHT = 250; // CSS pixels
const RELATIVE_RANGE = 30; // %, shown at first

function volumeViewer(root, props, watch) {
  const state = {
    plane: "axial",
    layout: "main", // one plane large and two small | "planes": three alike | "layers": one plane of every layer
    layer: "synthetic",
    error: "signed", // the error that the "layers" layout shows
    compare: "swipe", // "off" | "swipe" | "blend"
    other: "input", // the layer compared with
    rivals: false, // whether two models are shown
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
  const viewer = {
    state,
    volume: null,
    change,
    comparing,
    moveTo,
    step,
    seek: (index) => step(PLANES[state.plane].across, index - sliceIndex(viewer, state.plane)),
    preset,
    typeWindow,
    dragWindow,
    zoomAt,
    panBy,
    reset,
    nextLayer,
    toggleProfile,
    toggleHelp,
    savePicture,
  };
  const dom = buildControls(root, viewer);
  const scratch = tag("canvas");
  let theme = readTheme();
  let message = "";
  let loading = null; // AbortController of the fetch under way
  let scheduled = false;

  // ---- layers and the ranges they are shown with --------------------------------------------------------------

  function layerNamed(name) {
    return viewer.volume.layers.find((layer) => layer.name === name);
  }

  // The layer that the shown one is compared with, if it is.
  function comparing() {
    const off = state.compare === "off" || state.layout === "layers" || state.other === state.layer;
    return off ? null : layerNamed(state.other);
  }

  // Layers with the same unit share a window. Without a unit, the input and its reconstruction share one and all other
  // images another. All errors share a range, and so do all intervals.
  function groupOf(layer) {
    if (layer.kind !== "image") return ["relative", "interval"].includes(layer.kind) ? layer.kind : "error";
    return layer.unit || (["input", "reconstruction"].includes(layer.name) ? "input" : "synthetic");
  }

  function rangeOf(layer) {
    const [low, high] = state.ranges[groupOf(layer)];
    return ["absolute", "relative", "interval"].includes(layer.kind) ? [0, high] : [low, high];
  }

  function defaultRange(layer) {
    if (layer.kind === "image") return layer.window;
    const range = { relative: RELATIVE_RANGE, interval: layer.window?.[1] }[layer.kind] ?? viewer.volume.errorRange;
    return [-range, range];
  }

  function fullRange(unit) {
    let [low, high] = [Infinity, -Infinity];
    for (const layer of viewer.volume.layers.filter(({ kind, unit: its }) => kind === "image" && its === unit)) {
      for (const stored of layer.data) {
        const value = stored * layer.scale + layer.offset;
        if (value < low) low = value;
        if (value > high) high = value;
      }
    }
    return [low, high];
  }

  function paletteOf(layer) {
    if (layer.kind === "image") return palettes.grey;
    if (layer.kind !== "signed") return palettes.sequential;
    return theme.dark ? palettes.divergingDark : palettes.divergingLight;
  }

  function inkOf(layer) {
    return layer.kind === "signed" && !theme.dark ? DARK_INK : LIGHT_INK;
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
    const density = window.devicePixelRatio;
    const height = viewer.volume ? canvasHeight(viewer, width) : Math.round(width * (width < NARROW ? 1.2 : 0.6));
    const ctx = prepare(dom.canvas, width, height, density);
    if (viewer.volume) drawPanes(ctx, width, height, density);
    else write(ctx, message, width / 2, height / 2, LIGHT_INK, { align: "center", size: 14 });
    dom.profile.hidden = !(viewer.volume && state.profiling && state.line);
    if (dom.profile.hidden) return;
    drawLineProfile(prepare(dom.profile, width, PROFILE_HEIGHT, density), width);
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
    for (const pane of panesFor(viewer, width, height)) {
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
    const frame = frameOf(viewer, pane);
    const other = comparing();
    const swiping = other && state.compare === "swipe";
    const divider = pane.x + state.split * pane.width;
    const left = swiping ? { ...pane, width: state.split * pane.width } : pane;
    paint(ctx, left, plane, frame, layer, density);
    if (swiping) paint(ctx, { ...pane, x: divider, width: pane.width - left.width }, plane, frame, other, density);
    else if (other) {
      ctx.globalAlpha = state.mix;
      paint(ctx, pane, plane, frame, other, density);
      ctx.globalAlpha = 1;
    }
    const ink = inkOf(layer);
    const inkRight = swiping ? inkOf(other) : ink;
    if (state.crosshair) drawCrosshair(ctx, pane, frame.toScreen(crosshairIn(viewer, plane)), ink);
    if (swiping) drawDivider(ctx, pane, divider);
    if (state.profiling && state.line?.plane === plane) drawLine(ctx, state.line.ends.map(frame.toScreen), ink);
    drawLetters(ctx, pane, lettersOf(viewer, plane), ink, swiping ? divider : NaN);
    const { title, across } = PLANES[plane];
    const place = `${title} ${sliceIndex(viewer, plane) + 1}/${viewer.volume.shape[across]}`;
    if (!pane.large) return drawCaption(ctx, pane, [pane.width < 240 ? title : place], ink);
    drawCaption(ctx, pane, [place, layer.label, windowText(layer)], ink);
    if (other) drawCaption(ctx, pane, [other.label, windowText(other)], inkRight, "right");
    drawScaleBar(ctx, pane, frame.scale, ink);
    if (pane.height < 180) return;
    if (other) drawColourBar(ctx, pane, paletteOf(layer), rangeOf(layer), layer.unit, ink, "left");
    const last = other ?? layer;
    drawColourBar(ctx, pane, paletteOf(last), rangeOf(last), last.unit, inkRight);
  }

  // Fill a box of the canvas with what a layer holds there.
  function paint(ctx, { x, y, width: w, height: h }, plane, frame, layer, density) {
    const fineness = Math.min(density, Math.sqrt(MAX_RASTER / (w * h)));
    const [width, height] = [w, h].map((length) => Math.max(1, Math.round(length * fineness)));
    const at = (i, j) => frame.toPlane([x + ((i + 0.5) * w) / width, y + ((j + 0.5) * h) / height]);
    const [first, next] = [at(0, 0), at(1, 1)];
    const raster = { width, height, u: first[0], v: first[1], du: next[0] - first[0], dv: next[1] - first[1] };
    const range = rangeOf(layer);
    const values = sliceOf(viewer.volume, layer, plane, sliceIndex(viewer, plane));
    const outside = layer.kind === "image" ? range[0] : 0;
    const image = new ImageData(width, height);
    const pixels = new Uint32Array(image.data.buffer);
    paintSlice(values, sizeOf(viewer, plane), raster, paletteOf(layer), range, outside, pixels);
    [scratch.width, scratch.height] = [width, height];
    scratch.getContext("2d").putImageData(image, 0, 0);
    ctx.drawImage(scratch, x, y, w, h);
  }

  function drawLineProfile(ctx, width) {
    const { plane, ends } = state.line;
    const spacing = axesOf(plane).map((axis) => viewer.volume.spacing[axis]);
    const length = Math.hypot(...[0, 1].map((k) => (ends[1][k] - ends[0][k]) * spacing[k]));
    const samples = Math.max(2, Math.ceil((2 * length) / Math.min(...spacing)));
    const along = (i) => ends[0].map((p, k) => p + ((ends[1][k] - p) * i) / (samples - 1));
    const colours = { synthetic: SYNTHETIC, reference: theme.dark ? REAL_ON_DARK : REAL };
    const images = viewer.volume.layers.filter((layer) => layer.kind === "image");
    const series = images
      .sort((a, b) => (b.unit === "HU") - (a.unit === "HU"))
      .map((layer) => {
        const slice = sliceOf(viewer.volume, layer, plane, sliceIndex(viewer, plane));
        const values = Array.from({ length: samples }, (_, i) => sampleSlice(slice, sizeOf(viewer, plane), along(i)));
        return { label: layer.label, unit: layer.unit, colour: colours[layer.name] ?? theme.muted, values };
      });
    drawProfile(ctx, width, PROFILE_HEIGHT, length || 1, series, theme);
  }

  function readTheme() {
    const style = getComputedStyle(root);
    const colour = (name) => style.getPropertyValue(`--gl-${name}`).trim();
    const dark = document.body.classList.contains("dark");
    return { dark, ink: colour("ink"), muted: colour("muted"), line: colour("line"), page: colour("page") };
  }

  // ---- words --------------------------------------------------------------------------------------------------

  function windowText(layer) {
    const [low, high] = rangeOf(layer);
    const span = high - low;
    if (layer.kind === "signed") return `\u00b1${formatValue(high, span)} ${layer.unit}`;
    const plusMinus = layer.kind === "interval" ? "\u00b1" : "";
    if (layer.kind !== "image") return `${plusMinus}0 to ${plusMinus}${formatValue(high, span)} ${layer.unit}`;
    return `W ${formatValue(span, span)} L ${formatValue((low + high) / 2, span)}`;
  }

  // "312 HU", and " \u00b1 140 HU" where the layer has a 90 % interval.
  function valueText(layer, voxel) {
    const value = valueAt(viewer.volume, layer, voxel);
    const whole = layer.unit === "HU";
    const [low, high] = defaultRange(layer);
    const text = whole ? formatValue(Math.round(value), 100) : formatValue(value, high - low);
    const sign = layer.kind === "interval" ? "\u00b1 " : layer.kind === "signed" && value > 0 ? "+" : "";
    const interval = viewer.volume.layers.find(({ of }) => of === layer.name);
    const after = interval ? ` ${valueText(interval, voxel)}` : "";
    return `${sign}${text}${layer.unit ? ` ${layer.unit}` : ""}${after}`;
  }

  // The layers whose values are read out; an interval is part of its image's value.
  function readOut() {
    return viewer.volume.layers.filter(({ kind }) => kind !== "interval");
  }

  function placeText(voxel) {
    return `${positionText(worldOf(viewer.volume, voxel))} mm`;
  }

  function sliceText() {
    const { title, across } = PLANES[state.plane];
    return `${title} slice ${sliceIndex(viewer, state.plane) + 1} of ${viewer.volume.shape[across]}`;
  }

  // "Slice 87: 0.12 (11 %)": a cycle's error in the axial slice of the crosshair; nothing of other cases.
  function sliceErrorText() {
    const { sliceErrors, relativeTo, errorRange, layers } = viewer.volume;
    if (!sliceErrors) return "";
    const [index, unit] = [state.voxel[2], layers[0].unit && ` ${layers[0].unit}`];
    const error = sliceErrors[index];
    const text =
      error === null
        ? "no head"
        : `${formatValue(error, errorRange)}${unit} (${Math.round((100 * error) / relativeTo)} %)`;
    return `Slice ${index + 1}: ${text}`;
  }

  function statusText() {
    const { title } = viewer.volume;
    const shown = layerNamed(state.layer);
    const values = readOut().map((layer) => `${layer.label} ${valueText(layer, state.voxel)}`).join(", ");
    const view = `${sliceText()}, ${shown.label}, ${windowText(shown)}`;
    return `${title}. ${view}. Crosshair at ${placeText(state.voxel)}: ${values}.${sliceErrorText() && ` Cycle error, axial ${sliceErrorText().toLowerCase()}.`}`;
  }

  function say(text) {
    if (dom.status.textContent !== text) dom.status.textContent = text;
  }

  // ---- changes ------------------------------------------------------------------------------------------------

  // Everything that changes the state goes through here: controls, read-out, spoken status and picture follow.
  function change(update = {}) {
    Object.assign(state, update);
    if (!viewer.volume) return;
    const layer = layerNamed(state.layer);
    if (layer.kind !== "image") state.error = layer.kind;
    showControls(layer);
    const shown = state.pointer ?? state.voxel;
    const item = (name, text) => tag("span", {}, tag("b", {}, name), ` ${text}`);
    dom.readout.replaceChildren(
      item(state.pointer ? "Pointer" : "Crosshair", placeText(shown)),
      ...readOut().map((one) => item(one.label, valueText(one, shown))),
    );
    const ofSlice = sliceErrorText();
    if (ofSlice) {
      dom.readout.append(item("Axial", ofSlice.toLowerCase()));
      root.dispatchEvent(
        new CustomEvent("slice", { bubbles: true, detail: { index: state.voxel[2], words: ofSlice } }),
      );
    }
    say(statusText());
    redraw();
  }

  function showControls(layer) {
    for (const name of ["layer", "layout", "plane", "compare"]) dom[name].set(state[name]);
    const alone = state.layout === "layers";
    dom.compare.element.disabled = alone;
    dom.other.value = state.other;
    dom.other.disabled = alone || state.compare === "off";
    dom.mix.hidden = alone || state.compare !== "blend";
    dom.mix.value = state.mix;
    const [low, high] = rangeOf(layer);
    const isImage = layer.kind === "image";
    const typed = (value) => Number(value.toFixed(high - low >= 20 ? 0 : 3));
    dom.level.parentElement.hidden = !isImage;
    dom.width.previousSibling.textContent = isImage ? "W" : layer.kind === "signed" ? "\u00b1" : "to";
    if (document.activeElement !== dom.width) dom.width.value = typed(isImage ? high - low : high);
    if (document.activeElement !== dom.level) dom.level.value = typed((low + high) / 2);
    const { across, title } = PLANES[state.plane];
    dom.slice.max = viewer.volume.shape[across] - 1;
    dom.slice.value = state.voxel[across];
    dom.slice.setAttribute("aria-label", `${title} slice`);
    const pressed = { crosshair: state.crosshair, profiling: state.profiling, neurological: !state.radiological };
    for (const [name, on] of Object.entries(pressed)) dom.toggles[name].setAttribute("aria-pressed", on);
  }

  function moveTo(voxel) {
    change({ voxel: clampVoxel(viewer.volume, voxel) });
  }

  function step(axis, by) {
    const voxel = [...state.voxel];
    voxel[axis] += by;
    moveTo(voxel);
  }

  function setRange(layer, [low, high]) {
    if (layer.kind === "image") {
      const least = (layer.window[1] - layer.window[0]) / 1000;
      const [middle, half] = [(low + high) / 2, Math.max(least, high - low) / 2];
      state.ranges[groupOf(layer)] = [middle - half, middle + half];
    } else {
      const range = Math.max(defaultRange(layer)[1] / 300, high);
      state.ranges[groupOf(layer)] = [-range, range];
    }
    change();
  }

  function preset(number) {
    if (!viewer.volume.layers.some((layer) => layer.unit === "HU")) return;
    const { width, level } = PRESETS[number];
    state.ranges.HU = width ? [level - width / 2, level + width / 2] : fullRange("HU");
    change();
  }

  function typeWindow(width, level) {
    const layer = viewer.volume && layerNamed(state.layer);
    if (layer && width > 0)
      setRange(layer, layer.kind === "image" ? [level - width / 2, level + width / 2] : [0, width]);
  }

  // Sideways the width, downwards the level, so that pulling down darkens; of an error the range.
  function dragWindow(layer, dx, dy) {
    const [low, high] = rangeOf(layer);
    if (layer.kind !== "image") return setRange(layer, [0, high * (1 + dx / 200)]);
    const perPixel = (high - low) / 300;
    const [width, level] = [high - low + dx * perPixel, (low + high) / 2 + dy * perPixel];
    setRange(layer, [level - width / 2, level + width / 2]);
  }

  function zoomAt(pane, factor, xy) {
    const view = state.views[pane.plane];
    const before = frameOf(viewer, pane).toPlane(xy);
    view.zoom = Math.min(20, Math.max(0.5, view.zoom * factor));
    const after = frameOf(viewer, pane).toPlane(xy);
    axesOf(pane.plane).forEach((axis, k) => (view.pan[k] += (before[k] - after[k]) * viewer.volume.spacing[axis]));
    change();
  }

  function panBy(pane, dx, dy) {
    const { scale, signs } = frameOf(viewer, pane);
    const { pan } = state.views[pane.plane];
    pan[0] -= (signs[0] * dx) / scale;
    pan[1] -= (signs[1] * dy) / scale;
    change();
  }

  function resetViews() {
    for (const plane of Object.keys(PLANES)) state.views[plane] = { zoom: 1, pan: [0, 0] };
  }

  function reset() {
    resetViews();
    for (const layer of viewer.volume.layers) state.ranges[groupOf(layer)] = defaultRange(layer);
    change();
  }

  function toggleProfile() {
    const { plane } = state;
    if (!state.profiling && state.line?.plane !== plane) {
      const [u, v] = axesOf(plane);
      const ends = [0, viewer.volume.shape[u] - 1].map((across) => [across, state.voxel[v]]);
      if (horizontalSign(viewer, plane) < 0) ends.reverse(); // from the left of the screen to its right
      state.line = { plane, ends };
    }
    change({ profiling: !state.profiling });
  }

  function nextLayer(by) {
    const { layers } = viewer.volume;
    const at = layers.findIndex((layer) => layer.name === state.layer) + by + layers.length;
    change({ layer: layers[at % layers.length].name });
  }

  function toggleHelp() {
    dom.help.hidden = !dom.help.hidden;
    dom.helpButton.setAttribute("aria-expanded", !dom.help.hidden);
  }

  // ---- loading and saving -------------------------------------------------------------------------------------

  // Show a manifest's volumes; the current ones stay until loading is complete. root.dataset tells: state, token.
  async function show(manifest) {
    loading?.abort();
    if (!manifest?.layers) return;
    loading = new AbortController();
    root.dataset.state = "loading";
    if (!viewer.volume) announce("Loading the volumes \u2026");
    try {
      accept(await loadVolume(manifest, loading.signal));
    } catch (error) {
      if (error.name === "AbortError") return;
      root.dataset.state = "error";
      announce(error.message);
    }
  }

  function accept(volume) {
    const alike = viewer.volume && String(viewer.volume.shape) === String(volume.shape);
    const known = viewer.volume?.errorRange;
    viewer.volume = volume;
    if (!layerNamed(state.layer)) state.layer = "synthetic";
    const rivals = volume.layers.some(({ name }) => name === "rival");
    if (rivals !== state.rivals) state.other = rivals ? "rival" : "input"; // two models were requested for comparison
    state.rivals = rivals;
    if (!layerNamed(state.other)) state.other = "input";
    if (!alike) Object.assign(state, { line: null, profiling: false });
    state.pointer = null;
    state.voxel = clampVoxel(volume, volume.crosshair);
    resetViews();
    for (const layer of volume.layers) {
      const group = groupOf(layer); // CT windows stay as they were chosen, MR has no fixed scale
      const kept = layer.unit === "HU" || (layer.kind !== "image" && known === volume.errorRange);
      if (!kept || !state.ranges[group]) state.ranges[group] = defaultRange(layer);
    }
    dom.presets.hidden = !volume.layers.some((layer) => layer.unit === "HU");
    dom.layer.fillGroups(layerGroups(volume));
    dom.other.replaceChildren(...volume.layers.map(({ name, label }) => tag("option", { value: name }, label)));
    root.dataset.state = "ready";
    root.dataset.token = volume.token;
    change();
  }

  function announce(text) {
    message = text;
    say(text);
    redraw();
  }

  function captionLines() {
    const [layer, other] = [layerNamed(state.layer), comparing()];
    const beside = other ? `, ${state.compare} with ${other.label} ${windowText(other)}` : "";
    const sides = state.radiological ? "radiological" : "neurological";
    const shown = state.layout === "layers" ? "all layers" : `${layer.label} ${windowText(layer)}${beside}`;
    const view = `${sliceText()}, crosshair ${placeText(state.voxel)}; ${shown}; ${sides} convention.`;
    return [view, ...viewer.volume.caption];
  }

  // The current canvas, with its profile and a caption that says how it was made, as a PNG.
  function savePicture() {
    const density = 2;
    const [width, height] = [dom.canvas.clientWidth, dom.canvas.clientHeight];
    const below = dom.profile.hidden ? 0 : PROFILE_HEIGHT;
    const picture = tag("canvas");
    const ctx = picture.getContext("2d");
    ctx.font = `12px ${FONT}`;
    const lines = captionLines().flatMap((text) => wrap(ctx, text, width - 24));
    const total = height + below + 20 + 17 * lines.length;
    [picture.width, picture.height] = [width * density, total * density];
    ctx.setTransform(density, 0, 0, density, 0, 0);
    ctx.fillStyle = theme.page;
    ctx.fillRect(0, 0, width, total);
    ctx.fillStyle = "#000";
    ctx.fillRect(0, 0, width, height);
    drawPanes(ctx, width, height, density);
    ctx.translate(0, height);
    if (below) drawLineProfile(ctx, width);
    lines.forEach((line, i) => write(ctx, line, 12, below + 22 + 17 * i, { text: theme.ink }));
    picture.toBlob((blob) => {
      const href = URL.createObjectURL(blob);
      tag("a", { href, download: `${viewer.volume.stem}-${state.plane}.png` }).click();
      URL.revokeObjectURL(href);
    });
  }

  listen(dom.canvas, viewer);
  new ResizeObserver(redraw).observe(root);
  new MutationObserver(() => {
    theme = readTheme();
    redraw();
  }).observe(document.body, { attributeFilter: ["class"] });
  watch("value", () => show(props.value));
  show(props.value);
}
