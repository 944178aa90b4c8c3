/**
 * RTP payloads to H.264 pictures (RFC 6184, packetization-mode 1): single NAL units, STAP-A and FU-A, in order of sequence number. A picture is given
 * out when its last packet (marked) is there, or the first of the next. What is missing is said by `onLoss`: the picture it was part of is thrown away.
 * Every payload is an authenticated peer's and still not to be trusted: bounded in bytes and NAL units, and never throws.
 *
 *     STAP-A: F NRI 24 | { length (16) | NAL unit }…
 *     FU-A:   F NRI 28 | S E R type | fragment
 */

export type H264Limits = {
  readonly pictureMaxBytes: number;
  readonly nalUnitMaxCount: number;
};

export type H264Packet = {
  readonly payload: Uint8Array;
  readonly timestampExt: number;
  readonly isMarked: boolean;
  readonly arrivedAtMs: number;
};

export type H264Picture = {
  /** Views of the packets' payloads where a NAL unit came in one, else copies. */
  readonly nalUnits: readonly Uint8Array[];
  readonly timestampExt: number;
  /** When the last of its packets came. */
  readonly arrivedAtMs: number;
  /** Something before its first packet never came, which may have been its beginning. */
  readonly followsLoss: boolean;
};

export type H264Output = {
  readonly pictures: readonly H264Picture[];
  /** A picture was thrown away: malformed, over a cap, or not whole. */
  readonly hasBroken: boolean;
};

const STAP_A = 24;
const FU_A = 28;
const NAL_LAST_TYPE = 23;
const FU_START = 0x80;
const FU_END = 0x40;
const TYPE_BITS = 0x1f;
const NOTHING: H264Output = { pictures: [], hasBroken: false };

/** A picture that is being put together. */
type OpenPicture = {
  readonly timestampExt: number;
  readonly followsLoss: boolean;
  readonly nalUnits: Uint8Array[];
  /** Of the NAL unit that is cut into fragments. */
  fragments: Uint8Array[];
  bytes: number;
  arrivedAtMs: number;
  isBroken: boolean;
};

export class H264Depacketiser {
  readonly #limits: H264Limits;
  #open: OpenPicture | undefined;
  #hasLost = false;

  constructor(limits: H264Limits) {
    this.#limits = limits;
  }

  /** The next packet in order. An empty payload (padding) says nothing. */
  push(packet: H264Packet): H264Output {
    const before = this.#open;
    const ended = before !== undefined && before.timestampExt !== packet.timestampExt ? this.#close() : NOTHING;
    if (packet.payload.byteLength === 0 && this.#open === undefined) {
      return ended;
    }
    this.#add(packet);
    return packet.isMarked ? joinOutputs(ended, this.#close()) : ended;
  }

  /** Packets before the next one never came. */
  onLoss(): void {
    this.#hasLost = true;
    if (this.#open !== undefined) {
      this.#open.isBroken = true;
    }
  }

  #add({ payload, timestampExt, arrivedAtMs }: H264Packet): void {
    const picture = (this.#open ??= {
      ...{ timestampExt, followsLoss: this.#hasLost, arrivedAtMs },
      ...{ nalUnits: [], fragments: [], bytes: 0, isBroken: false },
    });
    this.#hasLost = false;
    picture.arrivedAtMs = Math.max(picture.arrivedAtMs, arrivedAtMs);
    picture.bytes += payload.byteLength;
    picture.isBroken ||= picture.bytes > this.#limits.pictureMaxBytes || !addPayload(picture, payload);
    picture.isBroken ||= picture.nalUnits.length > this.#limits.nalUnitMaxCount;
    if (picture.isBroken) {
      picture.nalUnits.length = 0;
      picture.fragments = [];
    }
  }

  #close(): H264Output {
    const picture = this.#open;
    this.#open = undefined;
    if (picture === undefined) {
      return NOTHING;
    }
    if (picture.isBroken || picture.fragments.length > 0) {
      return { pictures: [], hasBroken: true };
    }
    const { nalUnits, timestampExt, arrivedAtMs, followsLoss } = picture;
    return nalUnits.length === 0
      ? NOTHING
      : { pictures: [{ nalUnits, timestampExt, arrivedAtMs, followsLoss }], hasBroken: false };
  }
}

const joinOutputs = (a: H264Output, b: H264Output): H264Output => ({
  pictures: [...a.pictures, ...b.pictures],
  hasBroken: a.hasBroken || b.hasBroken,
});

/** False where the payload makes no sense. */
const addPayload = (picture: OpenPicture, payload: Uint8Array): boolean => {
  const first = payload[0];
  if (first === undefined) {
    return true;
  }
  const type = first & TYPE_BITS;
  if (type === FU_A) {
    return addFragment(picture, payload);
  }
  if (picture.fragments.length > 0) {
    return false;
  }
  if (type === STAP_A) {
    return addAggregate(picture, payload);
  }
  picture.nalUnits.push(payload);
  return type >= 1 && type <= NAL_LAST_TYPE;
};

const addAggregate = (picture: OpenPicture, payload: Uint8Array): boolean => {
  let at = 1;
  while (at + 2 <= payload.byteLength) {
    const start = at + 2;
    at = start + (((payload[at] ?? 0) << 8) | (payload[at + 1] ?? 0));
    const nalUnit = payload.subarray(start, at);
    const type = (nalUnit[0] ?? 0) & TYPE_BITS;
    if (at > payload.byteLength || type < 1 || type > NAL_LAST_TYPE) {
      return false;
    }
    picture.nalUnits.push(nalUnit);
  }
  return at === payload.byteLength;
};

const addFragment = (picture: OpenPicture, payload: Uint8Array): boolean => {
  const [indicator = 0, header = 0] = payload;
  const isStart = (header & FU_START) !== 0;
  if (payload.byteLength < 3 || isStart !== (picture.fragments.length === 0)) {
    return false;
  }
  if (isStart) {
    picture.fragments.push(Uint8Array.of((indicator & 0xe0) | (header & TYPE_BITS)));
  }
  picture.fragments.push(payload.subarray(2));
  if ((header & FU_END) !== 0) {
    picture.nalUnits.push(Buffer.concat(picture.fragments));
    picture.fragments = [];
  }
  return true;
};
