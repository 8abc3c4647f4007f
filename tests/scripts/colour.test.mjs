// Colour maps: end points, and a lightness that rises or falls evenly with the value.

import assert from "node:assert/strict";
import { test } from "node:test";

import { load } from "./load.mjs";

const { palettes, LEVELS, cssColour, srgb } = load(["shared/colour.js"], ["palettes", "LEVELS", "cssColour", "srgb"]);
const rgb = (pixel) => [pixel & 255, (pixel >> 8) & 255, (pixel >> 16) & 255];

// OKLab lightness of an sRGB pixel.
function lightness(pixel) {
  const [r, g, b] = rgb(pixel).map((v) => {
    const share = v / 255;
    return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
  });
  const l = Math.cbrt(0.4122214708 * r + 0.5363325363 * g + 0.0514459929 * b);
  const m = Math.cbrt(0.2119034982 * r + 0.6806995451 * g + 0.1073969566 * b);
  const s = Math.cbrt(0.0883024619 * r + 0.2817188376 * g + 0.6299787005 * b);
  return 0.2104542553 * l + 0.793617785 * m - 0.0040720468 * s;
}

// Steps from entry to entry, over every 32nd, so that rounding to 8 bits does not hide the trend.
const steps = (pixels) =>
  Array.from({ length: pixels.length / 32 - 1 }, (_, i) => lightness(pixels[32 * (i + 1)]) - lightness(pixels[32 * i]));

test("every map has 1024 opaque entries", () => {
  for (const pixels of Object.values(palettes)) {
    assert.equal(pixels.length, LEVELS);
    assert.ok(pixels.every((pixel) => pixel >>> 24 === 255));
  }
});

test("grey runs from black to white in equal steps of the display", () => {
  assert.deepEqual(rgb(palettes.grey[0]), [0, 0, 0]);
  assert.deepEqual(rgb(palettes.grey.at(-1)), [255, 255, 255]);
  assert.ok(palettes.grey.every((pixel, i) => rgb(pixel)[0] === Math.round((255 * i) / (LEVELS - 1))));
});

test("the sequential map starts black and its lightness rises evenly", () => {
  assert.deepEqual(rgb(palettes.sequential[0]), [0, 0, 0]);
  const rises = steps(palettes.sequential).slice(3); // near black 8 bits are too coarse
  const mean = rises.reduce((a, b) => a + b) / rises.length;
  assert.ok(
    rises.every((rise) => rise > 0.9 * mean && rise < 1.1 * mean),
    String(rises),
  );
});

test("diverging maps are neutral in the middle and mirror each other's lightness", () => {
  for (const [name, sign] of [
    ["divergingLight", 1],
    ["divergingDark", -1],
  ]) {
    const pixels = palettes[name];
    const middle = rgb(pixels[LEVELS / 2]);
    assert.ok(Math.max(...middle) - Math.min(...middle) <= 2, `${name}: ${middle}`);
    const half = LEVELS / 2;
    assert.ok(
      steps(pixels.slice(0, half)).every((step) => sign * step > 0),
      `${name} below 0`,
    );
    assert.ok(
      steps(pixels.slice(half)).every((step) => sign * step < 0),
      `${name} above 0`,
    );
    for (const i of [0, 100, 300, 500]) {
      const apart = Math.abs(lightness(pixels[i]) - lightness(pixels[LEVELS - 1 - i]));
      assert.ok(apart < 0.03, `${name} at ${i}: ${apart}`);
    }
    const [low, high] = [rgb(pixels[0]), rgb(pixels.at(-1))];
    assert.ok(low[2] > low[0] && high[0] > high[2], `${name}: blue below 0, orange above`);
  }
});

test("OKLab white, black and grey are sRGB's", () => {
  for (const [l, v] of [
    [0, 0],
    [1, 255],
  ])
    for (const channel of srgb(l, 0, 0)) assert.ok(Math.abs(channel - v) < 0.1);
  const [r, g, b] = srgb(0.6, 0, 0);
  assert.ok(Math.abs(r - g) < 0.1 && Math.abs(g - b) < 0.1);
});

test("a pixel is written as CSS", () => assert.equal(cssColour(0xff030201), "rgb(1 2 3)"));
