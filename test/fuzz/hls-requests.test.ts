/** Any request gets an answer with a status below 500 (or the documented 503), and none leaves anything waiting for ever. */
import assert from 'node:assert/strict';
import { mock, test } from 'node:test';
import { ManualClock } from '../../server/base/clock.ts';
import { Prng } from '../../server/base/prng.ts';
import type { AccessUnit } from '../../server/media/access-unit.ts';
import { createTestBroadcast, createTestHls } from '../support/hls-host.ts';
import { interleave, syntheticAudio, syntheticVideo } from '../support/synthetic-media.ts';

const REQUEST_COUNT = process.env['SLUICE_SIZE'] === 'soak' ? 100_000 : 3_000;
const NUMBERS = [
  '0',
  '1',
  '2',
  '3',
  '4',
  '5',
  '6',
  '-1',
  '1e9',
  '0x10',
  '',
  ' 1',
  '99999999999999999999',
  'NaN',
  '٣',
  '3.0',
];
const FILES = [
  'video.m3u8',
  'audio.m3u8',
  'index.m3u8',
  'part-v',
  'part-a',
  'segment-v',
  'init-a',
  '..',
  '%2e%2e',
  '',
  'x',
];

test('wrong directives, paths and headers are answered, and nothing waits for ever', async () => {
  mock.timers.enable({ apis: ['setTimeout'] });
  const clock = new ManualClock();
  const { server, metrics } = createTestHls({ clock });
  const broadcast = createTestBroadcast(clock);
  server.attach(broadcast);
  const feed = broadcast.attachPublisher({ keyed: true, remoteAddress: '::1', close: () => undefined });
  const video = syntheticVideo({ frameRateFps: 30, durationS: 7, gopFrames: 30 });
  for (const unit of interleave<AccessUnit>(video, syntheticAudio({ durationS: 7 }))) {
    feed.push(unit);
  }
  const prng = new Prng(20_261_122);
  const pick = <T>(values: readonly T[]): T => values[prng.nextIndex(values.length)]!;
  const randomQuery = (): URLSearchParams => {
    const query = new URLSearchParams();
    for (let count = prng.nextIndex(4); count > 0; count -= 1) {
      query.append(pick(['_HLS_msn', '_HLS_part', '_HLS_skip', '_HLS_x']), pick([...NUMBERS, 'YES', 'v2']));
    }
    return query;
  };
  const folder = broadcast.id.slice(0, 16);
  const statuses = new Set<number>();
  for (let index = 0; index < REQUEST_COUNT; index += 1) {
    const file = `${pick(FILES)}${prng.nextIndex(2) === 0 ? '' : `${pick(NUMBERS)}${pick(['.m4s', '.mp4', ''])}`}`;
    const answer = server.endpoint({
      method: pick(['GET', 'GET', 'GET', 'HEAD', 'OPTIONS', 'DELETE', 'get']),
      path: pick([
        `/hls/demo/${folder}/video.m3u8`,
        `/hls/demo/${folder}/${file}`,
        `/hls/demo/${file}`,
        `/hls/${file}/${folder}/x`,
        `/${file}`,
      ]),
      query: randomQuery(),
      headers: {
        'accept-encoding': pick(['gzip', 'gzip;q=0', '*;q=', undefined]),
        'if-none-match': pick(['*', '""', undefined]),
      },
      body: prng.nextBytes(prng.nextIndex(20)),
      remoteAddress: pick(['', '::1', 'x'.repeat(1_000)]),
      signal: new AbortController().signal,
    });
    const ended = Promise.resolve(answer).then(({ status }) => {
      statuses.add(status);
      assert.ok(status < 500 || status === 503, `status ${status}`);
    });
    await new Promise((resolve) => setImmediate(resolve));
    mock.timers.tick(index % 50 === 0 ? 6_001 : 0);
    if (index % 50 === 0) {
      await ended;
    }
  }
  mock.timers.tick(6_001);
  await new Promise((resolve) => setImmediate(resolve));
  assert.match(await metrics.render(), /^hls_blocked_requests 0$/m);
  assert.ok(
    [200, 400, 404, 405, 503].every((status) => statuses.has(status)),
    [...statuses].join(' '),
  );
  server.close();
  mock.timers.reset();
});
