/** Any bytes as an AV1 temporal unit or set-up: payloads that another implementation joins again, or a `ProtocolError`. Prints its seed when it fails. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { AV1RtpPayload } from 'werift';
import { ProtocolError } from '../../server/base/errors.ts';
import { Prng } from '../../server/base/prng.ts';
import { buildAv1Config, parseAv1Config } from '../../server/media/av1/av1-config.ts';
import { joinTemporalUnit, splitObus, writeLeb128 } from '../../server/media/av1/obu.ts';
import { Av1Packetiser } from '../../server/media/rtp/av1-packetiser.ts';
import { RTP_PAYLOAD_MAX_BYTES } from '../../server/media/rtp/h264-packetiser.ts';
import type { VideoTrack } from '../../server/media/track.ts';
import { AV1_CONFIG } from '../support/flv-samples.ts';

const ROUND_COUNT = process.env['SLUICE_SIZE'] === 'soak' ? 50_000 : 2_000;

const trackWith = (decoderConfig: Uint8Array): VideoTrack => ({
  kind: 'video',
  codec: 'av1',
  timescaleHz: 90_000,
  decoderConfig,
  codecString: 'av01.0.00M.08',
  widthPx: 320,
  heightPx: 180,
});

/** Frames and metadata of any length, whole. */
const temporalUnit = (prng: Prng): Uint8Array => {
  const obus = Array.from({ length: 1 + prng.nextIndex(6) }, () => {
    const bytes = prng.nextIndex(prng.nextIndex(4) === 0 ? 6_000 : 60);
    return Buffer.concat([
      Uint8Array.of(prng.nextIndex(2) === 0 ? 0x32 : 0x2a),
      writeLeb128(bytes),
      prng.nextBytes(bytes),
    ]);
  });
  return Buffer.concat(obus);
};

const damage = (bytes: Uint8Array, prng: Prng): Uint8Array => {
  const damaged = Uint8Array.from(bytes);
  for (let count = 1 + prng.nextIndex(4); count > 0; count -= 1) {
    damaged[prng.nextIndex(damaged.byteLength)] = prng.nextUint32() & 0xff;
  }
  return damaged;
};

const packetise = (track: VideoTrack, payload: Uint8Array, isKeyframe: boolean): Uint8Array[] =>
  new Av1Packetiser().packetise({
    track,
    dtsTicks: 0,
    ptsTicks: 0,
    isKeyframe,
    payload,
    arrivedAtMs: 0,
    arrivedAtWallMs: 0,
    isDiscontinuity: false,
  });

test(`${ROUND_COUNT} temporal units of any shape are joined again as they were`, () => {
  const track = trackWith(AV1_CONFIG);
  for (let seed = 1; seed <= ROUND_COUNT; seed += 1) {
    const payload = temporalUnit(new Prng(seed));
    const payloads = packetise(track, payload, false);
    const joined = AV1RtpPayload.getFrame(payloads.map((each) => AV1RtpPayload.deSerialize(Buffer.from(each))));
    assert.deepEqual(joinTemporalUnit(splitObus(joined)), joinTemporalUnit(splitObus(payload)), `seed ${seed}`);
  }
});

test(`${ROUND_COUNT} damaged temporal units and set-ups give payloads within the limit or a named error`, () => {
  let refusedCount = 0;
  for (let seed = 1; seed <= ROUND_COUNT; seed += 1) {
    const prng = new Prng(seed);
    const config = prng.nextIndex(2) === 0 ? AV1_CONFIG : damage(AV1_CONFIG, prng);
    try {
      const track = trackWith(buildAv1Config(damage(config, prng).subarray(4)));
      assert.ok(parseAv1Config(track.decoderConfig).widthPx > 0, `seed ${seed}`);
    } catch (error) {
      assert.ok(error instanceof ProtocolError, `seed ${seed}: ${String(error)}`);
    }
    try {
      const payloads = packetise(trackWith(config), damage(temporalUnit(prng), prng), prng.nextIndex(2) === 0);
      assert.ok(
        payloads.every(({ byteLength }) => byteLength <= RTP_PAYLOAD_MAX_BYTES),
        `seed ${seed}`,
      );
    } catch (error) {
      assert.ok(error instanceof ProtocolError, `seed ${seed}: ${String(error)}`);
      refusedCount += 1;
    }
  }
  assert.ok(refusedCount > 0);
});
