/** A viewer end to end on loopback: the real endpoint and port, and a client that decrypts with another implementation. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { systemClock } from '../../../../server/base/clock.ts';
import type { VideoTrack } from '../../../../server/media/track.ts';
import { buildAvcConfig } from '../../../../server/media/h264/avc-config.ts';
import { joinNalUnits } from '../../../../server/media/h264/nal-units.ts';
import { depacketiseH264 } from '../../../support/h264-depacketiser.ts';
import { PRIOR_DEFAULT } from '../../../../server/congestion/controller.ts';
import { makeController } from '../../../../server/relay/webrtc/controllers.ts';
import { WEBRTC_OUT_DEFAULTS } from '../../../../server/relay/webrtc/options.ts';
import { wallMsFromNtp } from '../../../../server/media/rtp/ntp.ts';
import { buildNack, buildPli, buildTransportCc } from '../../../../server/media/rtp/rtcp.ts';
import { buildTransportFeedback } from '../../../../server/media/rtp/transport-cc.ts';
import {
  AUDIO_PT,
  PLAYOUT_DELAY_ID,
  RTX_PT,
  TRANSPORT_SEQ_ID,
  WhepClient,
  offerSdp,
} from '../../../support/whep-client.ts';
import type { WebRtcSetup } from '../../../support/webrtc-setup.ts';
import { openWebRtcSetup } from '../../../support/webrtc-setup.ts';

const track: VideoTrack = {
  kind: 'video',
  codec: 'h264',
  timescaleHz: 90_000,
  decoderConfig: buildAvcConfig([Uint8Array.of(0x67, 0x42, 0xe0, 0x1f, 1, 2)], [Uint8Array.of(0x68, 1, 2)]),
  codecString: 'avc1.42e01f',
  widthPx: 640,
  heightPx: 360,
};

const OFFER_TYPE = { 'content-type': 'application/sdp' };

const waitFor = async (what: string, condition: () => boolean, maxMs = 8_000): Promise<void> => {
  const untilMs = systemClock.nowMs() + maxMs;
  while (!condition()) {
    assert.ok(systemClock.nowMs() < untilMs, `waited ${maxMs} ms for: ${what}`);
    await new Promise((resolve) => {
      setTimeout(resolve, 5);
    });
  }
};

/** Pushes picture `index` of 30 a second; the payload tells which one it is. */
const pushPicture = (
  setup: WebRtcSetup,
  index: number,
  options: { isKeyframe?: boolean; bytes?: number } = {},
): void => {
  const { isKeyframe = false, bytes = 3_000 } = options;
  const nalUnit = new Uint8Array(bytes).fill(index & 0xff);
  nalUnit[0] = isKeyframe ? 0x65 : 0x41;
  setup.feed.push({
    track,
    dtsTicks: index * 3_000,
    ptsTicks: index * 3_000,
    isKeyframe,
    payload: joinNalUnits([nalUnit]),
    arrivedAtMs: systemClock.nowMs(),
    arrivedAtWallMs: systemClock.wallMs(),
  });
};

const joined = async (setup: WebRtcSetup, srtpProfiles: readonly number[] = [7, 1]): Promise<WhepClient> =>
  WhepClient.connect({
    post: async (offer) => setup.request('POST', '/whep/demo', { body: offer, headers: OFFER_TYPE }),
    srtpProfiles,
  });

const within = async (
  run: (setup: WebRtcSetup, client: WhepClient) => Promise<void>,
  options: Parameters<typeof openWebRtcSetup>[0] & { srtpProfiles?: readonly number[] } = {},
): Promise<void> => {
  const setup = await openWebRtcSetup(options);
  pushPicture(setup, 0, { isKeyframe: true });
  pushPicture(setup, 1);
  pushPicture(setup, 2);
  const client = await joined(setup, options.srtpProfiles);
  try {
    await waitFor('the session to connect', () => setup.out.viewerCount(setup.broadcast) === 1);
    await run(setup, client);
  } finally {
    client.close();
    setup.close();
  }
};

/** Who asks for nothing gets the main picture; with a controller it would be the controller's choice. */
const withinUncontrolled: typeof within = async (run) => within(run, { congestion: { controller: 'off' } });

const videoOf = (client: WhepClient) => client.packets.filter(({ ssrc }) => ssrc === client.videoSsrc);
const sessionOf = (setup: WebRtcSetup, client: WhepClient) =>
  setup.out.find(client.answer.headers['location']!.split('/').at(-1)!)!;
