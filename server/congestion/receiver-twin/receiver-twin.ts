/**
 * A viewer's receiver, run on the server from what transport-cc tells: when each picture was complete, when Chrome will have wanted it, how
 * much playout delay it would have needed, and which freezes follow (CONGESTION 3.10). It shares clock fit and freeze rule with the simulator's receiver.
 */
import type { SentPicture } from '../controller.ts';
import type { ArrivalSink } from '../link-observer.ts';
import { ClockFit } from './clock-fit.ts';
import { FREEZE_WINDOW_COUNT, FreezeRule } from './freeze-rule.ts';

/** A second and a half at 30 pictures; a multiple of eight, for the columns' alignment. */
const PICTURE_MAX_COUNT = 48;
const SEQ_RING = 1_024;
const LONGS_FROM = 8 * (PICTURE_MAX_COUNT + FREEZE_WINDOW_COUNT);
const DECODE_P95_MS = 10;
const RENDER_DELAY_MS = 10;
const LATE_MAX_MS = 5;
const GUESSED_FLAG = 4;
/** The resolution of feedback. */
const TIME_UNITS_PER_MS = 4;

/** What has been shown so far, as predicted. */
export type TwinView = {
  readonly freezeMs: number;
  readonly freezeCount: number;
  /** Playout delay that the last picture would have needed; NaN before the first. */
  readonly lastNeedMs: number;
  /** On the receiver's clock, of the last picture; −Infinity before the first. */
  readonly shownAtMs: number;
};

export class ReceiverTwin implements ArrivalSink, TwinView {
  readonly #fit = new ClockFit();
  // Pictures by order of sending, as columns of one buffer; columns of one width share a view, since each view costs a hundred bytes.
  readonly #buffer = new ArrayBuffer(LONGS_FROM + 15 * PICTURE_MAX_COUNT + SEQ_RING / 8);
  /** A picture's stamp in ms, and after them the freeze rule's window. */
  readonly #doubles = new Float64Array(this.#buffer, 0, PICTURE_MAX_COUNT + FREEZE_WINDOW_COUNT);
  readonly #freezes = new FreezeRule(this.#doubles, PICTURE_MAX_COUNT);
  /** Two a picture: its first number, when it was complete in quarters of a millisecond. */
  readonly #longs = new Int32Array(this.#buffer, LONGS_FROM, 2 * PICTURE_MAX_COUNT);
  /** Three a picture: packets, those received, playout delay. */
  readonly #words = new Uint16Array(this.#buffer, LONGS_FROM + 8 * PICTURE_MAX_COUNT, 3 * PICTURE_MAX_COUNT);
  /** A picture's flags (1: keyframe, 2: completed by a retransmission or a guess, 4: a packet of it is only thought to have come), and after them a bit for each packet received. */
  readonly #bytes = new Uint8Array(this.#buffer, LONGS_FROM + 14 * PICTURE_MAX_COUNT);
  #nextIndex = 0;
  /** The first picture not played yet. */
  #headIndex = 0;
  #completeKeyframe = -1;
  #nextSeq = 0;
  #playableAtMs = Number.NEGATIVE_INFINITY;
  #shownAtMs = Number.NEGATIVE_INFINITY;
  #worstNeedMs = Number.NaN;
  #lastNeedMs = Number.NaN;
  #freezeMs = 0;
  #freezeCount = 0;
  #skippedCount = 0;

  /** Predicted so far. */
  get freezeMs(): number {
    return this.#freezeMs;
  }

  get freezeCount(): number {
    return this.#freezeCount;
  }

  /** Pictures that were left out for a later keyframe. */
  get skippedCount(): number {
    return this.#skippedCount;
  }

  /** Pictures that were shown or left out so far, in the order of sending. */
  get passedCount(): number {
    return this.#headIndex;
  }

  /** When the last one is on the screen, on the receiver's clock; −Infinity before the first. */
  get shownAtMs(): number {
    return this.#shownAtMs;
  }

  /** Playout delay that the last picture would have needed; NaN before the first. */
  get lastNeedMs(): number {
    return this.#lastNeedMs;
  }

  /** The largest need since it was taken last; NaN: no picture has come. */
  get worstNeedMs(): number {
    return this.#worstNeedMs;
  }

  /** The largest need since it was asked last; NaN: no picture has come. */
  takeWorstNeedMs(): number {
    const worst = this.#worstNeedMs;
    this.#worstNeedMs = Number.NaN;
    return worst;
  }

  onPicture(picture: SentPicture, playoutDelayMs: number): void {
    const at = this.#nextIndex % PICTURE_MAX_COUNT;
    this.#headIndex = Math.max(this.#headIndex, this.#nextIndex - PICTURE_MAX_COUNT + 1);
    this.#longs[2 * at] = picture.firstSeqExt;
    this.#words[3 * at] = picture.packetCount;
    this.#words[3 * at + 1] = 0;
    this.#words[3 * at + 2] = playoutDelayMs;
    this.#doubles[at] = picture.stampMs;
    this.#bytes[at] = picture.isKeyframe ? 1 : 0;
    for (let seq = picture.firstSeqExt; seq < picture.firstSeqExt + picture.packetCount; seq += 1) {
      const place = placeOf(seq);
      this.#bytes[place] = (this.#bytes[place] ?? 0) & ~(1 << (seq & 7));
    }
    this.#nextSeq = picture.firstSeqExt + picture.packetCount;
    this.#nextIndex += 1;
  }

