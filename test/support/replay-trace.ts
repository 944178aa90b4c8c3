/** Runs a decision trace again, call by call, through a controller made as the trace's own was. */
import { readFileSync } from 'node:fs';
import { makeController } from '../../server/relay/webrtc/controllers.ts';
import { WEBRTC_OUT_DEFAULTS } from '../../server/relay/webrtc/options.ts';
import type { TracedController } from '../../server/relay/webrtc/traced-controller.ts';

type Made = {
  readonly kind: Parameters<typeof makeController>[0];
  readonly controllerOptions: Parameters<typeof makeController>[1];
};
type Call = readonly [name: keyof TracedController | 'new' | 'cut', nowMs: number, ...values: unknown[]];

/** `decisions`: as they were and as they are now, as JSON texts. */
export type Replayed = { readonly callCount: number; readonly decisions: readonly (readonly [string, string])[] };

export const replayTrace = (path: string): Replayed => {
  const calls = readFileSync(path, 'utf8')
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as Call);
  const [, , made] = calls[0] as unknown as [string, number, Made];
  const controller = makeController(made.kind, made.controllerOptions, WEBRTC_OUT_DEFAULTS);
  const decisions: (readonly [string, string])[] = [];
  const compare = (before: unknown, now: unknown): void => {
    decisions.push([JSON.stringify(before), JSON.stringify(now)]);
  };
  for (const [name, nowMs, ...values] of calls.slice(1)) {
    const [first, second] = values as never[];
    switch (name) {
      case 'join':
        compare(second, controller.join(first as never, nowMs));
        break;
      case 'decide':
        compare(second, controller.decide(nowMs, first as never));
        break;
      case 'onNack':
        compare(values[2], controller.onNack(first as never, second as never, nowMs));
        break;
      case 'onFeedback':
        compare(second, controller.onFeedback(withNaN(first as never), nowMs));
        break;
      case 'setSmoothness':
        controller.setSmoothness(first as never);
        break;
      case 'retune':
        controller.retune(first as never);
        break;
      case 'onGop':
      case 'onPicture':
      case 'onPacketSent':
      case 'onReception':
      case 'onPlayerReport':
        controller[name](first as never, nowMs);
        break;
      case 'new':
      case 'cut':
      case 'close':
        break;
    }
  }
  return { callCount: calls.length, decisions };
};

/** JSON has no NaN. */
const withNaN = (report: {
  baseSeqExt: number;
  count: number;
  arrivedMs: readonly (number | null)[];
}): {
  baseSeqExt: number;
  count: number;
  arrivedMs: readonly number[];
} => ({ ...report, arrivedMs: report.arrivedMs.map((atMs) => atMs ?? Number.NaN) });