/** Pictures sent once the client surely has its keys. */
const play = async (setup: WebRtcSetup, client: WhepClient, from: number, count: number): Promise<void> => {
  for (let index = from; index < from + count; index += 1) {
    pushPicture(setup, index, { isKeyframe: index === from });
  }
  const last = (from + count - 1) & 0xff;
  await waitFor('all pictures', () => videoOf(client).some((one) => one.isMarked && one.payload.at(-1) === last));
};

for (const [label, profile] of [
  ['AEAD_AES_128_GCM', 7],
  ['AES_CM_128_HMAC_SHA1_80', 1],
] as const) {
  test(`another implementation decrypts our media and gets the pictures back under ${label}`, async () => {
    await within(
      async (setup, client) => {
        await play(setup, client, 30, 4);
        const packets = videoOf(client);
        const lastStamp = packets.at(-1)!.timestampTs32;
        const last = packets.filter(({ timestampTs32 }) => timestampTs32 === lastStamp);
        const nalUnits = depacketiseH264(last.map(({ payload }) => payload));
        assert.deepEqual([nalUnits[0]![1], nalUnits[0]!.byteLength], [33, 3_000]);
        assert.equal(client.failedCount, 0);
        for (const [index, packet] of packets.entries()) {
          assert.equal(packet.seq16, (packets[0]!.seq16 + index) & 0xffff, 'sequence numbers are continuous');
          assert.equal(packet.extensions.get(TRANSPORT_SEQ_ID)?.byteLength, 2);
          const delay = packet.extensions.get(PLAYOUT_DELAY_ID)!;
          const minUnits = (delay[0]! << 4) | (delay[1]! >> 4);
          const maxUnits = ((delay[1]! & 0x0f) << 8) | delay[2]!;
          assert.equal(minUnits, maxUnits);
          assert.ok(minUnits >= 1, 'a minimum of 0 would switch the jitter buffer off');
        }
      },
      { srtpProfiles: [profile] },
    );
  });
}

test('a lost packet is sent again under the retransmission SSRC, once for two NACKs at once', async () => {
  await within(async (setup, client) => {
    await play(setup, client, 30, 3);
    const wanted = videoOf(client)[1]!;
    client.sendRtcp(buildNack(1, client.videoSsrc, [wanted.seq16]));
    client.sendRtcp(buildNack(1, client.videoSsrc, [wanted.seq16]));
    const again = (): WhepClient['packets'] => client.packets.filter(({ ssrc }) => ssrc === client.rtxSsrc);
    await waitFor('the retransmission', () => again().length > 0);
    pushPicture(setup, 33);
    await waitFor('what was sent after it', () => videoOf(client).at(-1)!.payload.at(-1) === 33);
    assert.equal(again().length, 1);
    const copy = again()[0]!;
    assert.equal(copy.payloadType, RTX_PT);
    assert.equal((copy.payload[0]! << 8) | copy.payload[1]!, wanted.seq16);
    assert.deepEqual(copy.payload.subarray(2), wanted.payload);
  });
});

test('a storm of keyframe requests is answered from the cached GOP at most once in half a second', async () => {
  await within(async (setup, client) => {
    await play(setup, client, 30, 3);
    const joinedAtMs = systemClock.nowMs();
    await waitFor('half a second since the join', () => systemClock.nowMs() - joinedAtMs > 550);
    const before = videoOf(client).length;
    for (let count = 0; count < 200; count += 1) {
      client.sendRtcp(buildPli(1, client.videoSsrc));
    }
    const session = sessionOf(setup, client);
    await waitFor('the answer', () => videoOf(client).length >= before + 10);
    pushPicture(setup, 33);
    await waitFor('what was sent after it', () => {
      const last = videoOf(client).at(-1)!;
      return last.isMarked && last.payload.at(-1) === 33;
    });
    assert.equal(session.isConnected, true);
    // Three pictures of three packets, the parameter sets, and the next picture: one replay.
    assert.equal(videoOf(client).length - before, 3 * 3 + 1 + 3);
    const stamps = videoOf(client).map(({ timestampTs32 }) => timestampTs32);
    assert.ok(
      stamps.every((stamp, index) => index === 0 || ((stamp - stamps[index - 1]!) | 0) >= 0),
      'timestamps never go back',
    );
  });
});

