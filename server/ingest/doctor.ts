/**
 * Watches one publisher and says in plain words what in its settings costs latency or picture. Pure: units and metadata go in,
 * findings come out. A finding shows when it held for two evaluations in a row and goes when it has not held for ten
 * seconds, so that the list does not flap.
 */
import type { SourceUnit } from '../media/access-unit.ts';
import { dtsMsOf, ptsMsOf } from '../media/access-unit.ts';
import type { AmfObject, AmfValue } from '../media/flv/amf0.ts';
import type { EncoderSettings } from '../media/h264/encoder-settings.ts';
import { findX264Settings } from '../media/h264/encoder-settings.ts';
import { splitNalUnits } from '../media/h264/nal-units.ts';
import type { Symptoms } from './diagnosis.ts';
import { diagnose } from './diagnosis.ts';
import type { DoctorFinding } from './finding.ts';

const EVALUATE_EVERY_MS = 1_000;
const SHOW_AFTER_COUNT = 2;
const HIDE_AFTER_MS = 10_000;
const WINDOW_MS = 10_000;
const GOP_MAX_COUNT = 8;
const SAMPLE_MAX_COUNT = 4_000;
const REORDER_MAX_COUNT = 16;
const BURST_WINDOW_MS = 300;
/** The encoder's first keyframe carries x264's settings; later ones need not be searched for long. */
const SETTINGS_SEARCH_COUNT = 4;

type Sample = {
  readonly dtsMs: number;
  readonly arrivedAtMs: number;
  readonly bytes: number;
  readonly isKeyframe: boolean;
};
type Case = { finding: DoctorFinding; seenCount: number; lastSeenAtMs: number; isShown: boolean };

export class Doctor {
  readonly #startedAtMs: number;
  readonly #cases = new Map<string, Case>();
  readonly #video: Sample[] = [];
  readonly #gopsMs: number[] = [];
  readonly #recentPtsMs: number[] = [];
  #settings: EncoderSettings | undefined;
  #settingsSearchCount = 0;
  #encoderName: string | undefined;
  #nominalFps: number | undefined;
  #videoCodec: string | undefined;
  #audioSeenAtMs: number | undefined;
  #videoSeenAtMs: number | undefined;
  #lastKeyframeDtsMs: number | undefined;
  #gopFrameCount = 0;
  #gopFrames: number[] = [];
  #reorderCount = 0;
  #firstVideo: Sample | undefined;
  #burstMs = 0;
  #evaluatedAtMs: number | undefined;
  #shown: readonly DoctorFinding[] = [];

  constructor(options: { startedAtMs: number }) {
    this.#startedAtMs = options.startedAtMs;
  }

  /** Worst first. */
  get findings(): readonly DoctorFinding[] {
    return this.#shown;
  }

  /** What the encoder calls itself in its metadata. */
  get encoderName(): string | undefined {
    return this.#encoderName;
  }

  onMetadata(values: AmfObject): void {
    this.#encoderName = textOf(values.get('encoder')) ?? this.#encoderName;
    const fps = values.get('framerate');
    this.#nominalFps = typeof fps === 'number' && fps > 0 && fps <= 1_000 ? fps : this.#nominalFps;
  }

  onUnit(unit: SourceUnit): void {
    if (unit.track.kind === 'audio') {
      this.#audioSeenAtMs = unit.arrivedAtMs;
      return;
    }
    this.#videoSeenAtMs ??= unit.arrivedAtMs;
    this.#videoCodec = unit.track.codec;
    const sample = {
      dtsMs: dtsMsOf(unit),
      arrivedAtMs: unit.arrivedAtMs,
      bytes: unit.payload.byteLength,
      isKeyframe: unit.isKeyframe,
    };
    this.#addSample(sample);
    this.#addReorder(ptsMsOf(unit));
    this.#addGop(sample);
    this.#addBurst(sample);
    if (unit.isKeyframe && unit.track.codec === 'h264') {
      this.#searchSettings(unit.payload);
    }
  }

  /** Looks at what was seen. True when the list of findings changed. Cheap when called more often than once a second. */
  evaluate(nowMs: number): boolean {
    if (this.#evaluatedAtMs !== undefined && nowMs - this.#evaluatedAtMs < EVALUATE_EVERY_MS) {
      return false;
    }
    this.#evaluatedAtMs = nowMs;
    for (const finding of diagnose(this.#symptoms(nowMs))) {
      const known = this.#cases.get(finding.code);
      const seenCount = (known?.seenCount ?? 0) + 1;
      const isShown = known?.isShown === true || seenCount >= SHOW_AFTER_COUNT;
      this.#cases.set(finding.code, { finding, seenCount, lastSeenAtMs: nowMs, isShown });
    }
    this.#forget(nowMs);
    return this.#publish();
  }

  #forget(nowMs: number): void {
    for (const [code, known] of this.#cases) {
      if (known.lastSeenAtMs !== nowMs) {
        known.seenCount = 0;
        if (!known.isShown || nowMs - known.lastSeenAtMs >= HIDE_AFTER_MS) {
          this.#cases.delete(code);
        }
      }
    }
  }

