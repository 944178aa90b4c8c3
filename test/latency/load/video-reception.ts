/** What one viewer has of one video stream: what is missing and asked for, what was recovered, and when each frame was whole. Pure. */
import { FrameTally } from './frame-tally.ts';
import { NackScheduler } from '../../../server/media/rtp/nack-scheduler.ts';
import { SequenceTally } from '../../../server/media/rtp/sequence-tally.ts';

export type VideoPacket = { readonly seq16: number; readonly ts32: number; readonly isMarked: boolean };

export class VideoReception {
  readonly sequence = new SequenceTally();
  readonly frames: FrameTally;
  readonly #nacks = new NackScheduler();
  #givenUpCount = 0;
  #recoveredCount = 0;
  #nackCount = 0;

  constructor(options: { settleMs: number }) {
    this.frames = new FrameTally(options);
  }

  /** Missing and not come, given up or still asked for. */
  get lostCount(): number {
    return this.#givenUpCount + this.#nacks.pendingCount;
  }

  /** Came after they had been asked for. */
  get recoveredCount(): number {
    return this.#recoveredCount;
  }

  /** Sequence numbers asked for, each repetition counted. */
  get nackCount(): number {
    return this.#nackCount;
  }

  get isAwaiting(): boolean {
    return this.#nacks.pendingCount > 0;
  }

  reset(): void {
    this.#givenUpCount = 0;
    this.#recoveredCount = 0;
    this.#nackCount = 0;
    this.frames.reset();
  }

  take(packet: VideoPacket, nowMs: number): void {
    const { seqExt, passedCount, hasJumped } = this.sequence.take(packet.seq16);
    if (hasJumped) {
      this.frames.skipTo(seqExt);
    } else if (passedCount > 0) {
      this.#nacks.noteMissing(seqExt - passedCount, seqExt - 1);
    }
    this.#arrive(seqExt, packet, nowMs);
  }

  /** What came by RTX; `seq16` is the original number. */
  takeRetransmitted(packet: VideoPacket, nowMs: number): void {
    this.#arrive(this.sequence.extend(packet.seq16), packet, nowMs);
  }

  /** Numbers to ask for now. */
  dueNacks(nowMs: number, rttMs: number): number[] {
    const due = this.#nacks.due(nowMs, rttMs);
    for (const seqExt of this.#nacks.takeGivenUp()) {
      this.#givenUpCount += 1;
      this.frames.giveUp(seqExt, nowMs);
    }
    this.#nackCount += due.length;
    return due.map((seqExt) => seqExt & 0xffff);
  }

  #arrive(seqExt: number, packet: VideoPacket, nowMs: number): void {
    if (this.#nacks.noteArrived(seqExt) === 'recovered') {
      this.#recoveredCount += 1;
    }
    this.frames.take({ seqExt, ts32: packet.ts32, isMarked: packet.isMarked }, nowMs);
  }
}
