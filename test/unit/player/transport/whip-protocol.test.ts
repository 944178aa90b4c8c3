/** Headers and bodies of WHIP, and what a browser's statistics say of publishing. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { preferH264, readRefusal, withOpusNack, withStartBitrate } from '../../../../player/transport/whip-protocol.ts';
import { readWhipStats } from '../../../../player/transport/whip-stats.ts';

test('a refusal is read as the server words it, or as it stands', () => {
  assert.deepEqual(readRefusal('{"error":"PUBLISH_KEY_WRONG","detail":"expected the key"}'), {
    code: 'PUBLISH_KEY_WRONG',
    detail: 'expected the key',
  });
  assert.deepEqual(readRefusal(' Bad gateway\n'), { code: null, detail: 'Bad gateway' });
  assert.deepEqual(readRefusal('{"error":1}'), { code: null, detail: '{"error":1}' });
  assert.equal(readRefusal('x'.repeat(9_000)).detail.length, 500);
});

test('repeats of lost sound are offered for Opus, once, and for nothing else', () => {
  const sdp = 'm=audio 9 RTP 111 9\r\na=rtpmap:111 opus/48000/2\r\na=fmtp:111 minptime=10\r\na=rtpmap:9 G722/8000\r\n';
  const munged = withOpusNack(sdp);
  assert.match(munged, /a=rtpmap:111 opus\/48000\/2\r\na=rtcp-fb:111 nack\r\na=fmtp:111/);
  assert.equal(withOpusNack(munged), munged);
  assert.equal(withOpusNack('m=audio 9 RTP 9\r\na=rtpmap:9 G722/8000\r\n').includes('nack'), false);
});

test('the bitrate to begin with goes to the H.264 of the answer', () => {
  const sdp =
    'a=rtpmap:108 H264/90000\r\na=fmtp:108 packetization-mode=1\r\na=rtpmap:109 rtx/90000\r\na=fmtp:109 apt=108\r\n';
  assert.match(withStartBitrate(sdp, 800_000), /a=fmtp:108 packetization-mode=1;x-google-start-bitrate=800\r\n/);
  assert.match(withStartBitrate(sdp, 800_000), /a=fmtp:109 apt=108\r\n/);
  assert.equal(withStartBitrate('a=rtpmap:96 VP8/90000\r\n', 800_000), 'a=rtpmap:96 VP8/90000\r\n');
});

test('of the codecs only H.264 across packets is offered, the better profile first, with its repeats', () => {
  const h264 = (profile: string, mode: number): { mimeType: string; sdpFmtpLine: string } => ({
    mimeType: 'video/H264',
    sdpFmtpLine: `level-asymmetry-allowed=1;packetization-mode=${mode};profile-level-id=${profile}`,
  });
  const rtx = { mimeType: 'video/rtx' };
  const offered = preferH264([{ mimeType: 'video/VP8' }, rtx, h264('42e01f', 1), h264('42e01f', 0), h264('4d001f', 1)]);
  assert.deepEqual(offered, [h264('4d001f', 1), h264('42e01f', 1), rtx]);
  assert.deepEqual(preferH264([{ mimeType: 'video/VP8' }, rtx]), []);
});

test('statistics of what is sent are summed, and what is missing reads as nothing', () => {
  const stats = readWhipStats([
    [
      'v',
      { type: 'outbound-rtp', kind: 'video', bytesSent: 900, headerBytesSent: 100, framesEncoded: 30, pliCount: 2 },
    ],
    ['a', { type: 'outbound-rtp', kind: 'audio', bytesSent: 50, qualityLimitationReason: 'cpu' }],
    ['r', { type: 'remote-inbound-rtp', kind: 'video', roundTripTime: 0.04, fractionLost: 0.05 }],
  ]);
  assert.equal(stats.sentBytes, 1_050);
  assert.equal(stats.rttMs, 40);
  assert.equal(stats.lostRatio, 0.05);
  assert.equal(stats.keyframesAskedCount, 2);
  assert.equal(stats.limitedBy, 'none');
  assert.equal(readWhipStats([]).frameRateFps, null);
});
