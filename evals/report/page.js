"use strict";
(() => {
  let data = null;
  const get = () => (data ??= JSON.parse(document.getElementById("data").textContent));
  // Everything below goes into the page as text, never as markup: models wrote it.
  const make = (tag, text, kind) => {
    const element = document.createElement(tag);
    if (text !== undefined && text !== null) element.textContent = String(text);
    if (kind) element.className = kind;
    return element;
  };
  const auto = (element) => { element.dir = "auto"; return element; };
  const count = (number) => Number(number).toLocaleString("en");
  const share = (value) => (value === null ? "unknown" : `${(100 * value).toFixed(1)} %`);

  const sampleOf = (sample, place, votes) => {
    const [vote, tokens, finish, right, text] = sample;
    const answer = vote < 0 ? "no answer" : (votes[vote] ?? ["another answer"])[0];
    const sign = right === 1 ? "✓ " : right === 0 ? "✗ " : "";
    const line = `${sign}sample ${place}: `;
    const rest = ` (${count(tokens)} tokens, ${finish || "in flight"})`;
    const head = make(text === undefined ? "p" : "summary", undefined, right === 1 ? "yes" : right === 0 ? "no" : "");
    head.append(line, make("bdi", answer), make("span", rest, "flag"));
    if (text === undefined) { head.classList.add("s"); head.append(make("span", " – text left out for room", "flag")); return head; }
    const details = make("details", undefined, "s");
    details.append(head);
    details.addEventListener("toggle", () => {
      if (details.open && details.childElementCount === 1) details.append(auto(make("pre", text)));
    });
    return details;
  };

  const armOf = (name, run) => {
    const box = make("div", undefined, "arm");
    box.append(auto(make("h4", name)));
    const answered = make("p", undefined, "facts");
    answered.append("answered ", make("bdi", run.answer ?? "nothing"), `, confidence ${share(run.confidence)}; stopped: ${run.stop}`);
    if (run.why) answered.append(" – ", make("bdi", run.why));
    box.append(answered);
    const spent = [`${count(run.tokens)} generated tokens`];
    if (run.verifier) spent.push(`${count(run.verifier)} of them by verifiers`);
    if (run.wasted) spent.push(`${count(run.wasted)} not delivered`);
    box.append(make("p", spent.join(", "), "facts"));
    if (run.votes.length) {
      const votes = make("ul", undefined, "votes");
      votes.setAttribute("aria-label", "votes");
      for (const [answer, number] of run.votes) {
        const vote = make("li");
        vote.append(make("bdi", answer), make("b", ` ${count(number)}`));
        votes.append(vote);
      }
      box.append(votes);
    }
    if (run.notes.length) {
      const notes = make("details", undefined, "s");
      notes.append(make("summary", run.notes.length === 1 ? "1 decision" : `${run.notes.length} decisions`));
      const list = make("ul");
      for (const [seconds, settled, did, confidence, why] of run.notes) {
        const note = make("li");
        note.append(`${seconds} s, ${settled} samples: ${did}, confidence ${share(confidence)} `, make("bdi", why));
        list.append(note);
      }
      notes.append(list);
      box.append(notes);
    }
    const said = run.samples.map((sample, place) => sampleOf(sample, place, run.votes));
    box.append(...said);
    if (run.from !== null && said[run.from] instanceof HTMLDetailsElement) said[run.from].open = true;
    if (run.left_out) box.append(make("p", `${count(run.left_out)} more samples are in the run file`, "facts"));
    return box;
  };

  const fill = (details) => {
    const question = get().questions[Number(details.dataset.q)] ?? {};
    const body = make("div", undefined, "body");
    if (question.prompt !== undefined) body.append(auto(make("pre", question.prompt)));
    for (const [arm, run] of Object.entries(question.arms ?? {})) body.append(armOf(get().arms[Number(arm)], run));
    if (!question.arms) body.append(make("p", "No runs are recorded of this question.", "facts"));
    details.append(body);
  };

  const list = document.getElementById("list");
  list.addEventListener("toggle", (event) => {
    const details = event.target;
    if (details.classList.contains("q") && details.open && details.childElementCount === 1) fill(details);
  }, true);

  const filter = document.getElementById("filter"), search = document.getElementById("search");
  const shown = document.getElementById("count"), all = [...list.children];
  const fits = {
    all: () => true,
    differ: (code) => code.includes("1") && /[0p-]/.test(code),
    none: (code) => !/[1p]/.test(code),
    every: (code) => /^[1 ]+$/.test(code),
  };
  const only = (arm) => (code) => code[arm] === "1" && [...code].every((sign, place) => place === arm || sign !== "1");
  const apply = () => {
    const wanted = filter.value.startsWith("only-") ? only(Number(filter.value.slice(5))) : fits[filter.value];
    const word = search.value.trim().toLowerCase();
    let number = 0;
    for (const details of all) {
      const question = word ? get().questions[Number(details.dataset.q)] : null;
      const found = !word || details.textContent.toLowerCase().includes(word) || (question?.prompt ?? "").toLowerCase().includes(word);
      details.hidden = !(found && wanted(details.dataset.r));
      number += details.hidden ? 0 : 1;
    }
    shown.textContent = `${count(number)} of ${count(all.length)}`;
  };
  filter.addEventListener("change", apply);
  search.addEventListener("input", apply);
  apply();

  // report.html#q12 opens the thirteenth question, so that one can be pointed at.
  const follow = () => {
    const details = document.getElementById(location.hash.slice(1));
    if (details !== null && details.classList.contains("q")) { details.open = true; details.scrollIntoView({ behavior: "instant" }); }
  };
  addEventListener("hashchange", follow);
  follow();
})();
