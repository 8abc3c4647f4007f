// Mouse, touch and keyboard on the canvas, turned into the actions of a viewer (see volumeViewer).

const NOTCH = 100; // pixels of scrolling that make one slice
const GRIP = 9; // pixels to either side of the swipe's divider

function listen(canvas, viewer) {
  const { state, change } = viewer;
  const pressed = new Map(); // pointer id -> [x, y]
  let drag = null; // {kind, pane, at, from}
  let holdingW = false;
  let scrolled = 0;

  const where = (event) => {
    const box = canvas.getBoundingClientRect();
    return [event.clientX - box.left, event.clientY - box.top];
  };
  const panes = () => panesFor(viewer, canvas.clientWidth, canvas.clientHeight);
  const paneAt = ([x, y]) =>
    panes().find((pane) => x >= pane.x && y >= pane.y && x < pane.x + pane.width && y < pane.y + pane.height);
  const voxelAt = (pane, xy) => {
    const voxel = [...state.voxel];
    frameOf(viewer, pane)
      .toPlane(xy)
      .forEach((p, k) => (voxel[axesOf(pane.plane)[k]] = p));
    return voxel;
  };
  const onDivider = (pane, [x]) =>
    viewer.comparing() && state.compare === "swipe" && Math.abs(x - pane.x - state.split * pane.width) < GRIP;

  function kindOf(event, pane, xy) {
    if (event.button === 2 || (event.button === 0 && holdingW)) return "window";
    if (event.button === 1 || event.shiftKey) return "pan";
    if (onDivider(pane, xy)) return "divide";
    return state.profiling ? "line" : "crosshair";
  }

  function follow(xy) {
    const { kind, pane, at, from } = drag;
    const [dx, dy] = [xy[0] - at[0], xy[1] - at[1]];
    drag.at = xy;
    if (kind === "crosshair") viewer.moveTo(voxelAt(pane, xy));
    else if (kind === "window") viewer.dragWindow(pane.layer, dx, dy);
    else if (kind === "pan") viewer.panBy(pane, dx, dy);
    else if (kind === "divide") change({ split: Math.min(1, Math.max(0, (xy[0] - pane.x) / pane.width)) });
    else if (kind === "line") change({ line: { plane: pane.plane, ends: [from, frameOf(viewer, pane).toPlane(xy)] } });
  }

  // Two fingers: the first change decides, their distance (zoom and pan) or their middle (window).
  function gesture() {
    const [a, b] = [...pressed.values()];
    const middle = [(a[0] + b[0]) / 2, (a[1] + b[1]) / 2];
    const apart = Math.hypot(a[0] - b[0], a[1] - b[1]);
    const { kind, pane, start } = drag;
    if (kind === "pinch") {
      viewer.panBy(pane, middle[0] - drag.middle[0], middle[1] - drag.middle[1]);
      viewer.zoomAt(pane, apart / drag.apart, middle);
    } else if (kind === "window") viewer.dragWindow(pane.layer, middle[0] - drag.middle[0], middle[1] - drag.middle[1]);
    else if (!start) drag.start = { middle, apart };
    else if (Math.abs(apart - start.apart) > 12) drag.kind = "pinch";
    else if (Math.hypot(middle[0] - start.middle[0], middle[1] - start.middle[1]) > 12) drag.kind = "window";
    Object.assign(drag, { middle, apart });
  }

  canvas.addEventListener("pointerdown", (event) => {
    const xy = where(event);
    const pane = viewer.volume && paneAt(xy);
    if (!pane) return;
    event.preventDefault();
    canvas.focus({ preventScroll: true });
    canvas.setPointerCapture(event.pointerId);
    pressed.set(event.pointerId, xy);
    state.pointer = null;
    if (pressed.size === 2) drag = { kind: "gesture", pane: drag?.pane ?? pane };
    if (pressed.size > 1) return;
    drag = { kind: kindOf(event, pane, xy), pane, at: xy, from: frameOf(viewer, pane).toPlane(xy) };
    if (state.layout === "planes" && pane.plane !== state.plane) change({ plane: pane.plane });
    if (drag.kind === "crosshair") follow(xy);
  });

  canvas.addEventListener("pointermove", (event) => {
    if (!viewer.volume) return;
    const xy = where(event);
    if (pressed.has(event.pointerId)) {
      pressed.set(event.pointerId, xy);
      if (pressed.size === 1 && drag) follow(xy);
      else if (pressed.size === 2) gesture();
      return;
    }
    const pane = paneAt(xy);
    canvas.style.cursor = pane && onDivider(pane, xy) ? "ew-resize" : "crosshair";
    const voxel = pane && voxelAt(pane, xy).map(Math.round);
    const inside = voxel?.every((x, axis) => x >= 0 && x < viewer.volume.shape[axis]);
    change({ pointer: inside && event.pointerType === "mouse" ? voxel : null });
  });

  for (const end of ["pointerup", "pointercancel"]) {
    canvas.addEventListener(end, (event) => {
      pressed.delete(event.pointerId);
      if (pressed.size === 0) drag = null;
      else if (drag) drag.kind = "over"; // the last of two fingers does not move the crosshair
    });
  }
  canvas.addEventListener("pointerleave", () => state.pointer && change({ pointer: null }));
  canvas.addEventListener("dblclick", () => viewer.volume && viewer.reset());
  canvas.addEventListener("contextmenu", (event) => event.preventDefault());

  function scroll(event) {
    const xy = where(event);
    const pane = viewer.volume && paneAt(xy);
    if (!pane) return;
    event.preventDefault();
    const pixels = (event.deltaY || event.deltaX) * [1, 33, 400][event.deltaMode]; // Shift turns the wheel sideways
    if (event.ctrlKey) return viewer.zoomAt(pane, Math.exp(-pixels / 300), xy);
    scrolled = Math.sign(pixels) === Math.sign(scrolled) ? scrolled + pixels : pixels;
    const notches = Math.trunc(scrolled / NOTCH);
    if (!notches) return;
    scrolled = 0;
    viewer.step(PLANES[pane.plane].across, -notches * (event.shiftKey ? 10 : 1));
  }
  canvas.addEventListener("wheel", scroll, { passive: false });

  function actionFor(key, stride) {
    const { plane } = state;
    const [u, v] = axesOf(plane);
    const { across } = PLANES[plane];
    const right = horizontalSign(viewer, plane) * stride;
    const zoom = (factor) => {
      const pane = panes().find((one) => one.plane === plane);
      viewer.zoomAt(pane, factor, frameOf(viewer, pane).toScreen(crosshairIn(viewer, plane)));
    };
    const actions = {
      arrowleft: () => viewer.step(u, -right),
      arrowright: () => viewer.step(u, right),
      arrowup: () => viewer.step(v, stride),
      arrowdown: () => viewer.step(v, -stride),
      pageup: () => viewer.step(across, stride),
      pagedown: () => viewer.step(across, -stride),
      a: () => change({ plane: "axial" }),
      c: () => change({ plane: "coronal" }),
      s: () => change({ plane: "sagittal" }),
      "[": () => viewer.nextLayer(-1),
      "]": () => viewer.nextLayer(1),
      "+": () => zoom(1.25),
      "=": () => zoom(1.25),
      "-": () => zoom(0.8),
      0: viewer.reset,
      1: () => viewer.preset(0),
      2: () => viewer.preset(1),
      3: () => viewer.preset(2),
      4: () => viewer.preset(3),
      w: () => (holdingW = true),
      p: viewer.toggleProfile,
      x: () => change({ crosshair: !state.crosshair }),
      f: () => change({ radiological: !state.radiological }),
      h: viewer.toggleHelp,
    };
    return actions[key.toLowerCase()];
  }
  canvas.addEventListener("keydown", (event) => {
    if (!viewer.volume || event.ctrlKey || event.metaKey || event.altKey) return;
    const action = actionFor(event.key, event.shiftKey ? 10 : 1);
    if (!action) return;
    event.preventDefault();
    state.pointer = null;
    action();
  });
  canvas.addEventListener("keyup", (event) => {
    if (event.key.toLowerCase() === "w") holdingW = false;
  });
  canvas.addEventListener("blur", () => (holdingW = false));
}