  onGuessed(videoSeqExt: number, arrivedAtMs: number): void {
    const index = this.#indexOf(videoSeqExt);
    if (index >= 0) {
      this.#bytes[index % PICTURE_MAX_COUNT] = (this.#bytes[index % PICTURE_MAX_COUNT] ?? 0) | GUESSED_FLAG;
      this.onArrival(videoSeqExt, arrivedAtMs, true);
    }
  }

  onArrival(videoSeqExt: number, arrivedAtMs: number, isCopy: boolean): void {
    if (videoSeqExt >= this.#nextSeq || videoSeqExt <= this.#nextSeq - SEQ_RING) {
      return;
    }
    const place = placeOf(videoSeqExt);
    const bit = 1 << (videoSeqExt & 7);
    const index = this.#indexOf(videoSeqExt);
    const known = this.#bytes[place] ?? 0;
    if ((known & bit) !== 0 || index < 0) {
      return;
    }
    this.#bytes[place] = known | bit;
    const at = index % PICTURE_MAX_COUNT;
    this.#words[3 * at + 1] = (this.#words[3 * at + 1] ?? 0) + 1;
    if (isCopy) {
      this.#bytes[at] = (this.#bytes[at] ?? 0) | 2;
    }
    if (this.#isComplete(at)) {
      this.#longs[2 * at + 1] = unitsOf(arrivedAtMs);
      this.#onComplete(index, arrivedAtMs);
    }
  }

  /** Whether a picture with this packet can still be of use: no later keyframe is complete, and it has not been played. */
  isWanted(videoSeqExt: number): boolean {
    const index = this.#indexOf(videoSeqExt);
    // Who asks for what was only thought to have come knows better.
    const isGuessed = index >= 0 && ((this.#bytes[index % PICTURE_MAX_COUNT] ?? 0) & GUESSED_FLAG) !== 0;
    return isGuessed
      ? index >= this.#completeKeyframe
      : index >= 0 && index >= this.#headIndex && index > this.#completeKeyframe;
  }

  /** −1: too old, or never sent. The last pictures are asked for most. */
  #indexOf(videoSeqExt: number): number {
    const oldest = Math.max(0, this.#nextIndex - PICTURE_MAX_COUNT);
    for (let index = this.#nextIndex - 1; index >= oldest; index -= 1) {
      const at = index % PICTURE_MAX_COUNT;
      const first = this.#longs[2 * at] ?? 0;
      if (videoSeqExt >= first) {
        return videoSeqExt < first + (this.#words[3 * at] ?? 0) ? index : -1;
      }
    }
    return -1;
  }

  #isComplete(at: number): boolean {
    return this.#words[3 * at] === this.#words[3 * at + 1];
  }

  #onComplete(index: number, arrivedAtMs: number): void {
    if (((this.#bytes[index % PICTURE_MAX_COUNT] ?? 0) & 1) === 1) {
      this.#completeKeyframe = Math.max(this.#completeKeyframe, index);
    }
    for (;;) {
      const head = this.#headIndex;
      const at = head % PICTURE_MAX_COUNT;
      if (head >= this.#nextIndex) {
        return;
      }
      const isComplete = this.#isComplete(at);
      const canSkip = this.#completeKeyframe > head;
      if (!isComplete && !canSkip) {
        return;
      }
      if (!isComplete) {
        this.#skippedCount += this.#completeKeyframe - head;
        this.#headIndex = this.#completeKeyframe;
        continue;
      }
      this.#play(at, arrivedAtMs, canSkip);
      this.#headIndex = Math.max(this.#headIndex, head + 1);
    }
  }

  /** In order: a picture can be decoded when it and all before it are there, back to a keyframe. */
  #play(at: number, knownAtMs: number, canSkip: boolean): void {
    const sinceUnits = (unitsOf(knownAtMs) - (this.#longs[2 * at + 1] ?? 0)) | 0;
    const completeMs = knownAtMs - sinceUnits / TIME_UNITS_PER_MS;
    const flags = this.#bytes[at] ?? 0;
    const isKeyframe = (flags & 1) === 1;
    this.#playableAtMs = isKeyframe ? completeMs : Math.max(this.#playableAtMs, completeMs);
    if ((flags & 2) === 0) {
      this.#fit.update(completeMs, this.#doubles[at] ?? 0);
    }
    const localMs = this.#fit.localMs(this.#doubles[at] ?? 0);
    if (Number.isNaN(localMs)) {
      return;
    }
    const needMs = this.#playableAtMs - localMs + DECODE_P95_MS + RENDER_DELAY_MS;
    this.#lastNeedMs = needMs;
    this.#worstNeedMs = Number.isNaN(this.#worstNeedMs) ? needMs : Math.max(this.#worstNeedMs, needMs);
    const renderMs = localMs + (this.#words[3 * at + 2] ?? 0);
    const lateMs = this.#playableAtMs - (renderMs - DECODE_P95_MS - RENDER_DELAY_MS);
    if (canSkip && lateMs > LATE_MAX_MS) {
      this.#skippedCount += 1;
      return;
    }
    const shownMs = Math.max(renderMs - RENDER_DELAY_MS, this.#playableAtMs + DECODE_P95_MS / 2, this.#shownAtMs + 1);
    this.#shownAtMs = shownMs;
    const frozenMs = this.#freezes.onPicture(shownMs);
    this.#freezeMs += frozenMs;
    this.#freezeCount += frozenMs > 0 ? 1 : 0;
  }
}

/** Where a packet's bit is kept. */
const placeOf = (videoSeqExt: number): number => PICTURE_MAX_COUNT + ((videoSeqExt % SEQ_RING) >> 3);

/** Wraps after twelve days. */
const unitsOf = (atMs: number): number => Math.round(atMs * TIME_UNITS_PER_MS) | 0;
