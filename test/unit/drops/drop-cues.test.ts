// Drops that follow their cues: armed, open with the picture or at the clock's instant, over when the cue is; never sold twice by an edit or a restart.
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, mock, test } from 'node:test';
import type { CueContent } from '../../../server/api/contract/cues-host.ts';
import type { CuesView } from '../../../server/api/views.ts';
import type { ManualClock } from '../../../server/base/clock.ts';
import { joinDrops } from '../../../server/drop-cues.ts';
import { Drops } from '../../../server/drops/drops.ts';
import type { DropsOptions } from '../../../server/drops/options.ts';
import { DROPS_DEFAULTS } from '../../../server/drops/options.ts';
import type { SourceUnit } from '../../../server/media/access-unit.ts';
import type { PublisherFeed } from '../../../server/media/stream-source.ts';
import { silentLog } from '../../../server/observability/log.ts';
import { Metrics } from '../../../server/observability/metrics.ts';
import type { CueStage } from '../../support/cue-stage.ts';
import { CUE_TEST_OPTIONS, closeCueStage, openCueStage } from '../../support/cue-stage.ts';
import { testMedia } from '../../support/hls-rig.ts';

const REF = { broadcast: 'demo', id: 'shoes' };
const product = (over: Partial<CueContent> = {}): CueContent => ({
  ...{ id: REF.id, mode: 'media', kind: 'product', title: 'shoes', durationMs: null, stock: 2 },
  ...over,
});
const between = (units: readonly SourceUnit[], fromMs: number, untilMs: number): readonly SourceUnit[] =>
  units.filter(({ arrivedAtMs }) => arrivedAtMs >= fromMs && arrivedAtMs < untilMs);

let stage: CueStage;
let drops: Drops;
let cues: CuesView;
let feed: PublisherFeed;
const units = testMedia(30);

const load = async (options: Partial<DropsOptions> = {}): Promise<void> => {
  drops = await Drops.load(
    { ...DROPS_DEFAULTS, ...options },
    {
      folder: join(stage.folder, 'drops'),
      keyPath: join(stage.folder, 'drop-key.json'),
      shopKeysPath: join(stage.folder, 'shop-keys.json'),
      ...{ clock: stage.clock, log: silentLog, metrics: new Metrics({ collectDefaults: false }) },
    },
  );
  cues = joinDrops(stage.desk, drops);
};

const claim = async (player: string): Promise<string> => {
  const outcome = await drops.claim({ ...REF, token: undefined, player, address: '192.0.2.1' });
  return outcome.ok ? `ticket ${outcome.ticket.number}` : outcome.code;
};

/** Until the media has come to 8 s. */
const begin = async (): Promise<void> => {
  await load();
  ({ feed } = stage.publish());
  stage.push(feed, between(units, 0, 8_000));
};

