/** The lab's publisher: by WHIP to a second opinion (werift as the server), refused aloud, and with a clip between stamp and flash. */
import assert from 'node:assert/strict';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import type { AddressInfo } from 'node:net';
import path from 'node:path';
import { test, type TestContext } from 'node:test';
import { RTCPeerConnection, RtcpSrPacket, useH264, useOPUS, type RtpPacket } from 'werift';
import { Publisher } from '../latency/source/publisher.ts';
import { stampBits } from '../latency/source/stamp.ts';
import { tempFolder } from '../support/temp-folder.ts';
import { within } from '../support/wait.ts';

const NTP_TO_UNIX_S = 2_208_988_800;
const SPS = 7;
const STAP_A = 24;

type Track = { readonly clockHz: number; readonly packets: RtpPacket[]; readonly reports: RtcpSrPacket[] };

/** As small as a WHIP server gets. */
class WhipAnswerer {
  readonly tracks: Record<'video' | 'audio', Track> = {
    video: { clockHz: 90_000, packets: [], reports: [] },
    audio: { clockHz: 48_000, packets: [], reports: [] },
  };
  isDeleted = false;
  #peer: RTCPeerConnection | undefined;
  readonly #server = createServer((request, response) => void this.#respond(request, response));

  async listen(): Promise<string> {
    this.#server.listen(0, '127.0.0.1');
    await once(this.#server, 'listening');
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}/whip/x`;
  }

  async close(): Promise<void> {
    await this.#peer?.close();
    this.#server.closeAllConnections();
    this.#server.close();
    await once(this.#server, 'close');
  }

  async #respond(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const body = Buffer.concat(await request.toArray()).toString();
    if (request.method === 'DELETE') {
      this.isDeleted = request.url === '/session/1';
      response.writeHead(200).end();
      return;
    }
    const codecs = { video: [useH264({ payloadType: 96 })], audio: [useOPUS({ payloadType: 97 })] };
    const peer = new RTCPeerConnection({ codecs, iceServers: [], bundlePolicy: 'max-bundle' });
    this.#peer = peer;
    peer.onTransceiverAdded.subscribe((transceiver) => {
      const { packets, reports } = this.tracks[transceiver.kind as 'video' | 'audio'];
      transceiver.onTrack.subscribe((track) => {
        track.onReceiveRtp.subscribe((packet) => packets.push(packet));
        track.onReceiveRtcp.subscribe((packet) => {
          if (packet instanceof RtcpSrPacket) {
            reports.push(packet);
          }
        });
      });
    });
    await peer.setRemoteDescription({ type: 'offer', sdp: body });
    await peer.setLocalDescription(await peer.createAnswer());
    await within(5_000, 'the answerer gathers', () => peer.iceGatheringState === 'complete');
    response.writeHead(201, { 'content-type': 'application/sdp', location: '/session/1' });
    response.end(peer.localDescription!.sdp);
  }
}

const answerer = async (t: TestContext): Promise<{ readonly whip: WhipAnswerer; readonly url: string }> => {
  const whip = new WhipAnswerer();
  t.after(() => whip.close());
  return { whip, url: await whip.listen() };
};

/** A parameter set by itself, or first of an aggregate (RFC 6184 5.7.1). */
const hasSps = ({ payload }: RtpPacket): boolean => {
  const type = payload[0]! & 0x1f;
  return type === SPS || (type === STAP_A && (payload[3]! & 0x1f) === SPS);
};

/** The Unix instant that the last report gives to the track's first packet. */
const startOf = ({ clockHz, packets, reports }: Track): number => {
  const { ntpTimestamp, rtpTimestamp } = reports.at(-1)!.senderInfo;
  const sinceFirstTicks = (rtpTimestamp - packets[0]!.header.timestamp) >> 0;
  return Number(ntpTimestamp) / 2 ** 32 - NTP_TO_UNIX_S - sinceFirstTicks / clockHz;
};

test('publishes H.264 and Opus by WHIP, on one clock, and leaves properly', { timeout: 60_000 }, async (t) => {
  const { whip, url } = await answerer(t);
  const startedAtS = Date.now() / 1000;
  const publisher = await Publisher.start({ url, preset: 'zerolatency' });
  t.after(() => publisher.stop());
  const { video, audio } = whip.tracks;
  await within(20_000, 'both tracks with their reports', () =>
    [video, audio].every(({ packets, reports }) => packets.length > 60 && reports.length > 0),
  );
  assert.ok(video.packets.some(hasSps), 'no keyframe with its parameter sets');
  const [videoStartS, audioStartS] = [startOf(video), startOf(audio)];
  assert.ok(Math.abs(videoStartS - audioStartS) < 0.03, `sound and picture begin ${videoStartS - audioStartS} s apart`);
  assert.ok(videoStartS >= startedAtS && videoStartS <= Date.now() / 1000, 'the reports tell another time than now');
  await publisher.stop();
  assert.ok(whip.isDeleted, 'the session was not deleted');
});

test('a source that is behind its clock leaves properly too', { timeout: 60_000 }, async (t) => {
  const { whip, url } = await answerer(t);
  const publisher = await Publisher.start({
    url,
    preset: 'zerolatency',
    widthPx: 1920,
    heightPx: 1080,
    frameRateFps: 60,
  });
  t.after(() => publisher.stop());
  await within(20_000, 'pictures', () => whip.tracks.video.packets.length > 60);
  await publisher.stop();
  assert.ok(whip.isDeleted, 'the session was not deleted');
});

test("a server that refuses is told of in the server's words", async (t) => {
  const server = createServer((_request, response) => response.writeHead(401).end('wrong key'));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => server.close());
  const { port } = server.address() as AddressInfo;
  const start = Publisher.start({ url: `http://127.0.0.1:${port}/whip/x`, preset: 'video-only' });
  await assert.rejects(start, /WHIP answered 401: wrong key/u);
});

