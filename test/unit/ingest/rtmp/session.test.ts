/** Sessions on a real server over loopback: who may publish, when media is taken, how it ends. */
import assert from 'node:assert/strict';
import type { TestContext } from 'node:test';
import { test } from 'node:test';
import { isAmfObject } from '../../../../server/media/flv/amf0.ts';
import type { RtmpServerOptions } from '../../../../server/ingest/rtmp/options.ts';
import type { DoctorFinding as ApiFinding } from '../../../../server/api/contract/socket.ts';
import type { DoctorFinding } from '../../../../server/ingest/finding.ts';
import {
  AVC_IDR,
  HEVC_CONFIG,
  OPUS_HEAD,
  OPUS_PACKET,
  avcConfigTag,
  avcTag,
  exAudioTag,
  exVideoFrameTag,
  exVideoTag,
  nal,
} from '../../../support/flv-samples.ts';
import { RtmpClient, chunked, command } from '../../../support/rtmp-client.ts';
import type { RtmpRig } from '../../../support/rtmp-rig.ts';
import { startRtmpRig } from '../../../support/rtmp-rig.ts';
import { writeAmf0 } from '../../../../server/media/flv/amf0.ts';

type Scene = { rig: RtmpRig; open: () => Promise<RtmpClient> };

const scene = async (
  context: TestContext,
  options: Partial<RtmpServerOptions> = {},
  gateBefore?: () => Promise<void>,
): Promise<Scene> => {
  const rig = await startRtmpRig(options, gateBefore);
  const clients: RtmpClient[] = [];
  context.after(async () => {
    clients.forEach((client) => client.destroy());
    await rig.close();
  });
  const open = async (): Promise<RtmpClient> => {
    const client = await RtmpClient.open(rig.port);
    clients.push(client);
    return client;
  };
  return { rig, open };
};

test('3: the same key takes over at once, and the one before is told and closed', async (context) => {
  const { rig, open } = await scene(context);
  const first = await open();
  assert.equal(await first.publish('shop?key=right'), 'NetStream.Publish.Start');
  const second = await open();
  assert.equal(await second.publish('shop?key=right'), 'NetStream.Publish.Start');
  await first.closed();
  assert.deepEqual(first.statusCodes.at(-1), 'NetStream.Publish.Failed');
  second.media(9, 0, avcConfigTag());
  second.media(9, 0, avcTag(AVC_IDR));
  await second.until(() => rig.units.get('shop')!.length === 1);
  assert.deepEqual(rig.closed, [{ name: 'shop', reason: 'replaced' }]);
});

test('17: another key is refused with a status and with words, and the publisher goes on', async (context) => {
  const { rig, open } = await scene(context);
  const first = await open();
  await first.publish('shop?key=right');
  const second = await open();
  assert.equal(await second.publish('shop?key=wrong'), 'NetStream.Publish.Denied');
  assert.match(second.descriptions[0] ?? '', /not the key of this name \(PUBLISH_KEY_WRONG\)/u);
  assert.equal(second.statuses[0]?.get('level'), 'error');
  await second.closed();
  assert.equal(first.isClosed, false);
  assert.deepEqual(rig.closed, []);
});

test('Publish.Start waits for the gate, and what was sent meanwhile is not lost', async (context) => {
  let letIn = (): void => undefined;
  const waiting = new Promise<void>((resolve) => {
    letIn = resolve;
  });
  const { rig, open } = await scene(context, {}, async () => waiting);
  const client = await open();
  await client.connectApp();
  client.send(chunked({ type: 20, payload: writeAmf0(['publish', 3, null, 'early?key=right', 'live']), streamId: 1 }));
  client.media(9, 0, avcConfigTag());
  client.media(9, 33, avcTag(AVC_IDR));
  await client.until(() => rig.asked.length === 1);
  assert.deepEqual(client.statusCodes, []);
  letIn();
  await client.until(() => (rig.units.get('early')?.length ?? 0) === 1);
  assert.deepEqual(client.statusCodes, ['NetStream.Publish.Start']);
});

