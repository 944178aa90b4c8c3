/**
 * What can be done to an RTMP server before and after logging in (research of November 2026, and kin), each against a real
 * server that has a healthy publisher: it must go on undisturbed, nothing may be injected, memory stays under the stated cap.
 */
import assert from 'node:assert/strict';
import { after, before, beforeEach, test } from 'node:test';
import { writeAmf0 } from '../../server/media/flv/amf0.ts';
import { AAC_CONFIG, AVC_IDR, AVC_NON_IDR, avcConfigTag, avcTag } from '../support/flv-samples.ts';
import { RtmpClient, amfObject, chunked, command } from '../support/rtmp-client.ts';
import type { RtmpRig } from '../support/rtmp-rig.ts';
import { startRtmpRig } from '../support/rtmp-rig.ts';

const TOTAL_MAX_BYTES = 8 * 1024 * 1024;

let rig: RtmpRig;
/** Where the time-outs themselves are what is tried. */
let impatient: RtmpRig;
let healthy: RtmpClient;
let healthyMs = 0;
let attackers: RtmpClient[] = [];

before(async () => {
  rig = await startRtmpRig({
    totalBufferedMaxBytes: TOTAL_MAX_BYTES,
    connectionBufferedMaxBytes: 4 * 1024 * 1024,
    messageMaxBytes: 1024 * 1024,
    connectionMaxCount: 300,
    // Long, so that no attack is ended by the time of a busy machine instead of by its guard.
    handshakeTimeoutMs: 60_000,
    publishTimeoutMs: 60_000,
    idleTimeoutMs: 120_000,
  });
  impatient = await startRtmpRig({ handshakeTimeoutMs: 300, publishTimeoutMs: 600 });
  healthy = await RtmpClient.open(rig.port);
  assert.equal(await healthy.publish('healthy?key=right'), 'NetStream.Publish.Start');
  healthy.media(9, 0, avcConfigTag());
});

after(async () => {
  healthy.destroy();
  await rig.close();
  await impatient.close();
});

beforeEach(() => {
  attackers = [];
});

const open = async (to = rig): Promise<RtmpClient> => {
  const client = await RtmpClient.open(to.port);
  attackers.push(client);
  return client;
};

/** The healthy publisher sends a picture, and exactly that arrives. */
const stillWell = async (): Promise<void> => {
  const units = rig.units.get('healthy') ?? [];
  const countBefore = units.length;
  healthyMs += 33;
  healthy.media(9, healthyMs, avcTag(AVC_IDR));
  await healthy.until(() => units.length > countBefore);
  assert.equal(units.length, countBefore + 1, 'something was injected');
  assert.deepEqual(Buffer.from(units.at(-1)!.payload), AVC_IDR);
  assert.equal(healthy.isClosed, false);
  assert.equal(rig.server.bufferedBytes <= TOTAL_MAX_BYTES, true);
  assert.deepEqual(
    rig.lines.filter((line) => line.event === 'rtmp.session.failed'),
    [],
  );
};

const attack = (name: string, work: () => Promise<void>): void => {
  test(`attack: ${name}`, { timeout: 20_000 }, async () => {
    await work();
    await stillWell();
    attackers.forEach((client) => client.destroy());
  });
};

/** The server hangs up, and says why in its counters. */
const refusedWith = async (client: RtmpClient, code: string, by = rig): Promise<void> => {
  await client.closed();
  const text = await by.metrics.render();
  assert.match(text, new RegExp(`rtmp_refused_total\\{code="${code}"\\} [1-9]`, 'u'));
};

const connected = async (): Promise<RtmpClient> => {
  const client = await open();
  await client.connectApp();
  return client;
};

const publishing = async (name: string): Promise<RtmpClient> => {
  const client = await open();
  assert.equal(await client.publish(name), 'NetStream.Publish.Start');
  return client;
};

attack('connect without a command object', async () => {
  const client = await open();
  await client.handshake();
  client.send(command('connect', 1));
  await refusedWith(client, 'RTMP_COMMAND_ORDER');
});

attack('connect without tcUrl is served, for nothing needs it', async () => {
  const client = await open();
  await client.handshake();
  client.send(command('connect', 1, amfObject({ app: 'live' })));
  await client.until(() => client.find('_result') !== undefined);
});

attack('connect to another application', async () => {
  const client = await open();
  await client.connectApp('admin');
  assert.equal(client.find('_error') !== undefined, true);
  await refusedWith(client, 'RTMP_APP_UNKNOWN');
});

