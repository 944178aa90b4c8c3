/** Any text may be posted as an offer: it gives an offer, or a `ProtocolError`, in bounded time. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ProtocolError } from '../../server/base/errors.ts';
import { Prng } from '../../server/base/prng.ts';
import { parseSdpFragment } from '../../server/webrtc-transport/sdp-fragment.ts';
import { parseSdpOffer } from '../../server/webrtc-transport/sdp-offer.ts';
import { offerSdp } from '../support/whep-client.ts';

const COUNT = process.env['SLUICE_SIZE'] === 'soak' ? 100_000 : 4_000;

const mutated = (prng: Prng): string => {
  const lines = offerSdp().split('\r\n');
  for (let count = prng.nextIndex(6); count >= 0; count -= 1) {
    const at = prng.nextIndex(lines.length);
    const line = lines[at] ?? '';
    const cut = prng.nextIndex(line.length + 1);
    const noise = Buffer.from(prng.nextBytes(prng.nextIndex(40))).toString('latin1');
    lines[at] = [line.slice(0, cut), `${line.slice(0, cut)}${noise}`, `${line}${line}`, ''][prng.nextIndex(4)] ?? '';
    lines.splice(prng.nextIndex(lines.length), 0, line);
  }
  return lines.join('\r\n');
};

test('mutated offers and fragments give a value or a ProtocolError', () => {
  const prng = new Prng(99);
  let acceptedCount = 0;
  for (let count = 0; count < COUNT; count += 1) {
    const text = mutated(prng);
    for (const parse of [parseSdpOffer, parseSdpFragment]) {
      try {
        parse(text);
        acceptedCount += 1;
      } catch (error) {
        assert.ok(error instanceof ProtocolError, `${String(error)} for ${JSON.stringify(text)}`);
      }
    }
  }
  assert.ok(acceptedCount > 0);
});
