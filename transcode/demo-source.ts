/**
 * The demo: a slow play of colours with a running clock and a tick each second, published like any encoder's stream, so that there is
 * something to watch at once. The clock in the picture beside a clock at hand is the latency, seen.
 */
import { setTimeout as startTimer } from 'node:timers';
import type { Clock } from '../server/base/clock.ts';
import type { Log } from '../server/observability/log.ts';
import { startPublishing } from './ffmpeg-process.ts';

export type DemoOptions = {
  readonly ffmpegPath: string;
  /** RTMP address with the key, if one is needed. */
  readonly url: string;
};

const RESTART_AFTER_MS = 2_000;
const COLOURS = 'seed=7:c0=0x14213d:c1=0x0f766e:c2=0x7c3aed:c3=0x1d4ed8:n=4:speed=0.0001';

/** Publishes until the returned function is called; starts again when ffmpeg ends. */
export const startDemo = (options: DemoOptions, parts: { clock: Clock; log: Log }): (() => void) => {
  let isStopped = false;
  let stopRun: () => void = () => undefined;
  let restart: NodeJS.Timeout | undefined;
  const run = (): void => {
    const job = {
      ffmpegPath: options.ffmpegPath,
      lavfiInputs: [pictureGraph(midnightWallMs(parts.clock.wallMs())), SOUND_GRAPH],
      outputArgs: ENCODING,
      url: options.url,
    };
    stopRun = startPublishing(job, (error) => {
      if (!isStopped) {
        parts.log.warn('demo.ended', { error: error?.message, restartAfterMs: RESTART_AFTER_MS });
        restart = startTimer(run, RESTART_AFTER_MS);
      }
    });
  };
  run();
  return () => {
    isStopped = true;
    clearTimeout(restart);
    stopRun();
  };
};

/** The start of the local day of `wallMs`, so that times of day can be written from a difference. */
const midnightWallMs = (wallMs: number): number => new Date(wallMs).setHours(0, 0, 0, 0);

/**
 * One picture is painted and drawn past the window, which costs a tenth of painting each. Pictures are stamped with the time of day only
 * while the text is drawn; the encoder sees an even 30 a second.
 */
const pictureGraph = (midnightMs: number): string =>
  [
    `gradients=s=1708x480:r=30:${COLOURS}`,
    'trim=end_frame=1,format=yuv420p,loop=loop=-1:size=1,setpts=N/(30*TB),scroll=horizontal=0.0012,crop=854:480:0:0',
    'settb=1/1000',
    `setpts='(RTCTIME-${midnightMs}000)/1000'`,
    "drawtext=font=DejaVu Sans Mono:fontsize=84:fontcolor=white:x=(w-tw)/2:y=(h-th)/2:text='%{pts\\:hms}'",
    "drawtext=font=DejaVu Sans:fontsize=28:fontcolor=white@0.8:x=(w-tw)/2:y=h*0.3:text='Sluice demo'",
    'settb=1/30',
    'setpts=N',
  ].join(',');

/** A soft hum with a tick at each full second. */
const SOUND_GRAPH =
  "aevalsrc='0.03*sin(220*2*PI*t)+0.3*sin(880*2*PI*t)*lt(mod(t,1),0.06)|0.03*sin(220*2*PI*t)+0.3*sin(880*2*PI*t)*lt(mod(t,1),0.06)':s=48000";

const ENCODING = [
  ...[
    '-map',
    '0:v',
    '-map',
    '1:a',
    '-c:v',
    'libx264',
    '-preset',
    'veryfast',
    '-tune',
    'zerolatency',
    '-pix_fmt',
    'yuv420p',
  ],
  ...[
    '-b:v',
    '1500k',
    '-maxrate',
    '1500k',
    '-bufsize',
    '750k',
    '-g',
    '30',
    '-threads',
    '1',
    '-c:a',
    'aac',
    '-b:a',
    '128k',
    '-f',
    'flv',
  ],
];
