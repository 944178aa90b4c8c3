/** From what was measured of a publisher to sentences for the streamer. One small function for each thing that can be wrong. */
import type { EncoderSettings } from '../media/h264/encoder-settings.ts';
import { heldPictureCount } from '../media/h264/encoder-settings.ts';
import type { DoctorFinding } from './finding.ts';

export type Symptoms = {
  readonly ageMs: number;
  readonly videoCodec: string | undefined;
  readonly hasVideo: boolean;
  readonly hasAudio: boolean;
  readonly frameRateFps: number;
  /** How many pictures are decoded before one that is shown earlier, the most seen. */
  readonly reorderCount: number;
  /** Media that arrived at the start beyond the time that passed. */
  readonly burstMs: number;
  /** Closed GOPs, the latest last, in time and in pictures. */
  readonly gopsMs: readonly number[];
  readonly gopFrames: readonly number[];
  readonly openGopMs: number;
  /** The pictures of the last ten seconds. */
  readonly samples: readonly Sample[];
  /** x264's own words, where it left them in the stream. */
  readonly settings: EncoderSettings | undefined;
  readonly isObs: boolean;
};

type Sample = {
  readonly dtsMs: number;
  readonly arrivedAtMs: number;
  readonly bytes: number;
  readonly isKeyframe: boolean;
};

const ABSENT_AFTER_MS = 5_000;
/** DESIGN 4: what LL-HLS takes without repair is 2 s; a tenth is the encoder's freedom. */
const GOP_LONG_MS = 2_200;
const GOP_IRREGULAR_RATIO = 1.3;
const BURST_MIN_MS = 200;
const OBS_KEYINT_DEFAULT = 250;
const KEYFRAME_PEAK_RATIO = 12;
const SECOND_PEAK_RATIO = 1.8;
const SAMPLE_MIN_COUNT = 60;
const GAP_IRREGULAR_RATIO = 0.6;
const STALL_MIN_MS = 250;

export const diagnose = (symptoms: Symptoms): DoctorFinding[] =>
  [
    bFrames,
    lookahead,
    burst,
    keyframeInterval,
    keyframeRhythm,
    keyframeSize,
    bitratePeaks,
    irregularTimestamps,
    uplinkStalls,
    audioMissing,
    videoMissing,
    codec,
  ]
    .map((check) => check(symptoms))
    .filter((finding) => finding !== undefined);

type Check = (symptoms: Symptoms) => DoctorFinding | undefined;

const bFrames: Check = ({ reorderCount, frameRateFps }) => {
  if (reorderCount === 0) {
    return undefined;
  }
  const costMs = Math.round((reorderCount * 1_000) / frameRateFps);
  return {
    code: 'B_FRAMES',
    severity: 'problem',
    costMs,
    advice: `The encoder uses B-frames: every picture comes about ${costMs} ms later, and WebRTC viewers get a re-encoded copy, because browsers cannot play them. In OBS, Settings, Output: x264: set Tune to zerolatency; NVENC and others: set B-frames to 0.`,
  };
};

const lookahead: Check = ({ settings, frameRateFps }) => {
  const frames = settings === undefined ? 0 : heldPictureCount(settings);
  if (settings === undefined || frames < 2) {
    return undefined;
  }
  const numberOf = (name: string): number => Number(settings.get(name) ?? 0) || 0;
  const costMs = Math.round((frames * 1_000) / frameRateFps);
  return {
    code: 'LOOKAHEAD',
    severity: costMs > 200 ? 'problem' : 'warning',
    costMs,
    advice: `x264 holds ${frames} pictures back before it lets one go (lookahead ${numberOf('rc_lookahead')}, ${numberOf('threads')} threads): about ${costMs} ms of latency for every viewer. In OBS, Settings, Output: set Tune to zerolatency.`,
  };
};

