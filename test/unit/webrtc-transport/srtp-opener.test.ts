/** SRTP inwards: read as werift and our own protector write it, once, and nothing else. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { test } from 'node:test';
import { ProtocolError } from '../../../server/base/errors.ts';
import { Prng } from '../../../server/base/prng.ts';
import { SrtpProtector, deriveAll } from '../../../server/webrtc-transport/srtp.ts';
import { SrtpOpener } from '../../../server/webrtc-transport/srtp-opener.ts';
import type { SrtpProfile } from '../../../server/webrtc-transport/dtls.ts';
import { encryptRtp, openSrtp } from '../../support/werift-srtp.ts';

const PROFILES: readonly (readonly [SrtpProfile, number])[] = [
  [7, 12],
  [1, 14],
];
const SSRC = 0xdeadbeef;

/** With one contributing source and a header extension. */
const rtp = (seq16: number, payloadBytes = 40): Buffer => {
  const packet = Buffer.alloc(12 + 4 + 8 + payloadBytes, seq16 & 0xff);
  packet[0] = 0x91;
  packet[1] = 96;
  packet.writeUInt16BE(seq16, 2);
  packet.writeUInt32BE(7, 4);
  packet.writeUInt32BE(SSRC, 8);
  packet.writeUInt32BE(5, 12);
  packet.writeUInt16BE(0xbede, 16);
  packet.writeUInt16BE(1, 18);
  packet.writeUInt32BE(0x11020300, 20);
  return packet;
};

const setup = ([profile, saltBytes]: (typeof PROFILES)[number]): {
  opener: SrtpOpener;
  protect: (seqExt: number) => Buffer;
  theirs: (packet: Buffer) => Buffer;
} => {
  const key = randomBytes(16);
  const salt = randomBytes(saltBytes);
  const protector = new SrtpProtector({ profile, key, salt });
  const theirs = openSrtp({ profile, localKey: key, localSalt: salt, remoteKey: key, remoteSalt: salt });
  return {
    opener: new SrtpOpener({ profile, key, salt }),
    theirs: (packet) => encryptRtp(theirs, packet),
    protect: (seqExt) => {
      const plain = rtp(seqExt & 0xffff);
      const target = Buffer.alloc(plain.byteLength + 16);
      plain.copy(target, 0, 0, 24);
      const place = { headerStart: 0, headerEnd: 24, ssrc: SSRC, seqExt };
      return target.subarray(0, protector.protect(target, place, plain.subarray(24)));
    },
  };
};

test('packets encrypted by werift and by ourselves come out as they went in, under both profiles', () => {
  for (const profile of PROFILES) {
    const { opener, protect, theirs } = setup(profile);
    assert.deepEqual(opener.open(theirs(rtp(1))), rtp(1));
    assert.deepEqual(opener.open(protect(2)), rtp(2));
    assert.deepEqual(opener.open(theirs(rtp(3, 1_200))), rtp(3, 1_200));
  }
});

test('numbers that wrap are followed, also out of order around the wrap', () => {
  for (const profile of PROFILES) {
    const { opener, protect } = setup(profile);
    for (const seqExt of [65_000, 65_534, 65_537, 65_535, 65_536, 95_000, 125_000, 131_080, 131_071]) {
      assert.deepEqual(opener.open(protect(seqExt)), rtp(seqExt & 0xffff), String(seqExt));
    }
  }
});

test('a packet is taken once; one that is late is taken as long as the window reaches', () => {
  for (const profile of PROFILES) {
    const { opener, protect } = setup(profile);
    opener.open(protect(5_000));
    opener.open(protect(6_000));
    assert.deepEqual(opener.open(protect(5_500)), rtp(5_500));
    for (const seqExt of [5_000, 6_000, 5_500, 4_976]) {
      assert.throws(() => opener.open(protect(seqExt)), { code: 'SRTP_AUTHENTICATION_FAILED' }, String(seqExt));
    }
    assert.deepEqual(opener.open(protect(4_977)), rtp(4_977));
  }
});

test('no changed byte passes, and what fails does not move the window', () => {
  for (const profile of PROFILES) {
    const { opener, protect } = setup(profile);
    const packet = protect(10);
    for (let at = 0; at < packet.byteLength; at += 1) {
      const changed = Buffer.from(packet);
      changed[at] = changed[at]! ^ 0x40;
      assert.throws(() => opener.open(changed), ProtocolError, `byte ${at}`);
    }
    assert.deepEqual(opener.open(packet), rtp(10));
  }
});

test('random bytes are refused, never thrown over', () => {
  const prng = new Prng(3);
  for (const profile of PROFILES) {
    const { opener } = setup(profile);
    for (let count = 0; count < 5_000; count += 1) {
      const bytes = Buffer.from(prng.nextBytes(prng.nextIndex(80)));
      assert.throws(() => opener.open(bytes), ProtocolError);
    }
  }
});

test('keys are derived as RFC 3711 B.3 has them', () => {
  const master = {
    key: Buffer.from('e1f97a0d3e018be0d64fa32c06de4139', 'hex'),
    salt: Buffer.from('0ec675ad498afeebb6960b3aabe6', 'hex'),
  };
  const { cipherKey, authKey, salt } = deriveAll(master, 'srtp');
  assert.equal(cipherKey.export().toString('hex'), 'c61e7a93744f39ee10734afe3ff7a087');
  assert.equal(authKey.export().toString('hex'), 'cebe321f6ff7716b6fd4ab49af256a156d38baa4');
  assert.equal(salt.toString('hex'), '30cbbc08863d8c85d49db34a9ae1');
});
