/** `hub_to_kernel_seconds` out of `/metrics`: how long access units took from the hub to their last packet in the kernel, for all viewers. */

const BUCKET = /^hub_to_kernel_seconds_bucket\{[^}]*le="([^"]+)"[^}]*\} (\S+)$/gmu;
const ALL_S = Number.POSITIVE_INFINITY;
/** Pictures and sound that took longer are late; a bound of the histogram. */
export const LATE_MS = 50;

export class HubToKernel {
  /** Units that took at most so many seconds, bounds rising, the last without end. */
  readonly #countByBoundS: ReadonlyMap<number, number>;

  private constructor(countByBoundS: ReadonlyMap<number, number>) {
    this.#countByBoundS = countByBoundS;
  }

  /** Since the server's start. */
  static read(metricsText: string): HubToKernel {
    const rows = [...metricsText.matchAll(BUCKET)].map(([, le = '', count]): [number, number] => [
      le === '+Inf' ? ALL_S : Number(le),
      Number(count),
    ]);
    return new HubToKernel(new Map(rows.toSorted(([a], [b]) => a - b)));
  }

  since(before: HubToKernel): HubToKernel {
    return this.#with(before, -1);
  }

  plus(other: HubToKernel): HubToKernel {
    return this.#with(other, 1);
  }

  get unitCount(): number {
    return this.#countByBoundS.get(ALL_S) ?? Number.NaN;
  }

  get lateRatio(): number {
    return 1 - (this.#countByBoundS.get(LATE_MS / 1000) ?? Number.NaN) / this.unitCount;
  }

  /** Between the bounds of its bucket as if evenly spread, as Prometheus does. */
  quantileMs(ratio: number): number {
    const wantedCount = ratio * this.unitCount;
    let [lowerS, lowerCount] = [0, 0];
    for (const [boundS, count] of this.#countByBoundS) {
      if (count >= wantedCount) {
        const part = (wantedCount - lowerCount) / (count - lowerCount);
        return 1000 * (boundS === ALL_S ? lowerS : lowerS + (boundS - lowerS) * part);
      }
      [lowerS, lowerCount] = [boundS, count];
    }
    return Number.NaN;
  }

  #with(other: HubToKernel, sign: 1 | -1): HubToKernel {
    return new HubToKernel(
      new Map(
        [...this.#countByBoundS].map(([boundS, count]) => [
          boundS,
          count + sign * (other.#countByBoundS.get(boundS) ?? 0),
        ]),
      ),
    );
  }
}
