/** Any bytes given to the readers of our own files: a value or a `ProtocolError`, never anything else, never for long. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ProtocolError } from '../../server/base/errors.ts';
import { Prng } from '../../server/base/prng.ts';
import { writeFragment } from '../../server/media/fmp4/fragment.ts';
import { readFragmentHead } from '../../server/media/fmp4/fragment-reader.ts';
import { readInitSegment } from '../../server/media/fmp4/init-reader.ts';
import { writeInitSegment } from '../../server/media/fmp4/init-segment.ts';
import { testAudioTrack, testVideoTrack } from '../support/synthetic-media.ts';

const SEED = Number(process.env['SLUICE_SEED'] ?? 7);
const ROUND_COUNT = process.env['SLUICE_SIZE'] === 'soak' ? 200_000 : 8_000;

const fragment = (prng: Prng): Uint8Array => {
  const samples = Array.from({ length: 1 + prng.nextIndex(8) }, (_, index) => ({
    payload: prng.nextBytes(1 + prng.nextIndex(30)),
    durationTicks: 3_000,
    compositionOffsetTicks: prng.nextIndex(6_000) - 3_000,
    isKeyframe: index === 0,
  }));
  return writeFragment({ startTicks: prng.nextIndex(2 ** 30), durationTicks: 1, isIndependent: true, samples }, 1);
};

/** A few bytes changed, perhaps the end cut off. */
const damage = (bytes: Uint8Array, prng: Prng): Uint8Array => {
  const damaged = Uint8Array.from(
    bytes.subarray(0, prng.nextIndex(3) === 0 ? prng.nextIndex(bytes.length) : bytes.length),
  );
  for (let change = prng.nextIndex(6); change > 0 && damaged.length > 0; change -= 1) {
    damaged[prng.nextIndex(damaged.length)] = prng.nextIndex(3) === 0 ? 255 : prng.nextIndex(256);
  }
  return damaged;
};

const onlyProtocolErrors = (read: () => unknown, what: string): boolean => {
  try {
    read();
    return true;
  } catch (error) {
    assert.ok(error instanceof ProtocolError, `${what}: ${String(error)}`);
    return false;
  }
};

test('a damaged fragment is read or refused by name', () => {
  const prng = new Prng(SEED);
  let readCount = 0;
  for (let round = 0; round < ROUND_COUNT; round += 1) {
    const bytes = damage(fragment(prng), prng);
    readCount += onlyProtocolErrors(() => readFragmentHead(bytes), `seed ${SEED} round ${round}`) ? 1 : 0;
  }
  assert.ok(readCount > ROUND_COUNT / 20 && readCount < ROUND_COUNT, `${readCount} were read`);
});

test('a damaged init segment is read or refused by name', () => {
  const prng = new Prng(SEED + 1);
  const inits = [writeInitSegment(testVideoTrack()), writeInitSegment(testAudioTrack())];
  let readCount = 0;
  for (let round = 0; round < ROUND_COUNT; round += 1) {
    const bytes = damage(inits[round % 2] ?? new Uint8Array(), prng);
    readCount += onlyProtocolErrors(() => readInitSegment(bytes), `seed ${SEED} round ${round}`) ? 1 : 0;
  }
  assert.ok(readCount > ROUND_COUNT / 20 && readCount < ROUND_COUNT, `${readCount} were read`);
});
