/** Any bytes into the NUT reader: frames or a `ProtocolError`, and bounded memory. Prints its seed when it fails. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ProtocolError } from '../../server/base/errors.ts';
import { Prng } from '../../server/base/prng.ts';
import { NutReader } from '../../server/media/nut/nut-reader.ts';
import { NutWriter } from '../../server/media/nut/nut-writer.ts';
import { TEST_VIDEO_TRACK } from '../support/units.ts';

const ROUND_COUNT = process.env['SLUICE_SIZE'] === 'soak' ? 20_000 : 1_000;
const FRAME_MAX_BYTES = 64 * 1024;

const sample = (prng: Prng): Buffer => {
  const writer = new NutWriter({ track: TEST_VIDEO_TRACK, reorderMaxCount: 0 });
  const frames = Array.from({ length: 5 }, (_, index) =>
    writer.frame({ ptsTicks: index * 3_000, isKeyframe: index === 0, payload: prng.nextBytes(prng.nextIndex(400)) }),
  );
  return Buffer.concat([writer.header(), ...frames]);
};

const mutate = (bytes: Buffer, prng: Prng): Buffer => {
  const mutated = Buffer.from(bytes);
  for (let count = 1 + prng.nextIndex(6); count > 0; count -= 1) {
    mutated[prng.nextIndex(mutated.length)] = prng.nextUint32() & 0xff;
  }
  return mutated.subarray(0, 1 + prng.nextIndex(mutated.length));
};

test(`${ROUND_COUNT} damaged NUT files give frames or a named error, and the buffer stays under its cap`, () => {
  let refusedCount = 0;
  for (let seed = 1; seed <= ROUND_COUNT; seed += 1) {
    const prng = new Prng(seed);
    const bytes = mutate(sample(prng), prng);
    const reader = new NutReader({ frameMaxBytes: FRAME_MAX_BYTES });
    try {
      for (let at = 0; at < bytes.length; at += 700) {
        reader.push(bytes.subarray(at, at + 700));
        assert.ok(reader.bufferedBytes <= 256 * 1024 + FRAME_MAX_BYTES, `seed ${seed}`);
      }
    } catch (error) {
      assert.ok(error instanceof ProtocolError, `seed ${seed}: ${String(error)}`);
      refusedCount += 1;
    }
  }
  assert.ok(refusedCount > 0);
});