test('feedback for packets never sent is ignored, and ends the session when it goes on', async () => {
  await within(async (setup, client) => {
    await play(setup, client, 30, 3);
    const session = sessionOf(setup, client);
    const seqs = client.packets.map((packet) => packet.extensions.get(TRANSPORT_SEQ_ID)!);
    const last = (seqs.at(-1)![0]! << 8) | seqs.at(-1)![1]!;
    const feedback = (baseSeq16: number): Buffer =>
      buildTransportCc(
        1,
        client.videoSsrc,
        buildTransportFeedback({ baseSeq16, feedbackCount: 0, arrivedMs: [64, 65] }),
      );
    client.sendRtcp(feedback(last - 1));
    for (let count = 0; count < 9; count += 1) {
      client.sendRtcp(feedback((last + 100) & 0xffff));
    }
    pushPicture(setup, 33);
    await waitFor('media to go on', () => videoOf(client).at(-1)!.payload.at(-1) === 33);
    assert.equal(session.endReason, undefined);
    client.sendRtcp(feedback((last + 100) & 0xffff));
    await waitFor('the end', () => session.endReason !== undefined);
    assert.equal(session.endReason, 'feedback_forged');
    assert.equal(setup.out.sessionCount, 0);
  });
});

test('W20 a viewer that gives no sign of life is let go, and its memory with it', async () => {
  await within(
    async (setup, client) => {
      const session = sessionOf(setup, client);
      client.fallSilent();
      await waitFor('the end', () => session.endReason !== undefined);
      assert.equal(session.endReason, 'consent_lost');
      assert.deepEqual([setup.out.sessionCount, setup.port.peerCount], [0, 0]);
    },
    { port: { livenessMaxMs: 1_000 } },
  );
});

test('an offer that is never followed by anything is let go', async () => {
  const setup = await openWebRtcSetup({ port: { connectMaxMs: 300 } });
  await setup.request('POST', '/whep/demo', { body: offerSdp(), headers: OFFER_TYPE });
  assert.equal(setup.out.sessionCount, 1);
  await waitFor('the end', () => setup.out.sessionCount === 0);
  assert.equal(setup.port.peerCount, 0);
  setup.close();
});

test('sender reports begin after the join and map the stamps to the wall clock at capture', async () => {
  await within(async (setup, client) => {
    await play(setup, client, 30, 3);
    const reports = () => client.rtcpItems.filter((item) => item.type === 'sender-report');
    await waitFor('two reports', () => reports().length >= 2);
    const report = reports().at(-1)!;
    assert.ok(report.type === 'sender-report');
    assert.equal(report.ssrc, client.videoSsrc);
    const frame = videoOf(client).at(-1)!;
    const capturedAtWallMs = wallMsFromNtp(report.ntp) + ((frame.timestampTs32 - report.timestampTs32) | 0) / 90;
    const mediaMs = (32 * 1000) / 30;
    assert.ok(Math.abs(capturedAtWallMs - setup.broadcast.timeline.wallMsAt(mediaMs)) < 2);
  });
});

test('the mapping of stamps to media time is told to who listens, and holds for live pictures', async () => {
  await within(async (setup, client) => {
    const mappings: { rtpTimestamp: number; mediaMs: number }[] = [];
    sessionOf(setup, client).listenMapping((mapping) => mappings.push(mapping));
    await play(setup, client, 30, 3);
    const mapping = mappings.at(-1)!;
    const frame = videoOf(client).at(-1)!;
    const mediaMs = mapping.mediaMs + ((frame.timestampTs32 - mapping.rtpTimestamp) | 0) / 90;
    assert.ok(Math.abs(mediaMs - (32 * 1000) / 30) <= 2, `media time ${mediaMs}`);
  });
});

