/** AV1 over RTP: what is packed comes out of another implementation's depacketiser as it went in, and the header bits say what the format wants. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { AV1RtpPayload } from 'werift';
import { Prng } from '../../../../server/base/prng.ts';
import { sequenceHeaderOf } from '../../../../server/media/av1/av1-config.ts';
import type { Obu } from '../../../../server/media/av1/obu.ts';
import { joinTemporalUnit, splitObus, writeLeb128 } from '../../../../server/media/av1/obu.ts';
import type { VideoUnit } from '../../../../server/media/access-unit.ts';
import { Av1Packetiser } from '../../../../server/media/rtp/av1-packetiser.ts';
import { RTP_PAYLOAD_MAX_BYTES } from '../../../../server/media/rtp/h264-packetiser.ts';
import type { VideoTrack } from '../../../../server/media/track.ts';
import { AV1_CONFIG } from '../../../support/flv-samples.ts';

const TRACK: VideoTrack = {
  kind: 'video',
  codec: 'av1',
  timescaleHz: 90_000,
  decoderConfig: AV1_CONFIG,
  codecString: 'av01.0.00M.08',
  widthPx: 320,
  heightPx: 180,
};

const [SEQUENCE, DELIMITER, METADATA, FRAME, TILE_LIST, PADDING] = [1, 2, 5, 6, 8, 15];

const obu = (type: number, bytes: number): Uint8Array =>
  Buffer.concat([Uint8Array.of((type << 3) | 0x02), writeLeb128(bytes), new Prng(type + bytes).nextBytes(bytes)]);

const unitOf = (obus: readonly Uint8Array[], isKeyframe: boolean): VideoUnit => ({
  track: TRACK,
  dtsTicks: 0,
  ptsTicks: 0,
  isKeyframe,
  payload: Buffer.concat(obus),
  arrivedAtMs: 0,
  arrivedAtWallMs: 0,
  isDiscontinuity: false,
});

const packetise = (obus: readonly Uint8Array[], isKeyframe = false): Uint8Array[] =>
  new Av1Packetiser().packetise(unitOf(obus, isKeyframe));

/** Another implementation's reading: the temporal unit with size fields again. */
const depacketise = (payloads: readonly Uint8Array[]): Uint8Array =>
  joinTemporalUnit(
    splitObus(AV1RtpPayload.getFrame(payloads.map((payload) => AV1RtpPayload.deSerialize(Buffer.from(payload))))),
  );

const bitsOf = (payload: Uint8Array): { z: number; y: number; w: number; n: number; reserved: number } => {
  const byte = payload[0]!;
  return { z: byte >> 7, y: (byte >> 6) & 1, w: (byte >> 4) & 3, n: (byte >> 3) & 1, reserved: byte & 7 };
};

test('temporal units of any size come back as they went in', () => {
  for (const bytes of [
    0, 1, 15, 1_190, 1_196, 1_197, 1_198, 1_199, 1_200, 1_201, 2_395, 2_396, 2_400, 12_345, 200_000,
  ]) {
    for (const before of [[], [obu(METADATA, 5)], [obu(METADATA, 5), obu(METADATA, 6), obu(METADATA, 1_180)]]) {
      const original = [...before, obu(FRAME, bytes)];
      const payloads = packetise(original);
      assert.deepEqual(depacketise(payloads), new Uint8Array(Buffer.concat(original)), `${before.length} and ${bytes}`);
      assert.ok(payloads.every(({ byteLength }) => byteLength <= RTP_PAYLOAD_MAX_BYTES && byteLength > 1));
    }
  }
});

test('Z and Y join the fragments, W counts the elements, nothing else is set', () => {
  const payloads = packetise([obu(FRAME, 5_000)]);
  assert.equal(payloads.length, 5);
  payloads.forEach((payload, index) => {
    const isLast = index === payloads.length - 1;
    assert.deepEqual(bitsOf(payload), { z: index > 0 ? 1 : 0, y: isLast ? 0 : 1, w: 1, n: 0, reserved: 0 });
  });
  const sizes = payloads.map(({ byteLength }) => byteLength);
  assert.ok(Math.max(...sizes) - Math.min(...sizes) < 16, `${sizes.join(' ')} are not nearly equal`);
});

test('a keyframe sets N on its first payload only, and begins with a sequence header, its own or the track’s', () => {
  const own = obu(SEQUENCE, 11);
  for (const [obus, expected] of [
    [[own, obu(FRAME, 3_000)], own],
    [[obu(FRAME, 3_000)], joinTemporalUnit([sequenceHeaderOf(AV1_CONFIG)])],
  ] as const) {
    const payloads = packetise(obus, true);
    assert.deepEqual(
      payloads.map((payload) => bitsOf(payload).n),
      payloads.map((_, index) => (index === 0 ? 1 : 0)),
    );
    assert.equal(bitsOf(payloads[0]!).z, 0);
    const first = splitObus(depacketise(payloads))[0]!;
    assert.deepEqual(new Uint8Array(first.whole), new Uint8Array(expected));
  }
});

test('delimiters, tile lists and padding are left out; a unit of nothing else is sent as nothing', () => {
  const frame = obu(FRAME, 20);
  const payloads = packetise([obu(DELIMITER, 0), obu(PADDING, 9), frame, obu(TILE_LIST, 9)]);
  assert.deepEqual(depacketise(payloads), new Uint8Array(frame));
  assert.deepEqual(packetise([obu(DELIMITER, 0)]), []);
});

test('sizes inside OBUs are omitted', () => {
  const [payload] = packetise([obu(METADATA, 3), obu(FRAME, 20)]);
  const elements = AV1RtpPayload.deSerialize(Buffer.from(payload!)).obu_or_fragment;
  assert.deepEqual(
    elements.map(({ data }) => [data[0]! & 0x02, data.byteLength]),
    [
      [0, 4],
      [0, 21],
    ],
  );
});

test('OBUs with an extension byte keep it', () => {
  const extended = Uint8Array.of((FRAME << 3) | 0x06, 0x20, 3, 7, 8, 9);
  const [first] = splitObus(depacketise(packetise([extended])));
  assert.deepEqual(
    [first!.type, [...first!.header].at(1), [...first!.payload]] satisfies [Obu['type'], unknown, unknown],
    [FRAME, 0x20, [7, 8, 9]],
  );
});
