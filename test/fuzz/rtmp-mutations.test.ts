/**
 * A whole publish, as bytes, with some of them changed, into the protocol class: it ends well or with a `ProtocolError`,
 * within its caps. And a share of them into a real server, which must live on.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ProtocolError } from '../../server/base/errors.ts';
import { Prng } from '../../server/base/prng.ts';
import { ByteBudget } from '../../server/ingest/rtmp/byte-budget.ts';
import { GuardedRtmp } from '../../server/ingest/rtmp/guarded-rtmp.ts';
import { DEFAULT_RTMP_OPTIONS } from '../../server/ingest/rtmp/options.ts';
import { FlvDemuxer } from '../../server/media/flv/flv-demuxer.ts';
import { writeAmf0 } from '../../server/media/flv/amf0.ts';
import { AVC_IDR, aacConfigTag, aacTag, avcConfigTag, avcTag } from '../support/flv-samples.ts';
import { RtmpClient, amfObject, chunked, command } from '../support/rtmp-client.ts';
import { startRtmpRig } from '../support/rtmp-rig.ts';

const ROUND_COUNT = process.env['SLUICE_SIZE'] === 'soak' ? 100_000 : 5_000;
const SERVER_ROUND_COUNT = process.env['SLUICE_SIZE'] === 'soak' ? 2_000 : 100;
const SEED = Number(process.env['SLUICE_SEED'] ?? 20_261_122);
const BUDGET_BYTES = 1_000_000;

const HANDSHAKE = Buffer.concat([Buffer.from([3]), Buffer.alloc(2 * 1_536, 0x5a)]);
const CONVERSATION = Buffer.concat([
  command('connect', 1, amfObject({ app: 'live', tcUrl: 'rtmp://h/live', flashVer: 'FMLE/3.0', capsEx: 15 })),
  chunked({ type: 1, csid: 2, payload: Buffer.from([0, 0, 16, 0]) }),
  chunked({ type: 20, payload: writeAmf0(['releaseStream', 2, null, 'n']), chunkSize: 4_096 }),
  chunked({ type: 20, payload: writeAmf0(['createStream', 4, null]), chunkSize: 4_096 }),
  chunked({ type: 20, payload: writeAmf0(['publish', 5, null, 'n?key=right', 'live']), streamId: 1, chunkSize: 4_096 }),
  chunked({
    type: 18,
    payload: writeAmf0(['@setDataFrame', 'onMetaData', amfObject({ framerate: 30 })]),
    chunkSize: 4_096,
  }),
  chunked({ type: 9, csid: 6, payload: avcConfigTag(), chunkSize: 4_096 }),
  chunked({ type: 8, csid: 4, payload: aacConfigTag(), chunkSize: 4_096 }),
  chunked({ type: 9, csid: 6, payload: avcTag(AVC_IDR), timestamp: 0x1_00_0000, chunkSize: 4_096 }),
  chunked({ type: 8, csid: 4, payload: aacTag(), timestamp: 23, chunkSize: 4_096 }),
  chunked({ type: 20, payload: writeAmf0(['deleteStream', 7, null, 1]), chunkSize: 4_096 }),
]);

/** The handshake stays: what is interesting comes after it, and nothing in it is looked at but its first byte. */
const mutateConversation = (prng: Prng): Buffer => {
  const bytes = Buffer.from(CONVERSATION);
  for (let count = prng.nextIndex(6); count >= 0; count -= 1) {
    bytes[prng.nextIndex(bytes.byteLength)] = prng.nextUint32() & 0xff;
  }
  if (prng.nextIndex(4) > 0) {
    return bytes;
  }
  const at = prng.nextIndex(bytes.byteLength);
  const until = at + prng.nextIndex(200);
  return prng.nextIndex(2) === 0
    ? Buffer.concat([bytes.subarray(0, at), bytes.subarray(until)])
    : Buffer.concat([bytes.subarray(0, until), bytes.subarray(at)]);
};

const converse = (bytes: Buffer, prng: Prng): { unitCount: number; isRefused: boolean; outBytes: number } => {
  const budget = new ByteBudget(BUDGET_BYTES);
  const demuxer = new FlvDemuxer();
  let unitCount = 0;
  let outBytes = 0;
  let isAccepted = false;
  const rtmp = new GuardedRtmp({
    limits: DEFAULT_RTMP_OPTIONS,
    budget,
    listener: {
      onOutput: (out) => {
        outBytes += out.byteLength;
      },
      onPublishAsked: () => {
        isAccepted = true;
      },
      onMedia: (tag) => {
        assert.ok(isAccepted, 'media before publish');
        unitCount += demuxer.push({ ...tag, arrivedAtMs: 0, arrivedAtWallMs: 0 }).type === 'unit' ? 1 : 0;
      },
      onUnpublish: () => undefined,
    },
  });
  let isRefused = false;
  try {
    let rest = Buffer.concat([HANDSHAKE, bytes]);
    while (rest.byteLength > 0 && rtmp.phase !== 'over') {
      const piece = rest.subarray(0, 1 + prng.nextIndex(3_000));
      const usedBytes = rtmp.feed(piece, 8);
      rest = rest.subarray(usedBytes);
      if (rtmp.phase === 'asking') {
        rtmp.acceptPublish();
      }
    }
  } catch (error) {
    assert.ok(error instanceof ProtocolError, String(error));
    isRefused = true;
  }
  assert.ok(budget.usedBytes <= BUDGET_BYTES);
  rtmp.close();
  assert.equal(budget.usedBytes, 0, 'buffers were not given back');
  return { unitCount, isRefused, outBytes };
};

test('the conversation as it is makes two units', () => {
  const result = converse(CONVERSATION, new Prng(1));
  assert.equal(result.unitCount, 2);
  assert.equal(result.isRefused, false);
});

test(`mutated conversations end well or in a ProtocolError (${ROUND_COUNT} rounds, seed ${SEED})`, () => {
  const prng = new Prng(SEED);
  let refusedCount = 0;
  let unitCount = 0;
  for (let round = 0; round < ROUND_COUNT; round += 1) {
    const result = converse(mutateConversation(prng), prng);
    refusedCount += result.isRefused ? 1 : 0;
    unitCount += result.unitCount;
    assert.ok(result.outBytes < 100_000);
  }
  assert.ok(
    refusedCount > ROUND_COUNT / 20 && unitCount > ROUND_COUNT / 20,
    `${refusedCount} refused, ${unitCount} units`,
  );
});

test(`a server outlives ${SERVER_ROUND_COUNT} mutated publishers (seed ${SEED})`, { timeout: 300_000 }, async () => {
  const rig = await startRtmpRig({ publishTimeoutMs: 200, idleTimeoutMs: 200, lingerMs: 50 });
  const prng = new Prng(SEED + 1);
  for (let round = 0; round < SERVER_ROUND_COUNT; round += 1) {
    const client = await RtmpClient.open(rig.port);
    client.socket.removeAllListeners('data');
    client.socket.resume();
    client.send(Buffer.concat([HANDSHAKE, mutateConversation(prng)]));
    client.socket.end();
    await client.closed();
  }
  assert.deepEqual(
    rig.lines.filter((line) => line.level === 'error'),
    [],
  );
  const well = await RtmpClient.open(rig.port);
  assert.equal(await well.publish('well?key=right'), 'NetStream.Publish.Start');
  assert.ok(rig.server.bufferedBytes < 1_000_000);
  well.destroy();
  await rig.close();
});
