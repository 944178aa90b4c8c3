/**
 * What must be made from the source so that every viewer gets picture and sound: pure. WebRTC viewers need Opus, and H.264
 * whose pictures come in the order they are shown; LL-HLS needs a keyframe at least every 2 s, and AAC, as Apple's players and most others
 * take no Opus there.
 */
import { isShownByBrowsers } from '../server/media/h264/avc-config.ts';
import type { StreamFacts } from '../server/media/stream-source.ts';
import type { AudioTrack, VideoTrack } from '../server/media/track.ts';

export type TrackPlan = {
  readonly isNeeded: boolean;
  /** Plain words for logs, the API and the studio; empty when not needed. */
  readonly reasons: readonly string[];
};

export type EssentialsPlan = { readonly opus: TrackPlan; readonly aac: TrackPlan; readonly repaired: TrackPlan };

export type PlanInput = {
  /** Undefined while the source has no such track. */
  readonly video: { readonly track: VideoTrack; readonly facts: StreamFacts } | undefined;
  readonly audio: { readonly track: AudioTrack } | undefined;
  /** The plan in force. A repair that is on stays on: viewers must not be moved to and fro as the encoder's GOPs vary. */
  readonly before: EssentialsPlan | undefined;
  /** A publisher came after a gap and its first seconds were seen: only now may a repair be taken away. */
  readonly mayStopRepair: boolean;
};

/** Segments of LL-HLS are 2 s; the slack is what the encoder's own rounding of GOPs may need. */
export const GOP_SAFE_MAX_MS = 2_100;

const NOTHING: TrackPlan = { isNeeded: false, reasons: [] };
export const NO_PLAN: EssentialsPlan = { opus: NOTHING, aac: NOTHING, repaired: NOTHING };

export const planEssentials = (input: PlanInput): EssentialsPlan => ({
  opus: planOpus(input.audio?.track),
  aac: planAac(input.audio?.track),
  repaired: planRepaired(input),
});

const planOpus = (track: AudioTrack | undefined): TrackPlan => {
  if (track === undefined || (track.codec === 'opus' && track.timescaleHz === 48_000)) {
    return NOTHING;
  }
  return { isNeeded: true, reasons: [`the sound is ${track.codec.toUpperCase()}, which WebRTC cannot carry`] };
};

const planAac = (track: AudioTrack | undefined): TrackPlan =>
  track?.codec === 'opus'
    ? { isNeeded: true, reasons: ['the sound is Opus, which not every player takes in LL-HLS and recordings'] }
    : NOTHING;

const planRepaired = (input: PlanInput): TrackPlan => {
  if (input.video === undefined) {
    return input.before?.repaired ?? NOTHING;
  }
  const reasons = [...codecReasons(input.video.track), ...structureReasons(input.video.facts)];
  if (reasons.length > 0) {
    return { isNeeded: true, reasons };
  }
  const before = input.before?.repaired;
  return before?.isNeeded === true && !input.mayStopRepair ? before : NOTHING;
};

/** HEVC: no Chromium without hardware takes it. AV1: Safari and older phones do not, and one safe rendition must suit all. */
const codecReasons = (track: VideoTrack): string[] => {
  if (track.codec !== 'h264') {
    return [`the video is ${track.codec.toUpperCase()}, which not every browser plays`];
  }
  return isShownByBrowsers(track.codecString)
    ? []
    : ['the video has more bits or colours than browsers show (set the colour format to NV12 and the profile to high)'];
};

const structureReasons = (facts: StreamFacts): string[] => {
  const reasons: string[] = [];
  if (facts.hasReordering) {
    reasons.push('the encoder uses B-frames, which WebRTC cannot show (set B-frames to 0 or tune to zerolatency)');
  }
  if (facts.isGopKnown && facts.gopMaxMs > GOP_SAFE_MAX_MS) {
    reasons.push(
      `keyframes are ${(facts.gopMaxMs / 1000).toFixed(1)} s apart or more (set the keyframe interval to 1 s)`,
    );
  }
  return reasons;
};

/** True when going from one plan to the other changes what runs or what people are told. */
export const isSamePlan = (a: EssentialsPlan, b: EssentialsPlan): boolean =>
  a.opus.isNeeded === b.opus.isNeeded &&
  a.aac.isNeeded === b.aac.isNeeded &&
  a.repaired.isNeeded === b.repaired.isNeeded;
