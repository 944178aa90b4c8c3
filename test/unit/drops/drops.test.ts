// The drops of a server, on a real disk: exactly once over restarts, limits, demo, what the host may do, a disk that fails.
import assert from 'node:assert/strict';
import { readFile, readdir, rm, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { ManualClock } from '../../../server/base/clock.ts';
import type { ClaimOutcome } from '../../../server/drops/claim-outcome.ts';
import type { DropsParts } from '../../../server/drops/drops.ts';
import { Drops } from '../../../server/drops/drops.ts';
import { openJournalFile } from '../../../server/drops/journal-file.ts';
import type { DropsOptions } from '../../../server/drops/options.ts';
import { DROPS_DEFAULTS } from '../../../server/drops/options.ts';
import { silentLog } from '../../../server/observability/log.ts';
import { Metrics } from '../../../server/observability/metrics.ts';
import { SHOP_KEYS, checkTicket, viewerToken } from '../../support/drop-shop.ts';
import { tempFolder } from '../../support/temp-folder.ts';
import { within } from '../../support/wait.ts';

const REF = { broadcast: 'shop', id: 'shoes' };
const FORGED = Buffer.from('somebody else, also 32 bytes....');
let folder: string;
let clock: ManualClock;
let drops: Drops;
let metrics: Metrics;
let isDiskBroken: boolean;

const openFile: DropsParts['openFile'] = async (path) => {
  const file = await openJournalFile(path);
  return {
    ...file,
    write: async (bytes, position) => {
      await file.write(bytes, position);
      if (isDiskBroken) {
        throw Object.assign(new Error('no'), { code: 'EIO' });
      }
    },
  };
};

const load = async (options: Partial<DropsOptions> = {}): Promise<Drops> => {
  metrics = new Metrics({ collectDefaults: false });
  drops = await Drops.load(
    { ...DROPS_DEFAULTS, ...options },
    {
      folder: join(folder, 'drops'),
      keyPath: join(folder, 'drop-key.json'),
      shopKeysPath: join(folder, 'shop-keys.json'),
      ...{ openFile, clock, log: silentLog, metrics },
    },
  );
  return drops;
};

const tokenFor = (subject: string, secret?: Buffer): string =>
  viewerToken(subject, {
    broadcast: 'shop',
    expiresAtS: clock.wallMs() / 1000 + 60,
    ...(secret === undefined ? {} : { secret }),
  });

const claim = async (subject: string, { address = '192.0.2.7', secret }: { address?: string; secret?: Buffer } = {}) =>
  drops.claim({ ...REF, token: tokenFor(subject, secret), player: undefined, address });

const codeOf = (outcome: ClaimOutcome): string => (outcome.ok ? `ticket ${outcome.ticket.number}` : outcome.code);

const arm = (stock: number, opensAtWallMs: number | null = 0): void =>
  assert.equal(drops.prepare({ ...REF, stock, opensAtWallMs }), undefined);

const journalFiles = async (): Promise<string[]> => readdir(join(folder, 'drops'));

describe('drops', () => {
  beforeEach(async () => {
    folder = tempFolder('drops');
    await writeFile(join(folder, 'shop-keys.json'), SHOP_KEYS);
    clock = new ManualClock();
    isDiskBroken = false;
    await load();
  });

  afterEach(async () => {
    isDiskBroken = false;
    await drops.stop();
    await rm(folder, { recursive: true, force: true });
  });

  test('tickets go in the order of receipt, one a subject, and are genuine', async () => {
    arm(3);
    const outcomes = await Promise.all(['a', 'b', 'a', 'c', 'd'].map(async (subject) => claim(subject)));
    assert.deepEqual(outcomes.map(codeOf), ['ticket 1', 'ticket 2', 'ticket 1', 'ticket 3', 'DROP_SOLD_OUT']);
    const [first, , again] = outcomes;
    assert.ok(first?.ok === true && again?.ok === true);
    assert.deepEqual([first.isNew, again.isNew], [true, false]);
    assert.equal(again.ticket.ticket, first.ticket.ticket);
    const read = checkTicket(first.ticket.ticket, drops.ticketKeys);
    assert.deepEqual([read.sub, read.number, read.drop, read.broadcast], ['a', 1, 'shoes', 'shop']);
  });

  test('after a restart the same subjects hold the same tickets, the rest is still to be had', async () => {
    arm(3, null);
    assert.equal(codeOf(await claim('a')), 'DROP_NOT_OPEN');
    drops.open(REF);
    const before = await claim('a');
    await claim('b');
    await drops.stop();
    await load();
    assert.deepEqual(await claim('a'), { ...before, isNew: false });
    assert.deepEqual((await Promise.all(['c', 'd', 'b'].map(async (s) => claim(s)))).map(codeOf), [
      'ticket 3',
      'DROP_SOLD_OUT',
      'ticket 2',
    ]);
    // The cue engine says the same again after its own restart.
    arm(3, null);
    drops.open(REF);
    assert.equal(codeOf(await claim('a')), 'ticket 1');
    assert.equal((await journalFiles()).length, 1);
  });

  test('a claim that was not synced is not given, its number is given to the next, and the journal has it once', async () => {
    arm(2);
    assert.equal(codeOf(await claim('a')), 'ticket 1');
    isDiskBroken = true;
    const outcomes = await Promise.all([claim('b'), claim('b'), claim('c')]);
    assert.deepEqual(outcomes.map(codeOf), ['DROP_JOURNAL_FAILED', 'DROP_JOURNAL_FAILED', 'DROP_SOLD_OUT']);
    isDiskBroken = false;
    assert.equal(codeOf(await claim('c')), 'ticket 2');
    assert.equal(codeOf(await claim('b')), 'DROP_SOLD_OUT');
    await drops.stop();
    await load();
    assert.deepEqual(
      drops.claims(REF, { offset: 0, limit: 9 })?.claims.map(({ number, subject }) => [number, subject]),
      [
        [1, 'a'],
        [2, 'c'],
      ],
    );
  });

  test('before the instant it says how long, and not what there is', async () => {
    arm(3, clock.wallMs() + 2_500);
    assert.deepEqual(await claim('a'), { ok: false, code: 'DROP_NOT_OPEN', retryAfterMs: 2_500 });
    assert.deepEqual(drops.status(REF), { drop: 'shoes', broadcast: 'shop', isDemo: false, state: 'armed' });
    clock.advanceMs(2_500);
    assert.equal(codeOf(await claim('a')), 'ticket 1');
    assert.deepEqual(drops.status(REF), {
      ...{ drop: 'shoes', broadcast: 'shop', isDemo: false },
      ...{ state: 'open', stock: 3, claimedCount: 1 },
    });
  });

  test('a forged token gets nothing, and is not told who holds what', async () => {
    arm(1);
    assert.equal(codeOf(await claim('a', { secret: FORGED })), 'VIEWER_TOKEN_INVALID');
    assert.equal(codeOf(await claim('a')), 'ticket 1');
    assert.equal(codeOf(await claim('a', { secret: FORGED })), 'DROP_SOLD_OUT');
    assert.equal(codeOf(await claim('b', { secret: FORGED })), 'DROP_SOLD_OUT');
    assert.equal(
      codeOf(await drops.claim({ ...REF, token: undefined, player: 'a', address: 'x' })),
      'VIEWER_TOKEN_MISSING',
    );
  });

  test('an address has its share of tickets, counted over restarts too, and of claims a second', async () => {
    await drops.stop();
    await load({ ticketsPerAddressMaxCount: 2, claimsPerAddressMaxPerS: 4 });
    arm(9);
    const near = { address: '2001:db8::1' };
    assert.deepEqual((await Promise.all(['a', 'b', 'c'].map(async (s) => claim(s, near)))).map(codeOf), [
      ...['ticket 1', 'ticket 2', 'DROP_ADDRESS_FULL'],
    ]);
    assert.equal(codeOf(await claim('d', { address: '2001:db8:0:1::1' })), 'ticket 3');
    assert.equal(codeOf(await claim('a', { address: '2001:db8::ffff' })), 'ticket 1');
    assert.equal(codeOf(await claim('a', near)), 'CLAIMS_TOO_MANY');
    assert.equal(codeOf(await claim('e')), 'ticket 4');
    clock.advanceMs(1_000);
    assert.equal(codeOf(await claim('a', near)), 'ticket 1');
    await drops.stop();
    await load({ ticketsPerAddressMaxCount: 2 });
    assert.equal(codeOf(await claim('c', near)), 'DROP_ADDRESS_FULL');
  });

  test('withdrawn or ended, nobody gets one; who has one may ask for it again; the same id then begins anew', async () => {
    arm(2);
    await claim('a');
    drops.close(REF, 'withdrawn');
    assert.equal(codeOf(await claim('b')), 'DROP_OVER');
    assert.equal(codeOf(await claim('a')), 'ticket 1');
    await drops.stop();
    await load();
    assert.equal(codeOf(await claim('b')), 'DROP_OVER');
    const old = drops.claims(REF, { offset: 0, limit: 1 })?.claims[0]?.jti;
    arm(2);
    assert.equal(codeOf(await claim('b')), 'ticket 1');
    assert.notEqual(drops.claims(REF, { offset: 0, limit: 1 })?.claims[0]?.jti, old);
    await drops.stop();
    await load();
    assert.equal(codeOf(await claim('b')), 'ticket 1');
  });

  test('the stock may be edited; what is open stays open, also over a restart', async () => {
    arm(1);
    await claim('a');
    arm(2, clock.wallMs() + 60_000);
    assert.equal(codeOf(await claim('b')), 'ticket 2');
    arm(3, clock.wallMs() + 60_000);
    await drops.stop();
    await load();
    assert.equal(codeOf(await claim('c')), 'ticket 3');
  });

  test('recovered, it is abandoned unless its cue is armed again in time', async () => {
    for (const isArmedAgain of [true, false]) {
      arm(9);
      await claim('a');
      await drops.stop();
      await load({ resumeMaxMs: 60_000, shopKeysReloadEveryMs: 5 });
      if (isArmedAgain) {
        arm(9);
      }
      clock.advanceMs(60_001);
      await within(2_000, 'it was looked at', () => isArmedAgain || drops.status(REF)?.state === 'abandoned');
      assert.equal(codeOf(await claim(`b ${isArmedAgain}`)), isArmedAgain ? 'ticket 2' : 'DROP_OVER');
    }
  });

  test('what is over for long is forgotten; old journals are removed where that is wished for', async () => {
    arm(2);
    await claim('a');
    drops.close(REF, 'ended');
    await drops.stop();
    clock.advanceMs(DROPS_DEFAULTS.keepAfterEndMs + 1);
    await load();
    assert.equal(drops.status(REF), undefined);
    assert.equal((await journalFiles()).length, 1);
    await drops.stop();
    const past = new Date(clock.wallMs() - 2 * 3_600_000);
    await utimes(join(folder, 'drops', (await journalFiles())[0]!), past, past);
    await load({ journalMaxHours: 1 });
    await within(2_000, 'the journal is gone', async () => (await journalFiles()).length === 0);
  });

  test('without a key of the shop only demo has drops, whose tickets say so', async () => {
    await drops.stop();
    await rm(join(folder, 'shop-keys.json'));
    await load();
    assert.equal(drops.prepare({ ...REF, stock: 1, opensAtWallMs: 0 })?.code, 'SHOP_KEYS_ABSENT');
    assert.equal(codeOf(await claim('a')), 'DROP_UNKNOWN');
    const demo = { broadcast: 'demo', id: 'shoes' };
    assert.equal(drops.prepare({ ...demo, stock: 9, opensAtWallMs: 0 }), undefined);
    const ask = async (player: string | undefined, address: string) =>
      drops.claim({ ...demo, token: undefined, player, address });
    const outcomes = [await ask('p1', '192.0.2.1'), await ask('p1', '192.0.2.9'), await ask(undefined, '192.0.2.1')];
    assert.deepEqual(outcomes.map(codeOf), ['ticket 1', 'ticket 1', 'ticket 2']);
    assert.ok(outcomes[0]?.ok === true && outcomes[0].ticket.isDemo);
    assert.equal(checkTicket(outcomes[0].ticket.ticket, drops.ticketKeys).demo, true);
  });

  test('what the host may not: ids, stocks, more than there is room for', async () => {
    await drops.stop();
    await load({ stockMaxCount: 10, totalStockMaxCount: 15, dropMaxCount: 2 });
    const codes = [
      { id: 'a/b', stock: 1 },
      { id: 'a', stock: 0 },
      { id: 'a', stock: 1.5 },
      { id: 'a', stock: 11 },
      { id: 'a', stock: 10 },
      { id: 'b', stock: 6 },
      { id: 'b', stock: 5 },
      { id: 'c', stock: 1 },
    ].map((wish) => drops.prepare({ broadcast: 'shop', opensAtWallMs: null, ...wish })?.code);
    assert.deepEqual(codes, [
      ...['DROP_ID_INVALID', 'DROP_STOCK_INVALID', 'DROP_STOCK_INVALID', 'DROP_STOCK_INVALID'],
      ...[undefined, 'DROPS_FULL', undefined, 'DROPS_FULL'],
    ]);
  });

  test('a journal with a hole gives nothing, is left as it is, and stops no other drop', async () => {
    arm(9);
    await claim('a');
    await claim('b');
    await drops.stop();
    const path = join(folder, 'drops', (await journalFiles())[0]!);
    const bytes = await readFile(path);
    for (const holeAt of [bytes.indexOf('192.0.2.7'), bytes.indexOf('"stock"')]) {
      const broken = Buffer.from(bytes);
      broken[holeAt]! ^= 1;
      await writeFile(path, broken);
      await load();
      assert.equal(codeOf(await claim('c')), 'DROP_JOURNAL_DAMAGED');
      assert.equal(drops.prepare({ ...REF, stock: 9, opensAtWallMs: 0 })?.code, 'DROP_JOURNAL_DAMAGED');
      await drops.stop();
      assert.deepEqual(await readFile(path), broken);
    }
    await load();
    assert.equal(drops.prepare({ ...REF, id: 'other', stock: 1, opensAtWallMs: 0 }), undefined);
  });

  test('claims are counted by what they came to', async () => {
    arm(1);
    await claim('a');
    await claim('a');
    await claim('b');
    const text = await metrics.render();
    for (const outcome of ['granted', 'repeated', 'DROP_SOLD_OUT']) {
      assert.match(text, new RegExp(`drop_claims_total\\{outcome="${outcome}"\\} 1\n`));
    }
    assert.match(text, /drop_commit_seconds_count 1\n/);
  });
});
