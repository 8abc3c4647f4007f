// Colours of the canvases. The lightness of every map is linear in the value, in OKLab (B. Ottosson, "A perceptual
// color space for image processing", 2020); all maps are colour-blind safe.

const REAL = "#0072B2"; // Okabe-Ito blue
const REAL_ON_DARK = "#3d9bd6"; // the same blue, lighter
const SYNTHETIC = "#E69F00"; // Okabe-Ito orange
const LEVELS = 1024; // entries of a palette

// Anchors: [value 0..1, lightness 0..1, chroma, hue in degrees].
const ANCHORS = {
  grey: null, // equal steps of the display's own grey values, as on every image workstation
  sequential: [
    [0, 0, 0, 300],
    [0.25, 0.24, 0.11, 300],
    [0.5, 0.48, 0.17, 365],
    [0.75, 0.72, 0.145, 410],
    [1, 0.96, 0.09, 463],
  ],
  divergingLight: [
    [0, 0.42, 0.12, 252],
    [0.25, 0.69, 0.1, 250],
    [0.5, 0.975, 0, 250],
    [0.5, 0.975, 0, 48],
    [0.75, 0.69, 0.13, 48],
    [1, 0.42, 0.125, 42],
  ],
  divergingDark: [
    [0, 0.84, 0.085, 230],
    [0.25, 0.49, 0.115, 248],
    [0.5, 0.14, 0, 248],
    [0.5, 0.14, 0, 48],
    [0.75, 0.49, 0.11, 48],
    [1, 0.84, 0.125, 78],
  ],
};

// An OKLab colour as sRGB, three numbers 0..255.
function srgb(lightness, a, b) {
  const l = (lightness + 0.3963377774 * a + 0.2158037573 * b) ** 3;
  const m = (lightness - 0.1055613458 * a - 0.0638541728 * b) ** 3;
  const s = (lightness - 0.0894841775 * a - 1.291485548 * b) ** 3;
  return [
    4.0767416621 * l - 3.3077115913 * m + 0.2309699292 * s,
    -1.2684380046 * l + 2.6097574011 * m - 0.3413193965 * s,
    -0.0041960863 * l - 0.7034186147 * m + 1.707614701 * s,
  ].map((x) => {
    const linear = Math.min(1, Math.max(0, x));
    return 255 * (linear <= 0.0031308 ? 12.92 * linear : 1.055 * linear ** (1 / 2.4) - 0.055);
  });
}

function colourAt(anchors, t) {
  if (!anchors) return [255 * t, 255 * t, 255 * t];
  const i = Math.max(
    1,
    anchors.findIndex((anchor) => anchor[0] >= t),
  );
  const [from, to] = [anchors[i - 1], anchors[i]];
  const f = to[0] === from[0] ? 1 : (t - from[0]) / (to[0] - from[0]);
  const [lightness, chroma, hue] = [1, 2, 3].map((k) => from[k] + f * (to[k] - from[k]));
  const angle = (hue * Math.PI) / 180;
  return srgb(lightness, chroma * Math.cos(angle), chroma * Math.sin(angle));
}

// name -> LEVELS pixels as ImageData holds them (0xAABBGGRR, on little-endian machines).
const palettes = Object.fromEntries(
  Object.entries(ANCHORS).map(([name, anchors]) => [
    name,
    Uint32Array.from({ length: LEVELS }, (_, i) => {
      const [r, g, b] = colourAt(anchors, i / (LEVELS - 1)).map(Math.round);
      return (0xff000000 | (b << 16) | (g << 8) | r) >>> 0;
    }),
  ]),
);

function cssColour(pixel) {
  return `rgb(${pixel & 255} ${(pixel >> 8) & 255} ${(pixel >> 16) & 255})`;
}
