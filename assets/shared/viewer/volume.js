// Volumes in the browser: fetching, geometry, slices and their resampling. Nothing here draws.
//
// Voxel indices [i, j, k] run towards the patient's right, front and top (canonical RAS+); world positions are
// RAS+ millimetres. A point in a plane is [u, v] in voxel indices along the plane's two axes.

const PLANES = {
  axial: { title: "Axial", axes: [0, 1], across: 2 },
  coronal: { title: "Coronal", axes: [0, 2], across: 1 },
  sagittal: { title: "Sagittal", axes: [1, 2], across: 0 },
};
const LETTERS = [
  ["L", "R"],
  ["P", "A"],
  ["I", "S"],
]; // low and high end of each axis

// Fetch a manifest's layers (int16, little-endian, C order) and add signed and absolute errors where there is a reference;
// for a cycle also the error relative to the input's range. Throws an Error with a sentence if a layer is missing or has
// another size than the manifest says.
async function loadVolume(manifest, signal) {
  const voxels = manifest.shape.reduce((a, b) => a * b);
  const layers = await Promise.all(
    manifest.layers.map(async (layer) => {
      const response = await fetch(layer.url, { signal });
      if (!response.ok) throw new Error(`${layer.label} is no longer on the server: translate again.`);
      const data = new Int16Array(await response.arrayBuffer());
      if (data.length !== voxels) throw new Error(`${layer.label} has ${data.length} voxels instead of ${voxels}.`);
      const kind = layer.of ? "interval" : "image"; // the half-width of another layer's 90 % interval
      return { ...layer, data, kind, read: (n) => data[n] * layer.scale + layer.offset };
    }),
  );
  const named = (name) => layers.find((layer) => layer.name === name);
  const pairs = manifest.compared.map((names) => names.map(named)).filter((pair) => pair[0] && pair[1]);
  for (const [kind, title, of] of [
    ["signed", "Signed error", (x) => x],
    ["absolute", "Absolute error", Math.abs],
  ]) {
    for (const [one, right] of pairs) {
      const label = pairs.length > 1 ? `${title}, ${one.label.split(" by ").at(-1)}` : title;
      const name = one.name === "rival" ? `${kind}-rival` : kind;
      layers.push({ name, label, kind, error: one.name, unit: one.unit, read: (n) => of(one.read(n) - right.read(n)) });
    }
  }
  if (manifest.relativeTo) {
    const [[one, right]] = pairs;
    const read = (n) => (100 * Math.abs(one.read(n) - right.read(n))) / manifest.relativeTo;
    layers.push({ name: "relative", label: "Relative error, %", kind: "relative", unit: "%", read });
  }
  if (manifest.models) layers.sort((a, b) => rank(a, manifest) - rank(b, manifest)); // the order stays inside a group
  const spacing = [0, 1, 2].map((axis) => Math.hypot(...[0, 1, 2].map((row) => manifest.affine[row][axis])));
  return { ...manifest, layers, spacing, slices: new Map() };
}

// The translation that a layer is about: itself, or that of its interval or error; none for real scans.
function translationOf(layer, { models }) {
  return Object.keys(models).find((name) => [layer.name, layer.of, layer.error].includes(name)) ?? "";
}

function rank(layer, manifest) {
  return ["", ...Object.keys(manifest.models)].indexOf(translationOf(layer, manifest));
}

// Layers as [[heading, [[name, text], ...]], ...]: one group without a heading or, where there are two models, the real
// scans and each model's layers.
function layerGroups({ models, layers }) {
  if (!models) return [["", layers.map(({ name, label }) => [name, label])]];
  return ["", ...Object.keys(models)].map((translation) => {
    const model = models[translation] ?? "";
    const short = (label) => label.replace(` by ${model}`, "").replace(`, ${model}`, "");
    const its = layers.filter((layer) => translationOf(layer, { models }) === translation);
    return [model, its.map(({ name, label }) => [name, model ? short(label) : label])];
  });
}

function clampVoxel(volume, voxel) {
  return voxel.map((x, axis) => Math.min(volume.shape[axis] - 1, Math.max(0, Math.round(x))));
}

function worldOf(volume, voxel) {
  return [0, 1, 2].map(
    (row) => volume.affine[row][3] + voxel.reduce((sum, x, axis) => sum + volume.affine[row][axis] * x, 0),
  );
}

