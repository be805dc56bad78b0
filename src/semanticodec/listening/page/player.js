// Several sounds of one length that run together; one of them is heard. All sources start at the
// same sample and loop together, so that switching changes nothing but two gains.

const FADE_S = 0.005;
const LEAD_S = 0.02;
export const SHORTEST_LOOP_S = 0.25;

export class Player {
  // context: an AudioContext (or OfflineAudioContext); buffers: AudioBuffers of equal length.
  constructor(context, buffers) {
    this.context = context;
    this.buffers = buffers;
    this.duration = Math.min(...buffers.map((buffer) => buffer.duration));
    this.volume = context.createGain();
    this.volume.connect(context.destination);
    this.gains = buffers.map((_, index) => {
      const gain = context.createGain();
      gain.gain.value = index === 0 ? 1 : 0;
      gain.connect(this.volume);
      return gain;
    });
    this.sources = [];
    this.selected = 0;
    this.loop = { start: 0, end: this.duration };
    this.offset = 0; // where the sounds stand while paused, and where they last started
    this.startedAt = null;
  }

  get isPlaying() {
    return this.startedAt !== null;
  }

  // Seconds from the beginning of the sounds.
  get position() {
    if (!this.isPlaying) return this.offset;
    const { start, end } = this.loop;
    const reached = this.offset + Math.max(0, this.context.currentTime - this.startedAt);
    return reached < end ? reached : start + ((reached - start) % (end - start));
  }

  play() {
    if (this.isPlaying) return;
    const { start, end } = this.loop;
    if (this.offset < start || this.offset >= end) this.offset = start;
    // Every source gets the same time, late enough for all of them to meet it.
    this.startedAt = this.context.currentTime + LEAD_S;
    this.sources = this.buffers.map((buffer, index) => {
      const source = this.context.createBufferSource();
      source.buffer = buffer;
      source.loop = true;
      source.loopStart = start;
      source.loopEnd = end;
      source.connect(this.gains[index]);
      source.start(this.startedAt, this.offset);
      return source;
    });
  }

  pause() {
    if (!this.isPlaying) return;
    this.offset = this.position;
    this.startedAt = null;
    for (const source of this.sources) {
      source.stop();
      source.disconnect();
    }
    this.sources = [];
  }

  select(selected) {
    this.selected = selected;
    const now = this.context.currentTime;
    this.gains.forEach(({ gain }, index) => {
      gain.cancelScheduledValues(now);
      gain.setValueAtTime(gain.value, now);
      gain.linearRampToValueAtTime(index === selected ? 1 : 0, now + FADE_S);
    });
  }

  // Loop over a part of the sounds, at least SHORTEST_LOOP_S long.
  setLoop(start, end) {
    const wasPlaying = this.isPlaying;
    this.pause();
    const shortest = Math.min(SHORTEST_LOOP_S, this.duration);
    const first = Math.max(0, Math.min(start, this.duration - shortest));
    this.loop = { start: first, end: Math.min(this.duration, Math.max(end, first + shortest)) };
    if (wasPlaying) this.play();
  }

  setVolume(value) {
    this.volume.gain.setTargetAtTime(value, this.context.currentTime, FADE_S);
  }

  close() {
    this.pause();
    this.volume.disconnect();
  }
}
