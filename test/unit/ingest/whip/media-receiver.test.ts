/** One publisher's packets through everything WHIP does to them, over made-up networks in virtual time. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Prng } from '../../../../server/base/prng.ts';
import { MediaReceiver } from '../../../../server/ingest/whip/media-receiver.ts';
import { WHIP_DEFAULTS } from '../../../../server/ingest/whip/options.ts';
import type { SourceUnit } from '../../../../server/media/access-unit.ts';
import { dtsMsOf, ptsMsOf } from '../../../../server/media/access-unit.ts';
import { splitNalUnits } from '../../../../server/media/h264/nal-units.ts';
import { parseSdpOffer } from '../../../../server/webrtc-transport/sdp-offer.ts';
import { receiveOpus, receiveVideo } from '../../../../server/webrtc-transport/sdp-receiving.ts';
import { AVC_CONFIG, AVC_CONFIG_B_FRAMES } from '../../../support/flv-samples.ts';
import { RtpPublisher, VIDEO_SSRC } from '../../../support/rtp-publisher.ts';
import { whipOfferSdp } from '../../../support/whip-client.ts';

type Network = {
  readonly delayMs: number;
  /** Whether this packet, the n-th of its direction, is lost. */
  readonly loses: (count: number, direction: 'up' | 'down') => boolean;
};

/** Runs `durationMs` of 30 pictures and 50 packets of sound a second through a receiver; everything that came out. */
class Scene {
  readonly publisher = new RtpPublisher();
  readonly receiver: MediaReceiver;
  readonly units: SourceUnit[] = [];
  readonly #network: Network;
  readonly #onTheWay: { readonly atMs: number; readonly deliver: () => void }[] = [];
  readonly #counts = { up: 0, down: 0 };
  nowMs = 10_000;

  constructor(network: Partial<Network> = {}, options: Partial<typeof WHIP_DEFAULTS> = {}) {
    this.#network = { delayMs: 20, loses: () => false, ...network };
    const offer = parseSdpOffer(whipOfferSdp());
    this.receiver = new MediaReceiver({
      video: receiveVideo(offer.media[0]!),
      audio: receiveOpus(offer.media[1]!),
      options: { ...WHIP_DEFAULTS, ...options },
      ssrc: 9,
    });
  }

  get pictures(): SourceUnit[] {
    return this.units.filter(({ track }) => track.kind === 'video');
  }

  get sounds(): SourceUnit[] {
    return this.units.filter(({ track }) => track.kind === 'audio');
  }

  run(durationMs: number, options: { withSound?: boolean; bytes?: number } = {}): void {
    const endMs = this.nowMs + durationMs;
    while (this.nowMs < endMs) {
      const elapsedMs = Math.round(this.nowMs);
      if (Math.floor((elapsedMs * 30) / 1000) !== Math.floor(((elapsedMs - 1) * 30) / 1000)) {
        this.publisher.picture(elapsedMs, options.bytes ?? 3_000).forEach((packet) => this.send(packet));
      }
      if (options.withSound !== false && elapsedMs % 20 === 0) {
        this.send(this.publisher.sound(elapsedMs));
      }
      this.step();
      this.nowMs += 1;
    }
  }

  send(packet: Buffer): void {
    this.#carry('up', () => {
      this.receiver.onRtp(packet, { nowMs: this.nowMs, wallMs: 1e12 + this.nowMs });
      this.#fetch();
    });
  }

  step(): void {
    if (this.nowMs % 10 === 0) {
      this.receiver.tick({ nowMs: this.nowMs, wallMs: 1e12 + this.nowMs });
      this.#fetch();
    }
    while ((this.#onTheWay[0]?.atMs ?? Number.POSITIVE_INFINITY) <= this.nowMs) {
      this.#onTheWay.shift()?.deliver();
    }
  }

  #fetch(): void {
    this.units.push(...this.receiver.takeUnits());
    const compound = this.receiver.takeRtcp(this.nowMs);
    if (compound.byteLength > 0) {
      this.#carry('down', () => this.publisher.onRtcp(compound).forEach((packet) => this.send(packet)));
    }
  }

  #carry(direction: 'up' | 'down', deliver: () => void): void {
    this.#counts[direction] += 1;
    if (!this.#network.loses(this.#counts[direction], direction)) {
      this.#onTheWay.push({ atMs: this.nowMs + this.#network.delayMs, deliver });
    }
  }
}