  #publish(): boolean {
    const order = ['problem', 'warning', 'info'];
    const shown = [...this.#cases.values()]
      .filter((known) => known.isShown)
      .map((known) => known.finding)
      .toSorted(
        (a, b) =>
          order.indexOf(a.severity) - order.indexOf(b.severity) ||
          (b.costMs ?? 0) - (a.costMs ?? 0) ||
          a.code.localeCompare(b.code),
      );
    const keyOf = (findings: readonly DoctorFinding[]): string =>
      findings
        .map((finding) => `${finding.code} ${finding.severity}`)
        .toSorted()
        .join();
    // Numbers within a sentence may move without anybody being told.
    const isChanged = keyOf(shown) !== keyOf(this.#shown);
    this.#shown = shown;
    return isChanged;
  }

  #symptoms(nowMs: number): Symptoms {
    return {
      ageMs: nowMs - this.#startedAtMs,
      videoCodec: this.#videoCodec,
      hasVideo: this.#videoSeenAtMs !== undefined,
      hasAudio: this.#audioSeenAtMs !== undefined,
      frameRateFps: this.#frameRateFps(),
      reorderCount: this.#reorderCount,
      burstMs: this.#burstMs,
      gopsMs: this.#gopsMs,
      gopFrames: this.#gopFrames,
      openGopMs: this.#openGopMs(),
      samples: this.#video.filter((sample) => nowMs - sample.arrivedAtMs <= WINDOW_MS),
      settings: this.#settings,
      isObs: /obs/iu.test(this.#encoderName ?? ''),
    };
  }

  #openGopMs(): number {
    const last = this.#video.at(-1);
    return last === undefined || this.#lastKeyframeDtsMs === undefined ? 0 : last.dtsMs - this.#lastKeyframeDtsMs;
  }

  #frameRateFps(): number {
    const first = this.#video[0];
    const last = this.#video.at(-1);
    const spanMs = first === undefined || last === undefined ? 0 : last.dtsMs - first.dtsMs;
    const measured = spanMs > 0 ? ((this.#video.length - 1) * 1_000) / spanMs : undefined;
    return measured ?? this.#nominalFps ?? 30;
  }

  #addSample(sample: Sample): void {
    const last = this.#video.at(-1);
    if (last !== undefined && (sample.dtsMs < last.dtsMs || sample.dtsMs - last.dtsMs > WINDOW_MS)) {
      // The encoder's clock jumped: what was measured before does not join what comes.
      this.#video.length = 0;
      this.#lastKeyframeDtsMs = undefined;
      this.#recentPtsMs.length = 0;
    }
    this.#video.push(sample);
    while (
      this.#video.length > SAMPLE_MAX_COUNT ||
      sample.arrivedAtMs - (this.#video[0]?.arrivedAtMs ?? sample.arrivedAtMs) > WINDOW_MS
    ) {
      this.#video.shift();
    }
  }

  /** How many pictures decoded earlier are shown later than this one: the depth of reordering, the most seen so far. */
  #addReorder(ptsMs: number): void {
    const laterCount = this.#recentPtsMs.filter((earlier) => earlier > ptsMs).length;
    this.#reorderCount = Math.max(this.#reorderCount, laterCount);
    this.#recentPtsMs.push(ptsMs);
    if (this.#recentPtsMs.length > REORDER_MAX_COUNT) {
      this.#recentPtsMs.shift();
    }
  }

  #addGop(sample: Sample): void {
    if (sample.isKeyframe) {
      if (this.#lastKeyframeDtsMs !== undefined) {
        this.#gopsMs.push(sample.dtsMs - this.#lastKeyframeDtsMs);
        this.#gopFrames.push(this.#gopFrameCount);
      }
      if (this.#gopsMs.length > GOP_MAX_COUNT) {
        this.#gopsMs.shift();
        this.#gopFrames.shift();
      }
      this.#lastKeyframeDtsMs = sample.dtsMs;
      this.#gopFrameCount = 0;
    }
    this.#gopFrameCount += 1;
  }

  /** Media that came in the first moments beyond the time that passed: what the encoder or its queue had been holding. */
  #addBurst(sample: Sample): void {
    this.#firstVideo ??= sample;
    const passedMs = sample.arrivedAtMs - this.#firstVideo.arrivedAtMs;
    if (passedMs <= BURST_WINDOW_MS) {
      this.#burstMs = Math.max(this.#burstMs, sample.dtsMs - this.#firstVideo.dtsMs - passedMs);
    }
  }

  #searchSettings(payload: Uint8Array): void {
    if (this.#settings === undefined && this.#settingsSearchCount < SETTINGS_SEARCH_COUNT) {
      this.#settingsSearchCount += 1;
      this.#settings = findX264Settings(splitNalUnits(payload));
    }
  }
}

const textOf = (value: AmfValue): string | undefined => (typeof value === 'string' ? value.slice(0, 200) : undefined);
