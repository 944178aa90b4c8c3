/** Says to the host when packets get lost on the way to us: whether repeats made it good, and what can be done. Pure: told what time it is. */
import type { DoctorFinding } from '../finding.ts';

/** Of one publisher, since its start. */
export type LossTotals = { readonly packets: number; readonly repaired: number; readonly lost: number };

type Sample = LossTotals & { readonly atMs: number };

const EVERY_MS = 1_000;
const WINDOW_MS = 10_000;
/** Below it nothing is worth saying: Wi-Fi does that on good days. */
const LOSS_MIN_RATIO = 0.03;
/** Fewer packets than this tell no share. */
const PACKET_MIN_COUNT = 100;

export class UplinkLoss {
  #samples: Sample[] = [];
  #finding: DoctorFinding | undefined;

  get finding(): DoctorFinding | undefined {
    return this.#finding;
  }

  /** To be called often; looks once a second. */
  observe(totals: LossTotals, { nowMs, rttMs }: { nowMs: number; rttMs: number }): void {
    const last = this.#samples.at(-1);
    if (last !== undefined && nowMs - last.atMs < EVERY_MS) {
      return;
    }
    const { packets, repaired, lost } = totals;
    this.#samples = [
      ...this.#samples.filter(({ atMs }) => nowMs - atMs <= WINDOW_MS),
      { packets, repaired, lost, atMs: nowMs },
    ];
    this.#finding = this.#judge(rttMs);
  }

  #judge(rttMs: number): DoctorFinding | undefined {
    const [first] = this.#samples;
    const last = this.#samples.at(-1);
    if (first === undefined || last === undefined || last.packets - first.packets < PACKET_MIN_COUNT) {
      return undefined;
    }
    const lostCount = last.lost - first.lost;
    const missedCount = lostCount + last.repaired - first.repaired;
    const missedRatio = missedCount / (last.packets - first.packets + lostCount);
    if (missedRatio < LOSS_MIN_RATIO && lostCount === 0) {
      return undefined;
    }
    const share = `${Math.max(1, Math.round(missedRatio * 100))} of 100 packets are lost on the way to this server`;
    const cure = 'Use a cable instead of Wi-Fi, or lower the bitrate.';
    return {
      code: 'UPLINK_LOSS',
      severity: lostCount === 0 ? 'info' : 'warning',
      costMs: Math.round(rttMs),
      advice:
        lostCount === 0
          ? `${share}. All of them were sent again in time, which costs latency whenever it happens. ${cure}`
          : `${share}, and some could not be sent again in time: viewers saw the picture stand still. ${cure}`,
    };
  }
}