describe('drops follow their cues', () => {
  beforeEach(async () => {
    mock.timers.enable({ apis: ['setTimeout'] });
    stage = await openCueStage();
    await begin();
  });

  afterEach(async () => {
    await drops.stop();
    await closeCueStage(stage);
    mock.timers.reset();
  });

  test('media mode: open when the picture comes, not before; early ones are told how long', async () => {
    await cues.create('demo', product(), { at: { countdownMs: 4_000 } });
    const early = await drops.claim({ ...REF, token: undefined, player: 'a', address: '192.0.2.1' });
    assert.ok(!early.ok && early.code === 'DROP_NOT_OPEN');
    assert.ok(Math.abs((early.retryAfterMs ?? 0) - 4_000) < 400, `${early.retryAfterMs} ms`);
    stage.push(feed, between(units, 8_000, 12_100));
    assert.equal(await claim('a'), 'DROP_NOT_OPEN');
    stage.push(feed, between(units, 12_100, 12_400));
    assert.equal(await claim('a'), 'ticket 1');
  });

  test('clock mode: open at the instant that all are shown, so much later than the picture', async () => {
    await cues.create('demo', product({ mode: 'clock' }), { at: { countdownMs: 1_000 } });
    stage.push(feed, between(units, 8_000, 9_400));
    assert.equal(stage.news.at(-1)?.event.type, 'fired');
    assert.equal(await claim('a'), 'DROP_NOT_OPEN');
    stage.push(feed, between(units, 9_400, 9_400 + CUE_TEST_OPTIONS.clockLeadMs));
    assert.equal(await claim('a'), 'ticket 1');
  });

  test('a cue that is held back by its picture holds its drop back, whatever the clock says', async () => {
    await cues.create('demo', product({ mode: 'clock' }), { at: { countdownMs: 1_000 } });
    stage.push(feed, between(units, 20_000, 20_001));
    assert.equal(await claim('a'), 'DROP_NOT_OPEN');
  });

  test('withdrawn it is over; made again under the same id it begins anew', async () => {
    await cues.create('demo', product(), { at: 'now' });
    stage.push(feed, between(units, 8_000, 9_000));
    assert.equal(await claim('a'), 'ticket 1');
    await cues.withdraw('demo', REF.id, { isForgotten: false });
    assert.equal(await claim('b'), 'DROP_OVER');
    assert.equal(await claim('a'), 'ticket 1');
    await cues.create('demo', product(), { at: 'now' });
    assert.equal(await claim('b'), 'DROP_NOT_OPEN');
  });

  test('edited it has another stock; a text edited after it was over sells nothing again', async () => {
    await cues.create('demo', product({ stock: 1, durationMs: 3_000 }), { at: 'now' });
    stage.push(feed, between(units, 8_000, 9_000));
    assert.deepEqual([await claim('a'), await claim('b')], ['ticket 1', 'DROP_SOLD_OUT']);
    await cues.edit('demo', product({ stock: 2, durationMs: 3_000 }), undefined);
    assert.equal(await claim('b'), 'ticket 2');
    stage.push(feed, between(units, 9_000, 13_000));
    mock.timers.tick(5_000);
    assert.equal(stage.news.at(-1)?.event.type, 'ended');
    await cues.edit('demo', product({ stock: 9, title: 'sold out', durationMs: 3_000 }), undefined);
    assert.equal(await claim('c'), 'DROP_OVER');
  });

  test('without a stock there is no drop, and an edit that takes it away ends it', async () => {
    await cues.create('demo', { id: REF.id, mode: 'media', kind: 'product', durationMs: null }, { at: 'now' });
    assert.equal(await claim('a'), 'DROP_UNKNOWN');
    await cues.withdraw('demo', REF.id, { isForgotten: true });
    await cues.create('demo', product(), { at: 'now' });
    stage.push(feed, between(units, 8_000, 9_000));
    await cues.edit('demo', { id: REF.id, mode: 'media', kind: 'product', durationMs: null }, undefined);
    assert.equal(await claim('a'), 'DROP_OVER');
  });

  test('the host is refused a cue whose drop could not be', async () => {
    const answer = await cues.create('shop', product(), undefined);
    assert.ok(!answer.ok && answer.refusal.code === 'SHOP_KEYS_ABSENT');
    const large = await cues.create('demo', product({ stock: DROPS_DEFAULTS.stockMaxCount + 1 }), undefined);
    assert.ok(!large.ok && large.refusal.code === 'DROP_STOCK_INVALID');
    assert.deepEqual(cues.list('demo').cues, []);
  });

  test('after a restart in the middle it goes on with its cue, and is not abandoned', async () => {
    await cues.create('demo', product(), { at: 'now' });
    stage.push(feed, between(units, 8_000, 9_000));
    assert.equal(await claim('a'), 'ticket 1');
    drops.prepare({ broadcast: 'demo', id: 'of-no-cue', stock: 1, opensAtWallMs: null });
    const { folder, clock } = stage;
    await drops.stop();
    // As `kill -9`: the broadcast does not end, it is gone.
    await stage.desk.close();
    stage.hls.close();
    stage = await openCueStage({ folder, clock });
    await load({ resumeMaxMs: 60_000, shopKeysReloadEveryMs: 5 });
    (clock as ManualClock).advanceMs(60_001);
    const abandoned = (): boolean => drops.status({ ...REF, id: 'of-no-cue' })?.state === 'abandoned';
    while (!abandoned()) {
      await new Promise((resolve) => setImmediate(resolve));
    }
    assert.equal(await claim('b'), 'ticket 2');
    assert.deepEqual([await claim('a'), await claim('c')], ['ticket 1', 'DROP_SOLD_OUT']);
  });
});
