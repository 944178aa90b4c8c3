/** RTP payloads back to pictures: whole ones come out as they went in, damaged ones do not come out. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Prng } from '../../../../server/base/prng.ts';
import type { VideoUnit } from '../../../../server/media/access-unit.ts';
import { joinNalUnits } from '../../../../server/media/h264/nal-units.ts';
import type { H264Output, H264Picture } from '../../../../server/media/rtp/h264-depacketiser.ts';
import { H264Depacketiser } from '../../../../server/media/rtp/h264-depacketiser.ts';
import { H264Packetiser } from '../../../../server/media/rtp/h264-packetiser.ts';
import { TEST_VIDEO_TRACK } from '../../../support/units.ts';

const LIMITS = { pictureMaxBytes: 400_000, nalUnitMaxCount: 100 };

const nalUnit = (type: number, bytes: number): Uint8Array => {
  const built = new Prng(bytes).nextBytes(bytes);
  built[0] = 0x60 | type;
  return built;
};

const payloadsOf = (nalUnits: readonly Uint8Array[]): Uint8Array[] => {
  const unit: VideoUnit = {
    ...{ track: TEST_VIDEO_TRACK, dtsTicks: 0, ptsTicks: 0, isKeyframe: false, isDiscontinuity: false },
    ...{ payload: joinNalUnits(nalUnits), arrivedAtMs: 0, arrivedAtWallMs: 0 },
  };
  return new H264Packetiser().packetise(unit);
};

class Feed {
  readonly pictures: H264Picture[] = [];
  brokenCount = 0;
  readonly depacketiser = new H264Depacketiser(LIMITS);
  #timestampExt = 0;

  /** One picture; `isMarked` false: its end is told by the next one's stamp. */
  push(payloads: readonly Uint8Array[], isMarked = true): void {
    this.#timestampExt += 3_000;
    payloads.forEach((payload, index) =>
      this.#keep(
        this.depacketiser.push({
          payload,
          timestampExt: this.#timestampExt,
          isMarked: isMarked && index === payloads.length - 1,
          arrivedAtMs: this.#timestampExt / 90,
        }),
      ),
    );
  }

  #keep({ pictures, hasBroken }: H264Output): void {
    this.pictures.push(...pictures);
    this.brokenCount += hasBroken ? 1 : 0;
  }
}

test('NAL units of any size come back, alone, together and in fragments', () => {
  const feed = new Feed();
  const originals = [[1], [2, 3], [1_199, 1_200, 1_201], [2_399, 2_400], [12_345, 20], [200_000]].map((sizes) =>
    sizes.map((bytes) => nalUnit(1, bytes)),
  );
  originals.forEach((original) => feed.push(payloadsOf(original)));
  assert.deepEqual(
    feed.pictures.map(({ nalUnits }) => nalUnits.map((each) => Uint8Array.from(each))),
    originals,
  );
  assert.deepEqual([feed.brokenCount, feed.pictures.some(({ followsLoss }) => followsLoss)], [0, false]);
});

test('several NAL units in one packet come apart', () => {
  const feed = new Feed();
  feed.push([Uint8Array.of(24, 0, 2, 0x67, 9, 0, 1, 0x68, 0, 3, 0x65, 0x80, 7)]);
  assert.deepEqual(
    feed.pictures[0]!.nalUnits.map((each) => [...each]),
    [[0x67, 9], [0x68], [0x65, 0x80, 7]],
  );
});

test('a picture without a marked end is ended by the stamp of the next', () => {
  const feed = new Feed();
  feed.push(payloadsOf([nalUnit(1, 3_000)]), false);
  assert.equal(feed.pictures.length, 0);
  feed.push(payloadsOf([nalUnit(1, 10)]));
  assert.deepEqual(
    feed.pictures.map(({ timestampExt }) => timestampExt),
    [3_000, 6_000],
  );
});

test('a loss breaks the picture it lies in, and the next one says that it follows a loss', () => {
  const feed = new Feed();
  const payloads = payloadsOf([nalUnit(1, 5_000)]);
  feed.push(payloads.slice(0, 2), false);
  feed.depacketiser.onLoss();
  // The rest of that picture, under its own stamp here, is no picture either.
  feed.push(payloads.slice(3));
  feed.push(payloadsOf([nalUnit(1, 50)]));
  assert.equal(feed.pictures.length, 1);
  assert.equal(feed.brokenCount, 2);
  feed.depacketiser.onLoss();
  feed.push(payloadsOf([nalUnit(1, 50)]));
  assert.equal(feed.pictures[1]!.followsLoss, true);
});

test('what makes no sense breaks its picture and nothing else', () => {
  const senseless = [
    Uint8Array.of(24, 0, 9, 1),
    Uint8Array.of(24, 0),
    Uint8Array.of(24, 0, 0),
    Uint8Array.of(25, 1, 2, 3),
    Uint8Array.of(29, 0x80, 1, 1),
    Uint8Array.of(0, 1),
    Uint8Array.of(28, 0x81),
    Uint8Array.of(28, 0x41, 1, 2),
    Uint8Array.of(28, 0x81, 1, 2),
  ];
  const feed = new Feed();
  for (const payload of senseless) {
    feed.push([payload]);
    feed.push(payloadsOf([nalUnit(1, 50)]));
  }
  assert.deepEqual([feed.brokenCount, feed.pictures.length], [senseless.length, senseless.length]);
});

test('pictures above the caps are given up, and their bytes with them', () => {
  const feed = new Feed();
  feed.push(payloadsOf([nalUnit(1, 450_000)]));
  feed.push(Array.from({ length: 101 }, () => Uint8Array.of(0x41, 1)));
  feed.push(payloadsOf([nalUnit(1, 50)]));
  assert.deepEqual([feed.brokenCount, feed.pictures.length], [2, 1]);
});

test('padding says nothing, between pictures and within one', () => {
  const feed = new Feed();
  feed.push([new Uint8Array()]);
  const payloads = payloadsOf([nalUnit(1, 3_000)]);
  feed.push([payloads[0]!, new Uint8Array(), ...payloads.slice(1)]);
  assert.deepEqual([feed.brokenCount, feed.pictures.length], [0, 1]);
});
