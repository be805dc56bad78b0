// The page: shows what is due, plays, takes ratings, sends them.

import { draft, keepDraft, knownListener, newListener, Refused, request } from "./answers.js";
import { Player, SHORTEST_LOOP_S } from "./player.js";

const LETTERS = "ABCDEFGHIJKL";
const GRADES = ["bad", "poor", "fair", "good", "excellent"];
const TROUBLE = "The server does not answer. Nothing is lost: trying again …";

const element = (id) => document.getElementById(id);
const say = (text) => {
  element("status").textContent = text;
};

let listener = knownListener();
let context = null;
let trial = null;

class Trial {
  // The page that is due, with its sounds loaded.
  constructor(state, player) {
    this.state = state;
    this.player = player;
    this.isAbx = state.mode === "abx";
    this.key = `${state.test}/${listener}/${state.number}`;
    this.values = Array(this.isAbx ? 1 : state.num_slots).fill(null);
    this.heard = new Set();
    this.isSending = false;
    this.beganAt = performance.now();
    const kept = draft(this.key);
    if (kept !== null) {
      this.values = kept.values;
      this.heard = new Set(kept.heard);
    }
  }

  // Index of a sound: 0 is the reference or X, then A, B, C ...
  name(index) {
    return index > 0 ? LETTERS[index - 1] : this.isAbx ? "X" : "the reference";
  }

  rate(slot, value) {
    this.values[slot] = value;
    keepDraft(this.key, this.values, this.heard);
  }

  hear(index) {
    this.heard.add(index);
    keepDraft(this.key, this.values, this.heard);
  }

  // What is still to be done before the answer can be sent, null for nothing.
  missing() {
    for (let index = 0; index <= this.state.num_slots; index++) {
      if (!this.heard.has(index)) {
        return { text: `Listen to ${this.name(index)} first.`, focus: soundButtons()[index] };
      }
    }
    const slot = this.values.indexOf(null);
    if (slot < 0) return null;
    if (this.isAbx) return { text: "Say whether X is A or B first.", focus: choices()[0] };
    return { text: `Rate ${LETTERS[slot]} first.`, focus: sliders()[slot] };
  }
}

const soundButtons = () => [element("given"), ...element("slots").querySelectorAll(".sound")];
const sliders = () => [...element("slots").querySelectorAll("input")];
const choices = () => [...element("choice").querySelectorAll("input")];

function showOnly(id) {
  for (const section of document.querySelectorAll("main > section")) {
    section.hidden = section.id !== id;
  }
}

// Welcome

async function open() {
  const about = await request("api/about", { onTrouble: () => say(TROUBLE) });
  say("");
  document.body.dataset.mode = about.mode;
  document.title = about.title;
  element("title").textContent = about.title;
  let state = null;
  if (listener !== null) state = await join();
  const isResumed = state !== null && state.number > 0 && !state.is_over;
  element("begin").textContent = isResumed ? `Continue at page ${state.number + 1}` : "Begin";
  if (state !== null && state.is_over) showEnd();
  else showOnly("welcome");
}

const join = () => request(`api/${listener}`, { method: "PUT", onTrouble: () => say(TROUBLE) });

element("begin").addEventListener("click", async () => {
  element("begin").disabled = true;
  context ??= new AudioContext();
  await context.resume();
  listener ??= newListener();
  await show(await join());
  element("begin").disabled = false;
});

element("another").addEventListener("click", () => {
  listener = null;
  element("begin").textContent = "Begin";
  showOnly("welcome");
  element("begin").focus();
});

function showEnd() {
  showOnly("end");
  element("end-heading").focus();
}

// A page of the test

async function show(state) {
  trial?.player.close();
  trial = null;
  if (state.is_over) {
    say("");
    showEnd();
    return;
  }
  const buffers = [];
  for (let index = 0; index <= state.num_slots; index++) {
    say(`Loading sound ${index + 1} of ${state.num_slots + 1} …`);
    const path = `api/${listener}/${state.number}/sounds/${index}`;
    const bytes = await request(path, { onTrouble: () => say(TROUBLE) });
    buffers.push(await context.decodeAudioData(bytes));
  }
  trial = new Trial(state, new Player(context, buffers));
  trial.player.setVolume(element("volume").value / 100);
  fillPage();
  showOnly("trial");
  say("");
  element("heading").focus();
}

function fillPage() {
  const { state, isAbx } = trial;
  const place = `Page ${state.number + 1} of ${state.total}`;
  element("heading").textContent = state.is_training ? `${place}: training` : place;
  element("task").textContent = state.is_training
    ? "Get to know the sounds and the controls, and set the volume. This page does not count."
    : isAbx
      ? "X is A or B: which?"
      : "Rate each sound compared with the reference.";
  element("progress").value = state.number / state.total;
  element("given").textContent = isAbx ? "X" : "Reference";
  const slots = Array.from({ length: state.num_slots }, (_, slot) => makeSlot(slot));
  element("slots").replaceChildren(...slots);
  for (const choice of choices()) choice.checked = Number(choice.value) === trial.values[0];
  for (const id of ["loop-start", "loop-end"]) element(id).max = trial.player.duration;
  soundButtons().forEach((button, index) => {
    button.onclick = () => hear(index);
    button.setAttribute("aria-pressed", "false");
  });
  showLoop();
  showPlaying();
}

