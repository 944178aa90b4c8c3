/** What is compared: the ladder's own arguments as they are live, and the ladder people usually run. Pure. */
import { usualRateFps } from '../../transcode/ffmpeg-args.ts';
import { av1Outputs } from '../../transcode/av1/av1-args.ts';
import { ladderGraph, ladderOutputs, type LadderJob } from '../../transcode/ladder-args.ts';
import type { Preset, Rung } from '../../transcode/ladder-plan.ts';

export type EncodePlan = {
  readonly filterGraph: string;
  /** Of each output, without its address. */
  readonly outputs: readonly (readonly string[])[];
};

const jobOf = (rungs: readonly Rung[]): LadderJob => ({
  rungs,
  keyframes: 'whole-seconds',
  sourceFrameRateFps: rungs[0]!.frameRateFps * rungs[0]!.frameDivisor,
  encodeFromMs: 0,
});

/**
 * All rungs from their source in one ffmpeg, as the server starts it. Start codes instead of lengths before NAL units are all that differs:
 * ffmpeg would not read a file of what it makes for the server.
 */
export const liveLadder = (rungs: readonly Rung[]): EncodePlan => ({
  filterGraph: ladderGraph(jobOf(rungs)),
  outputs: ladderOutputs(jobOf(rungs)).map((args) => args.map((arg) => arg.replace('annexb=0', 'annexb=1'))),
});

/** One rung from pictures that have its size and rate already, by the live arguments but for the CRF. */
export const liveRung = (rung: Rung, crf: number): EncodePlan => liveLadder([{ ...rung, frameDivisor: 1, crf }]);

/** An encoder with the rate points at which it is looked at. */
export type Contender = {
  readonly name: string;
  readonly points: readonly { readonly label: string; readonly plan: EncodePlan }[];
};

/** The rung as the ladder makes it, or with another preset, at these CRFs; its cap stays. */
export const liveContender = (rung: Rung, crfs: readonly number[]): Contender => ({
  name: `Sluice, ${rung.preset}`,
  points: crfs.map((crf) => ({ label: `${rung.preset}, CRF ${crf}`, plan: liveRung(rung, crf) })),
});

/** The AV1 rung as its ladder makes it, at these CRFs of libaom's scale. */
export const av1Contender = (rung: Rung, crfs: readonly number[]): Contender => ({
  name: 'Sluice, AV1',
  points: crfs.map((crf) => {
    const job = jobOf([{ ...rung, frameDivisor: 1, crf }]);
    return { label: `AV1, CRF ${crf}`, plan: { filterGraph: ladderGraph(job), outputs: av1Outputs(job) } };
  }),
});

export type CbrOptions = { readonly bitrateBps: number; readonly preset: Preset };

/**
 * CBR as a live encoder is usually set: buffer of one second, a keyframe each second. One thread: slices would only make it worse.
 * Without the filler bits of strict HRD, which would count against it.
 */
export const usualRung = (rung: Rung, { bitrateBps, preset }: CbrOptions): EncodePlan => {
  const rate = String(Math.round(bitrateBps));
  const gop = String(Math.round(rung.frameRateFps));
  return {
    filterGraph: '[0:v:0]format=yuv420p[v0]',
    outputs: [
      [
        ...['-map', '[v0]', '-an', '-fps_mode', 'passthrough', '-enc_time_base', '-1'],
        ...['-c:v', 'libx264', '-preset', preset, '-tune', 'zerolatency', '-profile:v', 'high'],
        ...['-b:v', rate, '-minrate', rate, '-maxrate', rate, '-bufsize', rate],
        ...['-g', gop, '-keyint_min', gop, '-sc_threshold', '0', '-threads', '1'],
        ...['-x264-params', `sliced-threads=0:fps=${usualRateFps(rung.frameRateFps)}`, '-f', 'nut'],
      ],
    ],
  };
};

/** As somebody would write it by hand: the same pictures by the same effort, nothing of how a server needs them. */
export const plainLadder = (rungs: readonly Rung[]): EncodePlan => {
  const inputs = rungs.map((_, index) => `[s${index}]`).join('');
  const chains = rungs.map(
    ({ widthPx, heightPx, frameDivisor, frameRateFps }, index) =>
      `[s${index}]${frameDivisor === 1 ? '' : `fps=${frameRateFps},`}scale=${widthPx}:${heightPx}:flags=bicubic,format=yuv420p[v${index}]`,
  );
  return {
    filterGraph: [`[0:v:0]split=${rungs.length}${inputs}`, ...chains].join(';'),
    outputs: ladderOutputs(jobOf(rungs)).map((args, index) => {
      const gop = String(Math.round(rungs[index]!.frameRateFps));
      const kept = [
        '-c:v',
        '-preset',
        '-tune',
        '-profile:v',
        '-crf',
        '-maxrate',
        '-bufsize',
        '-bf',
        '-threads',
        '-x264-params',
      ];
      const options = kept.flatMap((name) => [name, args[args.indexOf(name) + 1]!.replace('annexb=0', 'annexb=1')]);
      return [
        '-map',
        `[v${index}]`,
        '-an',
        ...options,
        '-g',
        gop,
        '-keyint_min',
        gop,
        '-sc_threshold',
        '0',
        '-f',
        'nut',
      ];
    }),
  };
};
