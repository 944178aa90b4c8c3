/** A viewer whose rendition, pace and delay are a controller's: end to end on loopback, with a client that decrypts and reports. */
import assert from 'node:assert/strict';
import { readFileSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, test } from 'node:test';
import { systemClock } from '../../../../server/base/clock.ts';
import type { GopOffer, JoinPlan } from '../../../../server/congestion/controller.ts';
import { buildNack, buildReceiverReport, buildTransportCc } from '../../../../server/media/rtp/rtcp.ts';
import { buildTransportFeedback } from '../../../../server/media/rtp/transport-cc.ts';
import type { ControlFacts } from '../../../../server/relay/webrtc/controllers.ts';
import { makeController } from '../../../../server/relay/webrtc/controllers.ts';
import { FixedController } from '../../../../server/relay/webrtc/fixed-controller.ts';
import { WEBRTC_OUT_DEFAULTS } from '../../../../server/relay/webrtc/options.ts';
import { TransportFeedbackRecorder } from '../../../../server/media/rtp/feedback-recorder.ts';
import { replayTrace } from '../../../support/replay-trace.ts';
import { tempFolder } from '../../../support/temp-folder.ts';
import { testPicture, testTrack } from '../../../support/test-pictures.ts';
import type { WebRtcSetup } from '../../../support/webrtc-setup.ts';
import { openWebRtcSetup } from '../../../support/webrtc-setup.ts';
import type { WhepClientOptions } from '../../../support/whep-client.ts';
import { PLAYOUT_DELAY_ID, TRANSPORT_SEQ_ID, WhepClient } from '../../../support/whep-client.ts';

const SDP = { 'content-type': 'application/sdp' };
const SOURCE = testTrack(1280, 720);
const RUNG = testTrack(640, 360);
const [SOURCE_MARK, RUNG_MARK] = [0, 1];

const waitUntil = async (what: string, condition: () => boolean): Promise<void> => {
  const untilMs = systemClock.nowMs() + 8_000;
  while (!condition()) {
    assert.ok(systemClock.nowMs() < untilMs, `waited for: ${what}`);
    await new Promise((resolve) => {
      setTimeout(resolve, 2);
    });
  }
};

/** What must be closed whatever the test says. */
const opened: { close: () => void }[] = [];
afterEach(() => opened.splice(0).forEach((each) => each.close()));

const open = async (options: Parameters<typeof openWebRtcSetup>[0]): Promise<WebRtcSetup> => {
  const setup = await openWebRtcSetup(options);
  opened.unshift(setup);
  return setup;
};

const connect = async (
  setup: WebRtcSetup,
  options: Partial<WhepClientOptions> & { query?: string } = {},
): Promise<WhepClient> => {
  const { query = '', ...rest } = options;
  const client = await WhepClient.connect({
    post: async (body) => setup.request('POST', '/whep/demo', { body, headers: SDP, query }),
    ...rest,
  });
  opened.unshift(client);
  await waitUntil('the session to connect', () => setup.out.viewerCount(setup.broadcast) > 0);
  return client;
};

const pushSource = (setup: WebRtcSetup, index: number, gopCount: number, bytes = 900): void =>
  setup.feed.push(testPicture(index, { track: SOURCE, mark: SOURCE_MARK, gopCount, bytes }));
const pushRung = (setup: WebRtcSetup, index: number, gopCount: number, bytes = 300): void =>
  setup.broadcast.addRendition('h360').push(testPicture(index, { track: RUNG, mark: RUNG_MARK, gopCount, bytes }));

/** Which picture of which rendition, as it came: `12` of the source, `12r` of the rung. */
const seen = (client: WhepClient): string[] =>
  client.packets
    .filter(({ ssrc, payload }) => ssrc === client.videoSsrc && [1, 5].includes(payload[0]! & 0x1f))
    .map(({ payload }) => `${payload[1]}${payload[2] === RUNG_MARK ? 'r' : ''}`);

/** Does what the test says. */
class Scripted extends FixedController {
  wantedIndex = 1;

  constructor() {
    super(WEBRTC_OUT_DEFAULTS);
  }

  override join(): JoinPlan {
    return { renditionIndex: this.wantedIndex, isFromCache: true };
  }

  override decide(nowMs: number, backlogBytes: number): ReturnType<FixedController['decide']> {
    return { ...super.decide(nowMs, backlogBytes), renditionIndex: this.wantedIndex };
  }
}

