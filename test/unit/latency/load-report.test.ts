/** What is asked of the load, and what it says. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { DelayHistogram } from '../../support/delay-histogram.ts';
import type { WorkerTally } from '../../latency/load/load-messages.ts';
import { readLoadOptions } from '../../latency/load/load-options.ts';
import { buildReport, toText, type LoadFacts } from '../../latency/load/load-report.ts';

test('quantiles of added histograms are within half a percent of the delays', () => {
  const even = new DelayHistogram();
  const odd = new DelayHistogram();
  for (let delayMs = 1; delayMs <= 1_000; delayMs += 1) {
    (delayMs % 2 === 0 ? even : odd).add(delayMs);
  }
  const all = new DelayHistogram(JSON.parse(JSON.stringify(even.buckets)) as number[]);
  all.addAll(odd.buckets);
  assert.equal(all.count, 1_000);
  for (const ratio of [0.5, 0.95, 0.99]) {
    assert.ok(Math.abs(all.quantile(ratio) / (1_000 * ratio) - 1) < 0.006);
  }
  assert.ok(Math.abs(all.countAbove(100) - 900) <= 2);
});

test('a histogram of nothing has no quantiles, and no delay is too small or too long for one', () => {
  assert.ok(Number.isNaN(new DelayHistogram().quantiles().p50));
  const histogram = new DelayHistogram();
  [-1, 0, 1e12].forEach((delayMs) => histogram.add(delayMs));
  assert.equal(histogram.quantile(0.5), 0);
  assert.ok(histogram.quantiles().max > 3_600_000);
});

test('arguments are read, with what holds when they are left out', () => {
  const options = readLoadOptions(['--viewers', '50', '--whep', 'http://h:1/whep/x', '--storm']);
  assert.deepEqual(options.target, { kind: 'whep', url: 'http://h:1/whep/x' });
  assert.equal(options.joinsPerS, Number.POSITIVE_INFINITY);
  assert.equal(options.durationS, 30);
  assert.equal(readLoadOptions(['--viewers', '2', '--hls', 'http://h/x.m3u8']).target.kind, 'hls');
  const more = ['--loss', '0.01', '--cpus', '1,4-6', '--server-name', 'srs'];
  const lossy = readLoadOptions(['--viewers', '2', '--whep', 'http://h/x', ...more]);
  assert.deepEqual([lossy.target.lossRatio, lossy.cpus, lossy.serverName], [0.01, '1,4-6', 'srs']);
});

for (const [args, expected] of [
  [['--whep', 'http://h/'], /--viewers N is missing/],
  [['--viewers', '0', '--whep', 'http://h/'], /--viewers is "0"; a whole number from 1/],
  [['--viewers', '2'], /one of --whep URL and --hls URL/],
  [['--viewers', '2', '--whep', 'http://h/', '--hls', 'http://h/'], /one of/],
  [['--viewers', '2', '--whep', 'rtmp://h/live'], /no http or https URL/],
  [['--viewers', '2', '--whep', 'http://h/', '--storm', '--ramp', '5'], /exclude each other/],
  [['--viewers', '2', '--whep', 'http://h/', '--vanish', '2'], /--vanish is "2"; a number from 0 to 1/],
  [['--viewers', '2', '--whep', 'http://h/', '--loss', '0.6'], /--loss is "0.6"; a number from 0 to 0.5/],
  [['--viewers', '2', '--whep', 'http://h/', '--cpus', 'all'], /--cpus is "all"; cores as in/],
  [['--viewers', '2', '--whep', 'http://h/', '--nonsense'], /nonsense/],
] as const) {
  test(`arguments ${args.join(' ')} are refused by name`, () => {
    assert.throws(() => readLoadOptions(args), expected);
  });
}

const tally = (self: Partial<WorkerTally['self']> = {}): WorkerTally => ({
  stages: { DTLS: new DelayHistogram([0, 0, 4]).buckets },
  counts: { packetCount: 4_000, byteCount: 4_000_000, lostCount: 1 },
  delays: { frame: new DelayHistogram([10]).buckets },
  self: {
    ...{ windowMs: 10_000, cpuMs: 2_000, joiningCpuMs: 50, joiningLoopDelayMs: 3, loopDelayMs: 4, socketDropCount: 0 },
    ...self,
  },
});

const facts = (over: Partial<LoadFacts> = {}): LoadFacts => ({
  ...{
    target: { kind: 'whep', url: 'http://h/whep/x', bearer: 'secret-token' },
    startedAtWallMs: 0,
    durationMs: 10_000,
  },
  ...{ isCutShort: false, wantedCount: 12, viewerCount: 10, joinedCount: 10, leftCount: 0, endedEarly: {} },
  failures: { ICE_TIMEOUT: { count: 2, example: 'no answer' } },
  tallies: [tally(), tally()],
  server: { pid: 1, idleCpuMsPerS: 20, cpuMsPerS: 60, waitMsPerS: 40, idleRssBytes: 100e6, rssBytes: 104e6 },
  ...over,
});

test('sums over processes, and shares the server above idle among viewers and packets', () => {
  const report = buildReport(facts());
  assert.equal(report.counts['packetCount'], 8_000);
  assert.equal(report.bitrateBps, 6_400_000);
  assert.equal(report.failedCount, 2);
  assert.equal(report.server?.cpuMsPerSPerViewer, 4);
  assert.equal(report.server?.cpuUsPerPacket, 50);
  assert.equal(report.server?.rssBytesPerViewer, 400_000);
  assert.deepEqual(report.load.complaints, []);
});

test('a load that was late, busy or dropped datagrams itself says so plainly', () => {
  const report = buildReport(
    facts({ tallies: [tally(), tally({ loopDelayMs: 80, cpuMs: 9_900, socketDropCount: 7 })] }),
  );
  const text = toText(report);
  assert.match(text, /! the load itself was late .*: numbers of delay mean nothing/);
  assert.match(text, /! a process of the load had no CPU left \(99 % of a core\)/);
  assert.match(text, /! the load's own sockets dropped 7 datagrams/);
});

test('viewers refused for their number are told apart: the cap of one address was measured', () => {
  const failures = { ANSWER_429: { count: 83, example: 'too many requests' } };
  assert.match(toText(buildReport(facts({ failures }))), /! the server refused viewers for their number \(429\)/);
});

test('the text names failures and their number, and no secret', () => {
  const text = toText(buildReport(facts()));
  assert.match(text, /ICE_TIMEOUT +2: no answer/);
  assert.match(text, /50\.0 µs a packet/);
  assert.ok(!JSON.stringify(buildReport(facts())).includes('secret-token'));
  assert.ok(!text.includes('secret-token'));
});