function makeSlot(slot) {
  const item = element("slot").content.cloneNode(true);
  const button = item.querySelector("button");
  button.textContent = LETTERS[slot];
  button.setAttribute("aria-label", `Play ${LETTERS[slot]}`);
  const slider = item.querySelector("input");
  const shown = item.querySelector(".shown");
  slider.setAttribute("aria-label", `Rating of ${LETTERS[slot]}`);
  const showValue = () => {
    const value = trial.values[slot];
    slider.classList.toggle("unrated", value === null);
    shown.textContent = value === null ? "–" : value;
    const grade = GRADES[Math.min(4, Math.floor(value / 20))];
    slider.setAttribute("aria-valuetext", value === null ? "not rated yet" : `${value}, ${grade}`);
  };
  const rate = () => {
    trial.rate(slot, Number(slider.value));
    showValue();
  };
  slider.value = trial.values[slot] ?? 0;
  slider.addEventListener("input", rate);
  // A rating of 0 moves nothing: touching the slider is enough.
  slider.addEventListener("pointerup", rate);
  slider.addEventListener("keydown", ({ key }) => {
    if (["ArrowLeft", "ArrowDown", "Home"].includes(key) && slider.value === "0") rate();
  });
  showValue();
  return item;
}

function hear(index) {
  context.resume(); // a browser may have put it to sleep
  trial.player.select(index);
  trial.player.play();
  trial.hear(index);
  showPlaying();
  if (!trial.isAbx && index > 0) sliders()[index - 1].focus();
}

function showPlaying() {
  const { isPlaying, selected } = trial.player;
  element("play").textContent = isPlaying ? "Pause" : "Play";
  soundButtons().forEach((button, index) => {
    button.setAttribute("aria-pressed", String(isPlaying && index === selected));
  });
}

function togglePlaying() {
  if (trial.player.isPlaying) {
    trial.player.pause();
    showPlaying();
  } else {
    hear(trial.player.selected);
  }
}

// Loop and volume

function setLoop(start, end) {
  trial.player.setLoop(start, end);
  showLoop();
}

function showLoop() {
  for (const [id, value] of [
    ["loop-start", trial.player.loop.start],
    ["loop-end", trial.player.loop.end],
  ]) {
    element(id).value = value;
    element(id).setAttribute("aria-valuetext", `${value.toFixed(2)} seconds`);
    element(`${id}-text`).textContent = `${value.toFixed(2)} s`;
  }
}

function beginLoop(start) {
  setLoop(start, Math.max(trial.player.loop.end, start + SHORTEST_LOOP_S));
}

function endLoop(end) {
  setLoop(Math.min(trial.player.loop.start, Math.max(0, end - SHORTEST_LOOP_S)), end);
}

element("loop-start").addEventListener("input", (event) => beginLoop(Number(event.target.value)));
element("loop-end").addEventListener("input", (event) => endLoop(Number(event.target.value)));
element("loop-all").addEventListener("click", () => setLoop(0, trial.player.duration));
element("play").addEventListener("click", togglePlaying);
element("volume").addEventListener("input", (event) => {
  trial.player.setVolume(event.target.value / 100);
});

for (const choice of choices()) {
  choice.addEventListener("change", () => trial.rate(0, Number(choice.value)));
}

function showPosition() {
  if (trial !== null) element("position").value = trial.player.position / trial.player.duration;
  requestAnimationFrame(showPosition);
}
requestAnimationFrame(showPosition);

document.addEventListener("keydown", (event) => {
  const isShortcut = element("shortcuts").checked && !event.ctrlKey && !event.altKey;
  if (trial === null || event.metaKey || !isShortcut) return;
  const key = event.key.toUpperCase();
  const slot = LETTERS.indexOf(key);
  const actions = {
    [trial.isAbx ? "X" : "R"]: () => hear(0),
    P: togglePlaying,
    ",": () => beginLoop(trial.player.position),
    ".": () => endLoop(trial.player.position),
    "/": () => setLoop(0, trial.player.duration),
  };
  if (key.length === 1 && slot >= 0 && slot < trial.state.num_slots) hear(slot + 1);
  else if (key in actions) actions[key]();
  else return;
  event.preventDefault();
});

// Sending

element("submit").addEventListener("click", async () => {
  if (trial.isSending) return;
  const missing = trial.missing();
  if (missing !== null) {
    say(missing.text);
    missing.focus.focus();
    return;
  }
  trial.isSending = true;
  trial.player.pause();
  showPlaying();
  say("Saving …");
  await show(await send());
});

// Returns the state after the answer, whichever answer counts.
async function send() {
  const body = {
    values: trial.values,
    elapsed_s: (performance.now() - trial.beganAt) / 1000,
  };
  const onTrouble = () => say(`Not saved yet. ${TROUBLE}`);
  try {
    const path = `api/${listener}/${trial.state.number}`;
    return await request(path, { method: "PUT", body, onTrouble });
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    say(`${error.message}.`);
    return join();
  }
}

open();