attack('connect twice', async () => {
  const client = await connected();
  client.send(command('connect', 1, amfObject({ app: 'live' })));
  await refusedWith(client, 'RTMP_COMMAND_ORDER');
});

attack('publish before connect', async () => {
  const client = await open();
  await client.handshake();
  client.send(command('publish', 1, null, 'healthy?key=right', 'live'));
  await refusedWith(client, 'RTMP_COMMAND_ORDER');
});

attack('publish without a stream name', async () => {
  const client = await connected();
  client.send(command('publish', 1, null));
  await refusedWith(client, 'RTMP_NAME_INVALID');
  assert.deepEqual(client.statusCodes, ['NetStream.Publish.BadName']);
});

attack('publish under a name that is a path', async () => {
  const client = await open();
  assert.equal(await client.publish('../../etc/passwd?key=right'), 'NetStream.Publish.BadName');
  await refusedWith(client, 'RTMP_NAME_INVALID');
});

attack('play without a stream name', async () => {
  const client = await connected();
  client.send(command('play', 1, null));
  await refusedWith(client, 'RTMP_PLAY_UNSUPPORTED');
});

attack('Set Chunk Size without payload', async () => {
  const client = await connected();
  client.send(chunked({ type: 1, csid: 2, payload: Buffer.alloc(0) }));
  await refusedWith(client, 'RTMP_CONTROL_INVALID');
});

attack('Set Chunk Size 0', async () => {
  const client = await connected();
  client.send(chunked({ type: 1, csid: 2, payload: Buffer.alloc(4) }));
  await refusedWith(client, 'RTMP_CHUNK_SIZE_INVALID');
});

attack('Set Chunk Size beyond 31 bits', async () => {
  const client = await connected();
  client.send(chunked({ type: 1, csid: 2, payload: Buffer.alloc(4, 0xff) }));
  await refusedWith(client, 'RTMP_CHUNK_SIZE_INVALID');
});

attack('a truncated AMF string', async () => {
  const client = await connected();
  client.send(chunked({ type: 20, payload: Buffer.from([2, 0, 200, 65, 66]) }));
  await refusedWith(client, 'AMF_INVALID');
});

attack('an unknown AMF marker', async () => {
  const client = await connected();
  client.send(chunked({ type: 20, payload: Buffer.concat([writeAmf0(['publish', 1]), Buffer.from([0x0d])]) }));
  await refusedWith(client, 'AMF_INVALID');
});

attack('an AMF object nested 12,000 deep', async () => {
  const client = await connected();
  const nested = Buffer.concat(Array.from({ length: 12_000 }, () => Buffer.from([3, 0, 1, 65])));
  client.send(chunked({ type: 20, payload: Buffer.concat([writeAmf0(['publish', 1]), nested]) }));
  await refusedWith(client, 'AMF_TOO_DEEP');
});

attack('an AMF array that claims four thousand million values', async () => {
  const client = await connected();
  client.send(
    chunked({ type: 20, payload: Buffer.concat([writeAmf0(['publish', 1]), Buffer.from([10, 255, 255, 255, 255])]) }),
  );
  await refusedWith(client, 'AMF_INVALID');
});

attack('an AMF command of 60,000 nulls', async () => {
  const client = await connected();
  client.send(chunked({ type: 20, payload: Buffer.concat([writeAmf0(['x', 1]), Buffer.alloc(60_000, 5)]) }));
  await refusedWith(client, 'AMF_TOO_MANY_VALUES');
});

attack('an AMF object with the name __proto__', async () => {
  const client = await open();
  await client.handshake();
  client.send(command('connect', 1, amfObject({ app: 'live', ['__proto__']: amfObject({ isAdmin: true }) })));
  await client.until(() => client.find('_result') !== undefined);
  assert.equal(({} as { isAdmin?: boolean }).isAdmin, undefined);
});

attack('a zero-length video message', async () => {
  const client = await publishing('zero');
  client.media(9, 0, Buffer.alloc(0));
  client.media(9, 0, avcConfigTag());
  client.media(9, 0, avcTag(AVC_IDR));
  await client.until(() => rig.units.get('zero')!.length === 1);
});

attack('a video message of one byte', async () => {
  const client = await publishing('onebyte');
  client.media(9, 0, Buffer.from([0x17]));
  await refusedWith(client, 'FLV_TAG_INVALID');
});

