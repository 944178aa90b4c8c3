// The registry beside those of other threads: sums, each value read once a scrape, and what the dead had counted.
import assert from 'node:assert/strict';
import test from 'node:test';
import { Metrics, countedBy } from '../../../server/observability/metrics.ts';

const counted = (count: number): Metrics => {
  const metrics = new Metrics({ collectDefaults: false });
  metrics.counter('out_total', 'h', ['way']).inc({ way: 'udp' }, count);
  metrics.histogram('late_seconds', 'h', { buckets: [0.1, 1] }).observe(count);
  metrics.gauge('open', 'h').set(count);
  return metrics;
};

test('counters, histograms and gauges of other threads are added; what only this one has stays as it is', async () => {
  const metrics = counted(1);
  metrics.gauge('alone', 'h').set(7);
  metrics.addSource(async () => [await counted(2).snapshot()]);
  metrics.addSource(async () => [await counted(0.05).snapshot(), []]);
  const text = await metrics.render();
  assert.match(text, /^out_total\{way="udp"\} 3\.05$/mu);
  assert.match(text, /^late_seconds_bucket\{le="0\.1"\} 1$/mu);
  assert.match(text, /^late_seconds_bucket\{le="1"\} 2$/mu);
  assert.match(text, /^late_seconds_count 3$/mu);
  assert.match(text, /^open 3\.05$/mu);
  assert.match(text, /^alone 7$/mu);
});

test('with another thread beside it, each value is read once a scrape, and no metric of the process is lost', async () => {
  const names = (text: string): string[] =>
    [...text.matchAll(/^# TYPE (\S+)/gmu)].map(([, name = '']) => name).toSorted();
  const metrics = new Metrics({ collectDefaults: true });
  let readCount = 0;
  metrics.observedGauge('read', 'h', () => (readCount += 1));
  const alone = names(await metrics.render());
  metrics.addSource(async () => [await counted(1).snapshot()]);
  const text = await metrics.render();
  assert.equal(readCount, 2);
  assert.match(text, /^read 2$/mu);
  assert.deepEqual(names(text), [...alone, 'late_seconds', 'open', 'out_total'].toSorted());
  assert.match(text, /^process_start_time_seconds \d/mu);
});

test('of threads that have ended, what they counted is kept, not what they measured', async () => {
  const kept = await countedBy([await counted(1).snapshot(), await counted(2).snapshot(), []]);
  const metrics = counted(4);
  metrics.addSource(async () => [await countedBy([kept, []])]);
  const text = await metrics.render();
  assert.match(text, /^out_total\{way="udp"\} 7$/mu);
  assert.match(text, /^late_seconds_count 3$/mu);
  assert.match(text, /^open 4$/mu);
});
