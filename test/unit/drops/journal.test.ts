// Group commit: nobody hears of a write before it is synced, what comes meanwhile shares the next, and a failed write leaves nothing behind.
import assert from 'node:assert/strict';
import { beforeEach, describe, test } from 'node:test';
import { ManualClock } from '../../../server/base/clock.ts';
import { Journal } from '../../../server/drops/journal.ts';
import type { JournalFile } from '../../../server/drops/journal-file.ts';
import type { JournalRecord } from '../../../server/drops/journal-format.ts';
import { JOURNAL_PREFIX_BYTES, decodeJournal } from '../../../server/drops/journal-format.ts';
import { silentLog } from '../../../server/observability/log.ts';
import { within } from '../../support/wait.ts';

/** A disk that syncs when the test lets it. */
class HeldDisk implements JournalFile {
  content = Buffer.alloc(0);
  /** What a crash of the machine would leave. */
  synced = Buffer.alloc(0);
  syncCount = 0;
  isHeld = false;
  fails: 'write' | 'sync' | 'truncate' | undefined;
  #release: (() => void) | undefined;

  async write(bytes: Uint8Array, position: number): Promise<void> {
    const reached = this.fails === 'write' ? bytes.byteLength >> 1 : bytes.byteLength;
    const after = Buffer.alloc(Math.max(this.content.byteLength, position + reached));
    this.content.copy(after);
    after.set(bytes.subarray(0, reached), position);
    this.content = after;
    await this.#maybeFail('write');
    await this.#sync();
  }

  async truncate(bytes: number): Promise<void> {
    await this.#maybeFail('truncate');
    this.content = this.content.subarray(0, bytes);
  }

  async #sync(): Promise<void> {
    this.syncCount += 1;
    if (this.isHeld) {
      await new Promise<void>((resolve) => (this.#release = resolve));
    }
    await this.#maybeFail('sync');
    this.synced = Buffer.from(this.content);
  }

  async close(): Promise<void> {
    await Promise.resolve();
  }

  release(): void {
    this.#release?.();
    this.#release = undefined;
  }

  async #maybeFail(what: HeldDisk['fails']): Promise<void> {
    await Promise.resolve();
    if (this.fails === what) {
      throw Object.assign(new Error(`no ${what}`), { code: 'EIO' });
    }
  }
}

let disk: HeldDisk;
let lostCount: number;
let written: number[];

const journalOn = (soundBytes = 0, isOver = false): Journal =>
  new Journal({
    path: 'x',
    soundBytes,
    isOver,
    retryEveryMs: 5,
    openFile: async () => Promise.resolve(disk),
    onLost: () => (lostCount += 1),
    onWritten: ({ claimCount }) => written.push(claimCount),
    clock: new ManualClock(),
    log: silentLog,
  });

const claim = (number: number): JournalRecord => ({
  type: 'claim',
  number,
  claim: { subject: `s${number}`, host: 'h', claimedAtWallMs: 0 },
});
const OPENED: JournalRecord = { type: 'opened' };
const turns = async (): Promise<void> => {
  for (let turn = 0; turn < 20; turn += 1) {
    await new Promise((resolve) => setImmediate(resolve));
  }
};

describe('journal', () => {
  beforeEach(() => {
    disk = new HeldDisk();
    lostCount = 0;
    written = [];
  });

  test('a record is promised only once it is synced', async () => {
    disk.isHeld = true;
    const journal = journalOn();
    let isOnDisk: boolean | undefined;
    void journal.append(claim(1)).then((is) => (isOnDisk = is));
    await within(2_000, 'the sync has begun', () => disk.syncCount === 1);
    await turns();
    assert.equal(isOnDisk, undefined);
    disk.release();
    await within(2_000, 'it is told', () => isOnDisk === true);
    assert.deepEqual(decodeJournal(disk.synced).records, [claim(1)]);
  });

  test('what comes in one turn shares a sync, what comes while it runs shares the next', async () => {
    disk.isHeld = true;
    const journal = journalOn();
    const first = [1, 2, 3].map(async (number) => journal.append(claim(number)));
    await within(2_000, 'the sync has begun', () => disk.syncCount === 1);
    const second = Array.from({ length: 500 }, async (_, index) => journal.append(claim(index + 4)));
    await turns();
    assert.equal(disk.syncCount, 1);
    disk.release();
    await Promise.all(first);
    await within(2_000, 'the next sync has begun', () => disk.syncCount === 2);
    disk.release();
    await Promise.all(second);
    assert.equal(disk.syncCount, 2);
    assert.deepEqual(written, [3, 500]);
    assert.equal(decodeJournal(disk.synced).records.length, 503);
  });

  for (const fault of ['write', 'sync'] as const) {
    test(`a failed ${fault} gives up the claims, with those behind them, and cuts what it had begun`, async () => {
      const journal = journalOn();
      assert.equal(await journal.append(claim(1)), true);
      disk.fails = fault;
      disk.isHeld = fault === 'sync';
      const failing = journal.append(claim(2));
      if (fault === 'sync') {
        await within(2_000, 'the sync has begun', () => disk.syncCount === 2);
      }
      const behind = journal.append(claim(3));
      disk.isHeld = false;
      disk.release();
      assert.equal(await failing, false);
      assert.equal(await behind, false);
      assert.equal(lostCount, 1);
      disk.fails = undefined;
      assert.equal(await journal.append(claim(2)), true);
      assert.deepEqual(decodeJournal(disk.synced), {
        records: [claim(1), claim(2)],
        soundBytes: disk.content.byteLength,
        damage: undefined,
      });
    });
  }

  test('what the host said is written again until the disk takes it, without anybody claiming', async () => {
    disk.fails = 'truncate';
    const journal = journalOn();
    assert.equal(await journal.append(OPENED), false);
    disk.fails = 'write';
    await within(2_000, 'it is tried again', () => disk.content.byteLength > 0);
    disk.fails = undefined;
    await within(2_000, 'it is on disk', () => disk.synced.byteLength > JOURNAL_PREFIX_BYTES);
    assert.deepEqual(decodeJournal(disk.synced).records, [OPENED]);
    assert.equal(await journal.append(claim(1)), true);
    assert.deepEqual(decodeJournal(disk.synced).records, [OPENED, claim(1)]);
  });

  test('what a crash left behind what is sound is cut before the first write', async () => {
    await journalOn().append(claim(1));
    const soundBytes = disk.content.byteLength;
    disk.content = Buffer.concat([disk.content, Buffer.alloc(300, 7)]);
    await journalOn(soundBytes).append(claim(2));
    assert.deepEqual(decodeJournal(disk.synced).records, [claim(1), claim(2)]);
    assert.equal(disk.synced.byteLength, decodeJournal(disk.synced).soundBytes);
  });

  test('what is torn is cut before anybody claims; of what is over nothing is touched', async () => {
    await journalOn().append(claim(1));
    const soundBytes = disk.content.byteLength;
    const torn = Buffer.concat([disk.content, Buffer.alloc(300, 7)]);
    disk.content = torn;
    journalOn(soundBytes, true);
    await turns();
    assert.deepEqual(disk.content, torn);
    journalOn(soundBytes);
    await within(2_000, 'it is cut', () => disk.content.byteLength === soundBytes);
  });

  test('closing writes what waits', async () => {
    const journal = journalOn();
    void journal.append(claim(1));
    await journal.close();
    assert.deepEqual(decodeJournal(disk.synced).records, [claim(1)]);
  });
});