test('viewers change to the repaired rendition at a keyframe, with numbers and stamps going on', async () => {
  await within(async (setup, client) => {
    await play(setup, client, 30, 3);
    // A picture shown before the one decoded before it: the source has B-frames.
    setup.feed.push({
      track,
      dtsTicks: 33 * 3_000,
      ptsTicks: 31 * 3_000 + 1,
      isKeyframe: false,
      payload: joinNalUnits([Uint8Array.of(0x01, 99)]),
      arrivedAtMs: systemClock.nowMs(),
      arrivedAtWallMs: systemClock.wallMs(),
    });
    const repaired = setup.broadcast.addRendition('repaired-video');
    const lastSource = videoOf(client).at(-1)!;
    for (const [index, isKeyframe] of [
      [34, false],
      [35, true],
      [36, false],
    ] as const) {
      repaired.push({
        track,
        dtsTicks: index * 3_000,
        ptsTicks: index * 3_000,
        isKeyframe,
        payload: joinNalUnits([Uint8Array.of(isKeyframe ? 0x65 : 0x41, index)]),
        arrivedAtMs: systemClock.nowMs(),
        arrivedAtWallMs: systemClock.wallMs(),
        isDiscontinuity: false,
      });
    }
    await waitFor('the repaired pictures', () => videoOf(client).at(-1)!.payload[1] === 36);
    const since = videoOf(client).filter(({ seq16 }) => ((seq16 - lastSource.seq16) << 16) >> 16 > 0);
    assert.deepEqual(
      since.map(({ payload }) => payload[0]! & 0x1f),
      [24, 5, 1],
      'parameter sets, the keyframe, the picture after it; nothing of the source with B-frames',
    );
    assert.deepEqual(
      since.map(({ seq16 }) => (seq16 - lastSource.seq16) & 0xffff),
      [1, 2, 3],
    );
    assert.ok(((since[0]!.timestampTs32 - lastSource.timestampTs32) | 0) > 0);
  });
});

test('a viewer goes to the rung it asks for at a keyframe of both, waits with the main picture for one that is gone, and back', async () => {
  await withinUncontrolled(async (setup, client) => {
    const session = sessionOf(setup, client);
    const push = (id: string, index: number): void => {
      setup.broadcast.addRendition(id).push({
        track,
        dtsTicks: index * 3_000,
        ptsTicks: index * 3_000,
        isKeyframe: index % 3 === 0,
        // Its last bytes tell which picture of which rendition it is.
        payload: joinNalUnits([Uint8Array.of(index % 3 === 0 ? 0x65 : 0x41, index, id === 'h480' ? 1 : 0)]),
        arrivedAtMs: systemClock.nowMs(),
        arrivedAtWallMs: systemClock.wallMs(),
        isDiscontinuity: false,
      });
    };
    const seen = (): string[] =>
      videoOf(client)
        .filter(({ payload }) => [1, 5].includes(payload[0]! & 0x1f) && payload.length === 3)
        .map(({ payload }) => `${payload[1]}${payload[2] === 1 ? 'r' : ''}`);
    const both = async (from: number, to: number): Promise<void> => {
      for (let index = from; index < to; index += 1) {
        push('source-video', index);
        push('h480', index);
      }
      await waitFor(
        `picture ${to - 1}`,
        () =>
          seen()
            .at(-1)
            ?.startsWith(String(to - 1)) === true,
      );
    };
    await both(30, 34);
    setup.out.watch(session.id, 'h480');
    await both(34, 41);
    setup.broadcast.removeRendition('h480', 'shed');
    push('source-video', 41);
    push('source-video', 42);
    await waitFor('the main picture', () => seen().at(-1) === '42');
    await both(43, 47);
    setup.out.watch(session.id, undefined);
    await both(47, 50);
    assert.deepEqual(
      seen().slice(seen().lastIndexOf('33')),
      [
        '33',
        '34',
        '35',
        '36r',
        '37r',
        '38r',
        '39r',
        '40r',
        '39',
        '40',
        '41',
        '42',
        '43',
        '44',
        '45r',
        '46r',
        '47r',
        '48',
        '49',
      ],
      'from 41 on it begins anew with what is cached of the main picture',
    );
    assert.equal(session.endReason, undefined);
  });
});

test('the session ends when the broadcast does', async () => {
  await within(async (setup, client) => {
    const session = sessionOf(setup, client);
    setup.hub.end('demo', 'publisher_gone');
    assert.equal(session.endReason, 'broadcast_ended');
    await waitFor('BYE', () => client.rtcpItems.some(({ type }) => type === 'bye'));
    assert.equal(setup.out.sessionCount, 0);
  });
});

const opus = {
  kind: 'audio',
  codec: 'opus',
  timescaleHz: 48_000,
  decoderConfig: new Uint8Array(0),
  codecString: 'opus',
  channelCount: 2,
  samplesPerUnit: 960,
} as const;

const pushSound = (setup: WebRtcSetup, index: number): void => {
  setup.feed.push({
    track: opus,
    dtsTicks: index * 960,
    ptsTicks: index * 960,
    isKeyframe: true,
    payload: Uint8Array.of(0xfc, index),
    arrivedAtMs: systemClock.nowMs(),
    arrivedAtWallMs: systemClock.wallMs(),
  });
};

