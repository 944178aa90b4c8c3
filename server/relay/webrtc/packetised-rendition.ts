/**
 * One rendition cut into RTP payloads, once, however many watch. Keeps the payloads since the last keyframe, so that those who
 * join late cost no second cutting.
 */
import type { Clock } from '../../base/clock.ts';
import { ProtocolError } from '../../base/errors.ts';
import type { AccessUnit } from '../../media/access-unit.ts';
import { isAudioUnit, isVideoUnit, ptsMsOf } from '../../media/access-unit.ts';
import { Av1Packetiser } from '../../media/rtp/av1-packetiser.ts';
import { H264Packetiser } from '../../media/rtp/h264-packetiser.ts';
import { packetiseOpus } from '../../media/rtp/opus-packetiser.ts';
import type { AccessUnitSource } from '../../media/stream-source.ts';
import type { VideoCodec } from '../../media/track.ts';

/** What WebRTC carries, each under a payload type of its own. */
export type CarriedCodec = Exclude<VideoCodec, 'hevc'> | 'opus';

/** One access unit, ready to be sent to anybody who takes its codec. Shared and never written to. */
export type PacketisedFrame = {
  readonly codec: CarriedCodec;
  readonly payloads: readonly Uint8Array[];
  readonly payloadBytes: number;
  readonly ptsTicks: number;
  readonly ptsMs: number;
  readonly isKeyframe: boolean;
  /** When it came here, or into the hub's cache. Monotonic clock. */
  readonly arrivedAtMs: number;
};

export class PacketisedRendition {
  readonly source: AccessUnitSource;
  readonly #clock: Clock;
  readonly #onRejected: () => void;
  readonly #packetisers = { h264: new H264Packetiser(), av1: new Av1Packetiser() } as const;
  #gop: PacketisedFrame[] = [];
  #isSeeded = false;
  #edgePtsMs = 0;
  #edgeAtMs = 0;

  constructor(options: { source: AccessUnitSource; clock: Clock; onRejected: () => void }) {
    this.source = options.source;
    this.#clock = options.clock;
    this.#onRejected = options.onRejected;
  }

  /** Frames from the last keyframe on; the array is replaced, not emptied, at the next one. Empty when nothing is cached. */
  get gop(): readonly PacketisedFrame[] {
    this.#seed();
    return this.#gop;
  }

  /** The media time whose picture would be arriving now, by the latest arrival; 0 before the first. */
  mediaMsAt(nowMs: number): number {
    return this.#edgePtsMs + Math.max(0, nowMs - this.#edgeAtMs);
  }

  /** Cuts one unit and remembers it. Undefined when nothing of it can be sent. */
  add(unit: AccessUnit): PacketisedFrame | undefined {
    this.#edgePtsMs = ptsMsOf(unit);
    this.#edgeAtMs = this.#clock.nowMs();
    if (isVideoUnit(unit)) {
      this.#seed(unit);
    }
    const frame = this.#packetise(unit, this.#edgeAtMs);
    this.#remember(unit, frame);
    return frame;
  }

  /** Units will be missed: what is kept is no longer whole, and is taken anew from the hub when it is next wanted. */
  forget(): void {
    this.#isSeeded = false;
    this.#gop = [];
  }

  /** `arriving`: the hub's cache holds it already, but it is about to be added by itself. */
  #seed(arriving?: AccessUnit): void {
    if (this.#isSeeded) {
      return;
    }
    this.#isSeeded = true;
    const cached = this.source.cachedGop().filter((unit) => unit !== arriving);
    const last = cached.at(-1);
    if (last !== undefined && this.#edgeAtMs === 0) {
      this.#edgePtsMs = ptsMsOf(last);
      this.#edgeAtMs = last.arrivedAtMs;
    }
    this.#gop = cached.map((unit) => this.#packetise(unit, unit.arrivedAtMs)).filter((frame) => frame !== undefined);
  }

  #remember(unit: AccessUnit, frame: PacketisedFrame | undefined): void {
    if (!isVideoUnit(unit)) {
      return;
    }
    if (unit.isKeyframe) {
      this.#gop = [];
    }
    // The hub's cache holds the cap: where it gave up, so do we.
    if (this.source.cachedGop().length === 0) {
      this.#gop = [];
    } else if (frame !== undefined) {
      this.#gop.push(frame);
    }
  }

  #packetise(unit: AccessUnit, arrivedAtMs: number): PacketisedFrame | undefined {
    const { codec } = unit.track;
    if (codec === 'aac' || codec === 'hevc') {
      return undefined;
    }
    let payloads: Uint8Array[] = [];
    try {
      if (isVideoUnit(unit)) {
        payloads = this.#packetisers[codec === 'av1' ? 'av1' : 'h264'].packetise(unit);
      } else if (isAudioUnit(unit)) {
        payloads = packetiseOpus(unit);
      }
    } catch (error) {
      if (!(error instanceof ProtocolError)) {
        throw error;
      }
      this.#onRejected();
    }
    if (payloads.length === 0) {
      return undefined;
    }
    return {
      codec,
      payloads,
      payloadBytes: payloads.reduce((sum, payload) => sum + payload.byteLength, 0),
      ptsTicks: unit.ptsTicks,
      ptsMs: ptsMsOf(unit),
      isKeyframe: unit.isKeyframe,
      arrivedAtMs,
    };
  }
}
