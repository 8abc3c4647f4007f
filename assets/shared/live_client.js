// Sends JSON requests and decodes binary responses into metadata and typed arrays.
// Python's side: ganlab/packing.py (the format) and ganlab/ui/live_protocol.py (the routes).

const ARRAY_TYPES = {
  int8: Int8Array,
  uint8: Uint8Array,
  int16: Int16Array,
  uint16: Uint16Array,
  int32: Int32Array,
  uint32: Uint32Array,
  float32: Float32Array,
  float64: Float64Array,
};
const RETRY_MS = 1000;
const REFUSED = [400, 413]; // permanent errors: retrying would not help

// {facts, arrays: {name: {data, shape}}} of an answer; the arrays are views of its bytes.
function decodeAnswer(buffer) {
  const start = 4 + new DataView(buffer).getUint32(0, true);
  const { arrays: described, ...facts } = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 4, start - 4)));
  const arrays = {};
  for (const { name, dtype, shape, offset } of described) {
    const count = shape.reduce((product, n) => product * n, 1);
    arrays[name] = { data: new ARRAY_TYPES[dtype](buffer, start + offset, count), shape };
  }
  return { facts, arrays };
}

// The answer to a question. Throws if the server does not respond.
async function askServer(path, question) {
  const response = await fetch(path, { method: "POST", body: JSON.stringify(question) });
  if (REFUSED.includes(response.status)) return { facts: { error: await response.text() }, arrays: {} };
  if (!response.ok) throw new Error(response.statusText);
  return decodeAnswer(await response.arrayBuffer());
}

// ask(kind, question, take): one question at a time of each kind; while one is pending, only the newest waits.
// take(facts, arrays) gets an answer; tell(words) gets an error, or "" when there is none.
function newestOnly(path, tell) {
  const kinds = {};
  return async function ask(kind, question, take) {
    const state = (kinds[kind] ??= { busy: false, next: null });
    if (state.busy) {
      state.next = [question, take];
      return;
    }
    state.busy = true;
    let answer = null;
    try {
      answer = await askServer(path, question);
    } catch {
      tell("The server does not respond; try again in a moment.");
    }
    state.busy = false;
    const { next } = state;
    state.next = null;
    if (next) ask(kind, ...next);
    if (!answer) return;
    tell(answer.facts.error ?? "");
    if (!answer.facts.error) take(answer.facts, answer.arrays);
  };
}

// Pulls the frames of a session, one at a time, and sends the commands that were given meanwhile.
//
// token(): the session to pull. due(waiting): whether to ask now; waiting: commands wait. question(): what to ask
// besides token and commands. take(facts, arrays): gets an answer with facts.frame; may return ms to wait before the
// next pull.
// tell(text): the server does not respond, or the session is gone; then ended() is called as well.
function framePuller(path, { token, due, question, take, tell, ended }) {
  let commands = [],
    busy = false,
    gone = null;

  async function pull() {
    const session = token();
    if (busy || !session || session === gone || !due(commands.length > 0)) return;
    busy = true;
    const sent = commands;
    commands = [];
    let answer = null;
    try {
      answer = await askServer(path, { token: session, do: sent, ...question() });
    } catch {
      commands = [...sent, ...commands];
      tell("The server does not respond; retrying.");
    }
    let wait = RETRY_MS;
    if (answer?.facts.gone) {
      gone = session; // until the page gets a new session
      commands = [];
      tell(answer.facts.error);
      ended();
    } else if (answer?.facts.frame) wait = take(answer.facts, answer.arrays) ?? 0;
    else if (answer) tell(answer.facts.error); // it was refused
    if (wait) await new Promise((done) => setTimeout(done, wait));
    busy = false;
    pull();
  }

  // A command [name, arguments ...]; instead: replaces a pending command of the same name.
  function order(command, instead = false) {
    if (instead) commands = commands.filter(([name]) => name !== command[0]);
    commands.push(command);
    pull();
  }
  return { pull, order, waiting: () => commands.length > 0 };
}

// Have the browser save an array of bytes as a file.
function saveBytes({ data }, type, name) {
  save(URL.createObjectURL(new Blob([data], { type })), name);
}