for (const lagCount of [0, 2, 5]) {
  test(`the controller moves a viewer down and up at the keyframe it said, with the rung ${lagCount} pictures behind: none is lost, none comes twice`, async () => {
    const controller = new Scripted();
    const setup = await open({
      congestion: { controller: 'adaptive' },
      createController: () => controller,
    });
    const push = (index: number): void => {
      pushSource(setup, index, 8);
      if (index >= lagCount) {
        pushRung(setup, index - lagCount, 8);
      }
    };
    for (let index = 0; index < 20; index += 1) {
      push(index);
    }
    const client = await connect(setup);
    for (let index = 20; index < 100; index += 1) {
      // Between keyframes, so that it is said before the next one: 40, 64 and 88.
      controller.wantedIndex = [35, 83].includes(index) ? 0 : index === 62 ? 1 : controller.wantedIndex;
      push(index);
      const awaited = String(index - lagCount);
      await waitUntil(`picture ${awaited}`, () =>
        seen(client).some((name) => Number.parseInt(name, 10) >= index - lagCount),
      );
    }
    const expected = Array.from({ length: 76 }, (_, at) => at + 24).map((index) =>
      (index >= 40 && index < 64) || index >= 88 ? `${index}r` : String(index),
    );
    const pictures = seen(client);
    const from = pictures.indexOf('24');
    assert.ok(from >= 0);
    const got = pictures.slice(from);
    assert.deepEqual(got, expected.slice(0, got.length));
    assert.ok(got.length >= 70, `${got.length} pictures`);
  });
}

test('a viewer who names a rendition keeps it, whatever the controller would like', async () => {
  const controllers: Scripted[] = [];
  const setup = await open({
    congestion: { controller: 'adaptive' },
    createController: () => {
      controllers.push(new Scripted());
      return controllers.at(-1)!;
    },
  });
  for (let index = 0; index < 10; index += 1) {
    pushSource(setup, index, 8);
    pushRung(setup, index, 8);
  }
  const client = await connect(setup, { query: 'rendition=h360' });
  controllers[0]!.wantedIndex = 0;
  for (let index = 10; index < 40; index += 1) {
    pushSource(setup, index, 8);
    pushRung(setup, index, 8);
  }
  await waitUntil('the last picture', () => seen(client).includes('39r'));
  assert.ok(seen(client).every((name) => name.endsWith('r')));
});

test('an AV1 rung is no choice of the controller’s: it is for who asks for it', async () => {
  const offered = new Set<number>();
  class Noting extends Scripted {
    override onGop(offer: GopOffer): void {
      offered.add(offer.renditions.length);
      super.onGop(offer);
    }
  }
  const setup = await open({ congestion: { controller: 'adaptive' }, createController: () => new Noting() });
  const av1 = { ...RUNG, codec: 'av1' } as const;
  const push = (index: number): void => {
    pushSource(setup, index, 8);
    pushRung(setup, index, 8);
    const picture = testPicture(index, { track: av1, mark: 2, gopCount: 8, bytes: 200 });
    setup.broadcast.addRendition('av1h360').push(picture);
  };
  for (let index = 0; index < 10; index += 1) {
    push(index);
  }
  const client = await connect(setup);
  for (let index = 10; index < 30; index += 1) {
    push(index);
  }
  await waitUntil('the last picture', () => seen(client).includes('29'));
  assert.deepEqual([...offered], [2]);
});

/** So many pictures, at most thirty a second of real time, and a client that says what came: transport-cc every 50 ms, a NACK for each 40th packet. */
const playWithFeedback = async (setup: WebRtcSetup, client: WhepClient, pictureCount: number): Promise<void> => {
  const fromMs = systemClock.nowMs();
  const recorder = new TransportFeedbackRecorder();
  let toldCount = client.packets.length;
  let index = 30;
  let feedbackAtMs = fromMs;
  while (index < 30 + pictureCount) {
    if (systemClock.nowMs() - fromMs > ((index - 30) * 1000) / 30) {
      pushSource(setup, index, 30, 1_100);
      pushRung(setup, index, 30, 300);
      index += 1;
    }
    for (const packet of client.packets.slice(toldCount)) {
      const [high = 0, low = 0] = packet.extensions.get(TRANSPORT_SEQ_ID) ?? [];
      recorder.take((high << 8) | low, systemClock.nowMs());
      if (packet.ssrc === client.videoSsrc && packet.seq16 % 40 === 0) {
        client.sendRtcp(buildNack(1, client.videoSsrc, [packet.seq16]));
      }
    }
    toldCount = client.packets.length;
    if (systemClock.nowMs() - feedbackAtMs > 50) {
      feedbackAtMs = systemClock.nowMs();
      const feedback = recorder.build();
      if (feedback !== undefined) {
        client.sendRtcp(buildTransportCc(1, client.videoSsrc, buildTransportFeedback(feedback)));
      }
    }
    await new Promise((resolve) => {
      setTimeout(resolve, 2);
    });
  }
};