test('a publisher that left while the gate thought leaves no feed behind', async (context) => {
  let letIn = (): void => undefined;
  const waiting = new Promise<void>((resolve) => {
    letIn = resolve;
  });
  const { rig, open } = await scene(context, {}, async () => waiting);
  const client = await open();
  await client.connectApp();
  client.send(command('publish', 3, null, 'gone?key=right', 'live'));
  await client.until(() => rig.asked.length === 1);
  rig.asked[0]?.close('replaced');
  await client.closed();
  letIn();
  const other = await open();
  await other.until(() => rig.closed.length === 1);
  assert.deepEqual(rig.closed, [{ name: 'gone', reason: 'replaced' }]);
});

test('a gate that fails refuses', async (context) => {
  const { open } = await scene(context, {}, async () => {
    throw new Error('disk');
  });
  const client = await open();
  assert.equal(await client.publish('shop?key=right'), 'NetStream.Publish.BadName');
  assert.doesNotMatch(client.descriptions[0] ?? '', /disk/u);
});

test('the reply to connect offers enhanced RTMP', async (context) => {
  const { open } = await scene(context);
  const client = await open();
  await client.connectApp();
  const information = client.find('_result')?.values.findLast(isAmfObject);
  assert.deepEqual(information?.get('fourCcList'), ['avc1', 'hvc1', 'av01', 'Opus', 'mp4a']);
  assert.equal(typeof information?.get('capsEx'), 'number');
});

test('24: enhanced RTMP is published: HEVC and Opus', async (context) => {
  const { rig, open } = await scene(context);
  const client = await open();
  await client.publish('new?key=right');
  client.media(9, 0, exVideoTag('hvc1', 0, HEVC_CONFIG));
  client.media(8, 0, exAudioTag('Opus', 0, OPUS_HEAD));
  client.media(9, 0, exVideoFrameTag('hvc1', 0, nal(0x26)));
  client.media(8, 0, exAudioTag('Opus', 1, OPUS_PACKET));
  await client.until(() => rig.units.get('new')!.length === 2);
  assert.deepEqual(
    rig.units.get('new')!.map((unit) => unit.track.codec),
    ['hevc', 'opus'],
  );
});

test('old clients’ courtesies are answered, pings too', async (context) => {
  const { open } = await scene(context);
  const client = await open();
  await client.connectApp();
  client.send(command('releaseStream', 2, null, 'x'));
  client.send(command('FCPublish', 3, null, 'x'));
  client.send(command('getStreamLength', 4, null, 'x'));
  client.send(chunked({ type: 4, csid: 2, payload: Buffer.from([0, 6, 0, 0, 0, 9]) }));
  await client.until(() => client.messageTypes.includes(4));
  assert.deepEqual(
    client.commands.filter((one) => one.name === '_result').map((one) => one.values[0]),
    [1, 2, 3, 4],
  );
});

test('a window’s worth of media is acknowledged', async (context) => {
  const { open } = await scene(context);
  const client = await open();
  await client.publish('ack?key=right');
  client.send(chunked({ type: 5, csid: 2, payload: Buffer.from([0, 0, 0x80, 0]) }));
  client.media(9, 0, avcConfigTag());
  client.media(9, 0, avcTag(nal(0x65, 40_000)));
  await client.until(() => client.messageTypes.includes(3));
});

test('deleteStream ends the publish cleanly, with one line', async (context) => {
  const { rig, open } = await scene(context);
  const client = await open();
  await client.publish('bye?key=right');
  client.send(command('deleteStream', 5, null, 1));
  await client.closed();
  assert.deepEqual(rig.closed, [{ name: 'bye', reason: 'unpublished' }]);
  assert.equal(client.statusCodes.at(-1), 'NetStream.Unpublish.Success');
  const lines = rig.lines.filter((line) => line.level === 'info' && line.event.startsWith('rtmp.session'));
  assert.deepEqual(
    lines.map((line) => line.event),
    ['rtmp.session.opened', 'rtmp.session.closed'],
  );
  assert.equal(lines[1]?.fields['reason'], 'unpublished');
  assert.equal(JSON.stringify(rig.lines).includes('right'), false, 'a key was logged');
});

