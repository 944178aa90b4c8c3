/**
 * H.264 pictures as they come off the wire into access units: parameter sets become the track (a new one when they change, for instance the size), and
 * after a loss nothing is handed on before a keyframe that is whole. Pure.
 */
import { ProtocolError } from '../../base/errors.ts';
import type { SourceUnit } from '../../media/access-unit.ts';
import type { VideoSetup } from '../../media/flv/publisher-tracks.ts';
import { setupFromInBand, setupVideo } from '../../media/flv/publisher-tracks.ts';
import { buildAvcConfig } from '../../media/h264/avc-config.ts';
import {
  NAL_AUD,
  NAL_FILLER,
  NAL_IDR,
  NAL_NON_IDR,
  NAL_PPS,
  NAL_SPS,
  joinNalUnits,
  nalTypeOf,
} from '../../media/h264/nal-units.ts';
import type { H264Picture } from '../../media/rtp/h264-depacketiser.ts';
import type { VideoTrack } from '../../media/track.ts';

/** `keyframe_needed`: it cannot be decoded, as something before it is missing; `parameters_missing`: the same, of parameter sets. */
export type PictureDropReason = 'keyframe_needed' | 'parameters_missing' | 'no_picture';

export type PictureOutcome =
  | { readonly type: 'unit'; readonly unit: SourceUnit<VideoTrack> }
  | { readonly type: 'dropped'; readonly reason: PictureDropReason };

export type PicturePlace = {
  /** Showing time on the publisher's clock, in ticks of 90 kHz. */
  readonly ptsTicks: number;
  readonly arrivedAtMs: number;
  readonly arrivedAtWallMs: number;
};

/** Delimiters and filler are of no use to anybody; parameter sets are in the track. */
const LEFT_OUT: ReadonlySet<number> = new Set([NAL_SPS, NAL_PPS, NAL_AUD, NAL_FILLER]);
/** More than one picture's worth, where an encoder sends them apart from it. */
const WAITING_SET_MAX_COUNT = 16;

export class PictureUnits {
  #setup: VideoSetup | undefined;
  /** Parameter sets that came in no picture: they are the next one's. */
  #waitingSets: Uint8Array[] = [];
  /** The encoder sends parameter sets with each keyframe: one that came without them lost them. */
  #hasSetsInBand = false;
  #isBroken = true;
  #lastDtsTicks: number | undefined;

  /** Parameter sets of the SDP, if any (`sprop-parameter-sets`). Nonsense is ignored. */
  constructor(parameterSets: readonly Uint8Array[]) {
    this.#waitingSets = parameterSets.slice(0, WAITING_SET_MAX_COUNT);
  }

  get track(): VideoTrack | undefined {
    return this.#setup?.track;
  }

  /** Pictures are missing before the next one. */
  onLoss(): void {
    this.#isBroken = true;
  }

  /** Throws `ProtocolError` (`AVC_CONFIG_INVALID`, `H264_SPS_INVALID`) for parameter sets that make no sense. */
  push(picture: H264Picture, place: PicturePlace): PictureOutcome {
    const nalUnits = [...this.#waitingSets, ...picture.nalUnits];
    const coded = nalUnits.filter((nalUnit) => !LEFT_OUT.has(nalTypeOf(nalUnit)));
    if (!coded.some(isSlice)) {
      this.#waitingSets = nalUnits.filter(isParameterSet).slice(-WAITING_SET_MAX_COUNT);
      return { type: 'dropped', reason: 'no_picture' };
    }
    this.#waitingSets = [];
    const isKeyframe = coded.some((nalUnit) => nalTypeOf(nalUnit) === NAL_IDR);
    const hasSets = nalUnits.some((nalUnit) => nalTypeOf(nalUnit) === NAL_SPS);
    if (this.#isBroken && !(isKeyframe && isWholeFromStart(coded))) {
      return { type: 'dropped', reason: 'keyframe_needed' };
    }
    if (isKeyframe && picture.followsLoss && this.#hasSetsInBand && !hasSets) {
      this.#isBroken = true;
      return { type: 'dropped', reason: 'keyframe_needed' };
    }
    const setup = this.#setupFor(nalUnits);
    if (setup === undefined) {
      return { type: 'dropped', reason: 'parameters_missing' };
    }
    this.#hasSetsInBand ||= isKeyframe && hasSets;
    this.#setup = setup;
    this.#isBroken = false;
    return { type: 'unit', unit: this.#unitOf(setup.track, { coded, isKeyframe }, place) };
  }

  #setupFor(nalUnits: readonly Uint8Array[]): VideoSetup | undefined {
    if (this.#setup !== undefined) {
      return setupFromInBand(this.#setup, nalUnits) ?? this.#setup;
    }
    const sps = nalUnits.filter((nalUnit) => nalTypeOf(nalUnit) === NAL_SPS);
    const pps = nalUnits.filter((nalUnit) => nalTypeOf(nalUnit) === NAL_PPS);
    if (sps.length === 0 || pps.length === 0) {
      return undefined;
    }
    if (sps.length + pps.length > WAITING_SET_MAX_COUNT) {
      throw new ProtocolError('AVC_CONFIG_INVALID', `${sps.length + pps.length} parameter sets are too many`);
    }
    return setupVideo('h264', buildAvcConfig(sps, pps));
  }

  /** Who sends B-frames is stamped in showing order; decoding order is the order in which they came. */
  #unitOf(
    track: VideoTrack,
    { coded, isKeyframe }: { coded: readonly Uint8Array[]; isKeyframe: boolean },
    { ptsTicks, arrivedAtMs, arrivedAtWallMs }: PicturePlace,
  ): SourceUnit<VideoTrack> {
    const last = this.#lastDtsTicks;
    const isReordered = last !== undefined && ptsTicks <= last && last - ptsTicks < REORDER_MAX_TICKS;
    const dtsTicks = isReordered ? last + 1 : ptsTicks;
    this.#lastDtsTicks = dtsTicks;
    return { track, dtsTicks, ptsTicks, isKeyframe, payload: joinNalUnits(coded), arrivedAtMs, arrivedAtWallMs };
  }
}

/** Further back is a clock that was set, which the timeline sees to. */
const REORDER_MAX_TICKS = 90_000;

const isParameterSet = (nalUnit: Uint8Array): boolean => {
  const type = nalTypeOf(nalUnit);
  return type === NAL_SPS || type === NAL_PPS;
};

const isSlice = (nalUnit: Uint8Array): boolean => {
  const type = nalTypeOf(nalUnit);
  return type >= NAL_NON_IDR && type <= NAL_IDR;
};

/** `first_mb_in_slice` of the first slice is 0, which is coded as a single 1 (H.264 7.3.3): no slice before it was lost. */
const isWholeFromStart = (coded: readonly Uint8Array[]): boolean => {
  const first = coded.find(isSlice);
  return first !== undefined && ((first[1] ?? 0) & 0x80) !== 0;
};