const isRising = (units: readonly SourceUnit[]): boolean =>
  units.every((unit, index) => index === 0 || unit.dtsTicks > units[index - 1]!.dtsTicks);

const gopsMs = (pictures: readonly SourceUnit[]): number[] => {
  const atMs = pictures.filter(({ isKeyframe }) => isKeyframe).map(dtsMsOf);
  return atMs.slice(1).map((each, index) => each - atMs[index]!);
};

test('without loss every picture and every sound comes out, once, in order, with the stamps of the publisher', () => {
  const scene = new Scene();
  scene.run(5_000);
  const { pictures, sounds } = scene;
  assert.ok(pictures.length >= 148 && sounds.length >= 248, `${pictures.length} and ${sounds.length}`);
  assert.ok(isRising(pictures) && isRising(sounds));
  assert.ok(pictures[0]!.isKeyframe);
  const gapsMs = pictures.slice(1).map((unit, index) => Math.round(dtsMsOf(unit) - dtsMsOf(pictures[index]!)));
  assert.ok(
    gapsMs.every((gapMs) => gapMs === 33 || gapMs === 34),
    String(gapsMs),
  );
  assert.ok(sounds.every((unit, index) => index === 0 || unit.dtsTicks - sounds[index - 1]!.dtsTicks === 960));
  assert.ok(
    pictures.every(({ payload }) => splitNalUnits(payload).every((nalUnit) => [0x65, 0x41].includes(nalUnit[0]!))),
  );
  assert.deepEqual(
    Buffer.from(pictures[0]!.track.decoderConfig).subarray(1, 4),
    Buffer.from(AVC_CONFIG).subarray(1, 4),
  );
  assert.equal(new Set(scene.units.map(({ track }) => track)).size, 2);
  assert.equal(scene.publisher.nackedCount, 0);
});

test('keyframes come about once a second because they are asked for', () => {
  const scene = new Scene();
  scene.run(10_000);
  const gops = gopsMs(scene.pictures);
  assert.ok(gops.length >= 8 && gops.every((gopMs) => gopMs >= 1_000 && gopMs < 1_200), String(gops));
});

test('5 % of loss both ways is repaired: nothing is missing, and GOPs stay below 2 s', () => {
  for (const seed of [1, 2, 3]) {
    const prng = new Prng(seed);
    const scene = new Scene({ delayMs: 25, loses: () => prng.nextRatio() < 0.05 });
    scene.run(20_000);
    const { pictures, sounds } = scene;
    const { counts } = scene.receiver;
    assert.ok(counts.repaired > 40 && counts.lost <= 3, JSON.stringify(counts));
    assert.ok(pictures.length > 595 - 60 * counts.lost, `${pictures.length} pictures, ${JSON.stringify(counts)}`);
    assert.ok(isRising(pictures) && isRising(sounds));
    assert.ok(
      gopsMs(pictures).every((gopMs) => gopMs < 2_000),
      String(gopsMs(pictures)),
    );
    assert.ok(Math.abs(scene.receiver.rttMs - 50) < 20, `round trip ${scene.receiver.rttMs} ms`);
    assert.ok(sounds.length > 930);
  }
});

test('what cannot be repaired costs pictures up to the next keyframe, which is asked for at once', () => {
  let isCut = false;
  const scene = new Scene({ loses: (_count, direction) => direction === 'up' && isCut });
  scene.publisher.answersNacks = false;
  scene.run(2_000);
  const plisBefore = scene.publisher.pliCount;
  isCut = true;
  scene.run(1_000);
  isCut = false;
  scene.run(3_000);
  const { pictures } = scene;
  const hole = pictures.findIndex((unit, index) => index > 0 && dtsMsOf(unit) - dtsMsOf(pictures[index - 1]!) > 900);
  assert.ok(hole > 0 && pictures[hole]!.isKeyframe, 'the first picture after the hole is a keyframe');
  assert.ok(scene.publisher.pliCount > plisBefore);
  assert.ok(dtsMsOf(pictures.at(-1)!) - dtsMsOf(pictures[hole]!) > 2_000);
});