const burst: Check = ({ burstMs, settings }) => {
  if (burstMs < BURST_MIN_MS || settings !== undefined) {
    return undefined;
  }
  const costMs = Math.round(burstMs);
  return {
    code: 'BURST_AT_START',
    severity: 'info',
    costMs,
    advice: `The stream began with about ${costMs} ms of pictures at once: the encoder probably looks ahead or keeps a queue. If there is a setting called look-ahead, multipass or stream delay, turn it off.`,
  };
};

const keyframeInterval: Check = ({ gopsMs, gopFrames, openGopMs, isObs }) => {
  const longestMs = Math.max(openGopMs, ...gopsMs.slice(-3));
  if (longestMs <= GOP_LONG_MS) {
    return undefined;
  }
  const isDefault = gopFrames.includes(OBS_KEYINT_DEFAULT);
  const why = isDefault ? 'x264’s default of 250 pictures' : 'too rare';
  const where = isObs || isDefault ? 'In OBS, Settings, Output: set Keyframe Interval' : 'Set the keyframe interval';
  return {
    code: 'KEYFRAME_INTERVAL_LONG',
    severity: 'warning',
    costMs: null,
    advice: `A keyframe comes only every ${(longestMs / 1_000).toFixed(1)} s (${why}). Viewers would wait that long for a picture, so the stream is re-encoded for them, which costs latency and quality. ${where} to 1 or 2 s.`,
  };
};

const keyframeRhythm: Check = ({ gopsMs }) => {
  const shortestMs = Math.min(...gopsMs);
  const longestMs = Math.max(...gopsMs);
  if (gopsMs.length < 4 || longestMs < shortestMs * GOP_IRREGULAR_RATIO) {
    return undefined;
  }
  return {
    code: 'KEYFRAME_INTERVAL_IRREGULAR',
    severity: 'info',
    costMs: null,
    advice: `Keyframes come between ${Math.round(shortestMs)} and ${Math.round(longestMs)} ms apart. A steady rhythm lets viewers switch quality smoothly: with x264 add scenecut=0 to its options, and set a fixed keyframe interval.`,
  };
};

const keyframeSize: Check = ({ samples }) => {
  const keyframes = samples.filter((sample) => sample.isKeyframe);
  const others = samples.filter((sample) => !sample.isKeyframe);
  if (keyframes.length < 2 || others.length < SAMPLE_MIN_COUNT) {
    return undefined;
  }
  const ratio = meanBytes(keyframes) / Math.max(1, meanBytes(others));
  const kilobytes = Math.round(meanBytes(keyframes) / 1_000);
  // Small pictures are cheap however they compare.
  if (ratio < KEYFRAME_PEAK_RATIO || kilobytes < 100) {
    return undefined;
  }
  return {
    code: 'KEYFRAMES_LARGE',
    severity: 'info',
    costMs: null,
    advice: `Keyframes are ${Math.round(ratio)} times as large as other pictures (${kilobytes} kB). On a narrow connection each one delays what follows. A smaller buffer evens it out: rate control CBR, and with x264 a buffer size of half the bitrate or less.`,
  };
};

const bitratePeaks: Check = ({ samples }) => {
  const first = samples[0];
  const last = samples.at(-1);
  if (first === undefined || last === undefined || last.dtsMs - first.dtsMs < 6_000) {
    return undefined;
  }
  const bySecond = new Map<number, number>();
  for (const sample of samples) {
    const second = Math.floor((sample.dtsMs - first.dtsMs) / 1_000);
    bySecond.set(second, (bySecond.get(second) ?? 0) + sample.bytes);
  }
  // The last second is not whole.
  const sums = [...bySecond.values()].slice(0, -1);
  const meanPerS = sums.reduce((sum, bytes) => sum + bytes, 0) / sums.length;
  const peakBps = Math.max(...sums) * 8;
  if (peakBps < meanPerS * 8 * SECOND_PEAK_RATIO || peakBps < 1_000_000) {
    return undefined;
  }
  return {
    code: 'BITRATE_PEAKS',
    severity: 'info',
    costMs: null,
    advice: `The bitrate peaks at ${(peakBps / 1e6).toFixed(1)} Mbit/s, against ${((meanPerS * 8) / 1e6).toFixed(1)} on average. Peaks queue up on the way to viewers. Set rate control to CBR.`,
  };
};

