// The organiser's page: create a study, invite, watch, lock, unblind, report, export. Python's side: ui/organising.py.

(function () {
  const page = document.getElementById("page");
  const known = JSON.parse(sessionStorage.getItem("ganlab-organiser") ?? "{}"); // of this tab, until it is closed
  const alert = tag("p", { class: "alert", role: "alert" });
  const tell = (words) => { alert.textContent = words ?? ""; };
  const button = (text, act, more = {}) => tag("button", { type: "button", onclick: act, ...more }, text);
  const field = (text, input) => tag("label", {}, tag("span", {}, text), input);
  const text = (id, value = "", type = "text") => tag("input", { type, id, value, autocomplete: "off", spellcheck: "false" });
  const number = (id, value, min, max, step = 1) => tag("input", { type: "number", id, value, min, max, step });
  const DESIGNS = { "yes-no": "Real or synthetic, and how sure", "2afc": "Two images: which is synthetic", ordinal: "How real, 1 to 6", mosaic: "Panels: mark the synthetic", staircase: "Shown for a moment (staircase)" };

  async function ask(request, quiet = false) {
    if (!quiet) tell("");
    page.setAttribute("aria-busy", "true");
    try {
      const headers = request.host ? { "X-Ganlab-Host": request.host } : {};
      const response = await fetch("organise", { method: "POST", headers, body: JSON.stringify({ study: known.study, secret: known.secret, ...request }) });
      const found = response.status === 413 ? { error: "That is too much for one request; give fewer or smaller images, or create the study on the server." } : response.status < 500 || response.status === 503 ? await response.json() : { error: "The server has trouble; look at its terminal." };
      if (found.error && !quiet) { tell(found.error); return null; }
      return found;
    } catch {
      if (!quiet) tell("The server does not answer; nothing was changed. Try again.");
      return null;
    } finally {
      page.removeAttribute("aria-busy");
    }
  }
  const show = (...parts) => page.replaceChildren(...parts, alert);

  async function begin() {
    const study = text("study", known.study ?? ""), secret = text("secret", known.secret ?? "", "password");
    const enter = async (event) => {
      event.preventDefault();
      Object.assign(known, { study: study.value.trim().toUpperCase(), secret: secret.value.trim() });
      await watch();
    };
    const options = (await ask({ do: "options" })) ?? { models: [], web: false };
    show(tag("h1", {}, "Organise a study"),
      tag("form", { onsubmit: enter }, field("Study", study), field("Its secret", secret), tag("div", { class: "bar" }, tag("button", { class: "go" }, "Open"))),
      tag("details", { open: !known.study }, tag("summary", {}, "Create a study"), options.web ? creation(options) : tag("p", { class: "note" }, "On the server: python -m ganlab study create. Over the web only where the host has set GANLAB_HOST_SECRET.")));
  }
  function creation({ models }) {
    const of = {
      host: text("host", "", "password"), title: text("title", "Visual Turing test"), readers: number("readers", 4, 1, 200), practice: number("practice", 4, 0, 40), catch: number("catch", 2, 0, 20),
      repeats: number("repeats", 0.1, 0, 0.5, 0.05), rest: number("rest", 40, 5, 500), limit_s: number("limit", 0, 0, 600, 0.1), margin: number("margin", 0.1, 0.01, 0.4, 0.01), count: number("count", 60, 20, 2000, 2), size: number("size", "", 16, 2048),
    };
    const design = tag("select", { id: "design" }, ...Object.entries(DESIGNS).map(([value, words]) => tag("option", { value }, words)));
    const instructions = tag("textarea", { id: "instructions" }), groups = text("groups", "");
    const prevalence = tag("input", { type: "checkbox", id: "prevalence" }), race = tag("input", { type: "checkbox", id: "race" });
    const model = tag("select", { id: "model" }, tag("option", { value: "" }, "my own images"), ...models.map((name) => tag("option", { value: name }, name)));
    if (models.includes("dcgan-nodules")) model.value = "dcgan-nodules";
    const files = { real: tag("input", { type: "file", multiple: true, id: "real" }), synthetic: tag("input", { type: "file", multiple: true, id: "synthetic" }) };
    const own = tag("div", { class: "grid" }, field("Real images", files.real), field("Synthetic images", files.synthetic), field("Resample all to N x N pixels (empty: as they are)", of.size));
    const choose = () => { own.hidden = Boolean(model.value); of.count.parentElement.hidden = !model.value; };
    const value = (name) => Number(of[name].value);
    const create = async (event) => {
      event.preventDefault();
      const protocol = {
        title: of.title.value, design: design.value, instructions: instructions.value, readers: value("readers"), practice: value("practice"), catch: value("catch"), repeats: value("repeats"), rest: value("rest"),
        limit_s: value("limit_s"), margin: value("margin"), prevalence: prevalence.checked, race: race.checked, groups: groups.value.split(",").map((name) => name.trim()).filter(Boolean),
      };
      const images = model.value ? { model: model.value, count: value("count") } : { real: await read(files.real), synthetic: await read(files.synthetic), size: of.size.value ? value("size") : null };
      const found = await ask({ do: "create", host: of.host.value, protocol, ...images });
      if (found) { Object.assign(known, { study: found.study, secret: found.secret }); await watch(true); }
    };
    const made = tag("form", { onsubmit: create },
      field("Host's secret", of.host), field("Title", of.title), field("Design", design), field("Instructions (empty: the usual ones)", instructions), field("Groups of experience, with commas between (empty: not asked)", groups),
      tag("div", { class: "grid" }, field("Readers", of.readers), field("Practice images", of.practice), field("Catch images", of.catch), field("Share shown twice", of.repeats), field("Break after", of.rest), field("Seconds shown, 0: no limit", of.limit_s), field("Margin about 0.5", of.margin)),
      tag("label", { class: "check" }, prevalence, "Tell readers the share of synthetic images"), tag("label", { class: "check" }, race, "A race for a class: feedback and a leaderboard, no research"),
      field("Images", model), field("How many, half of them real", of.count), own, tag("p", { id: "planned", class: "words", "aria-live": "polite" }),
      tag("div", { class: "bar" }, tag("button", { class: "go", id: "create" }, "Create and seal")));
    model.addEventListener("change", choose);
    choose();
    let waiting;
    const plan = async () => {
      const count = model.value ? value("count") : Math.min(files.real.files.length, files.synthetic.files.length) * 2;
      if (!count) return;
      const found = await ask({ do: "plan", readers: value("readers"), count, margin: value("margin") }, true);
      if (found) made.querySelector("#planned").textContent = found.words ?? found.error;
    };
    const planSoon = () => { clearTimeout(waiting); waiting = setTimeout(plan, 300); };
    for (const input of [of.readers, of.count, of.margin, model, files.real, files.synthetic]) input.addEventListener("change", planSoon);
    planSoon();
    return made;
  }
  const read = (input) => Promise.all([...input.files].map((file) => new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.onload = () => resolve({ name: file.name, data: reader.result.slice(reader.result.indexOf(",") + 1) });
    reader.onerror = reject;
    reader.readAsDataURL(file);
  })));

  async function watch(fresh = false) {
    const found = await ask({ do: "progress" });
    if (!found) return;
    sessionStorage.setItem("ganlab-organiser", JSON.stringify(known));
    draw(found, fresh);
  }
  function draw(found, fresh) {
    const link = (code) => `${location.href.replace(/organise.*$/, "")}rate#${code}`;
    const copy = (code) => button("Copy link", async (event) => { await navigator.clipboard.writeText(link(code)); event.target.textContent = "Copied"; }, { class: "small" });
    const line = (reader) => tag("tr", {}, tag("td", {}, reader.reader), tag("td", { class: "code" }, tag("a", { href: link(reader.invitation) }, reader.invitation)), tag("td", {}, copy(reader.invitation)), tag("td", {}, reader.state), tag("td", {}, `${reader.answers} of ${reader.of}`), tag("td", {}, reader.experience));
    const heads = ["Reader", "Invitation", "", "State", "Answers", "Experience"];
    const steps = {
      open: [button("Lock: take no more answers", () => change("lock", "Take no more answers, for good?"), { id: "lock" })],
      locked: [button("Unblind", () => change("unblind", "Tell the truth of this study?"), { id: "unblind", class: "go" })],
      unblinded: [button("Report", report, { id: "report", class: "go" }), button("Export all", exported, { id: "export" })],
    }[found.status];
    const receipt = tag("input", { type: "file", id: "receipt", accept: ".json" });
    receipt.addEventListener("change", async () => {
      try {
        const told = await ask({ do: "receipt", receipt: JSON.parse(await receipt.files[0].text()) });
        if (told) { draw(told, false); tell(`${told.back} answers were put back.`); }
      } catch { tell("This file is no receipt."); }
    });
    const m = found.machine;
    show(tag("h1", {}, found.title), tag("p", { class: "note" }, `Study ${found.study}, ${found.design}${found.race ? ", a race" : ""}, created ${found.created.slice(0, 16).replace("T", " ")} UTC. Invitations until ${found.expires}; answers are kept until ${found.keep_until}.`),
      ...(fresh ? [tag("p", {}, "Write this down, it is shown once. The study's secret: ", tag("strong", { class: "code", id: "fresh" }, known.secret))] : []),
      tag("p", {}, "This study is ", tag("strong", { id: "status" }, found.status), `. Requests refused so far: ${found.refused}.`),
      tag("p", { class: "note" }, `Seal, to be published before the first answer: `, tag("span", { class: "code", id: "seal" }, found.seal)),
      tag("p", { class: "note" }, `A machine that sees no anatomy tells the kinds with an area of ${m.area.toFixed(2)} (${m.low.toFixed(2)} to ${m.high.toFixed(2)}); report it beside the readers'. ${found.warning}`),
      tag("div", { class: "bar" }, ...steps, button("Refresh", () => watch(), { id: "refresh" }), button("Another study", () => { sessionStorage.removeItem("ganlab-organiser"); delete known.study; delete known.secret; begin(); })),
      tag("div", { class: "scroll" }, tag("table", {}, tag("thead", {}, tag("tr", {}, ...heads.map((head) => tag("th", {}, head)))), tag("tbody", {}, ...found.readers.map(line)))),
      tag("details", {}, tag("summary", { class: "note" }, "Put answers back from a reader's receipt"), receipt), tag("div", { id: "result" }));
  }
  async function change(what, question) { if (confirm(question) && (await ask({ do: what }))) await watch(); }
  async function report() {
    const found = await ask({ do: "report" });
    if (found) save(URL.createObjectURL(new Blob([found.html], { type: "text/html" })), `report-${known.study}.html`);
  }
  async function exported() {
    const found = await ask({ do: "export" });
    if (!found) return;
    const bytes = Uint8Array.from(atob(found.zip), (c) => c.charCodeAt(0));
    save(URL.createObjectURL(new Blob([bytes], { type: "application/zip" })), found.name);
  }
  if (known.secret) watch().then(() => known.study && !page.querySelector("#status") && begin()); else begin();
})();
