/** Captured links on the disk, and the way back into the search. */
import assert from 'node:assert/strict';
import { readFile, readdir, rm, utimes } from 'node:fs/promises';
import path from 'node:path';
import { test } from 'node:test';
import type { LinkTrace } from '../../../server/congestion/link-capture.ts';
import type { LinkCaptureOptions } from '../../../server/learning/link-captures.ts';
import { LINK_CAPTURE_DEFAULTS, LinkCaptures } from '../../../server/learning/link-captures.ts';
import { silentLog } from '../../../server/observability/log.ts';
import { loadCaptured, parseCaptured } from '../../learn/captured.ts';
import { tempFolder } from '../../support/temp-folder.ts';

const CLOCK = { nowMs: () => 0, wallMs: () => Date.UTC(2026, 10, 26, 13, 14, 15) };

/** Every fourth half second is measured, at 2 Mbit/s; between, the pictures take 0.5. */
const traceOf = (rowCount: number): LinkTrace => ({
  rttMs: 42,
  rows: Array.from({ length: rowCount }, (_, index) => ({
    atMs: 500 * index,
    rateBps: index % 4 === 0 ? 2_000_000 : 500_000,
    isCensored: index % 4 !== 0,
    lossRatio: index % 2 === 0 ? 0.01 : 0,
  })),
});

const within = async (
  options: Partial<LinkCaptureOptions>,
  run: (captures: LinkCaptures, folder: string) => Promise<void>,
): Promise<void> => {
  const parent = tempFolder('links');
  const folder = path.join(parent, 'links');
  try {
    const settings = { ...LINK_CAPTURE_DEFAULTS, folder, sessionRatio: 1, ...options };
    await run(new LinkCaptures(settings, { clock: CLOCK, log: silentLog }), folder);
  } finally {
    await rm(parent, { recursive: true });
  }
};

test('a session becomes a file that tells the day and nothing else of whose it was, and the search can read it', async () => {
  await within({}, async (captures, folder) => {
    captures.open()!.onTrace(traceOf(120));
    captures.open()!.onTrace(traceOf(59));
    await captures.settled();
    const names = await readdir(folder);
    assert.equal(names.length, 1, 'what is shorter than half a minute is not kept');
    assert.match(names[0]!, /^link-2026-11-26-[\da-f]{16}\.csv$/);
    const lines = (await readFile(path.join(folder, names[0]!), 'utf8')).trim().split('\n');
    assert.deepEqual(lines.slice(0, 3), [
      'time_ms,kbit_per_s,is_at_least,loss_ratio,rtt_ms',
      '0,2000.0,0,0.0100,42',
      '500,500.0,1,0.0000,42',
    ]);
    const { traces, leftOut } = await loadCaptured(folder, ['search', 'validation', 'test-a', 'test-b']);
    assert.deepEqual(leftOut, []);
    assert.ok(
      traces[0]!.steps.every(({ rateBps }) => rateBps === 2_000_000),
      'between measurements the link is what it was next to them',
    );
    assert.equal(traces[0]!.measured!.rttMs, 42);
    assert.ok(Math.abs(traces[0]!.measured!.lossRatio - 0.005) < 1e-9);
  });
});

test('only some sessions are captured, few at once, and none without a folder', async () => {
  await within({ sessionMaxCount: 2 }, async (captures) => {
    const [first, second] = [captures.open(), captures.open()];
    assert.ok(first !== undefined && second !== undefined);
    assert.equal(captures.open(), undefined);
    first.onTrace(traceOf(1));
    assert.notEqual(captures.open(), undefined, 'one that has ended makes room');
  });
  const parts = { clock: CLOCK, log: silentLog, random: () => 0.1 };
  const opened = (options: Partial<LinkCaptureOptions>) =>
    new LinkCaptures({ ...LINK_CAPTURE_DEFAULTS, folder: '/nowhere', ...options }, parts).open();
  assert.equal(opened({ sessionRatio: 0.1 }), undefined);
  assert.notEqual(opened({ sessionRatio: 0.11 }), undefined);
  assert.equal(opened({ sessionRatio: 1, folder: '' }), undefined);
});

test('the oldest go when there is no more room', async () => {
  await within({ totalMaxBytes: 65_536 }, async (captures, folder) => {
    captures.open()!.onTrace(traceOf(1_000));
    await captures.settled();
    const [oldest] = await readdir(folder);
    await utimes(path.join(folder, oldest!), 1, 1);
    for (let count = 0; count < 3; count += 1) {
      captures.open()!.onTrace(traceOf(1_000));
    }
    await captures.settled();
    const names = await readdir(folder);
    assert.ok(names.length >= 2 && names.length < 4, `${names.length} files`);
    assert.ok(!names.includes(oldest!));
  });
});

test('a file that is not one, or shows too little, is left out and said', () => {
  const header = 'time_ms,kbit_per_s,is_at_least,loss_ratio,rtt_ms';
  const rows = (isAtLeast: number) => Array.from({ length: 80 }, (_, index) => `${500 * index},900,${isAtLeast},0,40`);
  const parse = (lines: readonly string[]) => () => parseCaptured(lines.join('\n'), 'link', 'search');
  assert.throws(parse(['time_ms,kbit_per_s', '0,1']), /expected the columns/);
  assert.throws(parse([header, '0,1,0,0,-1']), /five numbers a line/);
  assert.throws(parse([header, '0,1,0,zero,1']), /five numbers a line/);
  assert.throws(parse([header, ...rows(1)]), /80 steps of which 0 % are measured/);
  assert.throws(parse([header, ...rows(0).slice(0, 59)]), /59 steps/);
  assert.throws(parse([header, ...rows(0).toReversed()]), /time does not grow/);
  assert.equal(parse([header, ...rows(0)])().meanBps, 900_000);
});
