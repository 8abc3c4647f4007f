// A reader's session: invitation, consent, one question at a time, breaks, receipt. Python's side: ganlab/ui/pages/turing/study_server.py.

(function () {
  const page = document.getElementById("page");
  const KEYS = {
    authenticate: [["R", "real"], ["S", "synthetic"], ["1 to 6", "how sure"]],
    choose: [["A", "left"], ["B", "right"], ["1 to 6", "how sure"]],
    rate: [["1 to 6", "how real"]],
    mark: [["1 to 9", "mark or unmark"], ["N", "none"]],
    diagnose: [["1 to 6", "is there a lesion"], ["arrows", "its place"]],
  };
  const COMMON = [["Enter", "next"], ["Backspace", "take back"], ["drag", "window"], ["wheel, + \u2212", "zoom"], ["0", "reset view"]];
  const QUESTION = {
    authenticate: "Is this image real or synthetic?",
    choose: "One of these two is synthetic. Which?",
    rate: "How real does this image look?",
    mark: "Mark every image that you take for synthetic.",
    diagnose: "Is there a lesion? If so, click where.",
  };
  const ENDS = { rate: ["1 surely synthetic", "6 surely real"], diagnose: ["1 surely none", "6 surely a lesion"] };
  const state = { code: location.hash.slice(1).replace(/%20/g, " "), now: null };
  addEventListener("hashchange", () => location.reload()); // another invitation is another reader

  async function ask(request) {
    const body = JSON.stringify({ code: state.code, ...request });
    for (let wait = 500; ; wait = Math.min(8000, wait * 2)) {
      try {
        const response = await fetch("rate", { method: "POST", body });
        const found = response.status < 500 ? await response.json() : { again: true, error: "The server has trouble." };
        if (!found.again) return found;
        tell(`${found.error} Your answer is kept here and is sent again.`);
      } catch {
        tell("The connection is gone. Your answer is kept here and is sent again.");
      }
      await new Promise((done) => { setTimeout(done, wait); addEventListener("online", done, { once: true }); });
    }
  }
  const alert = tag("p", { class: "alert", role: "alert" });
  const tell = (words) => { alert.textContent = words ?? ""; };
  const show = (...parts) => { onkeydown = onblur = null; page.replaceChildren(...parts, alert); }; // keys are a question's own
  const button = (text, act, more = {}) => tag("button", { type: "button", onclick: act, ...more }, text);

  async function next(request) {
    const found = await ask(request);
    tell(found.error);
    if (found.error && !found.stage) { if (!state.now) invited(); return false; }
    state.now = found;
    document.title = found.title ?? document.title;
    await { consent, question, done, closed: () => ended(found.words), forgotten: () => ended(found.words) }[found.stage](found);
    return true;
  }
  function invited() {
    const field = tag("input", { type: "text", autocomplete: "off", spellcheck: "false", id: "code", value: state.code });
    const enter = async (event) => {
      event?.preventDefault();
      state.code = field.value.trim();
      if (await next({ do: "look" })) history.replaceState(null, "", `#${state.code.replace(/\s+/g, "-")}`);
    };
    show(tag("h1", {}, "Reading session"),
      tag("form", { onsubmit: enter }, tag("label", { for: "code" }, tag("span", {}, "Your invitation"), field), tag("button", { class: "go" }, "Enter")));
    field.focus();
  }
  function consent(found) {
    const sure = tag("input", { type: "checkbox", id: "consent" });
    const group = tag("select", { id: "experience" }, tag("option", { value: "" }, "choose"), ...found.groups.map((name) => tag("option", { value: name }, name)));
    const go = button("Begin", () => next({ do: "consent", experience: group.value }), { class: "go", disabled: true });
    const ready = () => { go.disabled = !sure.checked || (found.groups.length > 0 && !group.value); };
    sure.addEventListener("change", ready);
    group.addEventListener("change", ready);
    const told = found.prevalence === null ? "How many of the images are synthetic is not told." : `${Math.round(100 * found.prevalence)} % of the images are synthetic.`;
    show(tag("h1", {}, found.title),
      tag("p", { class: "words" }, found.instructions || `You will see images, some of them real and some made by a computer. ${found.design[0].toUpperCase()}${found.design.slice(1)}.`),
      tag("p", {}, `${found.total} questions${found.practice ? `, ${found.practice} of them for practice: after each of these you are told` : ""}. ${told} You may stop at any time and go on later, on any device, with your invitation.`),
      tag("p", {}, `What is stored: your answers, their times, how you set window and zoom, and the size of your screen; no name, no address. It is deleted after ${found.keep_until}, or at once when you say so on this page. ${found.race ? "This is a game: the truth is told after each image." : "Nothing is told of right and wrong until the study is closed."} Not a medical device.`),
      ...(found.groups.length ? [tag("label", {}, tag("span", {}, "Your experience"), group)] : []),
      tag("label", { class: "check" }, sure, "I have read this and take part of my own will."),
      tag("div", { class: "bar" }, go), tag("p", { class: "note code" }, `Protocol ${found.hash}`), forgetting());
  }
  function forgetting() {
    const erase = async () => { if (confirm("Delete all your answers, for good?")) await next({ do: "forget", sure: true }); };
    return tag("details", {}, tag("summary", { class: "note" }, "Delete my answers"), tag("p", {}, "All answers of this invitation are deleted, and it is void from then on."), button("Delete all my answers", erase));
  }
  function ended(words) { state.now = null; show(tag("h1", {}, "Reading session"), tag("p", {}, words)); }

  async function done(found) {
    const keep = async () => {
      const { receipt, error } = await ask({ do: "receipt" });
      if (error) return tell(error);
      const file = new Blob([JSON.stringify(receipt, null, 1)], { type: "application/json" });
      save(URL.createObjectURL(file), `receipt-${receipt.study}-${receipt.reader + 1}.json`);
    };
    const places = tag("div");
    show(tag("h1", {}, found.title), tag("p", {}, `Thank you: all ${found.total} answers are stored.`), places,
      tag("div", { class: "bar" }, button("Save the receipt", keep, { class: "go" })),
      tag("p", { class: "note" }, "The receipt holds your answers, signed. Keep it: should the database be lost, it brings them back."), forgetting());
    if (found.race) await leaders(places);
  }
  async function leaders(places) {
    const { board, me } = await ask({ do: "board" });
    const row = (each, k) => tag("tr", {}, tag("td", {}, `${k + 1}`), tag("td", {}, each.name === me ? `${each.name} (you)` : each.name), tag("td", {}, `${each.right} of ${each.of}`), tag("td", {}, `${each.seconds} s`));
    places.replaceChildren(tag("h2", {}, "Leaderboard"), tag("table", {}, tag("tbody", {}, ...board.map(row))), button("Refresh", () => leaders(places), { class: "small" }));
  }

  function resting(found) {
    return new Promise((resume) => {
      const go = button("Go on", resume, { class: "go" });
      show(tag("h1", {}, found.title), tag("p", {}, `${found.position} of ${found.total} are done. Rest your eyes; everything is stored, and you may also close this page and come back.`), tag("div", { class: "bar" }, go));
      go.focus();
    });
  }
  function introduced(found) {
    const words = { practice: "Practice: after each of these you are told what it was.", test: "Now it counts: nothing is told from here on.", finding: "First part: look for lesions." };
    return found.race ? "" : words[found.block];
  }
  async function question(found) {
    if (found.rest) await resting(found);
    const { asks, images } = found;
    const given = { confidence: null, realism: null, synthetic: null, chosen: null, none: null, marked: new Set() };
    const clock = { onset: null, first: null, hidden: null, changes: 0, away: 0 };
    const touch = () => { clock.first ??= performance.now(); };
    const across = images.length > 2 ? 3 : images.length;
    const room = Math.min(page.clientWidth - 44, 900);
    const tall = Math.max(220, window.innerHeight - 330);
    const side = Math.floor(Math.min((room - 6 * across) / across, tall / Math.ceil(images.length / across)));
    const stage = tag("div", { class: "stage" });
    stage.style.gridTemplateColumns = `repeat(${across}, minmax(0, max-content))`;
    stage.style.visibility = "hidden";
    const shown = await Promise.all(images.map((address, k) => readable(address, side, images.length > 1 ? `Image ${k + 1}` : "The image", (kind, x, y) => {
      touch();
      if (kind !== "clicked") return;
      if (asks === "mark") mark(k);
      if (asks === "choose") set("chosen", k);
      if (asks === "diagnose") { clock.changes += 1; shown[k].put(x, y); refresh(); }
    })));
    stage.append(...shown.map((each) => each.canvas));
    if (images.length > 1) shown.forEach((each) => each.canvas.setAttribute("role", "button"));

    const pressed = [];
    const option = (text, name, value, key) => {
      const made = button(text, () => set(name, value), { title: `Key ${key}`, "aria-pressed": "false" });
      pressed.push([made, () => given[name] === value]);
      return made;
    };
    const six = (name) => tag("span", { class: "bar sure" }, ...[1, 2, 3, 4, 5, 6].map((k) => option(String(k), name, k, k)));
    const ends = (low, high) => tag("span", { class: "note" }, `${low}, ${high}`);
    const sure = () => [tag("span", { class: "note" }, "How sure"), six("confidence"), ends("1 a guess", "6 certain")];
    const rows = {
      authenticate: () => [[option("Real", "synthetic", false, "R"), option("Synthetic", "synthetic", true, "S")], sure()],
      choose: () => [[option("Left is synthetic", "chosen", 0, "A"), option("Right is synthetic", "chosen", 1, "B")], sure()],
      rate: () => [[six("realism"), ends(...ENDS.rate)]],
      mark: () => [[option("None is synthetic", "none", true, "N"), tag("span", { class: "note", id: "marked" })]],
      diagnose: () => [[six("confidence"), ends(...ENDS.diagnose)]],
    }[asks]();
    const go = button("Next", give, { class: "go", id: "next" });
    const complete = () => ({
      authenticate: given.synthetic !== null && given.confidence, choose: given.chosen !== null && given.confidence,
      rate: given.realism, mark: given.marked.size || given.none, diagnose: given.confidence && (given.confidence <= 3 || shown[0].place),
    })[asks];
    function refresh() {
      for (const [element, on] of pressed) element.setAttribute("aria-pressed", String(Boolean(on())));
      if (images.length > 1) shown.forEach((each, k) => each.canvas.setAttribute("aria-pressed", String(given.marked.has(k) || given.chosen === k)));
      const marked = document.getElementById("marked");
      if (marked) marked.textContent = `${given.marked.size} of ${images.length} marked`;
      go.disabled = !complete();
    }
    function set(name, value) { touch(); if (given[name] !== null && given[name] !== value) clock.changes += 1; given[name] = value; if (name === "none") given.marked.clear(); refresh(); }
    function mark(k) { touch(); given.none = null; clock.changes += given.marked.has(k); if (!given.marked.delete(k)) given.marked.add(k); refresh(); }
    function undo() { touch(); clock.changes += 1; Object.assign(given, { confidence: null, realism: null, synthetic: null, chosen: null, none: null, marked: new Set() }); shown.forEach((each) => { each.place = null; each.draw(); }); refresh(); }
    async function give() {
      if (!complete() || go.dataset.sent || clock.onset === null) return;
      go.dataset.sent = "1";
      go.textContent = "Sending";
      const time = performance.now(), seen = shown[0].view;
      const said = {
        synthetic: given.synthetic, confidence: given.confidence, chosen: given.chosen, realism: given.realism, marked: [...given.marked],
        place: shown[0].place, ms: time - clock.onset, first_ms: (clock.first ?? time) - clock.onset, shown_ms: (clock.hidden ?? time) - clock.onset,
        changes: clock.changes, away: clock.away, centre: seen.centre, width: seen.width, zoom: seen.zoom, screen: window.innerWidth, ratio: window.devicePixelRatio,
      };
      if (await next({ do: "answer", token: found.token, said })) return;
      const why = alert.textContent;
      await next({ do: "look" });
      tell(why);
    }

    const bar = tag("progress", { max: found.total, value: found.position, "aria-label": "Progress" });
    const hint = [...KEYS[asks], ...COMMON].flatMap(([key, does]) => [tag("kbd", {}, key), ` ${does}  `]);
    show(tag("div", { class: "bar" }, tag("strong", {}, found.title), bar, tag("span", { class: "note", id: "position" }, `${found.position + 1} of ${found.total}`)),
      ...(found.told ? [tag("p", { class: "note", id: "told", role: "status" }, told(found.told))] : []),
      ...(found.first && introduced(found) ? [tag("p", {}, introduced(found))] : []),
      stage, tag("p", {}, tag("strong", {}, QUESTION[asks])), ...rows.map((parts) => tag("div", { class: "bar" }, ...parts)),
      tag("div", { class: "bar" }, go, button("Take back", undo)), tag("p", { class: "note keys" }, ...hint), forgetting());
    onkeydown = (event) => {
      if (event.ctrlKey || event.metaKey || event.altKey || /^(INPUT|TEXTAREA|SELECT)$/.test(event.target.tagName)) return;
      if (event.key === "Enter" && event.repeat) return event.preventDefault(); // a key that is held is no answer
      const pressedHere = event.target.tagName === "BUTTON" && event.target !== go;
      if (pressedHere && (event.key === "Enter" || event.key === " ")) return; // the button's own
      const key = event.key.length === 1 ? event.key.toLowerCase() : event.key, digit = Number(key);
      const arrow = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[key];
      if (key === "Enter") { if (event.target.tagName === "SUMMARY") return; give(); }
      else if (key === "Backspace" || key === "Escape") undo();
      else if (asks === "authenticate" && (key === "r" || key === "s")) set("synthetic", key === "s");
      else if (asks === "choose" && (key === "a" || key === "b")) set("chosen", key === "b" ? 1 : 0);
      else if (images.length > 1 && key === " ") { const k = shown.findIndex((each) => each.canvas === event.target); if (k < 0) return; if (asks === "mark") mark(k); else set("chosen", k); }
      else if (asks === "mark" && key === "n") set("none", true);
      else if (asks === "mark" && digit >= 1 && digit <= images.length) mark(digit - 1);
      else if (asks !== "mark" && digit >= 1 && digit <= 6) set(asks === "rate" ? "realism" : "confidence", digit);
      else if (asks === "diagnose" && arrow) {
        const [x, y] = shown[0].place ?? [shown[0].width / 2, shown[0].height / 2], step = event.shiftKey ? 8 : 2;
        touch(); shown[0].put(x + arrow[0] * step, y + arrow[1] * step); refresh();
      } else if (key === "+" || key === "=") shown.forEach((each) => each.zoom(1.2));
      else if (key === "-") shown.forEach((each) => each.zoom(1 / 1.2));
      else if (key === "0") shown.forEach((each) => each.reset());
      else return;
      event.preventDefault();
    };
    onblur = () => { clock.away += 1; };
    refresh();
    page.dataset.position = found.position;
    page.toggleAttribute("data-many", images.length > 1);
    const frame = () => new Promise(requestAnimationFrame);
    await frame();
    stage.style.visibility = "visible"; // from this frame on
    shown[0].canvas.focus({ preventScroll: true }); // what is hidden takes no focus
    clock.onset = await frame();
    if (!found.limit_ms) return;
    setTimeout(async () => {
      shown.forEach((each) => each.hide());
      clock.hidden = await frame();
      if (stage.isConnected) stage.after(tag("p", { class: "note", role: "status" }, "The time is over; answer from memory."));
    }, found.limit_ms);
  }
  function told({ right, synthetic }) {
    const was = synthetic.map((made) => (made ? "synthetic" : "real")).join(", ");
    return `${right ? "Right" : "Not quite"}: ${synthetic.length > 1 ? "they were" : "that one was"} ${was}.`;
  }
  show(tag("h1", {}, "Reading session"));
  if (state.code) next({ do: "look" }); else invited();
})();