const irregularTimestamps: Check = ({ samples }) => {
  const gapsMs = gapsOf(samples, (sample) => sample.dtsMs);
  if (gapsMs.length < SAMPLE_MIN_COUNT) {
    return undefined;
  }
  const medianMs = gapsMs.toSorted((a, b) => a - b)[gapsMs.length >> 1] ?? 0;
  const oddCount = gapsMs.filter(
    (gapMs) => Math.abs(gapMs - medianMs) > Math.max(3, medianMs * GAP_IRREGULAR_RATIO),
  ).length;
  const oddRatio = oddCount / gapsMs.length;
  if (oddRatio < 0.03) {
    return undefined;
  }
  return {
    code: 'TIMESTAMPS_IRREGULAR',
    severity: 'warning',
    costMs: null,
    advice: `${Math.round(oddRatio * 100)} of 100 pictures do not follow the one before at the usual distance of ${Math.round(medianMs)} ms: the encoder drops or repeats pictures, which shows as stutter. See in OBS, View, Stats, whether frames are missed; lower the resolution or choose a faster preset.`,
  };
};

/** The path is stalled when a picture comes late against the one before by more than the media between them. */
const uplinkStalls: Check = ({ samples }) => {
  const mediaGapsMs = gapsOf(samples, (sample) => sample.dtsMs);
  const arrivalGapsMs = gapsOf(samples, (sample) => sample.arrivedAtMs);
  const stallsMs = arrivalGapsMs
    .map((gapMs, index) => gapMs - (mediaGapsMs[index] ?? 0))
    .filter((stallMs) => stallMs > STALL_MIN_MS);
  if (stallsMs.length === 0) {
    return undefined;
  }
  const costMs = Math.round(Math.max(...stallsMs));
  return {
    code: 'UPLINK_STALLS',
    severity: stallsMs.length > 2 || costMs > 1_000 ? 'problem' : 'warning',
    costMs,
    advice: `The connection to this server stalled for up to ${costMs} ms within the last ten seconds. Lower the bitrate, use a cable instead of Wi-Fi, or in OBS, Settings, Advanced, let it change the bitrate dynamically.`,
  };
};

const audioMissing: Check = ({ ageMs, hasAudio, hasVideo }) =>
  hasAudio || !hasVideo || ageMs < ABSENT_AFTER_MS
    ? undefined
    : {
        code: 'AUDIO_MISSING',
        severity: 'warning',
        costMs: null,
        advice:
          'No sound is coming. If there should be some, add an audio source; over RTMP choose AAC as its encoder.',
      };

const videoMissing: Check = ({ ageMs, hasVideo }) =>
  hasVideo || ageMs < ABSENT_AFTER_MS
    ? undefined
    : {
        code: 'VIDEO_MISSING',
        severity: 'problem',
        costMs: null,
        advice: 'No picture is coming. Check the scene and the video encoder.',
      };

const codec: Check = ({ videoCodec }) =>
  videoCodec === undefined || videoCodec === 'h264'
    ? undefined
    : {
        code: 'CODEC_NEEDS_REPAIR',
        severity: videoCodec === 'hevc' ? 'warning' : 'info',
        costMs: null,
        advice: `The picture is ${videoCodec === 'hevc' ? 'HEVC' : 'AV1'}, which not every browser plays over WebRTC, so it is re-encoded to H.264 for those. H.264 with Tune zerolatency has the least latency.`,
      };

const gapsOf = (samples: readonly Sample[], read: (sample: Sample) => number): number[] =>
  samples.slice(1).map((sample, index) => read(sample) - read(samples[index] ?? sample));

const meanBytes = (samples: readonly Sample[]): number =>
  samples.reduce((sum, sample) => sum + sample.bytes, 0) / Math.max(1, samples.length);
