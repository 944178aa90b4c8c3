// LL-HLS over the handler, row by row of CONFORMANCE part 1.
import { AV1_CONFIG } from '../../../support/flv-samples.ts';
import assert from 'node:assert/strict';
import { brotliDecompressSync, gunzipSync } from 'node:zlib';
import { afterEach, beforeEach, describe, mock, test } from 'node:test';
import type { HttpAnswer } from '../../../../server/base/http-exchange.ts';
import type { AccessUnit } from '../../../../server/media/access-unit.ts';
import { planParts } from '../../../../server/media/segment-plan.ts';
import { HLS_DEFAULTS } from '../../../../server/relay/hls/http-handler.ts';
import { createTestBroadcast, hostOverHttp } from '../../../support/hls-host.ts';
import { HlsRig, numberIn, settledOf, testMedia, textOf } from '../../../support/hls-rig.ts';
import { interleave, syntheticAudio, syntheticVideo, testVideoTrack } from '../../../support/synthetic-media.ts';

let rig: HlsRig;

describe('LL-HLS handler', () => {
  beforeEach(() => {
    mock.timers.enable({ apis: ['setTimeout'] });
    rig = new HlsRig();
  });

  afterEach(() => {
    rig.close();
    mock.timers.reset();
  });

  const codeOf = (answer: HttpAnswer): string => (JSON.parse(textOf(answer)) as { error: string }).error;
  const lastMsnOf = (text: string): number =>
    numberIn(text, /MEDIA-SEQUENCE:(\d+)/) + (text.match(/#EXTINF/g)?.length ?? 0) - 1;

  test('L1 L2 L4 L19 L21 a live playlist says what a low-latency player must know', async () => {
    rig.goLive(7);
    for (const file of ['video.m3u8', 'audio.m3u8']) {
      const text = textOf(await rig.get(`${rig.folder}/${file}`));
      assert.match(text, /CAN-BLOCK-RELOAD=YES/);
      const partTargetS = numberIn(text, /PART-TARGET=([\d.]+)/);
      assert.ok(numberIn(text, /PART-HOLD-BACK=([\d.]+)/) >= 3 * partTargetS);
      assert.match(text, /^#EXT-X-TARGETDURATION:2$/m);
      assert.ok([...text.matchAll(/EXTINF:([\d.]+)/g)].every(([, durationS]) => Math.round(Number(durationS)) <= 2));
      const parts = [...text.matchAll(/EXT-X-PART:DURATION=([\d.]+)/g)].map(([, durationS]) => Number(durationS));
      assert.ok(parts.length > 5 && parts.every((durationS) => durationS <= partTargetS));
      assert.match(text, /#EXT-X-PROGRAM-DATE-TIME:\d{4}-\d\d-\d\dT[\d:.]+Z/);
    }
  });

  test('L3 no HOLD-BACK is stated, so three target durations hold', async () => {
    rig.goLive(4);
    assert.doesNotMatch(textOf(await rig.get(`${rig.folder}/video.m3u8`)), /[:,]HOLD-BACK/);
  });

  test('L6 a part without a segment number, and what is no number, are refused', async () => {
    rig.goLive(5);
    const wrong = [
      '_HLS_part=1',
      '_HLS_msn=x',
      '_HLS_msn=-1',
      '_HLS_msn=1.5',
      '_HLS_msn=1&_HLS_part=',
      '_HLS_msn=1&_HLS_msn=2',
    ];
    for (const query of [...wrong, `_HLS_msn=${'9'.repeat(30)}`]) {
      const answer = await rig.get(`${rig.folder}/video.m3u8?${query}`);
      assert.equal(answer.status, 400, query);
      assert.equal(codeOf(answer), 'HLS_DIRECTIVE_INVALID');
    }
  });

  test('L7 a segment more than two ahead is refused at once', async () => {
    rig.goLive(6.5);
    const last = lastMsnOf(textOf(await rig.get(`${rig.folder}/video.m3u8`)));
    assert.equal((await rig.get(`${rig.folder}/video.m3u8?_HLS_msn=${last + 3}`)).status, 400);
    assert.equal(await settledOf(rig.get(`${rig.folder}/video.m3u8?_HLS_msn=${last + 2}`)), undefined);
  });

  test('L8 a part beyond the advance part limit is refused at once', async () => {
    rig.goLive(6.5);
    const last = lastMsnOf(textOf(await rig.get(`${rig.folder}/video.m3u8`)));
    const limit = Math.ceil(3 / 0.334);
    const tooFar = await rig.get(`${rig.folder}/video.m3u8?_HLS_msn=${last + 1}&_HLS_part=${limit + 1}`);
    assert.deepEqual([tooFar.status, codeOf(tooFar)], [400, 'HLS_DIRECTIVE_TOO_FAR']);
    assert.equal(
      await settledOf(rig.get(`${rig.folder}/video.m3u8?_HLS_msn=${last + 1}&_HLS_part=${limit}`)),
      undefined,
    );
  });

  test('L9 a part past the end of a finished segment means the first of the next', async () => {
    const later = rig.goLive(6.05);
    const last = lastMsnOf(textOf(await rig.get(`${rig.folder}/video.m3u8`)));
    const waiting = rig.get(`${rig.folder}/video.m3u8?_HLS_msn=${last}&_HLS_part=6`);
    assert.equal(await settledOf(waiting), undefined);
    rig.push(later.filter((unit) => unit.arrivedAtMs < 6_400));
    assert.match(textOf(await waiting), /segment-v2\.m4s[^]*EXT-X-PART[^\n]*INDEPENDENT=YES/);
  });

  test('L10 a segment that is long past is answered with the current playlist', async () => {
    rig.goLive(7);
    const stale = await rig.get(`${rig.folder}/video.m3u8?_HLS_msn=0&_HLS_part=99`);
    assert.deepEqual(textOf(stale), textOf(await rig.get(`${rig.folder}/video.m3u8`)));
  });

  test('L11 after the end directives are ignored, even wrong ones, and the playlist says ENDLIST', async () => {
    rig.goLive(6);
    rig.broadcast.end('over');
    const answer = await rig.get(`${rig.folder}/video.m3u8?_HLS_msn=999&_HLS_part=x`);
    assert.equal(answer.status, 200);
    assert.match(textOf(answer), /#EXT-X-ENDLIST\n$/);
    assert.doesNotMatch(textOf(answer), /PRELOAD-HINT/);
  });

  test('L11 the end wakes those who wait', async () => {
    rig.goLive(6.5);
    const waiting = rig.get(`${rig.folder}/video.m3u8?_HLS_msn=4`);
    rig.broadcast.end('over');
    assert.match(textOf(await waiting), /#EXT-X-ENDLIST/);
  });

  test('L12 a request blocked for three target durations ends with 503', async () => {
    rig.goLive(6.5);
    const waiting = rig.get(`${rig.folder}/video.m3u8?_HLS_msn=4`);
    mock.timers.tick(5_999);
    assert.equal(await settledOf(waiting), undefined);
    mock.timers.tick(1);
    const answer = await waiting;
    assert.deepEqual([answer.status, codeOf(answer)], [503, 'HLS_BLOCKED_TOO_LONG']);
  });

  test('L12 (should) while the encoder may come back the playlist is given unchanged instead: players give up after a few 503', async () => {
    rig.goLive(6.5);
    rig.feed.close('gone');
    const waiting = rig.get(`${rig.folder}/video.m3u8?_HLS_msn=4`);
    mock.timers.tick(6_000);
    const answer = await waiting;
    assert.deepEqual([answer.status, answer.headers['cache-control']], [200, 'no-store']);
  });

  test('L13 a first request is answered at once, in the middle of a segment', async () => {
    rig.goLive(4.5);
    const text = textOf((await settledOf(rig.get(`${rig.folder}/video.m3u8`)))!);
    assert.match(text, /EXT-X-PART[^\n]*\n#EXT-X-PRELOAD-HINT/);
  });

  test('L14 L15 a delta update skips what the client knows; v2 gets a full playlist', async () => {
    rig.goLive(23);
    const path = `${rig.folder}/video.m3u8`;
    const full = textOf(await rig.get(path));
    const delta = textOf(await rig.get(`${path}?_HLS_skip=YES`));
    assert.ok(numberIn(full, /CAN-SKIP-UNTIL=([\d.]+)/) >= 12);
    const skippedCount = numberIn(delta, /EXT-X-SKIP:SKIPPED-SEGMENTS=(\d+)/);
    assert.ok(skippedCount >= 1);
    assert.ok(numberIn(delta, /EXT-X-VERSION:(\d+)/) >= 9);
    assert.equal(delta.match(/#EXTINF/g)!.length, full.match(/#EXTINF/g)!.length - skippedCount);
    assert.equal(textOf(await rig.get(`${path}?_HLS_skip=v2`)), full);
  });

  test('L16 the hinted part blocks until it is made and comes whole; other parts are never 404 while listed', async () => {
    const later = rig.goLive(6.5);
    const text = textOf(await rig.get(`${rig.folder}/video.m3u8`));
    const hinted = /PRELOAD-HINT:TYPE=PART,URI="([^"]+)"/.exec(text)![1]!;
    const waiting = rig.get(`${rig.folder}/${hinted}`);
    assert.equal(await settledOf(waiting), undefined);
    rig.push(later.filter((unit) => unit.arrivedAtMs < 6_800));
    const answer = await waiting;
    assert.equal(answer.status, 200);
    assert.deepEqual(answer.body, (await rig.get(`${rig.folder}/${hinted}`)).body);
    for (const [, uri] of text.matchAll(/URI="([^"]+\.(?:m4s|mp4))"/g)) {
      assert.equal((await rig.get(`${rig.folder}/${uri}`)).status, 200, uri);
    }
  });

  test('L16 the hint holds across the end of a segment', async () => {
    const later = rig.goLive(6.001);
    const hinted = /PRELOAD-HINT:TYPE=PART,URI="([^"]+)"/.exec(textOf(await rig.get(`${rig.folder}/video.m3u8`)))![1]!;
    const waiting = rig.get(`${rig.folder}/${hinted}`);
    rig.push(later.filter((unit) => unit.arrivedAtMs < 6_400));
    assert.equal((await waiting).status, 200);
  });

  test('L17 each rendition reports where the other stands', async () => {
    rig.goLive(6.5);
    const report = /RENDITION-REPORT:URI="([^"]+)",LAST-MSN=(\d+),LAST-PART=(\d+)/;
    assert.equal(report.exec(textOf(await rig.get(`${rig.folder}/video.m3u8`)))![1], 'audio.m3u8');
    assert.deepEqual(report.exec(textOf(await rig.get(`${rig.folder}/audio.m3u8`)))!.slice(1), [
      'video.m3u8',
      '3',
      '0',
    ]);
  });

  test('L18 parts that start at an IDR are marked, and only they', async () => {
    rig.goLive(6.5);
    const parts = [...textOf(await rig.get(`${rig.folder}/video.m3u8`)).matchAll(/#EXT-X-PART:.*/g)].map(
      ([line]) => line,
    );
    const marks = parts.map((line) => line.includes('INDEPENDENT=YES'));
    // GOPs of 1 s are three parts long here.
    assert.deepEqual(
      marks,
      parts.map((_, index) => index % 3 === 0),
    );
  });

  test('L20 parts are listed only within three target durations of the end, segments stay', async () => {
    rig.goLive(15);
    const text = textOf(await rig.get(`${rig.folder}/video.m3u8`));
    assert.match(text, /segment-v0\.m4s/);
    const partsFrom = text.indexOf('#EXT-X-PART:');
    const after = [...text.slice(partsFrom).matchAll(/EXTINF:([\d.]+)/g)].map(([, durationS]) => Number(durationS));
    const openS = [...text.slice(text.lastIndexOf('#EXTINF')).matchAll(/PART:DURATION=([\d.]+)/g)];
    const listedS = [...after, ...openS.map(([, durationS]) => Number(durationS))].reduce(
      (sum, value) => sum + value,
      0,
    );
    assert.ok(listedS <= 6.001 && listedS > 3, `parts of the last ${listedS} s are listed`);
  });

  test('the window slides: numbers go on, old segments leave the list and later the memory', async () => {
    rig.goLive(45);
    const text = textOf(await rig.get(`${rig.folder}/video.m3u8`));
    assert.equal(text.match(/#EXTINF/g)!.length, 10);
    const first = numberIn(text, /MEDIA-SEQUENCE:(\d+)/);
    assert.ok(first > 5);
    assert.equal((await rig.get(`${rig.folder}/segment-v${first - 1}.m4s`)).status, 200);
    assert.equal((await rig.get(`${rig.folder}/segment-v0.m4s`)).status, 404);
  });

  test('L22 playlists are compressed for who asks, with Vary, and rendered once per change', async () => {
    rig.goLive(6.5);
    const path = `${rig.folder}/video.m3u8`;
    const plain = await rig.get(path);
    const unpackers = { gzip: gunzipSync, br: brotliDecompressSync };
    for (const [accepted, coding] of [
      ['br, gzip;q=0.8', 'br'],
      ['gzip, deflate', 'gzip'],
      ['gzip, br;q=0.1', 'gzip'],
      ['*', 'br'],
    ] as const) {
      const headers = { 'accept-encoding': accepted };
      const packed = await rig.get(path, { headers });
      assert.equal(packed.headers['content-encoding'], coding, accepted);
      assert.equal(packed.headers['vary'], 'Accept-Encoding');
      assert.equal(unpackers[coding](packed.body as Uint8Array).toString(), textOf(plain));
      assert.equal((await rig.get(path, { headers })).body, packed.body, 'compressed once per change');
    }
    assert.equal((await rig.get(path)).body, plain.body);
    assert.equal(plain.headers['vary'], 'Accept-Encoding');
    const index = await rig.get('/hls/demo/index.m3u8', { headers: { 'accept-encoding': 'gzip' } });
    assert.deepEqual([index.headers['content-encoding'], index.headers['vary']], ['gzip', 'Accept-Encoding']);
    const refused = await rig.get(path, { headers: { 'accept-encoding': 'gzip;q=0' } });
    assert.equal(refused.headers['content-encoding'], undefined);
  });

  test('L23 what may be cached, and for how long', async () => {
    const later = rig.goLive(6.5);
    const cacheOf = (answer: HttpAnswer): string => answer.headers['cache-control'] ?? '';
    const waiting = rig.get(`${rig.folder}/video.m3u8?_HLS_msn=3&_HLS_part=1`);
    rig.push(later.filter((unit) => unit.arrivedAtMs < 7_100));
    assert.equal(cacheOf(await waiting), 'public, max-age=12');
    assert.match(cacheOf(await rig.get(`${rig.folder}/video.m3u8`)), /s-maxage=1/);
    for (const file of ['init-v0.mp4', 'part-v9.m4s', 'segment-a1.m4s']) {
      assert.match(cacheOf(await rig.get(`${rig.folder}/${file}`)), /immutable/);
    }
    assert.match(cacheOf(await rig.get('/hls/nobody/index.m3u8')), /no-store/);
  });

  test('L23 an unchanged playlist is answered with 304', async () => {
    rig.goLive(6.5);
    const path = `${rig.folder}/video.m3u8`;
    const { etag = '' } = (await rig.get(path)).headers;
    assert.equal((await rig.get(path, { headers: { 'if-none-match': etag } })).status, 304);
  });

  test('L24 five hundred identical blocked requests are one question with one answer', async () => {
    const later = rig.goLive(6.5);
    const path = `${rig.folder}/video.m3u8?_HLS_msn=3&_HLS_part=1`;
    const waiting = Array.from({ length: 500 }, async () => rig.get(path));
    assert.match(await rig.metrics.render(), /^hls_blocked_requests 500$/m);
    rig.push(later.filter((unit) => unit.arrivedAtMs < 7_100));
    const answers = await Promise.all(waiting);
    assert.ok(answers.every((answer) => answer.status === 200 && answer.body === answers[0]!.body));
    assert.match(await rig.metrics.render(), /^hls_blocked_requests 0$/m);
  });

  test('a peer that goes away stops waiting, and beyond the cap nobody is let in', async () => {
    rig.close();
    rig = new HlsRig({ settings: { waitersMaxCount: 2 } });
    rig.goLive(6.5);
    const path = `${rig.folder}/video.m3u8?_HLS_msn=4`;
    const aborter = new AbortController();
    const first = rig.get(path, { signal: aborter.signal });
    const second = rig.get(path);
    assert.equal((await rig.get(path)).status, 503);
    aborter.abort();
    assert.equal((await first).status, 499);
    assert.match(await rig.metrics.render(), /^hls_blocked_requests 1$/m);
    rig.broadcast.end('over');
    assert.equal((await second).status, 200);
  });

  test('L27 L28 new parameters: a discontinuity and a new init segment, in both playlists at the same number', async () => {
    rig.goLive(6);
    const track = testVideoTrack({
      codecString: 'avc1.64001f',
      decoderConfig: Uint8Array.from([1, 0x64, 0, 0x1f, 0xff, 0xe0, 0]),
    });
    const after = interleave<AccessUnit>(
      syntheticVideo({ frameRateFps: 30, durationS: 5, gopFrames: 30, startMs: 0, track }),
      syntheticAudio({ durationS: 5 }),
    ).map((unit) => ({
      ...unit,
      arrivedAtMs: unit.arrivedAtMs + 9_000,
      arrivedAtWallMs: unit.arrivedAtWallMs + 9_000,
    }));
    rig.publish();
    rig.push(after);
    const [video, audio] = await Promise.all(
      ['video', 'audio'].map(async (name) => textOf(await rig.get(`${rig.folder}/${name}.m3u8`))),
    );
    const numberOf = (text: string): number =>
      numberIn(text, /MEDIA-SEQUENCE:(\d+)/) + text.split('#EXT-X-DISCONTINUITY\n')[0]!.match(/#EXTINF/g)!.length;
    assert.equal(video!.match(/#EXT-X-DISCONTINUITY\n/g)!.length, 1);
    assert.equal(numberOf(video!), numberOf(audio!));
    assert.match(video!, /#EXT-X-DISCONTINUITY\n#EXT-X-MAP:URI="init-v1\.mp4"/);
    const dateOf = (text: string): number =>
      Date.parse(/DISCONTINUITY\n(?:#EXT-X-MAP.*\n)?#EXT-X-PROGRAM-DATE-TIME:(.*)/.exec(text)![1]!);
    assert.ok(Math.abs(dateOf(video!) - dateOf(audio!)) <= 12);
  });

  test('L28 the multivariant playlist says codecs, size, rate and bandwidth; both renditions carry the same numbers and dates', async () => {
    rig.goLive(9);
    const text = textOf(await rig.get('/hls/demo/index.m3u8'));
    assert.match(text, /#EXT-X-INDEPENDENT-SEGMENTS/);
    assert.match(
      text,
      /BANDWIDTH=\d+,AVERAGE-BANDWIDTH=\d+,CODECS="avc1\.42c01e,mp4a\.40\.2",RESOLUTION=640x360,FRAME-RATE=30\.000,AUDIO="audio"/,
    );
    const uris = [...text.matchAll(/(?:URI="|^)(\w+\/\w+\.m3u8)/gm)].map(([, uri]) => uri);
    const playlists = await Promise.all(uris.map(async (uri) => textOf(await rig.get(`/hls/demo/${uri}`))));
    assert.equal(playlists.length, 2);
    const datesOf = (playlist: string): number[] =>
      [...playlist.matchAll(/PROGRAM-DATE-TIME:(.*)/g)].map(([, date]) => Date.parse(date!));
    const [audioDates, videoDates] = playlists.map(datesOf);
    audioDates!.forEach((date, index) => assert.ok(Math.abs(date - videoDates![index]!) <= 12));
  });

  test('L28 BANDWIDTH is never below the peak of any segment so far, AVERAGE-BANDWIDTH is the mean of those listed; the list is made once a change', async () => {
    const quietly = testMedia(60);
    // Two seconds with forty times the bytes, long out of the playlist at the end.
    const bursting = quietly.map((unit) =>
      unit.track.kind === 'video' && unit.dtsTicks >= 10 * 90_000 && unit.dtsTicks < 12 * 90_000
        ? { ...unit, payload: new Uint8Array(40 * unit.payload.byteLength) }
        : unit,
    );
    const rates: { peakBps: number; averageBps: number }[] = [];
    const measured: number[] = [];
    let fromIndex = 0;
    for (const untilS of [8, 15, 24, 50]) {
      const toIndex = bursting.findIndex(({ arrivedAtMs }) => arrivedAtMs >= untilS * 1000);
      rig.push(bursting.slice(fromIndex, toIndex));
      fromIndex = toIndex;
      const index = textOf(await rig.get('/hls/demo/index.m3u8'));
      rates.push({
        peakBps: numberIn(index, /BANDWIDTH=(\d+)/),
        averageBps: numberIn(index, /AVERAGE-BANDWIDTH=(\d+)/),
      });
      let [bits, durationS] = [0, 0];
      const sums = new Map<string, number>();
      for (const name of ['video', 'audio']) {
        const text = await rig.text(`${name}.m3u8`);
        for (const [, seconds, uri] of text.matchAll(/EXTINF:([\d.]+),\n(\S+)/g)) {
          const bytes = (await rig.get(`${rig.folder}/${uri}`)).body!.length;
          const msn = /\d+/.exec(uri!)![0];
          sums.set(msn, (sums.get(msn) ?? 0) + (8 * bytes) / Number(seconds));
          bits += 8 * bytes;
          durationS += name === 'video' ? Number(seconds) : 0;
        }
      }
      measured.push(...sums.values());
      const { peakBps, averageBps } = rates.at(-1)!;
      assert.ok(
        peakBps >= Math.max(...measured),
        `${peakBps} declared, ${Math.max(...measured)} met after ${untilS} s`,
      );
      assert.ok(peakBps >= averageBps * 1.2);
      const meanBps = bits / durationS;
      assert.ok(Math.abs(averageBps - meanBps) < meanBps * 0.05, `${averageBps} declared, ${meanBps} measured`);
    }
    assert.ok(rates[1]!.peakBps > 4 * rates[0]!.peakBps, 'the burst shows');
    assert.equal(rates[3]!.peakBps, rates[2]!.peakBps, 'and is not forgotten: players read the list once');
    const asked = await Promise.all([1, 2].map(async () => rig.get('/hls/demo/index.m3u8')));
    assert.equal(asked[0]!.body, asked[1]!.body);
  });

  test('before there is a segment the index waits a little, then says that it is starting', async () => {
    const later = rig.goLive(0.5);
    const first = rig.get('/hls/demo/index.m3u8');
    mock.timers.tick(4_000);
    const answer = await first;
    assert.deepEqual([answer.status, codeOf(answer), answer.headers['retry-after']], [503, 'HLS_STARTING', '1']);
    const second = rig.get('/hls/demo/index.m3u8');
    rig.push(later.filter((unit) => unit.arrivedAtMs < 2_300));
    assert.equal((await second).status, 200);
  });

  test('the first segment is announced with picture and sound from its beginning', async () => {
    rig.goLive(2.1);
    const answer = await settledOf(rig.get('/hls/demo/index.m3u8'));
    assert.match(textOf(answer!), /AUDIO="audio"/);
    for (const name of ['video', 'audio']) {
      const text = textOf(await rig.get(`${rig.folder}/${name}.m3u8`));
      assert.match(text, /MEDIA-SEQUENCE:0\n/);
      assert.ok(Math.abs(numberIn(text, /EXTINF:([\d.]+)/) - 2) < 0.012, text);
    }
  });

  test('unknown names, wrong methods and wrong paths are refused by name', async () => {
    rig.goLive(5);
    assert.equal(codeOf(await rig.get('/hls/nobody/index.m3u8')), 'HLS_NAME_UNKNOWN');
    assert.equal(codeOf(await rig.get(`${rig.folder}/../x`)), 'HLS_PATH_UNKNOWN');
    assert.equal(codeOf(await rig.get(`/hls/demo/0123456789abcdef/video.m3u8`)), 'HLS_BROADCAST_GONE');
    assert.equal(codeOf(await rig.get(`${rig.folder}/part-v99999.m4s`)), 'HLS_MEDIA_GONE');
    assert.equal((await rig.get('/hls/demo/index.m3u8', { method: 'POST' })).status, 405);
    assert.equal(
      (await rig.get('/hls/demo/index.m3u8', { method: 'OPTIONS' })).headers['access-control-allow-origin'],
      '*',
    );
  });

  test('after the end playlists stay a while, then all memory is given back', async () => {
    rig.goLive(6);
    rig.broadcast.end('over');
    assert.equal((await rig.get('/hls/demo/index.m3u8')).status, 404);
    assert.equal((await rig.get(`${rig.folder}/segment-v1.m4s`)).status, 200);
    mock.timers.tick(15_000);
    assert.equal((await rig.get(`${rig.folder}/video.m3u8`)).status, 404);
    assert.match(await rig.metrics.render(), /^hls_store_bytes 0$/m);
  });

  test('a new broadcast of the same name shares no URL with the one before', async () => {
    rig.goLive(5);
    const before = textOf(await rig.get('/hls/demo/index.m3u8'));
    rig.broadcast.end('over');
    rig.broadcast = createTestBroadcast(rig.clock);
    rig.server.attach(rig.broadcast);
    rig.publish();
    rig.push(testMedia(5, rig.clock.nowMs()));
    const now = textOf(await rig.get('/hls/demo/index.m3u8'));
    const uriOf = (text: string): string => /^\w+\/video\.m3u8$/m.exec(text)![0];
    assert.notEqual(uriOf(before), uriOf(now));
  });

  test('the memory cap evicts the oldest segments and counts them', async () => {
    rig.close();
    rig = new HlsRig({ settings: { storeMaxBytes: 60_000 } });
    rig.goLive(20);
    const rendered = await rig.metrics.render();
    assert.ok(numberIn(rendered, /^hls_segments_evicted_total (\d+)/m) > 0);
    assert.ok(numberIn(rendered, /^hls_store_bytes (\d+)/m) <= 60_000);
    assert.equal((await rig.get(`${rig.folder}/video.m3u8`)).status, 200);
  });

  test('audio alone is served', async () => {
    rig.push(syntheticAudio({ durationS: 6 }));
    const text = textOf(await rig.get('/hls/demo/index.m3u8'));
    assert.match(text, /CODECS="mp4a\.40\.2"\n\w+\/audio\.m3u8/);
  });

  test('a source with long GOPs is served from its repaired rendition', async () => {
    const source = syntheticVideo({ frameRateFps: 30, durationS: 8, gopFrames: 240 });
    const repaired = syntheticVideo({
      frameRateFps: 30,
      durationS: 8,
      gopFrames: 30,
      track: testVideoTrack({ widthPx: 320 }),
    });
    for (const [index, unit] of source.entries()) {
      rig.push([unit]);
      rig.broadcast.addRendition('repaired-video').push(repaired[index]!);
    }
    assert.match(textOf(await rig.get('/hls/demo/index.m3u8')), /RESOLUTION=320x360/);
  });

  test('a source with long GOPs that nobody repairs is served as it is after a while', async () => {
    rig.push(syntheticVideo({ frameRateFps: 30, durationS: 14, gopFrames: 100_000 }));
    assert.equal((await settledOf(rig.get('/hls/demo/index.m3u8')))?.status, 200);
  });

  test('viewers are counted by their playlist requests of the last ten seconds', async () => {
    rig.goLive(6);
    for (const agent of ['a', 'b', 'b']) {
      await rig.get(`${rig.folder}/video.m3u8`, { headers: { 'user-agent': agent } });
    }
    assert.equal(rig.server.viewerCount('demo'), 2);
    rig.clock.advanceMs(10_001);
    assert.equal(rig.server.viewerCount('demo'), 0);
  });

  test('L24 five hundred blocked sockets are answered when the part is made', async () => {
    const later = rig.goLive(6.5);
    const host = await hostOverHttp(rig.server.endpoint);
    try {
      const url = `${host.origin}${rig.folder}/video.m3u8?_HLS_msn=3&_HLS_part=1`;
      const responses = Array.from({ length: 500 }, async () => fetch(url).then(async (response) => response.text()));
      while (!/^hls_blocked_requests 500$/m.test(await rig.metrics.render())) {
        await new Promise((resolve) => setImmediate(resolve));
      }
      rig.push(later.filter((unit) => unit.arrivedAtMs < 7_100));
      const texts = await Promise.all(responses);
      assert.equal(new Set(texts).size, 1);
    } finally {
      await host.close();
    }
  });

  test('L29 each blocked reload is answered with its part as soon as that is complete: one part an answer, none late', async () => {
    let later = rig.goLive(6.4);
    let lastMsn = 0;
    let openCount = 0;
    const look = (text: string): void => {
      lastMsn = lastMsnOf(text);
      openCount = text.slice(text.lastIndexOf('#EXTINF')).match(/#EXT-X-PART:/g)?.length ?? 0;
    };
    look(await rig.text('video.m3u8'));
    const answeredAtMs: number[] = [];
    while (answeredAtMs.length < 12) {
      const known = lastMsn * 100 + openCount;
      const waiting = rig.get(`${rig.folder}/video.m3u8?_HLS_msn=${lastMsn + 1}&_HLS_part=${openCount}`);
      let answer = await settledOf(waiting);
      while (answer === undefined) {
        rig.push(later.slice(0, 1));
        later = later.slice(1);
        answer = await settledOf(waiting);
      }
      answeredAtMs.push(rig.clock.nowMs());
      look(textOf(answer));
      const isNextSegment = Math.floor(known / 100) < lastMsn;
      assert.equal(lastMsn * 100 + openCount, isNextSegment ? lastMsn * 100 + 1 : known + 1);
    }
    const gapsMs = answeredAtMs.slice(1).map((atMs, index) => atMs - answeredAtMs[index]!);
    // Parts of ten frames; a frame more or less where rounding to whole milliseconds falls.
    assert.ok(
      gapsMs.every((gapMs) => gapMs > 290 && gapMs < 380),
      gapsMs.join(' '),
    );
  });

  test('L5 parts are 333 ms where nobody says otherwise, and never under 200 ms', () => {
    assert.equal(HLS_DEFAULTS.partTargetMs, 333);
    assert.throws(() => planParts({ partTargetMs: 199, unitNominalTicks: 3_000, timescaleHz: 90_000 }), TypeError);
    assert.throws(() => planParts({ partTargetMs: 1_001, unitNominalTicks: 3_000, timescaleHz: 90_000 }), TypeError);
  });

  test('L28 sound that outlasts its pictures has numbers of its own; the pictures go on with the next, and a gap tells', async () => {
    const units = testMedia(20);
    // The encoder hangs for 6 s, its microphone does not.
    rig.push(
      units.filter(({ track, arrivedAtMs }) => track.kind === 'audio' || arrivedAtMs < 5_000 || arrivedAtMs > 11_000),
    );
    const [video, audio] = [await rig.text('video.m3u8'), await rig.text('audio.m3u8')];
    const startsOf = (text: string): Map<string, number> =>
      new Map(
        [...text.matchAll(/DATE-TIME:(.*)\n(?:#EXT-X-GAP\n|#EXT-X-PART.*\n)*#EXTINF.*\nsegment-[av](\d+)/g)].map(
          ([, date, msn]) => [msn!, Date.parse(date!)],
        ),
      );
    const [videoStarts, audioStarts] = [startsOf(video), startsOf(audio)];
    assert.match(video, /segment-v0\.m4s/, 'what was listed stays listed');
    const gaps = [...video.matchAll(/#EXT-X-GAP\n#EXTINF:([\d.]+),\nsegment-v(\d+)/g)];
    assert.ok(gaps.length > 0 && gaps.every(([, durationS]) => Math.round(Number(durationS)) <= 2));
    assert.equal((await rig.get(`${rig.folder}/segment-v${gaps[0]![2]}.m4s`)).status, 404);
    const last = [...videoStarts.keys()].at(-1)!;
    assert.ok(Number(last) > 5);
    assert.ok(Math.abs(videoStarts.get(last)! - audioStarts.get(last)!) < 60, `${video}\n${audio}`);
  });

  test('rungs stand behind the main video; one that is shed leaves, and comes back with its numbers going on', async () => {
    const units = testMedia(40);
    const track = testVideoTrack({ widthPx: 320, heightPx: 180 });
    let isMade = true;
    const pushUntil = (untilMs: number): void => {
      while ((units[0]?.arrivedAtMs ?? Number.POSITIVE_INFINITY) < untilMs) {
        const unit = units.shift()!;
        rig.push([unit]);
        if (unit.track.kind === 'video' && isMade) {
          rig.broadcast.addRendition('h180').push({ ...unit, track });
        }
      }
    };
    rig.broadcast.addRendition('h180');
    pushUntil(9_000);
    const index = textOf(await rig.get('/hls/demo/index.m3u8'));
    assert.deepEqual(index.match(/RESOLUTION=\d+x\d+/g), ['RESOLUTION=640x360', 'RESOLUTION=320x180']);
    const rewound = textOf(await rig.get('/hls/demo/index.m3u8?dvr=1'));
    assert.deepEqual(rewound.match(/RESOLUTION=\d+x\d+/g), ['RESOLUTION=640x360']);
    const before = await rig.text('h180.m3u8');
    assert.match(before, /RENDITION-REPORT:URI="video\.m3u8"[^]*RENDITION-REPORT:URI="audio\.m3u8"/);
    const part = await rig.get(`${rig.folder}/part-h180-0.m4s`);
    assert.deepEqual([part.status, part.headers['content-type']], [200, 'video/mp4']);

    isMade = false;
    rig.broadcast.removeRendition('h180', 'shed');
    pushUntil(15_000);
    assert.equal((await rig.get(`${rig.folder}/h180.m3u8`)).status, 404);
    assert.doesNotMatch(textOf(await rig.get('/hls/demo/index.m3u8')), /320x180/);

    isMade = true;
    pushUntil(23_000);
    const after = await rig.text('h180.m3u8');
    assert.match(after, /#EXT-X-GAP/);
    const numbersOf = (text: string): number[] =>
      [...text.matchAll(/part-h180-(\d+)/g)].map(([, number]) => Number(number));
    assert.ok(Math.min(...numbersOf(after)) > Math.max(...numbersOf(before)), 'a URL meant two things');
    const main = await rig.text('video.m3u8');
    const datesOf = (text: string): string[] => [...text.matchAll(/DATE-TIME:(\S+)/g)].map(([, date]) => date!);
    const recent = datesOf(after).slice(-3);
    assert.ok(recent.length === 3 && recent.every((date) => datesOf(main).includes(date)), `${after}\n${main}`);
  });

  test('an AV1 rung stands behind all H.264, below it in SCORE, and its files are served; without one nothing has a SCORE', async () => {
    const units = testMedia(20);
    const pushUntil = (untilMs: number, made: readonly string[]): void => {
      while ((units[0]?.arrivedAtMs ?? Number.POSITIVE_INFINITY) < untilMs) {
        const unit = units.shift()!;
        rig.push([unit]);
        for (const id of unit.track.kind === 'video' ? made : []) {
          const h264 = testVideoTrack({ widthPx: 320, heightPx: 180 });
          const track = { ...h264, codec: 'av1', codecString: 'av01.0.00M.08', decoderConfig: AV1_CONFIG } as const;
          rig.broadcast.addRendition(id).push({ ...unit, track: id.startsWith('av1') ? track : h264 });
        }
      }
    };
    rig.broadcast.addRendition('h180');
    pushUntil(9_000, ['h180']);
    assert.doesNotMatch(textOf(await rig.get('/hls/demo/index.m3u8')), /SCORE/);
    pushUntil(18_000, ['av1h180', 'h180']);
    const index = textOf(await rig.get('/hls/demo/index.m3u8'));
    const variants = [...index.matchAll(/CODECS="(\w{4})[^\n]*SCORE=([\d.]+)\n[^\n]*\/(\w+)\.m3u8/g)].map((found) =>
      found.slice(1),
    );
    assert.deepEqual(variants, [
      ['avc1', '2.0', 'video'],
      ['avc1', '2.0', 'h180'],
      ['av01', '1.0', 'av1h180'],
    ]);
    const playlist = await rig.text('av1h180.m3u8');
    const [init] = /init-av1h180-\d+\.mp4/.exec(playlist)!;
    const answer = await rig.get(`${rig.folder}/${init}`);
    assert.equal(answer.status, 200);
    assert.match(Buffer.from(answer.body as Uint8Array).toString('latin1'), /av01[^]*av1C\x81/);
    const rewound = textOf(await rig.get('/hls/demo/index.m3u8?dvr=1'));
    assert.doesNotMatch(rewound, /av01|SCORE/, 'what is not kept cannot be rewound');
  });
});
