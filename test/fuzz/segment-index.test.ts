/** Any bytes as an index: an index, or a named refusal; bounded, and what it says holds together. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { crc32 } from 'node:zlib';
import { ProtocolError } from '../../server/base/errors.ts';
import { Prng } from '../../server/base/prng.ts';
import { INDEX_PREFIX_BYTES, decodeLastSummary, encodePrefix, encodeRecord } from '../../server/replay/index-format.ts';
import type { SegmentIndex } from '../../server/replay/segment-index.ts';
import { IndexParser } from '../../server/replay/segment-index.ts';
import { packagedSegment } from '../support/packaged-segments.ts';

const RUN_COUNT = process.env['SLUICE_SIZE'] === 'soak' ? 200_000 : 6_000;
const SEED = 20_261_122;
const HEADER = { id: 'a'.repeat(32), name: 'shop', title: '', startedAtWallMs: 1_700_000_000_000 };

const honest = (): Buffer[] => {
  const records = [encodePrefix(), encodeRecord({ type: 'header', header: HEADER })];
  for (const [trackId, renditionId] of ['video', 'audio'].entries()) {
    const { track, init } = packagedSegment(0, { renditionId });
    const { kind, codecString, timescaleHz } = track;
    const size = { widthPx: 0, heightPx: 0, channelCount: 0 };
    const trackInit = { initIndex: 0, codecString, timescaleHz, ...size, bytes: init };
    records.push(encodeRecord({ type: 'track', track: { trackId, renditionId, kind, init: trackInit } }));
  }
  for (let msn = 0; msn < 20; msn += 1) {
    const place = { initIndex: 0, fileIndex: 0, byteOffset: msn * 50, byteLength: 50, crc32: msn };
    const times = { startTicks: msn * 180_000, durationTicks: 180_000, wallMs: HEADER.startedAtWallMs + msn };
    const flags = { isDiscontinuity: false, isIndependent: true, isAfterLoss: false };
    records.push(encodeRecord({ type: 'segment', segment: { trackId: msn % 2, msn, ...place, ...times, ...flags } }));
  }
  const mark = {
    id: 'c1',
    mode: 'media',
    mediaMs: 1_500,
    programWallMs: HEADER.startedAtWallMs,
    showAtWallMs: null,
  } as const;
  const cue = { ...mark, kind: 'product', title: 'shoes', durationMs: 2_000, payload: { sizes: [38, 39] } };
  records.push(encodeRecord({ type: 'cue', cue: { cue, isForgotten: false } }));
  const end = { endedAtWallMs: HEADER.startedAtWallMs, endReason: 'x', durationMs: 1, mediaBytes: 1 };
  return [...records, encodeRecord({ type: 'summary', summary: { ...HEADER, ...end } })];
};

const parse = (bytes: Buffer): IndexParser | undefined => {
  try {
    const parser = new IndexParser(bytes);
    assert.ok(parser.step(bytes.byteLength + 1));
    assert.ok(parser.validBytes <= bytes.byteLength);
    return parser;
  } catch (error) {
    assert.ok(error instanceof ProtocolError && error.code === 'REPLAY_INDEX_UNREADABLE', String(error));
    return undefined;
  }
};

const assertHoldsTogether = (index: SegmentIndex): void => {
  for (const { id, mediaMs, durationMs } of index.cues) {
    assert.ok(/^[\w.-]{1,64}$/.test(id) && Number.isFinite(mediaMs) && (durationMs ?? 1) > 0);
  }
  for (const { trackId, inits } of index.tracks) {
    let lastMsn = -1;
    let elapsedMs = 0;
    for (let position = 0; position < index.segmentCount(trackId); position += 1) {
      const segment = index.segmentAt(trackId, position)!;
      assert.ok(segment.msn > lastMsn && segment.initIndex < inits.length && segment.byteLength > 0);
      assert.ok(index.elapsedMsAt(trackId, position) >= elapsedMs);
      assert.equal(index.positionOfMsn(trackId, segment.msn), position);
      lastMsn = segment.msn;
      elapsedMs = index.elapsedMsAt(trackId, position);
    }
    assert.ok(Number.isFinite(index.durationMs));
  }
};

test(`bytes changed, cut, doubled, inserted: never more than was written (seed ${SEED})`, () => {
  const prng = new Prng(SEED);
  const bytes = Buffer.concat(honest());
  for (let run = 0; run < RUN_COUNT; run += 1) {
    let damaged = Buffer.from(bytes);
    for (let count = prng.nextIndex(4); count >= 0; count -= 1) {
      const at = prng.nextIndex(damaged.byteLength);
      const kind = prng.nextIndex(4);
      if (kind === 0) {
        damaged[at] = prng.nextUint32();
      } else if (kind === 1) {
        damaged = damaged.subarray(0, Math.max(1, at));
      } else if (kind === 2) {
        damaged = Buffer.concat([damaged.subarray(0, at), damaged.subarray(prng.nextIndex(damaged.byteLength))]);
      } else {
        damaged = Buffer.concat([damaged.subarray(0, at), prng.nextBytes(prng.nextIndex(40)), damaged.subarray(at)]);
      }
    }
    const parser = parse(damaged);
    decodeLastSummary(damaged);
    if (parser !== undefined) {
      assertHoldsTogether(parser.index);
      assert.ok(parser.index.segmentCount(0) + parser.index.segmentCount(1) <= 20);
    }
  }
});

test(`records with right checksums and wrong contents: refused, or harmless (seed ${SEED})`, () => {
  const prng = new Prng(SEED);
  const records = honest();
  for (let run = 0; run < RUN_COUNT; run += 1) {
    const crafted = records.map((record, index) =>
      index > 1 && prng.nextIndex(4) === 0 ? forge(record, prng) : record,
    );
    const parser = parse(Buffer.concat(crafted));
    if (parser !== undefined) {
      assertHoldsTogether(parser.index);
    }
  }
});

test(`noise of any length is no index (seed ${SEED})`, () => {
  const prng = new Prng(SEED);
  for (let run = 0; run < RUN_COUNT / 10; run += 1) {
    const noise = Buffer.from(prng.nextBytes(prng.nextIndex(300)));
    assert.equal(parse(noise), undefined);
    assert.equal(decodeLastSummary(noise), undefined);
    const begun = Buffer.concat([encodePrefix(), noise]);
    assert.ok(begun.byteLength >= INDEX_PREFIX_BYTES);
    parse(begun);
  }
});

/** Some bytes of the payload, or the type, changed; the checksum made to fit. */
const forge = (record: Buffer, prng: Prng): Buffer => {
  const forged = Buffer.from(record);
  for (let count = prng.nextIndex(5); count >= 0; count -= 1) {
    forged[4 + prng.nextIndex(forged.byteLength - 8)] = prng.nextUint32();
  }
  const crcAt = forged.byteLength - 4;
  forged.writeUInt32LE(crc32(forged.subarray(0, crcAt)), crcAt);
  return forged;
};