test('a keyframe that lost its parameter sets is not taken for one', () => {
  let keyframePackets = 0;
  const scene = new Scene({}, { repairWaitMaxMs: 0 });
  scene.publisher.answersNacks = false;
  scene.run(900);
  const send = scene.send.bind(scene);
  // STAP-A with the parameter sets: type 24.
  scene.send = (packet) => {
    const payloadAt = 12 + 4 + 4 * packet.readUInt16BE(14);
    const isSets = packet.readUInt32BE(8) === VIDEO_SSRC && (packet[payloadAt]! & 0x1f) === 24;
    keyframePackets += isSets ? 1 : 0;
    if (!isSets || keyframePackets > 1) {
      send(packet);
    }
  };
  scene.run(3_000);
  const keyframes = scene.pictures.filter(({ isKeyframe }) => isKeyframe);
  // One before, and of those that followed all but the damaged one; the last may still be on its way.
  assert.ok(
    keyframePackets >= 3 && keyframePackets - keyframes.length <= 1,
    `${keyframePackets} and ${keyframes.length}`,
  );
  assert.equal(scene.receiver.counts.picturesDropped > 0, true);
});

test('other parameter sets in mid-stream make another track, and no other unit carries it', () => {
  const scene = new Scene();
  scene.run(2_500);
  scene.publisher.config = AVC_CONFIG_B_FRAMES;
  scene.run(2_500);
  const tracks = [...new Set(scene.pictures.map(({ track }) => track))];
  assert.equal(tracks.length, 2);
  const first = scene.pictures.find(({ track }) => track === tracks[1])!;
  assert.ok(first.isKeyframe);
});

test('sound is laid to the picture by sender reports: the same instant gets the same time', () => {
  const scene = new Scene();
  scene.run(1_000);
  // Says that the sound is of 40 ms earlier than its stamps seem to say.
  const { nowMs } = scene;
  scene.receiver.onRtcp(scene.publisher.report('video', nowMs, 5e11), nowMs);
  scene.receiver.onRtcp(scene.publisher.report('audio', nowMs, 5e11 - 40), nowMs);
  scene.run(1_000);
  const offsetMs = (units: readonly SourceUnit[], index: number): number => ptsMsOf(units.at(index)!);
  const ownMs = offsetMs(scene.pictures, -1) - offsetMs(scene.sounds, -1);
  const startMs = offsetMs(scene.pictures, 0) - offsetMs(scene.sounds, 0);
  assert.ok(Math.abs(ownMs - startMs - 40) < 40, `moved by ${ownMs - startMs} ms`);
  assert.ok(isRising(scene.sounds));
});

test('transport-wide feedback tells what came and what did not, and what was repaired since', () => {
  const scene = new Scene({ loses: (count, direction) => direction === 'up' && count === 120 });
  scene.run(3_000);
  const { told } = scene.publisher;
  const lost = [...told.values()].filter((atMs) => atMs === undefined).length;
  assert.ok(told.size > 300, `${told.size} packets were told about`);
  assert.equal(scene.receiver.counts.repaired, 1);
  assert.equal(lost, 0, 'the lost one was told as arrived once its repeat had come');
});

test('receiver reports tell loss, jitter and the report they answer', () => {
  const prng = new Prng(5);
  const scene = new Scene({ loses: (_count, direction) => direction === 'up' && prng.nextRatio() < 0.1 });
  scene.run(500);
  scene.receiver.onRtcp(scene.publisher.report('video', scene.nowMs, 1e12), scene.nowMs);
  scene.run(4_000);
  const reports = scene.publisher.items.flatMap((item) => (item.type === 'reception' ? item.report : []));
  const video = reports.filter(({ ssrc }) => ssrc === VIDEO_SSRC);
  assert.ok(video.length >= 3);
  assert.ok(video.some(({ lostRatio }) => lostRatio > 0.03));
  assert.ok(video.at(-1)!.lastSenderReport !== 0 && video.at(-1)!.delaySinceUnits > 0);
});

test('memory stays bounded when the first packet of everything is missing', () => {
  const scene = new Scene(
    { loses: (count, direction) => direction === 'down' || count % 50 === 2 },
    { bufferMaxBytes: 300_000 },
  );
  scene.run(4_000, { bytes: 40_000 });
  assert.ok(scene.receiver.bufferedBytes < 320_000, `${scene.receiver.bufferedBytes} bytes wait`);
});