test('a clip is looped, scaled and seen between stamp and flash; one that cannot be read is told of', async () => {
  const folder = tempFolder('clip');
  const clip = path.join(folder, 'clip.mp4');
  const raw = path.join(folder, 'raw.yuv');
  const picture = { widthPx: 320, heightPx: 180, frameRateFps: 30, withSound: false, audioLeadMs: 0 };
  const stamps = { fixedStamps: { baseMs: 5_000, stepMs: 40 } };
  await Publisher.encode({
    ...{ ...picture, ...stamps, widthPx: 640, heightPx: 480, frameCount: 10 },
    outputArgs: ['-vf', 'drawbox=c=white:t=fill', '-c:v', 'libx264', '-preset', 'ultrafast', '-y', clip],
  });
  const frameCount = 40;
  await Publisher.encode({
    ...{ ...picture, ...stamps, clip, frameCount },
    outputArgs: ['-f', 'rawvideo', '-pix_fmt', 'yuv420p', '-y', raw],
  });
  const frames = await readFile(raw);
  const frameBytes = (320 * 180 * 3) / 2;
  assert.equal(frames.length, frameBytes * frameCount);
  for (let n = 0; n < frameCount; n += 1) {
    const luma = (x: number, y: number): number => frames[n * frameBytes + y * 320 + x]!;
    const bits = Array.from({ length: 32 }, (_, k) => luma((k % 16) * 20 + 10, Math.floor(k / 16) * 20 + 10) > 128);
    assert.deepEqual(bits, stampBits(5_000 + 40 * n), `stamp of frame ${n}`);
    assert.ok(luma(160, 90) > 220, `no clip in frame ${n}`);
  }
  const start = Publisher.start({
    url: 'rtmp://127.0.0.1:1/live/x',
    preset: 'video-only',
    clip: path.join(folder, 'no'),
  });
  await assert.rejects(start, /No such file/u);
});
