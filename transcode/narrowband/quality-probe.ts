/**
 * Encodes a few seconds of a source as the ladder would, at several CRFs, throws the result away and keeps what x264 says of it. What the ladder's
 * encoders show live is then predicted from that (`quality-model`).
 */
import { WorldError } from '../../server/base/errors.ts';
import type { AccessUnit } from '../../server/media/access-unit.ts';
import { ptsMsOf } from '../../server/media/access-unit.ts';
import { flvHeader, flvTag } from '../../server/media/flv/flv-writer.ts';
import { NutWriter } from '../../server/media/nut/nut-writer.ts';
import type { Track } from '../../server/media/track.ts';
import { ChildClock } from '../child-clock.ts';
import { inputArgs, inputFormatOf } from '../ffmpeg-args.ts';
import type { FfmpegReport, ReportJob } from '../ffmpeg-process.ts';
import { runFfmpegForReport } from '../ffmpeg-process.ts';
import type { LadderKeyframes } from '../ladder-args.ts';
import { ladderGraph, probeOutputs } from '../ladder-args.ts';
import type { Rung } from '../ladder-plan.ts';
import type { Content } from './quality-model.ts';
import { CONTENT_SIDE_PX } from './quality-model.ts';
import type { X264Report } from './x264-report.ts';
import { readX264Reports } from './x264-report.ts';

export type ProbeJob = {
  readonly ffmpegPath: string;
  /** Pictures from a keyframe on, not empty. */
  readonly sample: readonly AccessUnit[];
  readonly hasReordering: boolean;
  /** What to encode; the same rung with several CRFs as often. */
  readonly rungs: readonly Rung[];
  readonly keyframes: LadderKeyframes;
  readonly sourceFrameRateFps: number;
  readonly timeoutMs: number;
};

export type Probe = {
  /** One a rung of the job; undefined where there was too little to encode. */
  readonly reports: readonly (X264Report | undefined)[];
  readonly content: Content;
  readonly cpuMs: number;
};

/** How a probe is run; tests have a machine of their own. */
export type RunReport = (job: ReportJob) => Promise<FfmpegReport>;

/** Rejects with `WorldError`; `FFMPEG_SILENT` when it did not say what was asked. */
export const probeSample = async (job: ProbeJob, run: RunReport = runFfmpegForReport): Promise<Probe> => {
  const { rungs, keyframes, sourceFrameRateFps } = job;
  const [first] = job.sample;
  if (first === undefined) {
    throw new TypeError('sample: expected at least one unit');
  }
  const encoding = { rungs, keyframes, sourceFrameRateFps, encodeFromMs: 0 };
  const { lines, cpuMs } = await run({
    ffmpegPath: job.ffmpegPath,
    // What x264 says, it says as information.
    inputArgs: [...inputArgs(first.track), '-loglevel', 'info'],
    input: toContainer(job.sample, job.hasReordering),
    filterGraph: `${ladderGraph(encoding)};[0:v:0]${contentFilters(first.track)}[content]`,
    outputs: [...probeOutputs(encoding), ['-map', '[content]', '-fps_mode', 'passthrough', '-f', 'null']],
    timeoutMs: job.timeoutMs,
  });
  const reports = readX264Reports(lines);
  const content = readContent(lines);
  if (reports.length !== rungs.length || content === undefined) {
    throw new WorldError('FFMPEG_SILENT', `${reports.length} of ${rungs.length} encoders said what they did`);
  }
  return { reports, content, cpuMs };
};

/** A picture of the source as the model wants to see it. */
const contentFilters = (track: Track): string => {
  const isUpright = track.kind === 'video' && track.heightPx > track.widthPx;
  const size = isUpright ? `${CONTENT_SIDE_PX}:-2` : `-2:${CONTENT_SIDE_PX}`;
  return `scale=${size}:flags=bicubic,format=yuv420p,siti=print_summary=1`;
};

/** Undefined when something is missing. */
export const readContent = (lines: string): Content | undefined => {
  const temporal = /Temporal Information:\s+Average: ([\d.]+)/.exec(lines);
  return temporal === null ? undefined : { temporalInfo: Number(temporal[1]) };
};

const toContainer = (sample: readonly AccessUnit[], hasReordering: boolean): Uint8Array => {
  const [first] = sample;
  if (first === undefined) {
    return new Uint8Array(0);
  }
  const clock = new ChildClock(ptsMsOf(first));
  if (inputFormatOf(first.track) === 'nut') {
    const writer = new NutWriter({ track: first.track, reorderMaxCount: hasReordering ? 4 : 0 });
    const frames = sample.map((unit) => {
      const ptsTicks = Math.max(0, clock.toChildTicks(unit.ptsTicks, unit.track.timescaleHz));
      return writer.frame({ ptsTicks, isKeyframe: unit.isKeyframe, payload: unit.payload });
    });
    return Buffer.concat([writer.header(), ...frames]);
  }
  const header = flvHeader(first.track, clock.wholeMsOf(first).dtsMs);
  return Buffer.concat([header, ...sample.map((unit) => flvTag(unit, clock.wholeMsOf(unit)))]);
};
