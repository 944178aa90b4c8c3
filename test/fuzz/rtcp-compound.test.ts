/** Any bytes may stand where RTP, RTCP, STUN or a TCP frame should: a value or a `ProtocolError`. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ProtocolError } from '../../server/base/errors.ts';
import { Prng } from '../../server/base/prng.ts';
import { depacketiseH264 } from '../support/h264-depacketiser.ts';
import { buildNack, buildTransportCc, parseRtcp } from '../../server/media/rtp/rtcp.ts';
import { parseRtpPacket } from '../../server/media/rtp/rtp-header.ts';
import { buildTransportFeedback, parseTransportFeedback } from '../../server/media/rtp/transport-cc.ts';
import { StreamDeframer } from '../../server/webrtc-transport/stream-framing.ts';
import { parseStun } from '../../server/webrtc-transport/stun.ts';

const COUNT = process.env['SLUICE_SIZE'] === 'soak' ? 500_000 : 20_000;

const PARSERS: readonly ((bytes: Buffer) => unknown)[] = [
  (bytes) => parseRtcp(bytes).map((item) => (item.type === 'transport-cc' ? parseTransportFeedback(item.body) : item)),
  parseTransportFeedback,
  parseRtpPacket,
  parseStun,
  (bytes) => depacketiseH264([bytes.subarray(0, 20), bytes.subarray(20)]),
  (bytes) => new StreamDeframer().push(bytes),
];

const valid = Buffer.concat([
  buildNack(1, 2, [3, 4, 5]),
  buildTransportCc(
    1,
    2,
    buildTransportFeedback({ baseSeq16: 65_530, feedbackCount: 1, arrivedMs: [10, undefined, 500, 9] }),
  ),
]);

test('random and mutated bytes give a value or a ProtocolError', () => {
  const prng = new Prng(7);
  for (let count = 0; count < COUNT; count += 1) {
    const bytes = count % 2 === 0 ? Buffer.from(valid) : Buffer.from(prng.nextBytes(prng.nextIndex(120)));
    for (let flips = prng.nextIndex(4); flips >= 0 && bytes.byteLength > 0; flips -= 1) {
      bytes[prng.nextIndex(bytes.byteLength)] = prng.nextIndex(256);
    }
    for (const parse of PARSERS) {
      try {
        parse(bytes);
      } catch (error) {
        assert.ok(error instanceof ProtocolError, `${String(error)} for ${bytes.toString('hex')}`);
      }
    }
  }
});