const soundOf = (client: WhepClient) => client.packets.filter(({ payloadType }) => payloadType === AUDIO_PT);

test('Opus of the publisher goes out as it is, from live on, with stamps of 48 kHz', async () => {
  const out = { soundStartsAfterMs: 0, soundLagMs: 40 };
  await within(
    async (setup, client) => {
      await play(setup, client, 30, 1);
      for (const index of [50, 51, 52]) {
        pushSound(setup, index);
      }
      await waitFor('three packets', () => soundOf(client).length === 3);
      const heard = soundOf(client);
      assert.deepEqual(
        heard.map(({ payload }) => payload[1]),
        [50, 51, 52],
      );
      assert.equal((heard[2]!.timestampTs32 - heard[0]!.timestampTs32) | 0, 1_920);

      const delayMs = (): readonly [number, number] => {
        const [high = 0, middle = 0, low = 0] = videoOf(client).at(-1)!.extensions.get(PLAYOUT_DELAY_ID)!;
        return [10 * ((high << 4) | (middle >> 4)), 10 * (((middle & 0x0f) << 8) | low)];
      };
      assert.equal(delayMs()[0], delayMs()[1], 'pictures have nothing to wait for before there is sound');
      await play(setup, client, 60, 1);
      await waitFor('a picture after the sound', () => delayMs()[0] < 250 && delayMs()[1] === 250);

      const reports = () => client.rtcpItems.flatMap((item) => (item.type === 'sender-report' ? [item] : []));
      const ofSound = () => reports().findLast(({ ssrc }) => ssrc === heard[0]!.ssrc);
      // Media time has just run a second ahead of the wall clock, which stamps of pictures do not: sound of after that, and a report of after that.
      pushSound(setup, 100);
      await waitFor('the sound of that picture', () => soundOf(client).at(-1)?.payload[1] === 100);
      const before = ofSound();
      await waitFor('a report of the sound', () => ofSound() !== before);
      // Both are told of in the same moment, so whatever the publisher's clock did meanwhile is in both.
      const together = reports().filter(({ ntp }) => wallMsFromNtp(ntp) === wallMsFromNtp(ofSound()!.ntp));
      const offsetMs = (packet: WhepClient['packets'][number], mediaMs: number, clockKhz: number): number => {
        const report = together.find(({ ssrc }) => ssrc === packet.ssrc)!;
        return ((packet.timestampTs32 - report.timestampTs32) | 0) / clockKhz - mediaMs;
      };
      const laterMs = offsetMs(soundOf(client).at(-1)!, 2_000, 48) - offsetMs(videoOf(client).at(-1)!, 2_000, 90);
      assert.ok(Math.abs(laterMs - 40) < 1, `said to be ${laterMs} ms later than it is`);
    },
    { out },
  );
});

test('sound begins some time after the first picture', async () => {
  await within(
    async (setup, client) => {
      pushSound(setup, 50);
      await play(setup, client, 30, 1);
      assert.equal(soundOf(client).length, 0, 'nothing at once');
      let index = 50;
      await waitFor('sound', () => {
        index += 1;
        pushSound(setup, index);
        return soundOf(client).length > 0;
      });
    },
    { out: { soundStartsAfterMs: 1_500 } },
  );
});

test("a viewer's link is written down unless it says no, to us or to everybody", async () => {
  const facts: boolean[] = [];
  const setup = await openWebRtcSetup({
    createController: ({ mayCapture, ...told }) => {
      facts.push(mayCapture);
      return makeController('off', { ...told, prior: PRIOR_DEFAULT }, WEBRTC_OUT_DEFAULTS);
    },
  });
  try {
    pushPicture(setup, 0, { isKeyframe: true });
    const body = offerSdp();
    const ask = async (headers: Record<string, string>, query = '') => {
      const { status } = await setup.request('POST', '/whep/demo', {
        ...{ body, query, headers: { ...OFFER_TYPE, ...headers } },
      });
      assert.equal(status, 201);
    };
    await ask({});
    await ask({ 'sec-gpc': '1' });
    await ask({ dnt: '1' });
    await ask({}, 'capture=off');
    await ask({ dnt: '0' }, 'capture=on');
    assert.deepEqual(facts, [true, false, false, false, true]);
  } finally {
    setup.close();
  }
});
