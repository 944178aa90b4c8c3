/** A recorder in a process of its own, fed as fast as it can write, so that it can be killed in the middle of a write: `recording-process.ts FOLDER`. */
import { systemClock } from '../../server/base/clock.ts';
import { silentLog } from '../../server/observability/log.ts';
import { Metrics } from '../../server/observability/metrics.ts';
import { nodeFileSystem } from '../../server/replay/file-system.ts';
import { RECORDER_DEFAULTS } from '../../server/replay/options.ts';
import { Recorder } from '../../server/replay/recorder.ts';
import { RecordingStore } from '../../server/replay/recording-store.ts';
import { packagedSegment } from './packaged-segments.ts';

const AHEAD_COUNT = 4;
const VIDEO = packagedSegment(0, { payloadBytes: 400_000 });
const AUDIO = packagedSegment(0, { renditionId: 'audio', payloadBytes: 80 });

const root = process.argv[2] ?? '';
const files = nodeFileSystem;
const store = new RecordingStore({ root, files, log: silentLog });
const recorder = new Recorder({
  settings: { ...RECORDER_DEFAULTS, freeMinBytes: 1, fsync: 'never', fileRollMs: 30_000 },
  root,
  store,
  files,
  clock: systemClock,
  log: silentLog,
  metrics: new Metrics({ collectDefaults: false }),
});

let pushedMsn = -1;
const feed = (): void => {
  const [live] = store.list();
  const writtenCount = Math.floor((live?.durationMs ?? 0) / 2_000);
  // What the parent hears of must survive whatever happens next.
  process.send?.(writtenCount);
  while (pushedMsn < writtenCount + AHEAD_COUNT) {
    pushedMsn += 1;
    recorder.onSegment({ ...VIDEO, msn: pushedMsn });
    recorder.onSegment({ ...AUDIO, msn: pushedMsn });
  }
  setImmediate(feed);
};
feed();