test('a broken picture ends nothing: it is counted, told in a line, and pictures go on with the next keyframe', async (context) => {
  const { rig, open } = await scene(context);
  const client = await open();
  await client.publish('torn?key=right');
  client.media(9, 0, avcConfigTag());
  const broken = avcTag(AVC_IDR.subarray(0, 12));
  const bodies = [avcTag(AVC_IDR), broken, avcTag(nal(0x41)), broken, avcTag(AVC_IDR), avcTag(nal(0x41))];
  bodies.forEach((body, index) => client.media(9, 33 * index, body));
  await client.until(() => rig.units.get('torn')!.length === 3);
  assert.deepEqual(
    rig.units.get('torn')!.map(({ dtsTicks, isKeyframe }) => [dtsTicks / 90, isKeyframe]),
    [
      [0, true],
      [132, true],
      [165, false],
    ],
  );
  const text = await rig.metrics.render();
  assert.match(text, /^ingest_units_dropped_total\{reason="broken"\} 2$/mu);
  assert.match(text, /^ingest_units_dropped_total\{reason="after_broken"\} 1$/mu);
  const told = rig.lines.filter(({ event }) => event === 'rtmp.publisher.broken');
  assert.deepEqual(
    told.map(({ fields }) => [fields['broadcast'], fields['counts']]),
    [['torn', { NAL_LENGTH_INVALID: 1 }]],
  );
  assert.equal(client.isClosed, false);
});

test('a silent publisher is closed as idle', async (context) => {
  const { rig, open } = await scene(context, { idleTimeoutMs: 60 });
  const client = await open();
  await client.publish('idle?key=right');
  await client.closed();
  assert.deepEqual(rig.closed, [{ name: 'idle', reason: 'RTMP_IDLE' }]);
});

test('why a publisher was turned away can be read when it is gone, and when it is back', async (context) => {
  const { rig, open } = await scene(context);
  const client = await open();
  await client.publish('bad?key=right');
  client.media(9, 0, avcConfigTag(Buffer.alloc(40, 0xff)));
  await client.closed();
  const told = (): string[] => rig.server.findings('bad').map(({ advice }) => advice);
  assert.match(told().join(), /configurationVersion is 255, expected 1 \(AVC_CONFIG_INVALID\)/u);
  await (await open()).publish('bad?key=right');
  assert.equal(told().length, 1);
  assert.deepEqual(rig.server.findings('other'), []);
});

test('connections over the cap of one address are refused, others stay', async (context) => {
  const { rig, open } = await scene(context, { connectionPerAddressMaxCount: 1 });
  const first = await open();
  await first.publish('one?key=right');
  // The reset may be there before the connection is seen to stand.
  const second = await open().catch(() => undefined);
  await second?.closed();
  assert.equal(first.isClosed, false);
  assert.match(await rig.metrics.render(), /rtmp_refused_total\{code="RTMP_TOO_MANY_FROM_ADDRESS"\} 1/u);
});

test('closing the server ends its sessions with the reason', async (context) => {
  const { rig, open } = await scene(context);
  const client = await open();
  await client.publish('end?key=right');
  await rig.server.close('draining');
  await client.closed();
  assert.deepEqual(rig.closed, [{ name: 'end', reason: 'draining' }]);
});

test('a finding may be handed to the API as it is', () => {
  const finding: DoctorFinding = { code: 'X', severity: 'info', advice: '', costMs: null };
  const asApi: ApiFinding = finding;
  const back: DoctorFinding = asApi;
  assert.equal(back, finding);
});
