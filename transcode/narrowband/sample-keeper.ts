/**
 * Keeps the last seconds of a source for a probe: pictures from a keyframe on, as many as a probe needs, of one scene and one set of parameters.
 * Bounded: one sample that is complete and one that is being filled. Pure.
 */
import type { AccessUnit } from '../../server/media/access-unit.ts';
import { dtsMsOf } from '../../server/media/access-unit.ts';

export type SampleOptions = {
  /** A sample is complete when it is this long. */
  readonly sampleMs: number;
  /** One that grows larger is given up. */
  readonly sampleMaxBytes: number;
  readonly sampleMaxCount: number;
};

export class SampleKeeper {
  readonly #options: SampleOptions;
  #complete: readonly AccessUnit[] = [];
  #filling: AccessUnit[] = [];
  #fillingBytes = 0;

  constructor(options: SampleOptions) {
    this.#options = options;
  }

  /** The newest complete sample, oldest unit first; empty when there is none. */
  get sample(): readonly AccessUnit[] {
    return this.#complete;
  }

  add(unit: AccessUnit): void {
    const first = this.#filling[0];
    if (first === undefined ? !unit.isKeyframe : unit.track !== first.track || unit.isDiscontinuity) {
      this.#stopFilling();
      if (!unit.isKeyframe) {
        return;
      }
    }
    const { sampleMs, sampleMaxBytes, sampleMaxCount } = this.#options;
    this.#filling.push(unit);
    this.#fillingBytes += unit.payload.byteLength;
    if (this.#fillingBytes > sampleMaxBytes || this.#filling.length > sampleMaxCount) {
      this.#stopFilling();
    } else if (dtsMsOf(unit) - dtsMsOf(this.#filling[0] ?? unit) >= sampleMs) {
      this.#complete = this.#filling;
      this.#stopFilling();
    }
  }

  /** What was kept shows another scene. */
  clear(): void {
    this.#complete = [];
    this.#stopFilling();
  }

  #stopFilling(): void {
    this.#filling = [];
    this.#fillingBytes = 0;
  }
}
