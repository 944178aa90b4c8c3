/** Which encoder is chosen when tries succeed, fail and hang, and what becomes of it when it fails at work. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Log } from '../../../server/observability/log.ts';
import type { EncoderWish, TryEncoder } from '../../../transcode/encoder-finder.ts';
import { EncoderFinder } from '../../../transcode/encoder-finder.ts';

type Scene = { readonly finder: EncoderFinder; readonly tried: string[]; readonly lines: string[] };

const scene = (wish: EncoderWish, tryEncoder: TryEncoder, platform: NodeJS.Platform = 'linux'): Scene => {
  const tried: string[] = [];
  const lines: string[] = [];
  const note =
    (level: string) =>
    (event: string): void => {
      lines.push(`${level} ${event}`);
    };
  const log: Log = {
    debug: note('debug'),
    info: note('info'),
    warn: note('warn'),
    error: note('error'),
    child: () => log,
  };
  const finder = new EncoderFinder({
    wish,
    platform,
    log,
    tryMaxMs: 20,
    tryEncoder: async (encoder) => {
      tried.push(encoder);
      return tryEncoder(encoder);
    },
  });
  return { finder, tried, lines };
};

test('auto takes the first whose test encode succeeds, and tries no further', async () => {
  const { finder, tried, lines } = scene('auto', async (encoder) => (encoder === 'qsv' ? undefined : 'no such device'));
  assert.equal(finder.status.name, 'software', 'until something was found');
  await finder.find();
  assert.deepEqual(finder.status, { name: 'qsv', why: 'a test encode succeeded' });
  assert.deepEqual(tried, ['nvenc', 'qsv']);
  assert.deepEqual(lines, ['info transcode.encoder.chosen']);
});

test('with none that works software it is, with every reason in one sentence', async () => {
  const { finder, lines } = scene('auto', async (encoder) => {
    if (encoder === 'vaapi') {
      throw new Error('no render node');
    }
    return `no ${encoder} here`;
  });
  await finder.find();
  assert.equal(finder.status.name, 'software');
  assert.equal(
    finder.status.why,
    'no hardware encoder works here (nvenc: no nvenc here; qsv: no qsv here; vaapi: no render node)',
  );
  assert.deepEqual(lines, ['info transcode.encoder.chosen']);
});

test('one that hangs is given up after its time, and the next is tried', async () => {
  const { finder, tried } = scene('auto', async (encoder) =>
    encoder === 'nvenc' ? new Promise<undefined>(() => undefined) : undefined,
  );
  await finder.find();
  assert.equal(finder.status.name, 'qsv');
  assert.deepEqual(tried, ['nvenc', 'qsv']);
  const alone = scene('nvenc', async () => new Promise<undefined>(() => undefined));
  await alone.finder.find();
  assert.match(alone.finder.status.why, /nvenc: made nothing within 20 ms/);
  assert.deepEqual(alone.lines, ['warn transcode.encoder.chosen'], 'who asked for it by name is warned');
});

test('each platform has its own; one named is tried alone; software tries nothing', async () => {
  const succeed: TryEncoder = async () => Promise.resolve(undefined);
  for (const [wish, platform, expected] of [
    ['auto', 'darwin', ['videotoolbox']],
    ['auto', 'win32', ['nvenc']],
    ['vaapi', 'linux', ['vaapi']],
    ['software', 'linux', []],
  ] as const) {
    const { finder, tried } = scene(wish, succeed, platform);
    await finder.find();
    assert.deepEqual(tried, expected);
    assert.equal(finder.status.name, expected[0] ?? 'software');
  }
});

test('failing three times within a minute at work, it gives way to software; now and then it may fail', async () => {
  const { finder } = scene('auto', async () => Promise.resolve(undefined));
  await finder.find();
  for (const nowMs of [0, 50_000, 100_000, 150_000]) {
    finder.noteFailure(nowMs);
    assert.equal(finder.status.name, 'nvenc');
  }
  finder.noteFailure(155_000);
  assert.deepEqual(finder.status, { name: 'software', why: 'nvenc failed 3 times within a minute' });
});