const CALL_MIN_COUNT = 200;
const PLAY_MAX_MS = 15_000;

const linesOf = (file: string): number => readFileSync(file, 'utf8').split('\n').length - 1;

test('a session that was traced replays bit for bit: the same calls give the same decisions', async () => {
  const folder = tempFolder('trace');
  const setup = await open({
    congestion: { controller: 'adaptive', trace: { folder, sessionMaxBytes: 1e8, sessionMaxCount: 1 } },
  });
  for (let index = 0; index < 30; index += 1) {
    pushSource(setup, index, 30);
    pushRung(setup, index, 30);
  }
  const client = await connect(setup);
  await connect(setup);
  const session = setup.out.find(client.answer.headers['location']!.split('/').at(-1)!)!;
  await playWithFeedback(setup, client, 45);
  session.setSmoothness(0.9);
  const files = readdirSync(folder);
  assert.equal(files.length, 1, 'no more sessions than were allowed');
  const file = join(folder, files[0]!);
  const untilMs = systemClock.nowMs() + PLAY_MAX_MS;
  // On a starved machine as many pictures make fewer calls.
  do {
    await playWithFeedback(setup, client, 9);
  } while (linesOf(file) <= CALL_MIN_COUNT && systemClock.nowMs() < untilMs);
  assert.equal(session.endReason, undefined);
  opened.splice(0).forEach((each) => each.close());
  // Nobody waits for the disk to have it.
  await waitUntil(
    'whole lines are on the disk',
    () => readFileSync(file, 'utf8').endsWith('\n') && linesOf(file) > CALL_MIN_COUNT,
  );
  const { decisions, callCount } = replayTrace(file);
  rmSync(folder, { recursive: true });
  assert.ok(callCount > CALL_MIN_COUNT && decisions.length > 40, `${callCount} calls, ${decisions.length} decisions`);
  assert.deepEqual(
    decisions.filter(([before, now]) => before !== now),
    [],
  );
});

test('a viewer without transport-cc and without playout-delay is served by reports and NACKs alone', async () => {
  const facts: ControlFacts[] = [];
  const setup = await open({
    congestion: { controller: 'adaptive' },
    createController: (told) => {
      facts.push(told);
      return makeController(
        'adaptive',
        { ...told, prior: { rateBps: 1_200_000, playoutDelayMs: 150 } },
        WEBRTC_OUT_DEFAULTS,
      );
    },
  });
  for (let index = 0; index < 30; index += 1) {
    pushSource(setup, index, 30);
  }
  const client = await connect(setup, { lacks: ['transport-cc', 'playout-delay'] });
  assert.deepEqual([facts[0]?.hasTransportFeedback, facts[0]?.hasPlayoutDelay], [false, false]);
  for (let index = 30; index < 120; index += 1) {
    pushSource(setup, index, 30);
    if (index % 30 === 0) {
      client.sendRtcp(
        buildReceiverReport(1, [
          {
            ssrc: client.videoSsrc,
            lostRatio: 0.02,
            lostCount: 1,
            jitterTicks: 0,
            lastSenderReport: 0,
            delaySinceUnits: 0,
          },
        ]),
      );
    }
    await waitUntil(`picture ${index}`, () => seen(client).includes(String(index)));
  }
  const video = client.packets.filter(({ ssrc }) => ssrc === client.videoSsrc);
  assert.ok(video.every(({ extensions }) => !extensions.has(PLAYOUT_DELAY_ID) && !extensions.has(TRANSPORT_SEQ_ID)));
  client.sendRtcp(buildNack(1, client.videoSsrc, [video.at(-1)!.seq16]));
  await waitUntil('the retransmission', () => client.packets.some(({ ssrc }) => ssrc === client.rtxSsrc));
});

test('a controller that decides no delay leaves it to the browser', async () => {
  const setup = await open({ congestion: { controller: 'gcc' } });
  for (let index = 0; index < 30; index += 1) {
    pushSource(setup, index, 30);
  }
  const client = await connect(setup);
  pushSource(setup, 30, 30);
  await waitUntil('a picture', () => seen(client).includes('30'));
  const [high = 0, middle = 0, low = 0] = client.packets
    .findLast(({ ssrc }) => ssrc === client.videoSsrc)!
    .extensions.get(PLAYOUT_DELAY_ID)!;
  assert.deepEqual([(high << 4) | (middle >> 4), ((middle & 0x0f) << 8) | low], [1, 0xfff]);
});
