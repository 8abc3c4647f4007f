// What the Live page makes of its frames: arrays by game, modes that are covered or lost, numbers over time, panels.

import assert from "node:assert/strict";
import { test } from "node:test";

import { load, plain } from "./load.mjs";

const page = load(
  ["shared/colour.js", "shared/curves.js", "shared/plane.js", "live/modes.js", "live/picture.js", "live/live.js"],
  [
    "arraysByGame",
    "coveredModes",
    "lostModes",
    "alarmText",
    "STEADY",
    "record",
    "forget",
    "middle",
    "KEPT",
    "panelLayout",
    "scatterAbout",
    "slice",
  ],
);

test("arrays go to their game", () => {
  const arrays = { "fake.0": 1, "fake.1": 2, "fake_density.1": 3, real: 4 };
  assert.deepEqual(plain(page.arraysByGame(arrays, 2)), [{ fake: 1 }, { fake: 2, fake_density: 3 }]);
});

test("run k of an array is its k-th part", () => {
  const array = { data: Int16Array.of(1, 2, 3, 4, 5, 6), shape: [3, 2] };
  assert.deepEqual([...page.slice(array, 1)], [3, 4]);
});

test("a mode is covered from a quarter of its fair share on, and lost below a tenth", () => {
  const first = page.coveredModes([0.0625, 0.06, 0.5, 0.3], undefined);
  assert.deepEqual(plain(first.now), [true, false, true, true]);
  const then = page.coveredModes([0.03, 0.03, 0.02, 0.9], first);
  assert.deepEqual(plain(then.now), [true, false, false, true]);
});

test("only a mode that was covered for a while counts as lost", () => {
  let modes;
  for (let k = 0; k < page.STEADY; k++) modes = page.coveredModes([0.5, k ? 0.5 : 0], modes);
  const after = page.coveredModes([0, 0], modes);
  assert.equal(page.lostModes(modes, after), 1);
  assert.deepEqual(plain(after.ever), [true, false]);
  const text = page.alarmText({ step: 1200, lost: 1, covered: 0, total: 2, whose: ", seed 3" });
  assert.equal(text, "Step 1,200, seed 3: the generator lost a mode; it covers 0 of 2.");
});

test("numbers over time are kept evenly, without repeats, and forgotten after a step", () => {
  const series = {};
  for (let step = 1; step <= 3 * page.KEPT; step++) page.record(series, { loss: [step, -step], title: "x" }, step);
  page.record(series, { loss: [0, 0] }, 5); // an earlier step again
  assert.deepEqual(Object.keys(series), ["loss"]);
  const { steps, runs } = series.loss;
  assert.ok(steps.length <= page.KEPT && steps[0] === 1 && steps.at(-1) >= 3 * page.KEPT - 4);
  steps.forEach((step, i) => assert.deepEqual([runs[0][i], runs[1][i]], [step, -step]));
  page.forget(series, 100);
  assert.ok(steps.at(-1) <= 100 && runs[0].length === steps.length);
});

test("the median leaves out what is missing", () => {
  assert.equal(page.middle([3, null, 1, 2]), 2);
  assert.equal(page.middle([1, 2]), 1.5);
  assert.equal(page.middle([null]), null);
});

test("panels fill the width, at most four in a row, two on a phone", () => {
  assert.deepEqual(plain(page.panelLayout(1, 600, false)), { columns: 1, side: 600, tall: 600 });
  assert.equal(page.panelLayout(8, 1000, false).columns, 4);
  assert.equal(page.panelLayout(8, 400, false).columns, 2);
  assert.equal(page.panelLayout(2, 400, false).columns, 1);
  assert.ok(page.panelLayout(1, 600, true).tall < 600);
});

test("points are scattered close to the pen and inside the plane", () => {
  for (let k = 0; k < 100; k++) {
    for (const point of page.scatterAbout(1.58, 0, 1.6)) {
      assert.ok(Math.hypot(point[0] - 1.58, point[1]) < 0.1 && Math.max(...point.map(Math.abs)) < 1.6);
    }
  }
});
