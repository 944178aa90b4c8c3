// The host's page without a page: what is pasted as a key, what is entered in OBS, curves, words.
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import type { HealthHistory } from '../../../../server/api/contract/studio.ts';
import { adviceOf, CHINESE_ADVICE } from '../../../../player/pages/studio/findings.ts';
import {
  columnOf,
  healthPlots,
  joinPoints,
  newestWords,
  spanOf,
} from '../../../../player/pages/studio/health-history.ts';
import { readKeyText } from '../../../../player/pages/studio/key-text.ts';
import { outputRows, streamRows, whipRows } from '../../../../player/pages/studio/obs-settings.ts';
import { CHINESE, ENGLISH, fill, languageOf, textsOf } from '../../../../player/pages/studio/texts.ts';
import { ROOT } from '../../../tidy/source-files.ts';

test('the line for OBS is a key, the address before it and the secret alone too', () => {
  const whole = { name: 'main', secret: 'S3cr-et_' };
  assert.deepEqual(readKeyText('main?key=S3cr-et_'), whole);
  assert.deepEqual(readKeyText('  Stream key:  main?key=S3cr-et_\n'), whole);
  assert.deepEqual(readKeyText('rtmp://host:1935/live/main?key=S3cr-et_'), whole);
  assert.deepEqual(readKeyText(' S3cr-et_ '), { name: null, secret: 'S3cr-et_' });
  assert.deepEqual(readKeyText('Admin key:   abc'), { name: null, secret: 'abc' });
  assert.equal(readKeyText('  '), null);
});

test('OBS is told the host as the page was reached, and a secret is never shown unasked', () => {
  const place = {
    url: new URL('http://[::1]:8080/studio/main'),
    facts: { name: 'main', rtmpPort: 1936 },
    streamKey: 'main?key=abc',
  };
  const rows = streamRows(place, ENGLISH);
  assert.equal(rows.find(({ label }) => label === 'Server')?.value, 'rtmp://[::1]:1936/live');
  const key = rows.find(({ label }) => label === 'Stream key');
  assert.equal(key?.value, 'main?key=abc');
  assert.ok(key.canCopy && key.hidden !== undefined && !key.hidden.includes('abc'));
  const unknown = streamRows({ ...place, streamKey: null }, ENGLISH).find(({ label }) => label === 'Stream key');
  assert.deepEqual([unknown?.value, unknown?.canCopy], ['main?key=SECRET', false]);
  const whip = whipRows(place, ENGLISH);
  assert.equal(whip.find(({ label }) => label === ENGLISH.whipServer)?.value, 'http://[::1]:8080/whip/main');
  const token = whip.find(({ label }) => label === ENGLISH.whipToken);
  assert.deepEqual([token?.value, token?.hidden?.includes('abc')], ['abc', false]);
  assert.match(JSON.stringify(outputRows(ENGLISH)), /zerolatency/);
});

const EVERY_MS = 2_000;

const historyOf = (atWallMs: readonly number[], viewerCount: readonly (number | null)[]): HealthHistory => {
  const none = atWallMs.map(() => null);
  return {
    ...{ atWallMs, viewerCount, bitrateBps: none, frameRateFps: none, keyframeIntervalMs: none, missingCount: none },
    ...{ lateCount: none, latencyMedianMs: none, latencyP95Ms: none, stallRatio: viewerCount.map(() => 0.25) },
  };
};

test('points are joined as they come, and a pause stays empty', () => {
  const first = joinPoints([], historyOf([1_000, 3_010], [1, 2]));
  const points = joinPoints(first, historyOf([11_000], [3]));
  assert.deepEqual(columnOf(points, 'viewerCount', { spanMs: 14_000, everyMs: EVERY_MS }), [
    ...[null, 1, 2, null, null, null, 3],
  ]);
  assert.equal(spanOf(points), 120_000);
});

test('what is older than a quarter of an hour goes, a young broadcast fills its curves', () => {
  const minutes = [0, 4, 10, 20];
  const spans = minutes.map((minute) => spanOf(joinPoints([], historyOf([1, 1 + minute * 60_000], [0, 0]))));
  assert.deepEqual(spans, [120_000, 300_000, 900_000, 120_000]);
  const kept = joinPoints([], historyOf([0, 120_000, 900_000], [1, 2, 3]));
  assert.deepEqual(
    kept.map(([, { viewerCount }]) => viewerCount),
    [2, 3],
  );
});

test('each curve ends with a word of what is now', () => {
  const points = joinPoints([], historyOf([1_000], [12]));
  const plots = healthPlots(points, { spanMs: 120_000, everyMs: EVERY_MS, texts: ENGLISH });
  const words = Object.fromEntries(plots.map((plot) => [plot.title, newestWords(plot)]));
  assert.equal(words[ENGLISH.viewersOverTime], '12');
  assert.equal(words[ENGLISH.stalls], '25 %');
  assert.equal(words[ENGLISH.latency], '');
});

test('both languages have the same places to fill in', () => {
  const placesOf = (text: string): string[] => (text.match(/\{\w+\}/g) ?? []).toSorted();
  for (const [key, english] of Object.entries(ENGLISH)) {
    const chinese = CHINESE[key as keyof typeof ENGLISH];
    assert.deepEqual(placesOf(chinese), placesOf(english), key);
    assert.notEqual(chinese, '', key);
  }
  assert.equal(fill('{a} of {b}', { a: 1 }), '1 of {b}');
});

test('the browser says which language', () => {
  assert.equal(languageOf(['de', 'zh-CN', 'en']), 'zh-Hans');
  assert.equal(languageOf(['en-GB', 'zh']), 'en');
  assert.equal(languageOf([]), 'en');
  assert.equal(textsOf('zh-Hans').live, CHINESE.live);
});

test('whatever the doctor finds is said in Chinese too', () => {
  const sources = [
    'server/broadcast-health.ts',
    'server/ingest/diagnosis.ts',
    'server/ingest/rtmp/refusals.ts',
    'server/ingest/whip/uplink-loss.ts',
  ];
  const text = sources.map((path) => readFileSync(join(ROOT, path), 'utf8')).join();
  const codes = [...text.matchAll(/code: '([A-Z_]+)'/g)].map(([, code = '']) => code);
  assert.ok(codes.length > 10);
  assert.deepEqual(codes.toSorted(), Object.keys(CHINESE_ADVICE).toSorted());
  const finding = { code: 'OF_TOMORROW', severity: 'info', advice: 'Do this.', costMs: null } as const;
  assert.equal(adviceOf(finding, 'zh-Hans'), 'Do this.');
});

test('each place of the page has a text, and each text a place', () => {
  const folder = join(ROOT, 'player/pages/studio');
  const sources = readdirSync(folder)
    .filter((name) => name !== 'texts.ts')
    .map((name) => join(folder, name));
  const html = readFileSync(join(ROOT, 'player/studio.html'), 'utf8');
  const code = [...sources, join(ROOT, 'player/pages/studio.ts')].map((path) => readFileSync(path, 'utf8')).join('\n');
  const places = [...html.matchAll(/data-text="(\w+)"/g)].map(([, key = '']) => key);
  assert.deepEqual(
    places.filter((key) => !Object.hasOwn(ENGLISH, key)),
    [],
  );
  // States are looked up by the server's word for them.
  const states = ['absent', 'waiting', 'live', 'reconnecting', 'ended'];
  const used = new Set([...places, ...states, ...[...code.matchAll(/(?:texts\.|')(\w+)/g)].map(([, key = '']) => key)]);
  assert.deepEqual(
    Object.keys(ENGLISH).filter((key) => !used.has(key)),
    [],
  );
});
