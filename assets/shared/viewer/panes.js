// Layout of the panes, and their coordinate transforms. viewer: {state, volume}. Nothing here draws.

const NARROW = 560; // CSS pixels below which panes are stacked

const axesOf = (plane) => PLANES[plane].axes;
const sizeOf = ({ volume }, plane) => axesOf(plane).map((axis) => volume.shape[axis]);
const sliceIndex = ({ state }, plane) => state.voxel[PLANES[plane].across];
const crosshairIn = ({ state }, plane) => axesOf(plane).map((axis) => state.voxel[axis]);

// 1 if voxel indices grow to the right of the screen, else -1. Sagittal planes face left in both conventions.
function horizontalSign({ state }, plane) {
  return plane === "sagittal" || state.radiological ? -1 : 1;
}

// Letters at the [left, right, top, bottom] of a plane.
function lettersOf(viewer, plane) {
  const [u, v] = axesOf(plane);
  const [low, high] = LETTERS[u];
  const sides = horizontalSign(viewer, plane) < 0 ? [high, low] : [low, high];
  return [...sides, LETTERS[v][1], LETTERS[v][0]];
}

// The layers of the layout that shows them all: every image and one error.
function layersShown({ state, volume }) {
  return volume.layers.filter((layer) => layer.kind === "image" || layer.kind === state.error);
}

function canvasHeight(viewer, width) {
  const shown = viewer.state.layout === "layers" ? layersShown(viewer).length : 3;
  const { layout } = viewer.state;
  if (width < NARROW)
    return Math.round(width * { main: 1.62, planes: 2.85, layers: 0.62 * Math.ceil(shown / 2) }[layout]);
  const room = Math.max(420, window.innerHeight - 210);
  return Math.round(Math.min(room, width * { main: 0.66, planes: 0.42, layers: shown > 2 ? 0.7 : 0.56 }[layout]));
}

// The panes of the present layout: [{plane, layer, x, y, width, height, large}].
function panesFor(viewer, width, height) {
  const { state, volume } = viewer;
  const narrow = width < NARROW;
  const layer = volume.layers.find(({ name }) => name === state.layer);
  const place = (plane, box, large = true, shown = layer) => {
    const [x, y, w, h] = box;
    return { plane, layer: shown, x, y, width: w, height: h, large };
  };
  if (state.layout === "planes") {
    const [w, h] = narrow ? [width, height / 3] : [width / 3, height];
    return Object.keys(PLANES).map((plane, i) => place(plane, narrow ? [0, i * h, w, h] : [i * w, 0, w, h]));
  }
  if (state.layout === "layers") {
    const shown = layersShown(viewer);
    const [w, h] = [width / 2, height / Math.ceil(shown.length / 2)];
    return shown.map((one, i) => place(state.plane, [(i % 2) * w, Math.floor(i / 2) * h, w, h], true, one));
  }
  const others = Object.keys(PLANES).filter((plane) => plane !== state.plane);
  if (narrow) {
    const [main, w] = [height * 0.68, width / 2];
    return [
      place(state.plane, [0, 0, width, main]),
      ...others.map((plane, i) => place(plane, [i * w, main, w, height - main], false)),
    ];
  }
  const [main, h] = [width * 0.64, height / 2];
  return [
    place(state.plane, [0, 0, main, height]),
    ...others.map((plane, i) => place(plane, [main, i * h, width - main, h], false)),
  ];
}

// How a pane shows its plane: CSS pixels per mm, and the maps between plane points [u, v] and CSS pixels.
function frameOf(viewer, pane) {
  const { state, volume } = viewer;
  const axes = axesOf(pane.plane);
  const { zoom, pan } = state.views[pane.plane];
  const spacing = axes.map((axis) => volume.spacing[axis]);
  const extent = axes.map((axis, k) => volume.shape[axis] * spacing[k]);
  const fit = Math.min((pane.width - 8) / extent[0], (pane.height - 8) / extent[1]);
  const scale = Math.max(0.01, fit) * zoom;
  const centre = [pane.x + pane.width / 2, pane.y + pane.height / 2];
  const signs = [horizontalSign(viewer, pane.plane), -1];
  const middle = extent.map((length, k) => length / 2 + pan[k]); // mm from the edge of the first voxel
  return {
    scale,
    signs,
    toScreen: (point) => point.map((p, k) => centre[k] + signs[k] * ((p + 0.5) * spacing[k] - middle[k]) * scale),
    toPlane: (xy) => xy.map((p, k) => (middle[k] + (signs[k] * (p - centre[k])) / scale) / spacing[k] - 0.5),
  };
}
