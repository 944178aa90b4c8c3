/** One viewer alone on a link, in virtual time. The earliest event is next; nothing sleeps. */
import { LinkModel, type LinkModelOptions } from '../latency/link/link-model.ts';
import type { SimSender } from './sim-sender.ts';
import { SimViewer, type RunResult, type ViewerOptions } from './sim-viewer.ts';

export type RunOptions = Omit<ViewerOptions, 'startMs'> & {
  readonly durationMs: number;
  readonly down: LinkModelOptions;
  /** Looks at the run each `sampleEveryMs`. */
  readonly onSample?: (sample: Sample) => void;
  readonly sampleEveryMs?: number;
};

export type Sample = {
  readonly nowMs: number;
  readonly sender: SimSender;
  readonly down: LinkModel;
};

export const runViewer = (options: RunOptions): RunResult => {
  const { seed, durationMs, sampleEveryMs = 100, onSample } = options;
  const down = new LinkModel(options.down, { seed, name: 'down' });
  const viewer = new SimViewer(options, (handle, bytes, nowMs) => {
    down.send(handle, bytes, nowMs);
  });
  let nextSampleAtMs = onSample === undefined ? Infinity : 0;
  for (;;) {
    const nowMs = Math.min(viewer.nextAtMs, down.nextAtMs, nextSampleAtMs);
    if (nowMs > durationMs) {
      return viewer.finish(durationMs);
    }
    for (let handle = down.take(nowMs); handle >= 0; handle = down.take(nowMs)) {
      viewer.onPacket(handle, nowMs);
    }
    viewer.step(nowMs);
    if (nowMs >= nextSampleAtMs) {
      onSample?.({ nowMs, sender: viewer.sender, down });
      nextSampleAtMs += sampleEveryMs;
    }
  }
};
