/** A ladder with real ffmpeg on a source that is fed in real time, and what comes out of it, with how late. */
import { execFileSync } from 'node:child_process';
import { readFileSync, rmSync } from 'node:fs';
import type { TestContext } from 'node:test';
import { join } from 'node:path';
import { systemClock } from '../../server/base/clock.ts';
import type { AccessUnit } from '../../server/media/access-unit.ts';
import { ptsMsOf } from '../../server/media/access-unit.ts';
import type { Log } from '../../server/observability/log.ts';
import { silentLog } from '../../server/observability/log.ts';
import { Metrics } from '../../server/observability/metrics.ts';
import { Rendition } from '../../server/relay/rendition.ts';
import { ESSENTIALS_DEFAULTS } from '../../transcode/essentials.ts';
import type { LadderOptions } from '../../transcode/ladder-plan.ts';
import { LADDER_DEFAULTS, SPEEDS_DEFAULT } from '../../transcode/ladder-plan.ts';
import { LADDER_RUN_DEFAULTS, Ladder } from '../../transcode/ladder.ts';
import type { RunOptions } from '../../transcode/track-run.ts';
import { unitsOfFlv } from './flv-units.ts';
import { feedLive } from './live-feed.ts';
import { tempFolder } from './temp-folder.ts';

export type LadderSceneOptions = {
  readonly units: readonly AccessUnit[];
  readonly loopS?: number;
  readonly ladder?: Partial<LadderOptions>;
  readonly run?: Partial<RunOptions>;
  readonly log?: Log;
};

/** A picture of a rung as it came out. */
export type MadePicture = {
  readonly unit: AccessUnit;
  readonly atMs: number;
  /** Media that the source had sent by then and that comes after this picture. */
  readonly behindMs: number;
};

export class LadderScene {
  readonly made = new Map<string, MadePicture[]>();
  readonly ended: string[] = [];
  readonly source = new Rendition('source-video', { cacheMaxBytes: 2 ** 25, cacheMaxCount: 900 });
  readonly audio = new Rendition('source-audio', { cacheMaxBytes: 2 ** 20, cacheMaxCount: 900 });
  readonly ladder: Ladder;
  /** Of what the source gave out, in order. */
  readonly sourceTicks: number[] = [];
  /** How late each picture of the source was pushed: what the machine, not the ladder, cost. */
  readonly sourceLateMs: number[] = [];
  readonly sourceAtMs: number[] = [];
  #edgeMs = 0;

  constructor(t: TestContext, options: LadderSceneOptions) {
    this.ladder = new Ladder({
      options: { ...LADDER_DEFAULTS, ...options.ladder },
      ffmpegPath: 'ffmpeg',
      run: { ...LADDER_RUN_DEFAULTS, ...options.run },
      backoff: ESSENTIALS_DEFAULTS.backoff,
      speeds: SPEEDS_DEFAULT,
      coreCount: 2,
      clock: systemClock,
      log: options.log ?? silentLog,
      metrics: new Metrics({ collectDefaults: false }),
      output: {
        onRung: ({ id }) => this.made.set(id, this.made.get(id) ?? []),
        onUnit: (id, unit) => {
          const picture = { unit, atMs: systemClock.nowMs(), behindMs: this.#edgeMs - ptsMsOf(unit) };
          this.made.get(id)?.push(picture);
        },
        onEnd: (id) => this.ended.push(id),
      },
    });
    this.source.subscribe({
      onUnit: (unit) => {
        this.sourceTicks.push(unit.ptsTicks);
        this.sourceAtMs.push(systemClock.nowMs());
        this.sourceLateMs.push(systemClock.nowMs() - unit.arrivedAtMs);
        this.#edgeMs = ptsMsOf(unit);
      },
    });
    this.ladder.attach(this.source);
    const loop = options.loopS === undefined ? {} : { loopS: options.loopS };
    const stop = feedLive(
      options.units,
      (unit) => (unit.track.kind === 'video' ? this.source : this.audio).push(unit),
      loop,
    );
    t.after(() => {
      stop();
      this.ladder.close('test_over');
    });
  }

  timesOf(id: string, isWanted: (unit: AccessUnit) => boolean = () => true): number[] {
    return (this.made.get(id) ?? []).filter(({ unit }) => isWanted(unit)).map(({ unit }) => unit.ptsTicks);
  }
}

export type MadeUpSource = {
  readonly widthPx: number;
  readonly heightPx: number;
  readonly frameRateFps: number;
  readonly durationS: number;
  /** A whole number of GOPs when it is to be looped. */
  readonly gopFrames: number;
  readonly codecArgs?: readonly string[];
  /** A tone beside it. */
  readonly hasSound?: boolean;
};

/** A moving test picture as an encoder tuned for latency sends it, with arrival at its decoding time. */
export const makeSource = (source: MadeUpSource): AccessUnit[] => {
  const { widthPx, heightPx, frameRateFps, durationS, gopFrames } = source;
  const folder = tempFolder('source');
  const file = join(folder, 'source.flv');
  try {
    execFileSync('ffmpeg', [
      ...['-v', 'error', '-f', 'lavfi', '-i', `testsrc2=size=${widthPx}x${heightPx}:rate=${frameRateFps}`],
      ...(source.hasSound === true ? ['-f', 'lavfi', '-i', 'sine=sample_rate=48000', '-c:a', 'aac'] : []),
      ...[
        '-t',
        String(durationS),
        '-pix_fmt',
        'yuv420p',
        '-c:v',
        'libx264',
        '-preset',
        'ultrafast',
        '-tune',
        'zerolatency',
      ],
      ...['-g', String(gopFrames), '-keyint_min', String(gopFrames), '-sc_threshold', '0', ...(source.codecArgs ?? [])],
      ...['-f', 'flv', file],
    ]);
    return unitsOfFlv(readFileSync(file), { widthPx, heightPx }).map((unit) => {
      const atMs = (unit.dtsTicks * 1000) / unit.track.timescaleHz;
      return { ...unit, arrivedAtMs: atMs, arrivedAtWallMs: atMs };
    });
  } finally {
    rmSync(folder, { recursive: true });
  }
};
