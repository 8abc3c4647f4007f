// Geometry of the volume viewer: voxels, millimetres, slices, screens, and the letters of the patient's sides.

import assert from "node:assert/strict";
import { test } from "node:test";

import { load, plain } from "./load.mjs";

const shared = load(
  ["shared/viewer/volume.js", "shared/viewer/panes.js"],
  [
    "PLANES",
    "clampVoxel",
    "worldOf",
    "positionText",
    "valueAt",
    "sliceOf",
    "sampleSlice",
    "paintSlice",
    "loadVolume",
    "layerGroups",
    "horizontalSign",
    "lettersOf",
    "panesFor",
    "frameOf",
    "crosshairIn",
    "canvasHeight",
  ],
  { window: { innerHeight: 900 }, fetch: async (url) => ({ ok: true, arrayBuffer: async () => STORED[url] }) },
);
const SHAPE = [4, 5, 6];
const STORED = {
  one: Int16Array.from({ length: 120 }, (_, n) => n).buffer,
  two: Int16Array.from({ length: 120 }, (_, n) => 119 - n).buffer,
};
const MANIFEST = {
  shape: SHAPE,
  affine: [
    [2, 0, 0, -3],
    [0, 1, 0, -40],
    [0, 0, 1.5, 10],
    [0, 0, 0, 1],
  ],
  layers: [
    { name: "synthetic", label: "Synthetic", url: "one", scale: 2, offset: 100, unit: "HU" },
    { name: "reference", label: "Reference", url: "two", scale: 1, offset: 0, unit: "HU" },
  ],
  compared: [["synthetic", "reference"]],
};
const volume = await shared.loadVolume(MANIFEST);
const [synthetic] = volume.layers;

function viewer(state = {}) {
  const views = Object.fromEntries(Object.keys(shared.PLANES).map((plane) => [plane, { zoom: 1, pan: [0, 0] }]));
  const all = {
    plane: "axial",
    layout: "main",
    layer: "synthetic",
    error: "signed",
    radiological: true,
    voxel: [1, 2, 3],
    views,
  };
  return { volume, state: { ...all, ...state } };
}

test("errors are added to the layers, spacing is taken from the affine", () => {
  assert.deepEqual(plain(volume.layers.map(({ kind }) => kind)), ["image", "image", "signed", "absolute"]);
  assert.deepEqual(plain(volume.spacing), [2, 1, 1.5]);
  const [, , signed, absolute] = volume.layers;
  assert.equal(shared.valueAt(volume, signed, [0, 0, 0]), 100 - 119);
  assert.equal(shared.valueAt(volume, absolute, [0, 0, 0]), 19);
});

test("a volume of another size is refused", async () => {
  const wrong = { ...MANIFEST, shape: [4, 5, 7] };
  await assert.rejects(shared.loadVolume(wrong), /Synthetic has 120 voxels instead of 140/);
});

test("a layer that holds the half-widths of another is an interval, not an image", async () => {
  const half = { name: "confidence", label: "90 % interval", url: "two", scale: 1, offset: 0, unit: "HU", of: "synthetic" };
  const { layers } = await shared.loadVolume({ ...MANIFEST, layers: [...MANIFEST.layers, half] });
  assert.deepEqual(plain(layers.map(({ kind }) => kind)), ["image", "image", "interval", "signed", "absolute"]);
});

test("a voxel has its world position, in letters", () => {
  assert.deepEqual(plain(shared.worldOf(volume, [1, 2, 3])), [-1, -38, 14.5]);
  assert.equal(shared.positionText([-1, -38, 14.5]), "1.0 L 38.0 P 14.5 S");
  assert.deepEqual(plain(shared.clampVoxel(volume, [-1, 2.4, 99])), [0, 2, 5]);
});

test("a slice holds the values of its voxels", () => {
  for (const [plane, { axes, across }] of Object.entries(shared.PLANES)) {
    const values = shared.sliceOf(volume, synthetic, plane, 2);
    const [nu, nv] = axes.map((axis) => SHAPE[axis]);
    assert.equal(values.length, nu * nv);
    for (let v = 0; v < nv; v++)
      for (let u = 0; u < nu; u++) {
        const voxel = [2, 2, 2];
        [voxel[axes[0]], voxel[axes[1]], voxel[across]] = [u, v, 2];
        assert.equal(values[v * nu + u], shared.valueAt(volume, synthetic, voxel));
      }
  }
});

test("between voxels values are interpolated; outside there is none", () => {
  const values = Float32Array.of(0, 10, 20, 30, 40, 50); // 3 x 2
  assert.equal(shared.sampleSlice(values, [3, 2], [1, 0]), 10);
  assert.equal(shared.sampleSlice(values, [3, 2], [0.5, 0.5]), 20);
  assert.equal(shared.sampleSlice(values, [3, 2], [-0.4, 0]), 0);
  assert.equal(shared.sampleSlice(values, [3, 2], [-0.6, 0]), null);
  assert.equal(shared.sampleSlice(values, [3, 2], [2.6, 0]), null);
});

test("a painted slice has a pixel for each voxel and its surroundings", () => {
  const palette = Uint32Array.from({ length: 101 }, (_, i) => i);
  const pixels = new Uint32Array(20);
  const raster = { width: 5, height: 4, u: -1, du: 1, v: 2, dv: -1 }; // as on the screen: v runs up
  shared.paintSlice(Float32Array.of(0, 10, 20, 30, 40, 50), [3, 2], raster, palette, [0, 100], 7, pixels);
  assert.deepEqual([...pixels], [7, 7, 7, 7, 7, 7, 30, 40, 50, 7, 7, 0, 10, 20, 7, 7, 7, 7, 7, 7]);
});

