/**
 * What a probe is made of: copies of the last keyframe's packets in turn, since those cost most to lose; where they are too large for the
 * probe or too old to be remembered, copies of what was sent last. Shared by production and simulator. Pure.
 */

/** A probe has some ten packets. */
const LOOK_BACK_COUNT = 16;

export class ProbeCopies {
  #keyframeSeqExt = 0;
  #keyframePacketCount = 0;
  #turn = 0;

  onKeyframe(firstSeqExt: number, packetCount: number): void {
    this.#keyframeSeqExt = firstSeqExt;
    this.#keyframePacketCount = packetCount;
    this.#turn = 0;
  }

  /** The number of the video packet to copy next; undefined: nothing is remembered. `bytesOf` a packet, undefined where it is not remembered. */
  next(from: {
    readonly lastSeqExt: number;
    readonly packetMaxBytes: number;
    readonly bytesOf: (seqExt: number) => number | undefined;
  }): number | undefined {
    const { lastSeqExt, packetMaxBytes, bytesOf } = from;
    const isSmall = (seqExt: number): boolean => (bytesOf(seqExt) ?? Number.NaN) <= packetMaxBytes;
    const turn = this.#turn;
    this.#turn += 1;
    const keyframeSeqExt = this.#keyframeSeqExt + (turn % Math.max(1, this.#keyframePacketCount));
    if (this.#keyframePacketCount > 0 && keyframeSeqExt <= lastSeqExt && isSmall(keyframeSeqExt)) {
      return keyframeSeqExt;
    }
    for (let index = 0; index < LOOK_BACK_COUNT; index += 1) {
      const seqExt = lastSeqExt - ((turn + index) % LOOK_BACK_COUNT);
      if (isSmall(seqExt)) {
        return seqExt;
      }
    }
    return bytesOf(lastSeqExt) === undefined ? undefined : lastSeqExt;
  }
}
