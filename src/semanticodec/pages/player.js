// One sound in several versions that play in step: a switch between them has no gap.
//
//   <sound-switch aria-label="speech">
//     <audio controls aria-label="Original" src="..."></audio>
//     <audio controls aria-label="Reconstruction" src="..."></audio>
//   </sound-switch>
//
// All versions start at one time of the audio clock; a switch moves nothing but their gains.
// Without JavaScript, or with sounds that the browser cannot read, the plain players stay.
(() => {
  const FADE_S = 0.01; // long enough for no click, too short to hear
  const STEP_S = 1; // of the arrow keys on the position
  let context = null; // one for the page, made when first needed
  let playing = null; // the element that is heard

  const STYLE = `
    :host { display: block; font: inherit; margin: 0.5rem 0; }
    .row { display: flex; flex-wrap: wrap; gap: 0.5rem 0.75rem; align-items: center; }
    button { font: inherit; min-width: 5.5rem; padding: 0.4rem 0.8rem; cursor: pointer; }
    fieldset { border: 1px solid currentColor; border-radius: 0.3rem; margin: 0;
               padding: 0.2rem 0.6rem; display: flex; flex-wrap: wrap; gap: 0.2rem 0.9rem;
               min-width: 0; }
    legend { font-size: 0.85em; }
    label { cursor: pointer; white-space: nowrap; }
    label:has(:checked) { font-weight: bold; }
    input[type=range] { flex: 1 1 8rem; min-width: 6rem; }
    .time { font-variant-numeric: tabular-nums; white-space: nowrap; }
    .keys { font-size: 0.85em; margin: 0.2rem 0 0; }
    :focus-visible { outline: 3px solid #1a73e8; outline-offset: 2px; }
  `;

  const clock = (seconds) =>
    `${Math.floor(seconds / 60)}:${(seconds % 60).toFixed(1).padStart(4, "0")}`;

  const made = (tag, properties = {}, ...children) => {
    const element = Object.assign(document.createElement(tag), properties);
    element.append(...children);
    return element;
  };

  class SoundSwitch extends HTMLElement {
    connectedCallback() {
      if (this.shadowRoot) return; // moved within the page
      const players = [...this.querySelectorAll("audio")];
      this.names = players.map((player) => player.getAttribute("aria-label"));
      this.buffers = [];
      this.sources = [];
      this.gains = [];
      this.chosen = 0;
      this.position = 0; // seconds, where it stands or was started from
      this.startedAt = null; // time of the audio clock; null: it stands still
      this.attachShadow({ mode: "open" });
      this.build();
      this.load(players.map((player) => player.src)).catch(() => {
        this.shadowRoot.replaceChildren(document.createElement("slot"));
      });
    }

    disconnectedCallback() {
      if (!this.isConnected) this.pause();
    }

    build() {
      const name = this.getAttribute("aria-label");
      this.button = made("button", { type: "button", textContent: "Play", disabled: true });
      this.button.addEventListener("click", () => this.toggle());
      const group = made("fieldset", {}, made("legend", { textContent: "Listen to" }));
      const radioName = `version-${Math.random()}`;
      this.radios = this.names.map((version, number) => {
        const radio = made("input", { type: "radio", name: radioName, checked: number === 0 });
        radio.addEventListener("change", () => this.choose(number));
        group.append(made("label", {}, radio, ` ${version}`));
        return radio;
      });
      this.slider = made("input", { type: "range", min: 0, max: 0, step: 0.01, value: 0 });
      this.slider.setAttribute("aria-label", "Position");
      this.slider.addEventListener("input", () => this.seek(Number(this.slider.value)));
      this.time = made("span", { className: "time", textContent: "loading" });
      const hint = `Keys: ${this.names.map((_, number) => number + 1).join(", ")} choose a version`;
      const keys = made("p", { className: "keys", textContent: hint, hidden: this.names.length < 2 });
      const row = made("div", { className: "row" }, this.button, group, this.slider, this.time);
      row.setAttribute("role", "group");
      row.setAttribute("aria-label", name);
      group.hidden = this.names.length < 2;
      this.shadowRoot.append(made("style", { textContent: STYLE }), row, keys);
      this.shadowRoot.addEventListener("keydown", (event) => this.onKey(event));
    }

    onKey(event) {
      if (event.ctrlKey || event.altKey || event.metaKey) return;
      const number = Number(event.key) - 1;
      if (Number.isInteger(number) && this.radios[number]) {
        this.choose(number);
      } else if (event.target === this.slider && ["ArrowLeft", "ArrowRight"].includes(event.key)) {
        this.seek(this.now() + (event.key === "ArrowLeft" ? -STEP_S : STEP_S));
        event.preventDefault();
      }
    }

    async load(addresses) {
      context ??= new AudioContext();
      this.output = context.createGain();
      this.output.connect(context.destination);
      this.buffers = await Promise.all(
        addresses.map(async (address) =>
          context.decodeAudioData(await (await fetch(address)).arrayBuffer()),
        ),
      );
      this.duration = Math.max(...this.buffers.map((buffer) => buffer.duration));
      this.slider.max = this.duration;
      this.button.disabled = false;
      this.show();
    }

    now() {
      const since = this.startedAt === null ? 0 : context.currentTime - this.startedAt;
      return Math.min(this.position + Math.max(0, since), this.duration);
    }

    toggle() {
      if (this.startedAt === null) this.play();
      else this.pause();
    }

    async play() {
      if (playing !== this) playing?.pause();
      playing = this;
      await context.resume();
      if (this.position >= this.duration) this.position = 0;
      this.start();
      this.button.textContent = "Pause";
      this.follow();
    }

    start() {
      this.startedAt = context.currentTime + 0.02; // a little ahead, so that all start together
      this.gains = this.buffers.map((_, number) => {
        const gain = context.createGain();
        gain.gain.value = number === this.chosen ? 1 : 0;
        gain.connect(this.output);
        return gain;
      });
      this.sources = this.buffers.map((buffer, number) => {
        const source = context.createBufferSource();
        source.buffer = buffer;
        source.connect(this.gains[number]);
        source.start(this.startedAt, this.position);
        return source;
      });
    }

    stop() {
      for (const source of this.sources) source.stop();
      for (const gain of this.gains) gain.disconnect();
      this.sources = [];
      this.gains = [];
      this.startedAt = null;
    }

    pause() {
      if (this.startedAt === null) return;
      this.position = this.now();
      this.stop();
      this.button.textContent = "Play";
      this.show();
    }

    seek(seconds) {
      if (!this.buffers.length) return;
      const wasPlaying = this.startedAt !== null;
      if (wasPlaying) this.stop();
      this.position = Math.min(Math.max(0, seconds), this.duration);
      if (wasPlaying) this.start();
      this.show();
    }

    choose(number) {
      this.chosen = number;
      this.radios[number].checked = true;
      this.gains.forEach((gain, other) => {
        gain.gain.setTargetAtTime(other === number ? 1 : 0, context.currentTime, FADE_S / 3);
      });
    }

    follow() {
      if (this.startedAt === null) return;
      if (this.now() >= this.duration) this.pause();
      else requestAnimationFrame(() => this.follow());
      this.show();
    }

    show() {
      const now = this.now();
      this.slider.value = now;
      this.time.textContent = `${clock(now)} / ${clock(this.duration)}`;
      this.slider.setAttribute(
        "aria-valuetext",
        `${now.toFixed(1)} of ${this.duration.toFixed(1)} seconds`,
      );
    }
  }

  if (!customElements.get("sound-switch")) customElements.define("sound-switch", SoundSwitch);
})();