attack('NAL units that claim more than is there', async () => {
  const client = await publishing('nal');
  client.media(9, 0, avcConfigTag());
  for (let count = 0; count <= 600; count += 1) {
    client.media(9, count, avcTag(Buffer.from([0x7f, 0xff, 0xff, 0xff, 0x65])));
  }
  await refusedWith(client, 'NAL_LENGTH_INVALID');
  assert.equal(rig.units.get('nal')!.length, 0);
});

attack('a sequence header of garbage', async () => {
  const client = await publishing('garbageconfig');
  client.media(9, 0, avcConfigTag(Buffer.alloc(40, 0xff)));
  await refusedWith(client, 'AVC_CONFIG_INVALID');
});

attack('100 silent connections cost no memory and are thrown out', async () => {
  const heldBefore = impatient.server.bufferedBytes;
  const buffersBefore = process.memoryUsage().arrayBuffers;
  const clients = await Promise.all(Array.from({ length: 100 }, async () => open(impatient)));
  const growth = process.memoryUsage().arrayBuffers - buffersBefore;
  assert.equal(impatient.server.bufferedBytes, heldBefore);
  assert.ok(growth < 16 * 1024 * 1024, `grew by ${growth}`);
  await Promise.all(clients.map(async (client) => client.closed()));
});

attack('an HTTP request', async () => {
  const client = await open();
  client.send(Buffer.from('GET / HTTP/1.1\r\nHost: x\r\n\r\n'));
  await refusedWith(client, 'RTMP_VERSION_UNSUPPORTED');
});

attack('half a handshake', async () => {
  const client = await open(impatient);
  client.send(Buffer.concat([Buffer.from([3]), Buffer.alloc(700)]));
  await refusedWith(client, 'RTMP_HANDSHAKE_TIMEOUT', impatient);
});

attack('a handshake and then nothing', async () => {
  const client = await open(impatient);
  await client.handshake();
  await refusedWith(client, 'RTMP_PUBLISH_TIMEOUT', impatient);
});

attack('a command sent byte by byte does not outlive the publish time-out', async () => {
  const client = await open(impatient);
  await client.connectApp();
  const bytes = command('createStream', 2, null);
  let sentBytes = 0;
  const timer = setInterval(() => {
    client.send(bytes.subarray(sentBytes, sentBytes + 1));
    sentBytes += 1;
  }, 50);
  await client.closed();
  clearInterval(timer);
  assert.deepEqual(client.statusCodes, ['NetStream.Publish.Failed']);
});

attack('40 chunk headers that each claim 16 MB', async () => {
  const client = await connected();
  for (let csid = 3; csid < 43; csid += 1) {
    client.send(Buffer.from([csid, 0, 0, 0, 0xff, 0xff, 0xff, 9, 1, 0, 0, 0, 1]));
  }
  await refusedWith(client, 'RTMP_MESSAGE_TOO_LARGE');
});

attack('too many chunk streams', async () => {
  const client = await connected();
  for (let csid = 4; csid < 44; csid += 1) {
    client.send(Buffer.from([csid, 0, 0, 0, 0, 0, 200, 20, 0, 0, 0, 0, ...Buffer.alloc(128)]));
  }
  await refusedWith(client, 'RTMP_CHUNK_STREAMS_TOO_MANY');
});

attack('a publisher that half-sends on all its chunk streams', async () => {
  const client = await publishing('halves');
  for (let csid = 10; csid < 22; csid += 1) {
    client.send(chunked({ type: 9, csid, payload: Buffer.alloc(900_000), chunkSize: 128 }).subarray(0, 500_000));
    // What follows would be read as payload; only the first is in order.
  }
  await client.closed();
});

attack('40 publishers that hold half a message each stay under the total', async () => {
  const clients = await Promise.all(Array.from({ length: 40 }, (_, index) => publishing(`hold${index}`)));
  const half = chunked({ type: 9, csid: 6, payload: Buffer.alloc(1_000_000), chunkSize: 128 }).subarray(0, 700_000);
  clients.forEach((client) => client.send(half));
  await healthy.until(() => clients.some((client) => client.isClosed));
  assert.ok(rig.server.bufferedBytes <= TOTAL_MAX_BYTES);
  clients.forEach((client) => client.destroy());
  await healthy.until(() => rig.server.bufferedBytes < 2_000_000);
});

attack('media before publish', async () => {
  const client = await connected();
  client.media(9, 0, avcConfigTag());
  await refusedWith(client, 'RTMP_MEDIA_BEFORE_PUBLISH');
});

