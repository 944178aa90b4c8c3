/**
 * What hardware encoders of H.264 are told: pure. Each aims at a quality below a cap, as x264 is told to; none makes B-frames or looks ahead; all make
 * an IDR where ffmpeg forces a keyframe. Written after ffmpeg's documentation, not tried on a device yet (README).
 */
export const HARDWARE_ENCODERS = ['nvenc', 'qsv', 'vaapi', 'videotoolbox'] as const;
export type HardwareEncoder = (typeof HARDWARE_ENCODERS)[number];
export type LadderEncoder = 'software' | HardwareEncoder;

/** Before the input: the device that filters and encoder share. */
export const deviceArgs = (encoder: LadderEncoder): string[] =>
  encoder === 'vaapi' ? ['-init_hw_device', 'vaapi=gpu', '-filter_hw_device', 'gpu'] : [];

/** At the end of a rung's filters: the pictures as its encoder takes them. */
export const encoderFormat = (encoder: LadderEncoder): string => FORMATS[encoder];

const FORMATS: Readonly<Record<LadderEncoder, string>> = {
  software: 'format=yuv420p',
  nvenc: 'format=yuv420p',
  qsv: 'format=nv12',
  vaapi: 'format=nv12,hwupload',
  videotoolbox: 'format=yuv420p',
};

/** What a rung asks of its encoder. `crf`: x264's scale. */
export type HardwareEncoding = { readonly crf: number; readonly bitrateMaxBps: number };

export const hardwareArgs = (encoder: HardwareEncoder, encoding: HardwareEncoding): string[] => [
  ...['-c:v', `h264_${encoder}`, '-profile:v', 'high', '-bf', '0', '-g', '1000'],
  ...['-maxrate', String(encoding.bitrateMaxBps), '-bufsize', String(encoding.bitrateMaxBps)],
  ...OWN_ARGS[encoder](encoding),
];

const OWN_ARGS: Readonly<Record<HardwareEncoder, (encoding: HardwareEncoding) => string[]>> = {
  nvenc: ({ crf }) => [
    ...['-preset', 'p4', '-tune', 'll', '-rc', 'vbr', '-cq', String(Math.round(crf)), '-b:v', '0'],
    ...['-delay', '0', '-rc-lookahead', '0', '-no-scenecut', '1', '-forced-idr', '1'],
  ],
  qsv: ({ crf, bitrateMaxBps }) => [
    ...['-preset', 'medium', '-async_depth', '1', '-look_ahead', '0', '-forced_idr', '1'],
    ...['-global_quality', String(Math.round(crf)), '-b:v', String(belowCap(bitrateMaxBps))],
  ],
  vaapi: ({ crf, bitrateMaxBps }) => [
    ...['-rc_mode', 'QVBR', '-global_quality', String(Math.round(crf)), '-b:v', String(belowCap(bitrateMaxBps))],
  ],
  videotoolbox: ({ crf }) => ['-realtime', '1', '-allow_sw', '0', '-q:v', String(percentOf(crf))],
};

/** Quality with a cap is, for both, a mean that may be exceeded up to the cap. */
const BELOW_CAP_RATIO = 0.8;
const belowCap = (bitrateMaxBps: number): number => Math.round(bitrateMaxBps * BELOW_CAP_RATIO);

/** VideoToolbox counts quality upwards, 1 to 100. */
const CRF_MAX = 51;
const percentOf = (crf: number): number => Math.max(1, Math.round(100 * (1 - crf / CRF_MAX)));