// "12.0 R 34.0 A 5.0 S": a world position as radiologists write it.
function positionText(world) {
  return world.map((x, axis) => `${Math.abs(x).toFixed(1)} ${LETTERS[axis][x < 0 ? 0 : 1]}`).join(" ");
}

function valueAt(volume, layer, voxel) {
  const [, ny, nz] = volume.shape;
  return layer.read((voxel[0] * ny + voxel[1]) * nz + voxel[2]);
}

// One slice of a layer in physical values: Float32Array, v-major. The last slice per layer and plane is kept.
function sliceOf(volume, layer, plane, index) {
  const key = `${layer.name} ${plane}`;
  const kept = volume.slices.get(key);
  if (kept?.index === index) return kept.values;
  const { axes, across } = PLANES[plane];
  const strides = [volume.shape[1] * volume.shape[2], volume.shape[2], 1];
  const [nu, nv] = axes.map((axis) => volume.shape[axis]);
  const values = new Float32Array(nu * nv);
  for (let v = 0, n = 0; v < nv; v++) {
    let at = index * strides[across] + v * strides[axes[1]];
    for (let u = 0; u < nu; u++, n++, at += strides[axes[0]]) values[n] = layer.read(at);
  }
  volume.slices.set(key, { index, values });
  return values;
}

// Bilinear value of a slice at [u, v]; null outside the image.
function sampleSlice(values, [nu, nv], [u, v]) {
  if (u < -0.5 || v < -0.5 || u > nu - 0.5 || v > nv - 0.5) return null;
  const [x, y] = [Math.min(nu - 1, Math.max(0, u)), Math.min(nv - 1, Math.max(0, v))];
  const [i, j] = [Math.min(nu - 2, Math.floor(x)), Math.min(nv - 2, Math.floor(y))];
  const [f, g] = [x - i, y - j];
  const at = j * nu + i;
  return (
    (1 - g) * ((1 - f) * values[at] + f * values[at + 1]) + g * ((1 - f) * values[at + nu] + f * values[at + nu + 1])
  );
}

// Resample a slice bilinearly onto a raster of pixels and colour it. Values are interpolated before they are windowed:
// an edge is as sharp as the data, whatever the window.
// raster: {width, height, u, du, v, dv}: voxel coordinates of the first pixel's centre and steps per pixel.
// range: values shown as the palette's first and last entry; outside: the value shown around the image.
function paintSlice(values, [nu, nv], raster, palette, [low, high], outside, pixels) {
  const { width, height } = raster;
  const top = palette.length - 1;
  const gain = top / (high - low);
  const shade = (value) => Math.min(top, Math.max(0, Math.round((value - low) * gain)));
  const blank = palette[shade(outside)];
  const columns = new Int32Array(width).fill(-1);
  const fractions = new Float32Array(width);
  for (let x = 0; x < width; x++) {
    const u = raster.u + x * raster.du;
    if (u < -0.5 || u > nu - 0.5) continue;
    const inside = Math.min(nu - 1, Math.max(0, u));
    columns[x] = Math.floor(inside);
    fractions[x] = inside - columns[x];
  }
  const row = new Float32Array(nu + 1);
  for (let y = 0, n = 0; y < height; y++) {
    const v = raster.v + y * raster.dv;
    if (v < -0.5 || v > nv - 0.5) {
      pixels.fill(blank, n, n + width);
      n += width;
      continue;
    }
    const inside = Math.min(nv - 1, Math.max(0, v));
    const above = Math.floor(inside) * nu;
    const below = Math.min(nv - 1, Math.floor(inside) + 1) * nu;
    const f = inside % 1;
    for (let i = 0; i < nu; i++) row[i] = (values[above + i] * (1 - f) + values[below + i] * f - low) * gain + 0.5;
    row[nu] = row[nu - 1];
    for (let x = 0; x < width; x++, n++) {
      const i = columns[x];
      if (i < 0) {
        pixels[n] = blank;
        continue;
      }
      const level = row[i] + (row[i + 1] - row[i]) * fractions[x];
      pixels[n] = palette[level <= 0 ? 0 : level >= top ? top : level | 0];
    }
  }
}