attack('a player that sends media', async () => {
  const client = await connected();
  client.send(
    Buffer.concat([command('play', 1, null, 'healthy'), chunked({ type: 9, payload: avcTag(AVC_IDR), streamId: 1 })]),
  );
  await client.closed();
  assert.deepEqual(client.statusCodes, ['NetStream.Play.StreamNotFound']);
});

attack('a refused second publisher that goes on sending', async () => {
  const client = await open();
  assert.equal(await client.publish('healthy'), 'NetStream.Publish.BadName');
  for (let index = 0; index < 50 && !client.isClosed; index += 1) {
    client.media(9, index, avcTag(AVC_NON_IDR));
  }
  await client.closed();
});

attack('a wrong key', async () => {
  const client = await open();
  assert.equal(await client.publish('healthy?key=wrong'), 'NetStream.Publish.Denied');
  client.media(9, 0, avcTag(AVC_NON_IDR));
  await client.closed();
});

attack('publishing two names on one connection', async () => {
  const client = await publishing('first');
  client.send(command('publish', 4, null, 'second', 'live'));
  await refusedWith(client, 'RTMP_COMMAND_ORDER');
  assert.equal(rig.units.has('second'), false);
  const again = await publishing('first');
  assert.equal(again.isClosed, false, 'the first name stayed taken');
});

attack('createStream a thousand times', async () => {
  const client = await connected();
  client.send(Buffer.concat(Array.from({ length: 1_000 }, () => command('createStream', 2, null))));
  await refusedWith(client, 'RTMP_STREAMS_TOO_MANY');
});

attack('commands without end', async () => {
  const client = await connected();
  client.send(Buffer.concat(Array.from({ length: 8_000 }, () => command('getStreamLength', 2, null, 'x'))));
  await refusedWith(client, 'RTMP_CHATTER_TOO_LONG');
});

attack('pings without end whose answers are never read', async () => {
  const client = await publishing('pinger');
  client.socket.pause();
  const ping = chunked({ type: 4, csid: 2, payload: Buffer.from([0, 6, 0, 0, 0, 1]) });
  const flood = Buffer.concat(Array.from({ length: 5_000 }, () => ping));
  for (let index = 0; index < 100 && !client.socket.destroyed; index += 1) {
    client.send(flood);
    await new Promise((resolve) => setImmediate(resolve));
  }
  await healthy.until(() => rig.lines.some((line) => line.fields['reason'] === 'RTMP_OUTPUT_FULL'));
});

attack('a chunk stream that begins with a continuation', async () => {
  const client = await connected();
  client.send(Buffer.from([0xc9, 1, 2, 3]));
  await refusedWith(client, 'RTMP_CHUNK_HEADER_INVALID');
});

attack('a new header within a message', async () => {
  const client = await connected();
  const message = chunked({ type: 20, csid: 7, payload: Buffer.alloc(400) });
  client.send(Buffer.concat([message.subarray(0, 140), message]));
  await refusedWith(client, 'RTMP_CHUNK_HEADER_INVALID');
});

attack('metadata of garbage from a publisher costs a count, not the broadcast', async () => {
  const client = await publishing('badmeta');
  client.media(18, 0, Buffer.alloc(200, 0x0d));
  client.media(9, 0, avcConfigTag());
  client.media(9, 0, avcTag(AVC_IDR));
  await client.until(() => rig.units.get('badmeta')!.length === 1);
  assert.match(await rig.metrics.render(), /ingest_units_dropped_total\{reason="script_invalid"\} 1/u);
});

attack('an audio config for a codec nobody knows', async () => {
  const client = await publishing('badaudio');
  client.media(8, 0, Buffer.concat([Buffer.from([0x2f, 0]), AAC_CONFIG]));
  await refusedWith(client, 'FLV_CODEC_UNSUPPORTED');
});

attack('a reset in the middle of everything', async () => {
  const client = await publishing('reset');
  client.media(9, 0, avcConfigTag());
  client.socket.resetAndDestroy();
  await healthy.until(() => rig.closed.some((one) => one.name === 'reset'));
});

attack('a thousand connections at once', async () => {
  const clients = await Promise.allSettled(Array.from({ length: 1_000 }, async () => RtmpClient.open(rig.port)));
  assert.ok(rig.server.sessionCount <= 300);
  clients.forEach((client) => client.status === 'fulfilled' && client.value.destroy());
  await healthy.until(() => rig.server.sessionCount < 50);
});
