/** How the lab's publishers encode: ffmpeg's arguments after its inputs, for each preset and both doors. Pure. */

/**
 * `zerolatency`: x264 without look-ahead and B-frames, keyframes each second. `obs-default`: what OBS sends untouched: High,
 * two B-frames, look-ahead, one keyframe in 250 frames, constant bitrate. `obs-tuned`: OBS as the doctor wants it: veryfast,
 * tune zerolatency, no B-frames, a keyframe each second, constant bitrate. `video-only`: `zerolatency` without sound.
 */
export type PublisherPreset = 'zerolatency' | 'obs-default' | 'obs-tuned' | 'video-only';

export type EncodeOptions = {
  /** `rtmp://HOST:PORT/live/NAME[?key=SECRET]`, or WHIP's `http(s)://HOST/…`. */
  readonly url: string;
  readonly preset: PublisherPreset;
  readonly frameRateFps?: number;
  readonly bitrateBps?: number;
  /** Seconds between keyframes; `obs-default` ignores it. */
  readonly gopS?: number;
  /** Anything before the muxer, after the preset's own arguments. */
  readonly extraArgs?: readonly string[];
};

/** Stand for the addresses at which the WHIP client takes ffmpeg's RTP. */
export const WHIP_VIDEO_ADDRESS = 'whip:video';
export const WHIP_AUDIO_ADDRESS = 'whip:audio';

const BITRATE_BPS = 1_500_000;

export const isWhipUrl = (url: string): boolean => url.startsWith('http:') || url.startsWith('https:');

export const hasSound = (preset: PublisherPreset): boolean => preset !== 'video-only';

export const outputArgs = (options: EncodeOptions): string[] =>
  isWhipUrl(options.url) ? whipArgs(options) : rtmpArgs(options);

const rtmpArgs = (options: EncodeOptions): string[] => [
  ...videoArgs(options),
  ...(hasSound(options.preset) ? ['-c:a', 'aac', '-b:a', '160k', '-ar', '48000', '-ac', '2'] : ['-an']),
  ...(options.extraArgs ?? []),
  ...['-flush_packets', '1', '-f', 'flv', '-flvflags', 'no_duration_filesize', options.url],
];

/** Two muxers, so that neither track waits for the other. Without B-frames, as OBS does it for WHIP whatever its settings. */
const whipArgs = (options: EncodeOptions): string[] => [
  ...['-map', '0:v', ...videoArgs(options), '-bf', '0', ...(options.extraArgs ?? []), '-f', 'rtp', WHIP_VIDEO_ADDRESS],
  ...(hasSound(options.preset)
    ? ['-map', '1:a', '-c:a', 'libopus', '-b:a', '96k', '-frame_duration', '20', '-f', 'rtp', WHIP_AUDIO_ADDRESS]
    : []),
];

const videoArgs = (options: EncodeOptions): string[] => {
  const bitrate = String(options.bitrateBps ?? BITRATE_BPS);
  const gop = String(Math.round((options.gopS ?? 1) * (options.frameRateFps ?? 30)));
  const rate = ['-b:v', bitrate, '-maxrate', bitrate, '-bufsize', bitrate, '-pix_fmt', 'yuv420p'];
  const keyframes = ['-bf', '0', '-g', gop, '-keyint_min', gop, '-sc_threshold', '0'];
  const byPreset: Record<PublisherPreset, readonly string[]> = {
    zerolatency: ['-preset', 'ultrafast', '-tune', 'zerolatency', ...keyframes],
    'video-only': ['-preset', 'ultrafast', '-tune', 'zerolatency', ...keyframes],
    'obs-default': [
      ...['-preset', 'veryfast', '-profile:v', 'high', '-bf', '2', '-g', '250'],
      ...['-minrate', bitrate, '-x264-params', 'nal-hrd=cbr'],
    ],
    'obs-tuned': [
      ...['-preset', 'veryfast', '-profile:v', 'high', '-tune', 'zerolatency', ...keyframes],
      ...['-minrate', bitrate, '-x264-params', 'nal-hrd=cbr'],
    ],
  };
  return ['-c:v', 'libx264', ...byPreset[options.preset], ...rate];
};
