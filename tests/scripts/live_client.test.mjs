// Answers are decoded as Python packed them; the client asks in turn, tries again, and stops when a session is gone.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

import { load, plain } from "./load.mjs";

const bytes = readFileSync(new URL("answer.bin", import.meta.url)); // tests/test_scripts.py compares it with pack()
const buffer = () => bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length);
const NAMES = ["decodeAnswer", "askServer", "newestOnly", "framePuller", "RETRY_MS"];
const settle = () => new Promise((done) => setImmediate(done));

// The client with a server that gives out `answers`: facts, an Error, or a status and text.
function client(answers) {
  const asked = [];
  const waits = [];
  const fetch = async (path, { body }) => {
    asked.push({ path, ...JSON.parse(body) });
    const answer = answers.shift();
    if (answer instanceof Error) throw answer;
    if (answer.status) return { ok: false, status: answer.status, statusText: "no", text: async () => answer.text };
    const head = Buffer.from(JSON.stringify({ ...answer, arrays: [] }));
    const length = Buffer.alloc(4);
    length.writeUInt32LE(head.length);
    const all = Buffer.concat([length, head]);
    return {
      ok: true,
      status: 200,
      arrayBuffer: async () => all.buffer.slice(all.byteOffset, all.byteOffset + all.length),
    };
  };
  const setTimeout = (act, ms) => waits.push([ms, act]);
  return { asked, waits, ...load(["shared/live_client.js"], NAMES, { fetch, setTimeout }) };
}

test("arrays are decoded with name, type and shape", () => {
  const { facts, arrays } = load(["shared/live_client.js"], NAMES).decodeAnswer(buffer());
  assert.deepEqual(plain(facts), { title: "Größe", steps: 3, trouble: null });
  assert.equal(arrays.heat.data.constructor.name, "Int16Array");
  assert.deepEqual([...arrays.heat.data], [-32768, 0, 1, 2, 3, 32767]);
  assert.deepEqual(plain(arrays.heat.shape), [2, 3]);
  assert.deepEqual([...arrays.file.data], [71, 73, 70]);
  assert.deepEqual([...arrays.field.data], [0.5, -1.5]);
  assert.deepEqual([...arrays.images.data], [0, 65535]);
  assert.deepEqual([...arrays.precise.data], [Math.PI]);
  assert.deepEqual([...arrays.empty.data], []);
});

test("a refused question is answered by the server's own words", async () => {
  const { askServer } = client([
    { status: 413, text: "Too long." },
    { status: 500, text: "Bug." },
  ]);
  assert.deepEqual(plain(await askServer("path", {})), { facts: { error: "Too long." }, arrays: {} });
  await assert.rejects(askServer("path", {}), { message: "no" });
});

test("of questions of one kind only the newest waits", async () => {
  const { newestOnly, asked } = client([{ x: 1 }, { x: 3 }, { x: 9 }]);
  const taken = [];
  const ask = newestOnly("path", () => {});
  for (const k of [1, 2, 3]) ask("points", { k }, ({ x }) => taken.push(x));
  ask("layers", { k: 9 }, ({ x }) => taken.push(x));
  for (let i = 0; i < 9; i++) await settle();
  assert.deepEqual(
    asked.map(({ k }) => k),
    [1, 9, 3],
  );
  assert.equal(taken.length, 3);
});

test("errors of an answer are told and the answer is not taken", async () => {
  const { newestOnly } = client([{ error: "Seed -1 is not a whole number." }, new Error("offline"), { x: 1 }]);
  const told = [];
  const taken = [];
  const ask = newestOnly("path", (words) => told.push(words));
  for (let k = 0; k < 3; k++) {
    ask("points", {}, (facts) => taken.push(facts.x));
    for (let i = 0; i < 9; i++) await settle();
  }
  assert.deepEqual(told, ["Seed -1 is not a whole number.", "The server does not respond; try again in a moment.", ""]);
  assert.deepEqual(taken, [1]);
});

// A puller that asks `times` times.
function pulling(answers, times, token = () => "t") {
  const server = client(answers);
  const seen = { frames: [], told: [], ended: 0 };
  const puller = server.framePuller("path", {
    token,
    due: (waiting) => waiting || times-- > 0,
    question: () => ({ layers: ["heat"] }),
    take: ({ frame }) => void seen.frames.push(frame),
    tell: (words) => seen.told.push(words),
    ended: () => seen.ended++,
  });
  return { ...server, ...seen, seen, puller };
}

test("frames are pulled one at a time, with the commands given meanwhile", async () => {
  const { puller, asked, seen } = pulling([{ frame: 1 }, { frame: 2 }, { frame: 3 }], 2);
  puller.pull();
  puller.order(["play"]);
  puller.order(["look", 3]);
  puller.order(["look", 7], true);
  assert.equal(asked.length, 1);
  for (let i = 0; i < 20; i++) await settle();
  assert.deepEqual(seen.frames, [1, 2, 3]);
  assert.deepEqual(plain(asked[1]), { path: "path", token: "t", do: [["play"], ["look", 7]], layers: ["heat"] });
  assert.ok(!puller.waiting());
});

test("a server that does not respond is asked again, with the same commands", async () => {
  const { puller, asked, seen, waits, RETRY_MS } = pulling([new Error("offline"), { frame: 1 }], 0);
  puller.order(["step", "dg"]);
  for (let i = 0; i < 9; i++) await settle();
  assert.match(seen.told[0], /does not respond; retrying/);
  assert.equal(asked.length, 1);
  assert.equal(waits[0][0], RETRY_MS);
  waits[0][1]();
  for (let i = 0; i < 9; i++) await settle();
  assert.deepEqual(
    asked.map((question) => plain(question.do)),
    [[["step", "dg"]], [["step", "dg"]]],
  );
  assert.deepEqual(seen.frames, [1]);
});

test("nothing is asked of a session that is gone until there is another one", async () => {
  let token = "old";
  const gone = { error: "This game was dropped.", gone: true };
  const { puller, asked, seen, waits } = pulling([gone, { frame: 1 }], 9, () => token);
  puller.pull();
  for (let i = 0; i < 9; i++) await settle();
  waits.forEach(([, act]) => act());
  puller.order(["play"]);
  for (let i = 0; i < 9; i++) await settle();
  assert.deepEqual([seen.told, seen.ended, asked.length], [["This game was dropped."], 1, 1]);
  token = "new";
  puller.pull();
  for (let i = 0; i < 3; i++) await settle();
  assert.equal(asked[1].token, "new");
});
