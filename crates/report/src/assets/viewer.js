"use strict";
// The token viewer. Its data lies in the page (the report) or comes from `api/` (deltaloss view).
// Names and texts are foreign: they become text nodes and nothing else.
(() => {
  const byId = (id) => document.getElementById(id);
  const root = byId("viewer");
  if (root === null) return;
  const BIG = 1; // nats; what counts as a big win
  const PAGE = 200; // documents asked for at a time
  const SHADES = { delta: [0.1, 0.5, 1, 2, 4], loss: [0.5, 1, 2, 4, 8], entropy: [0.2, 0.5, 1, 2, 4] };
  const ORDERS = [["a", "won by "], ["b", "won by "], ["size", "by |total Δ|"], ["corpus", "as in the corpus"]];

  const element = (name, text, className) => {
    const made = document.createElement(name);
    if (text !== undefined) made.textContent = text;
    if (className) made.className = className;
    return made;
  };
  const option = (value, text) => {
    const made = element("option", text);
    made.value = value;
    return made;
  };
  const nats = (value) => value.toFixed(3).replace("-", "−");
  const signed = (value) => (value > 0 ? "+" : "") + nats(value);
  const counted = (count, one, more) => count.toLocaleString("en") + " " + (count === 1 ? one : more);
  // A text on one line, its white space visible.
  const visible = (text) => (text === "" ? "∅" : text.replaceAll(" ", "␣").replaceAll("\n", "⏎").replaceAll("\t", "⇥"));

  // Where documents come from.
  const embedded = () => {
    const data = JSON.parse(byId("viewer-data").textContent);
    const order = {
      a: (x, y) => x.total - y.total,
      b: (x, y) => y.total - x.total,
      size: (x, y) => Math.abs(y.total) - Math.abs(x.total),
      corpus: (x, y) => x.document - y.document,
    };
    return {
      comparison: async () => data.comparison,
      documents: async (by, find, from) => {
        const held = data.documents.filter((d) => d.name.toLowerCase().includes(find.toLowerCase())).sort(order[by]);
        return { matching: held.length, documents: held.slice(from, from + PAGE) };
      },
      tokens: async (number) => data.documents.find((d) => d.document === number) ?? null,
      whole: false,
    };
  };
  const served = () => {
    const ask = async (path) => {
      const answer = await fetch(path);
      if (answer.status === 404) return null;
      if (!answer.ok) throw new Error(await answer.text());
      return answer.json();
    };
    return {
      comparison: () => ask("api/comparison"),
      documents: (by, find, from) => ask("api/documents?" + new URLSearchParams({ order: by, find, from, count: PAGE })),
      tokens: (number, token) => ask("api/document?" + new URLSearchParams({ document: number, token })),
      whole: true,
    };
  };
  const source = byId("viewer-data") === null ? served() : embedded();

  let about = null; // the comparison
  let list = []; // documents of the list so far
  let shown = null; // the stretch of a document on the page
  let tracks = []; // run a's tokens, then those of runs with tokens of their own: { role, view, parts: [elements of each token] }
  let pinned = null; // { track, token } that stays when the pointer leaves
  let pointed = null;
  let touched = false; // whether the reader did anything: only then the address changes
  let asked = 0; // the latest request, whose answer counts
  const state = { document: null, token: null, track: 0, shade: "delta", category: "", least: 0, text: "", order: "a", find: "" };
  const labelOf = (role) => about.models.find((m) => m.role === role)?.label ?? about.oracle ?? role;
  const say = (text) => { byId("v-status").textContent = text; };
  const fail = (error) => say(error instanceof TypeError ? "deltaloss view does not answer; is it still running?" : error.message);
  const guarded = (work) => (...given) => Promise.resolve(work(...given)).catch(fail);

  // Links: everything that a view is made of, behind #tokens?
  const readLink = () => {
    if (!location.hash.startsWith("#tokens?")) return false;
    const link = new URLSearchParams(location.hash.slice("#tokens?".length));
    const number = (name) => (/^[0-9]{1,9}$/.test(link.get(name) ?? "") ? Number(link.get(name)) : null);
    Object.assign(state, {
      document: number("document"), token: number("token"), track: number("track") ?? 0,
      shade: link.get("shade") ?? "delta", category: link.get("category") ?? "", least: Math.max(0, Number(link.get("least")) || 0),
      text: link.get("text") ?? "", order: link.get("order") ?? "a", find: link.get("find") ?? "",
    });
    return true;
  };
  const writeLink = () => {
    if (!touched) return;
    const link = new URLSearchParams();
    const usual = { shade: "delta", category: "", least: 0, text: "", order: "a", find: "", track: 0 };
    for (const [name, value] of Object.entries(state)) {
      if (value !== null && value !== usual[name]) link.set(name, value);
    }
    history.replaceState(null, "", "#tokens?" + link);
  };

  // Documents.
  const showList = (answer, from) => {
    list = from === 0 ? answer.documents : list.concat(answer.documents);
    byId("v-count").textContent = source.whole
      ? counted(answer.matching, "document", "documents")
      : counted(answer.matching, "telling document", "telling documents") + " of " + about.documents.toLocaleString("en") + "; “deltaloss view” shows all";
    byId("v-list").replaceChildren(...list.map((item) => {
      const button = element("button", undefined, "v-item");
      button.type = "button";
      button.append(element("span", item.name, "v-file"), element("span", "Δ " + signed(item.total) + " · " + counted(item.tokens, "token", "tokens"), "v-sum"));
      if (item.document === state.document) button.setAttribute("aria-current", "true");
      button.addEventListener("click", guarded(() => { touched = true; return open(item.document, null); }));
      const place = element("li");
      place.append(button);
      return place;
    }));
    byId("v-more").hidden = list.length >= answer.matching;
  };
  const findDocuments = async (from = 0) => {
    const mine = ++asked;
    const answer = await source.documents(state.order, state.find, from);
    if (mine === asked) showList(answer, from);
  };
  const open = async (number, token, track = 0) => {
    const view = await source.tokens(number, token ?? 0);
    if (view === null) return say("The document of this link is not here" + (source.whole ? "." : "; “deltaloss view” shows all."));
    say("");
    Object.assign(state, { document: number, token, track });
    shown = view;
    render();
    for (const item of byId("v-list").querySelectorAll("button")) item.removeAttribute("aria-current");
    const place = list.findIndex((item) => item.document === number);
    byId("v-list").children[place]?.firstChild.setAttribute("aria-current", "true");
    if (token !== null) point({ track, token: token - view.from }, true);
    writeLink();
  };

  // The text.
  const partsOf = (track, index, text) => text.split("\n").map((line, part, lines) => {
    const made = element("span", undefined, "t");
    made.dataset.track = track;
    made.dataset.token = index;
    if (text === "") made.classList.add("empty");
    made.append(line);
    if (part < lines.length - 1) made.append(element("i", undefined, "nl"));
    return made;
  }).filter((made, part, all) => part === 0 || made.childNodes.length > 1 || made.textContent !== "" || all.length === 1);
  // Lines of elements: of one track, the tokens and the text between them.
  const linesOf = (track) => {
    const lines = [[]];
    const gaps = new Map(track.view.gaps);
    const add = (made, endsLine) => { lines.at(-1).push(made); if (endsLine) lines.push([]); };
    const gap = (index) => {
      const texts = (gaps.get(index) ?? "").split("\n");
      texts.forEach((text, part) => {
        const made = element("span", text, "gap");
        made.title = "predicted by none, or not by every model";
        if (text !== "" || part < texts.length - 1) add(made, part < texts.length - 1);
      });
    };
    track.view.text.forEach((text, index) => {
      gap(index);
      const parts = partsOf(track.index, index, text);
      track.parts.push(parts);
      for (const part of parts) add(part, part.querySelector(".nl") !== null);
    });
    gap(track.view.text.length);
    return lines;
  };
  const render = () => {
    pinned = pointed = null;
    tracks = [{ role: "a", view: shown }, ...shown.own.map((own) => ({ role: own.role, view: own }))]
      .map((track, index) => ({ ...track, index, parts: [] }));
    const lines = tracks.map(linesOf);
    const code = byId("v-code");
    code.classList.toggle("tracks", tracks.length > 1);
    code.replaceChildren(...lines[0].map((line, number) => {
      const place = element("div", undefined, "line");
      tracks.forEach((track, index) => {
        const row = element("div", undefined, "row of-" + track.role);
        row.append(...(index === 0 ? line : lines[index][number] ?? []));
        place.append(row);
      });
      return place;
    }));
    code.scrollTop = 0;
    byId("v-name").textContent = shown.name;
    byId("v-about").textContent = shown.split + " half · " + counted(shown.tokens, "token", "tokens") + " · total Δ " + signed(shown.total) + " nats" +
      (tracks.length > 1 ? " · above the tokens of " + labelOf("a") + ", below those of " + tracks.slice(1).map((t) => labelOf(t.role)).join(", ") : "");
    const last = shown.from + shown.text.length;
    const partly = shown.text.length < shown.tokens;
    byId("v-stretch").hidden = !partly;
    byId("v-range").textContent = "Tokens " + (shown.from + 1).toLocaleString("en") + " to " + last.toLocaleString("en") + " of " + shown.tokens.toLocaleString("en");
    byId("v-before").hidden = !source.whole || shown.from === 0;
    byId("v-after").hidden = !source.whole || last >= shown.tokens;
    shade();
    panel();
  };

  // Shading and filters.
  const level = (value, steps) => steps.filter((step) => value >= step).length;
  const column = (track, what) => {
    const [kind, role] = what.split("-");
    if (kind === "oracle") return track.index === 0 ? { of: shown.oracle, steps: SHADES.entropy, role: "oracle" } : null;
    const model = track.index === 0 ? shown.models.find((m) => m.role === role) : role === track.role ? track.view : null;
    return model && (kind === "loss" || kind === "entropy") ? { of: model[kind], steps: SHADES[kind], role } : null;
  };
  const shadeOf = (track, token) => {
    if (state.shade === "delta") {
      if (track.index > 0) return "";
      const delta = shown.delta[token];
      const step = level(Math.abs(delta), SHADES.delta);
      const side = delta < 0 ? "a" : "b";
      return (step > 0 ? "s-" + side + "-" + step : "") + (Math.abs(delta) >= BIG ? " big-" + side : "");
    }
    if (state.shade === "category") {
      const category = track.index > 0 ? null : shown.category[token];
      return category === null ? "" : "c-" + (category % 10) + (category >= 10 ? " c-second" : "");
    }
    const values = column(track, state.shade);
    const value = values?.of?.[token] ?? null;
    const step = value === null ? 0 : level(value, values.steps);
    return step > 0 ? "s-" + values.role + "-" + step : "";
  };
  const filters = () => state.category !== "" || state.least > 0 || state.text !== "";
  const matches = (track, token) => {
    if (track.index > 0) return !filters();
    const category = shown.category[token] === null ? "" : about.categories[shown.category[token]];
    return (state.category === "" || category === state.category) && Math.abs(shown.delta[token]) >= state.least &&
      (state.text === "" || shown.text[token].toLowerCase().includes(state.text.toLowerCase()));
  };
  const shade = () => {
    if (shown === null) return;
    let found = 0;
    for (const track of tracks) {
      track.parts.forEach((parts, token) => {
        const fits = matches(track, token);
        if (fits && track.index === 0) found += 1;
        const names = "t " + shadeOf(track, token) + (fits ? "" : " off");
        for (const part of parts) part.className = names + (part.textContent === "" && part.childNodes.length === 1 ? " empty" : "");
      });
    }
    mark();
    legend();
    if (filters()) say(counted(found, "token matches", "tokens match") + " here");
    else say("");
  };
  const legend = () => {
    const swatch = (name, text) => element("span", text, "swatch " + name);
    const made = [];
    if (state.shade === "delta") {
      const [a, b] = [labelOf("a"), labelOf("b")];
      made.push("Δ, nats: ", element("b", a, "text-a"), " better by ");
      for (let step = 5; step > 0; step--) made.push(swatch("s-a-" + step, SHADES.delta[step - 1]));
      made.push(" and ", element("b", b, "text-b"), " by ");
      for (let step = 1; step <= 5; step++) made.push(swatch("s-b-" + step, SHADES.delta[step - 1]));
      made.push(" or more; underlined from " + BIG + " on, ", element("span", "solid", "big-a"), " and ", element("span", "dotted", "big-b"), ".");
    } else if (state.shade === "category") {
      about.categories.forEach((name, index) => made.push(swatch("c-" + (index % 10) + (index >= 10 ? " c-second" : ""), name), " "));
    } else if (state.shade !== "none") {
      const [kind, role] = state.shade.split("-");
      const of = kind === "oracle" ? "oracle" : role;
      made.push((kind === "loss" ? "Loss of " : "Entropy of ") + labelOf(of) + ", nats: ");
      SHADES[kind === "loss" ? "loss" : "entropy"].forEach((step, index) => made.push(swatch("s-" + of + "-" + (index + 1), step)));
      made.push(" or more.");
    }
    byId("v-legend").replaceChildren(...made);
  };

  // The token pointed at.
  const mark = () => {
    for (const old of byId("v-code").querySelectorAll(".pinned,.pointed")) old.classList.remove("pinned", "pointed");
    for (const part of tracks[pinned?.track]?.parts[pinned.token] ?? []) part.classList.add("pinned");
    for (const part of tracks[pointed?.track]?.parts[pointed.token] ?? []) part.classList.add("pointed");
  };
  const table = (rows, heads) => {
    const made = element("table");
    const row = (cells, kind) => {
      const line = element("tr");
      cells.forEach((cell, index) => {
        const place = element(index === 0 || kind === "th" ? "th" : "td");
        place.scope = kind === "th" ? "col" : "row";
        place.append(cell);
        line.append(place);
      });
      return line;
    };
    const [head, body] = [element("thead"), element("tbody")];
    head.append(row(heads, "th"));
    body.append(...rows.map((cells) => row(cells, "td")));
    made.append(head, body);
    return made;
  };
  const guessOf = (model, token) => {
    if (model.rank === undefined) return ["–", "–"];
    const text = shown.guesses[model.guess[token]];
    const made = element("span");
    made.append(element("code", text === null ? "entry " + model.top[token] : visible(text)), " " + (100 * model.probability[token]).toFixed(1) + "%");
    return [String(model.rank[token] + 1), made];
  };
  const panel = () => {
    const at = pinned ?? pointed;
    const place = byId("v-panel");
    if (at === null) {
      place.replaceChildren(element("p", "Point at a token, or walk with the arrow keys.", "v-hint"));
      return;
    }
    const track = tracks[at.track];
    const models = at.track === 0 ? shown.models : [track.view];
    const rows = models.map((model) => [
      element("b", labelOf(model.role), "text-" + model.role), nats(model.loss[at.token]), nats(model.entropy[at.token]), ...guessOf(model, at.token),
    ]);
    const facts = [];
    if (at.track === 0) {
      const delta = shown.delta[at.token];
      const winner = delta === 0 ? "equal" : labelOf(delta < 0 ? "a" : "b") + " better";
      facts.push(["Δ", signed(delta) + " (" + winner + ")"]);
      facts.push(["Category", shown.category[at.token] === null ? "–" : about.categories[shown.category[at.token]]]);
      facts.push(["Bracket depth", String(shown.depth[at.token])]);
      if (shown.oracle !== null) {
        const entropy = shown.oracle[at.token];
        facts.push(["Entropy of " + labelOf("oracle"), entropy === null ? "no value" : nats(entropy)]);
      }
      facts.push(["Place", "token " + shown.position[at.token].toLocaleString("en") + ", byte " + shown.byte[at.token].toLocaleString("en")]);
    } else {
      facts.push(["Tokens of", labelOf(track.role)]);
    }
    const title = element("p", undefined, "v-token");
    // A token that begins or ends within a character is its bytes.
    const piece = track.view.pieces.find(([index]) => index === at.token);
    title.append(element("code", piece === undefined ? visible(track.view.text[at.token]) : piece[1]), pinned === null ? "" : element("span", " pinned", "v-pin"));
    const details = element("dl");
    for (const [name, value] of facts) details.append(element("dt", name), element("dd", value));
    place.replaceChildren(title, details, table(rows, [about.basis === "calibrated" ? "Calibrated, nats" : "Nats", "Loss", "Entropy", "Rank", "Top guess"]));
  };
  // Pins a token.
  const point = (at, scroll) => {
    if (tracks[at.track]?.parts[at.token] === undefined) return;
    [pinned, pointed] = [at, null];
    Object.assign(state, { token: at.track === 0 ? shown.from + at.token : at.token + shown.from, track: at.track });
    mark();
    panel();
    if (scroll) tracks[at.track].parts[at.token][0].scrollIntoView({ block: "nearest", inline: "nearest" });
    writeLink();
  };
  const release = () => {
    pinned = null;
    Object.assign(state, { token: null, track: 0 });
    mark();
    panel();
    writeLink();
  };

  // Walking.
  const here = () => pinned ?? pointed;
  const step = async (direction, wanted) => {
    const at = here();
    const track = tracks[at?.track ?? 0];
    let token = at === null ? (direction > 0 ? -1 : track.view.text.length) : at.token;
    do token += direction; while (token >= 0 && token < track.view.text.length && !wanted(track, token));
    if (token >= 0 && token < track.view.text.length) return point({ track: track.index, token }, true);
    const beyond = direction > 0 ? shown.from + shown.text.length : shown.from - 1;
    if (source.whole && track.index === 0 && beyond >= 0 && beyond < shown.tokens) {
      await open(state.document, beyond);
      if (!wanted(tracks[0], pinned.token)) await step(direction, wanted);
      return;
    }
    say(direction > 0 ? "No such token after this one" : "No such token before this one");
  };
  // The line above or below in which a token begins: the nearest of them.
  const climb = (direction) => {
    const at = here();
    if (at === null) return step(direction, matches);
    const from = tracks[at.track].parts[at.token][0].getBoundingClientRect();
    const starts = (part) => tracks[part.dataset.track].parts[part.dataset.token][0] === part;
    const parts = [...byId("v-code").querySelectorAll(".t:not(.off)")].filter(starts);
    let [best, nearest, line] = [null, Infinity, null];
    const first = parts.indexOf(tracks[at.track].parts[at.token][0]);
    const start = first >= 0 ? first : 0;
    for (let index = start + direction; index >= 0 && index < parts.length; index += direction) {
      const box = parts[index].getBoundingClientRect();
      if (Math.abs(box.top - from.top) < from.height / 2) continue;
      if (line !== null && Math.abs(box.top - line) > from.height / 2) break;
      line = box.top;
      const distance = Math.abs(box.left - from.left);
      if (distance < nearest) [best, nearest] = [parts[index], distance];
    }
    if (best !== null) point({ track: Number(best.dataset.track), token: Number(best.dataset.token) }, true);
  };
  const wins = (side) => (track, token) => track.index === 0 && matches(track, token) && (side === "a" ? -shown.delta[token] : shown.delta[token]) >= Math.max(BIG, state.least);
  const jump = guarded((side, direction) => {
    touched = true;
    if (here() !== null && here().track > 0) release();
    return step(direction, wins(side));
  });
  const keys = {
    ArrowRight: () => step(1, matches), ArrowLeft: () => step(-1, matches), ArrowDown: () => climb(1), ArrowUp: () => climb(-1),
    a: () => jump("a", 1), A: () => jump("a", -1), b: () => jump("b", 1), B: () => jump("b", -1),
    Escape: release, Enter: () => (pinned !== null ? release() : pointed !== null ? point(pointed, false) : undefined),
    Home: () => { pinned = pointed = null; return step(1, matches); }, End: () => { pinned = pointed = null; return step(-1, matches); },
  };
  const atToken = (event) => {
    const part = event.target.closest?.(".t");
    return part ? { track: Number(part.dataset.track), token: Number(part.dataset.token) } : null;
  };

  const listen = () => {
    const code = byId("v-code");
    code.addEventListener("keydown", guarded((event) => {
      const work = keys[event.key];
      if (work === undefined || event.ctrlKey || event.metaKey || event.altKey || shown === null) return undefined;
      event.preventDefault();
      touched = true;
      return work();
    }));
    code.addEventListener("pointerover", (event) => { pointed = atToken(event); mark(); if (pinned === null) panel(); });
    code.addEventListener("pointerleave", () => { pointed = null; mark(); if (pinned === null) panel(); });
    code.addEventListener("click", (event) => {
      const at = atToken(event);
      touched = true;
      if (at === null || (pinned !== null && at.track === pinned.track && at.token === pinned.token)) release();
      else point(at, false);
    });
    const field = (id, name, read, then) => byId(id).addEventListener(id === "v-find" || id === "v-text" || id === "v-least" ? "input" : "change", guarded((event) => {
      touched = true;
      state[name] = read(event.target.value);
      writeLink();
      return then();
    }));
    field("v-shade", "shade", String, shade);
    field("v-category", "category", String, shade);
    field("v-least", "least", (value) => Math.max(0, Number(value) || 0), shade);
    field("v-text", "text", String, shade);
    field("v-order", "order", String, () => findDocuments());
    field("v-find", "find", String, () => findDocuments());
    byId("v-clear").addEventListener("click", () => {
      touched = true;
      Object.assign(state, { category: "", least: 0, text: "" });
      fill();
      shade();
      writeLink();
    });
    byId("v-more").addEventListener("click", guarded(() => findDocuments(list.length)));
    for (const side of ["a", "b"]) byId("v-" + side).addEventListener("click", (event) => jump(side, event.shiftKey ? -1 : 1));
    byId("v-before").addEventListener("click", guarded(() => { touched = true; return open(state.document, shown.from - 1); }));
    byId("v-after").addEventListener("click", guarded(() => { touched = true; return open(state.document, shown.from + shown.text.length); }));
    byId("v-link").addEventListener("click", async () => {
      touched = true;
      writeLink();
      try { await navigator.clipboard.writeText(location.href); say("Link copied"); } catch { say("The address bar holds the link"); }
    });
    addEventListener("hashchange", guarded(async () => {
      if (!readLink()) return;
      fill();
      await findDocuments();
      await openWanted();
    }));
  };

  // What is chosen, into the fields; what is no choice becomes the usual one.
  const fill = () => {
    for (const name of ["shade", "category", "order"]) {
      const field = byId("v-" + name);
      field.value = state[name];
      if (field.selectedIndex < 0) state[name] = field.value = name === "shade" ? "delta" : name === "order" ? "a" : "";
    }
    byId("v-least").value = state.least || "";
    byId("v-text").value = state.text;
    byId("v-find").value = state.find;
  };
  const choices = () => {
    const shades = [option("delta", "Δ of the losses")];
    for (const kind of ["loss", "entropy"]) {
      for (const model of about.models) shades.push(option(kind + "-" + model.role, kind + " of " + model.label));
    }
    if (about.oracle !== null) shades.push(option("oracle", "entropy of " + about.oracle));
    shades.push(option("category", "category"), option("none", "nothing"));
    byId("v-shade").replaceChildren(...shades);
    byId("v-category").replaceChildren(option("", "all"), ...about.categories.map((name) => option(name, name)));
    byId("v-order").replaceChildren(...ORDERS.map(([value, text]) => option(value, value === "a" || value === "b" ? text + labelOf(value) : text)));
    for (const side of ["a", "b"]) {
      byId("v-" + side).replaceChildren("Next big win of ", element("b", labelOf(side), "text-" + side));
      byId("v-" + side).title = "Next token where " + labelOf(side) + " is better by " + BIG + " nat or more (key " + side + "; with Shift the one before)";
    }
  };
  const openWanted = () => {
    if (state.document === null && list.length === 0) return undefined;
    return open(state.document ?? list[0].document, state.token, state.track);
  };
  guarded(async () => {
    root.hidden = false;
    about = await source.comparison();
    const linked = readLink();
    choices();
    fill();
    listen();
    await findDocuments();
    await openWanted();
    if (linked) byId("tokens")?.scrollIntoView({ behavior: "instant" });
    root.dataset.ready = "true";
  })();
})();