test("a point goes to the screen and back, zoomed and panned, in every plane and both conventions", () => {
  for (const radiological of [true, false])
    for (const plane of Object.keys(shared.PLANES)) {
      const shown = viewer({ plane, radiological });
      shown.state.views[plane] = { zoom: 2.5, pan: [3, -4] };
      for (const pane of shared.panesFor(shown, 900, 600)) {
        const frame = shared.frameOf(shown, pane);
        const back = frame.toPlane(frame.toScreen([1.25, 3.5]));
        back.forEach((p, k) => assert.ok(Math.abs(p - [1.25, 3.5][k]) < 1e-9));
      }
    }
});

test("a millimetre is as long in both directions, and the image fits its pane", () => {
  const shown = viewer({ plane: "coronal" });
  const [pane] = shared.panesFor(shown, 900, 600);
  const { toScreen, scale } = shared.frameOf(shown, pane);
  const [[x0, y0], [x1, y1]] = [toScreen([0, 0]), toScreen([1, 1])];
  assert.ok(Math.abs(Math.abs(x1 - x0) - 2 * scale) < 1e-9 && Math.abs(Math.abs(y1 - y0) - 1.5 * scale) < 1e-9);
  for (const corner of [
    [-0.5, -0.5],
    [3.5, 5.5],
  ]) {
    const [x, y] = toScreen(corner);
    assert.ok(x >= pane.x && x <= pane.x + pane.width && y >= pane.y && y <= pane.y + pane.height);
  }
});

test("letters say where the screen's edges are, in either convention", () => {
  const edges = { axial: ["L", "R", "A", "P"], coronal: ["L", "R", "S", "I"], sagittal: ["A", "P", "S", "I"] };
  for (const radiological of [true, false])
    for (const [plane, [left, right, top, bottom]] of Object.entries(edges)) {
      const shown = viewer({ plane, radiological });
      const flipped = !radiological && plane !== "sagittal";
      const sides = flipped ? [left, right] : [right, left];
      const expected = plane === "sagittal" ? [left, right, top, bottom] : [...sides, top, bottom];
      assert.deepEqual(plain(shared.lettersOf(shown, plane)), expected, `${plane}, radiological ${radiological}`);
      const [pane] = shared.panesFor(shown, 900, 600);
      const { toScreen } = shared.frameOf(shown, pane);
      // the first axis runs towards its high letter: R, R and A; the second towards A, S and S, which is up
      const high = { axial: "R", coronal: "R", sagittal: "A" }[plane];
      const runsRight = toScreen([3, 0])[0] > toScreen([0, 0])[0];
      assert.equal(runsRight, expected[1] === high);
      assert.ok(toScreen([0, 3])[1] < toScreen([0, 0])[1]);
    }
});

test("panes fill the canvas without overlap in every layout, on wide and narrow pages", () => {
  for (const width of [400, 1000])
    for (const layout of ["main", "planes", "layers"]) {
      const shown = viewer({ layout });
      const height = shared.canvasHeight(shown, width);
      const panes = shared.panesFor(shown, width, height);
      assert.ok(height > 0);
      for (const { x, y, width: w, height: h } of panes) {
        assert.ok(x >= 0 && y >= 0 && x + w <= width + 1e-6 && y + h <= height + 1e-6);
      }
      panes.forEach((a, i) =>
        panes.slice(i + 1).forEach((b) => {
          const apart =
            a.x + a.width <= b.x + 1e-6 ||
            b.x + b.width <= a.x + 1e-6 ||
            a.y + a.height <= b.y + 1e-6 ||
            b.y + b.height <= a.y + 1e-6;
          assert.ok(apart, `${layout} at ${width}`);
        }),
      );
    }
});

test("the layers of two models are grouped: real scans first, then each translation with what is known of it", async () => {
  const image = { url: "one", scale: 1, offset: 0, unit: "HU" };
  const layers = [
    { ...image, name: "input", label: "T1" },
    { ...image, name: "synthetic", label: "CT by unet" },
    { ...image, name: "confidence", label: "90 % interval, unet", of: "synthetic" },
    { ...image, name: "rival", label: "CT by cyclegan" },
    { ...image, name: "confidence-rival", label: "90 % interval, cyclegan", of: "rival" },
    { ...image, name: "reference", label: "Reference CT" },
  ];
  const compared = ["synthetic", "rival"].map((name) => [name, "reference"]);
  const two = await shared.loadVolume({ ...MANIFEST, layers, compared, models: { synthetic: "unet", rival: "cyclegan" } });
  const groups = plain(shared.layerGroups(two));
  assert.deepEqual(
    groups.map(([heading, its]) => [heading, its.map(([, text]) => text)]),
    [
      ["", ["T1", "Reference CT"]],
      ["unet", ["CT", "90 % interval", "Signed error", "Absolute error"]],
      ["cyclegan", ["CT", "90 % interval", "Signed error", "Absolute error"]],
    ],
  );
  const shown = groups.flatMap(([, its]) => its.map(([name]) => name));
  assert.deepEqual(plain(two.layers.map(({ name }) => name)), shown, "[ and ] go through the layers as they are shown");
});

test("the layers of one model are one group", () => {
  const [[heading, its], ...others] = plain(shared.layerGroups(volume));
  assert.equal(heading, "");
  assert.deepEqual(its[0], ["synthetic", "Synthetic"]);
  assert.equal(its.length, 4);
  assert.equal(others.length, 0);
});
