/**
 * The drops of this server: takes them from who fires cues (`DropDesk`), decides claims in the order they come in, and gives a ticket only when its claim is
 * on disk. What is decided is `drop`'s business, what is written `journal`'s.
 */
import { randomBytes } from 'node:crypto';
import { mkdir } from 'node:fs/promises';
import type { DropClaims, DropStatus } from '../api/contract/drops.ts';
import type { Clock } from '../base/clock.ts';
import { messageOf } from '../base/errors.ts';
import type { Log } from '../observability/log.ts';
import type { Metrics } from '../observability/metrics.ts';
import type { ClaimOutcome, ClaimRequest } from './claim-outcome.ts';
import { ADDRESS_FULL, DAMAGED, FAILED, INVALID, TOO_MANY, UNKNOWN, refusalOf } from './claim-outcome.ts';
import { ClaimRate } from './claim-rate.ts';
import type { Claim, DropEnd, DropTerms } from './drop.ts';
import { Drop } from './drop.ts';
import type { DropDesk, DropRef, DropRefusal, DropWish } from './drop-desk.ts';
import type { DropMetrics } from './drop-metrics.ts';
import { createDropMetrics } from './drop-metrics.ts';
import { Journal, type WrittenBatch } from './journal.ts';
import type { JournalFile } from './journal-file.ts';
import type { DropsOptions } from './options.ts';
import type { RecoveredDrop } from './recovery.ts';
import { journalPath, recoverDrops, removeJournalsBefore } from './recovery.ts';
import { ShopKeys } from './shop-keys.ts';
import type { TicketKeySet } from './ticket.ts';
import { TicketSigner, ticketIdOf } from './ticket.ts';
import type { ViewerTokenRefusal } from './viewer-token.ts';
import { isSignedBy, readViewerToken } from './viewer-token.ts';

export type DropsParts = {
  readonly folder: string;
  readonly keyPath: string;
  readonly shopKeysPath: string;
  readonly openFile?: (path: string) => Promise<JournalFile>;
  readonly clock: Clock;
  readonly log: Log;
  readonly metrics: Metrics;
};

type Run = {
  readonly drop: Drop;
  readonly path: string;
  readonly damage: string | undefined;
  /** Undefined: damaged. */
  readonly journal: Journal | undefined;
  /** Recovered, and nobody has armed it again yet: over at this instant. */
  resumesBeforeMs: number | undefined;
};

/** What is published under this name is nobody's sale: claims need no token, and the tickets say so. */
const DEMO_NAME = 'demo';
const ID_FORM = /^[A-Za-z0-9_.-]{1,64}$/;
const JOURNALS_LOOK_EVERY_MS = 3_600_000;

export class Drops implements DropDesk {
  readonly #options: DropsOptions;
  readonly #parts: DropsParts;
  readonly #signer: TicketSigner;
  readonly #shopKeys: ShopKeys;
  readonly #rate: ClaimRate;
  readonly #metrics: DropMetrics;
  readonly #runs = new Map<string, Run>();
  readonly #timer: NodeJS.Timeout;
  #journalsLookedAtMs: number | undefined;

  private constructor(options: DropsOptions, parts: DropsParts, keys: { signer: TicketSigner; shopKeys: ShopKeys }) {
    this.#options = options;
    this.#parts = parts;
    this.#signer = keys.signer;
    this.#shopKeys = keys.shopKeys;
    this.#rate = new ClaimRate(options.claimsPerAddressMaxPerS);
    this.#metrics = createDropMetrics(parts.metrics, () => this.#runs.size);
    this.#timer = setInterval(() => this.#look(), options.shopKeysReloadEveryMs);
    this.#timer.unref();
  }

  /** Reads what earlier runs have left. Throws `WorldError` when a key file is broken. */
  static async load(options: DropsOptions, parts: DropsParts): Promise<Drops> {
    await mkdir(parts.folder, { recursive: true, mode: 0o700 });
    const shopKeys = new ShopKeys(parts.shopKeysPath, parts.log);
    const drops = new Drops(options, parts, { signer: TicketSigner.open(parts.keyPath), shopKeys });
    for (const recovered of await recoverDrops(parts.folder, parts.log)) {
      drops.#resume(recovered);
    }
    parts.log.info('drops.ready', {
      dropCount: drops.#runs.size,
      shopKeyCount: shopKeys.list.length,
      onlyDemo: shopKeys.list.length === 0,
    });
    drops.#look();
    return drops;
  }

  get ticketKeys(): TicketKeySet {
    return this.#signer.keySet;
  }

  /** With a key of the shop any broadcast; without one only the demo. */
  isOpenTo(broadcast: string): boolean {
    return broadcast === DEMO_NAME || this.#shopKeys.list.length > 0;
  }

  check({ broadcast, id, stock }: DropRef & { readonly stock: number }): DropRefusal | undefined {
    return this.#refusalOf({ broadcast, id, stock }, this.#runs.get(keyOf({ broadcast, id })));
  }

  prepare({ broadcast, id, stock, opensAtWallMs, expectedAtWallMs }: DropWish): DropRefusal | undefined {
    const known = this.#runs.get(keyOf({ broadcast, id }));
    const refusal = this.#refusalOf({ broadcast, id, stock }, known);
    if (refusal !== undefined) {
      this.#parts.log.warn('drop.refused', { broadcast, drop: id, ...refusal });
      return refusal;
    }
    const terms = { stock, opensAtWallMs };
    const run = known === undefined || known.drop.isOver ? this.#begin({ broadcast, id }, terms) : known;
    if (run === known) {
      this.#edit(run, terms);
    }
    run.drop.expectedAtWallMs = expectedAtWallMs;
    return undefined;
  }

  open(ref: DropRef): void {
    const run = this.#runs.get(keyOf(ref));
    if (run?.journal === undefined || run.drop.isOver) {
      return;
    }
    run.resumesBeforeMs = undefined;
    if (run.drop.stateAt(this.#parts.clock.wallMs()) === 'armed') {
      run.drop.open();
      void run.journal.append({ type: 'opened' });
      this.#parts.log.info('drop.opened', { broadcast: ref.broadcast, drop: ref.id, stock: run.drop.terms.stock });
    }
  }

  restock({ broadcast, id }: DropRef, stock: number): void {
    const run = this.#runs.get(keyOf({ broadcast, id }));
    if (run?.drop.isOver === false) {
      const { opensAtWallMs } = run.drop.terms;
      const { expectedAtWallMs } = run.drop;
      this.prepare({
        broadcast,
        id,
        stock,
        opensAtWallMs,
        ...(expectedAtWallMs === undefined ? {} : { expectedAtWallMs }),
      });
    }
  }

  keep(ref: DropRef): void {
    const run = this.#runs.get(keyOf(ref));
    if (run !== undefined) {
      run.resumesBeforeMs = undefined;
    }
  }

  close(ref: DropRef, reason: 'withdrawn' | 'ended'): void {
    const run = this.#runs.get(keyOf(ref));
    if (run?.journal !== undefined) {
      this.#end(run, reason);
    }
  }

  async claim(request: ClaimRequest): Promise<ClaimOutcome> {
    const outcome = await this.#decide(request);
    this.#metrics.count(outcome.ok ? (outcome.isNew ? 'granted' : 'repeated') : outcome.code);
    return outcome;
  }

  status(ref: DropRef): DropStatus | undefined {
    const run = this.#runs.get(keyOf(ref));
    if (run === undefined) {
      return undefined;
    }
    const { drop } = run;
    const head = { drop: ref.id, broadcast: ref.broadcast, isDemo: drop.header.isDemo };
    const state = drop.stateAt(this.#parts.clock.wallMs());
    return state === 'armed'
      ? { ...head, state }
      : { ...head, state, stock: drop.terms.stock, claimedCount: drop.committedCount };
  }

  /** For the host: who holds which ticket. */
  claims(ref: DropRef, page: { offset: number; limit: number }): DropClaims | undefined {
    const run = this.#runs.get(keyOf(ref));
    if (run === undefined) {
      return undefined;
    }
    const { drop } = run;
    return {
      ...{ drop: ref.id, broadcast: ref.broadcast, isDemo: drop.header.isDemo },
      ...{
        state: drop.stateAt(this.#parts.clock.wallMs()),
        stock: drop.terms.stock,
        claimedCount: drop.committedCount,
      },
      claims: drop.list(page.offset, page.limit).map(({ number, subject, claimedAtWallMs }) => ({
        ...{ number, subject, claimedAtWallMs },
        jti: ticketIdOf(drop.header, number),
      })),
    };
  }

  /** Writes what waits; drops that are open are so again after the next start. */
  async stop(): Promise<void> {
    clearInterval(this.#timer);
    await Promise.all([...this.#runs.values()].map(async ({ journal }) => journal?.close()));
  }

  async #decide(request: ClaimRequest): Promise<ClaimOutcome> {
    const { clock } = this.#parts;
    const host = this.#rate.hostOf(request.address);
    if (!this.#rate.take(host, clock.nowMs())) {
      return TOO_MANY;
    }
    const run = this.#runs.get(keyOf(request));
    if (run === undefined) {
      return UNKNOWN;
    }
    const { drop, journal } = run;
    if (journal === undefined) {
      return DAMAGED;
    }
    const nowWallMs = clock.wallMs();
    const viewer = this.#viewerOf(drop, request, { host, nowWallMs });
    if (!viewer.ok) {
      return viewer;
    }
    const outlook = drop.outlook(viewer.subject, nowWallMs);
    if (outlook.kind === 'held' && viewer.isGenuine()) {
      return this.#given(run, {
        number: outlook.number,
        isNew: false,
        isOnDisk: drop.committedCount >= outlook.number || (await journal.settled()),
      });
    }
    // Who only says that he is one who holds a ticket is told what everybody is told.
    const chance = outlook.kind === 'held' ? drop.chance(nowWallMs) : outlook;
    if (chance.kind !== 'available') {
      return refusalOf(chance);
    }
    if (!viewer.isGenuine()) {
      return INVALID;
    }
    if (drop.countOf(host) >= this.#options.ticketsPerAddressMaxCount) {
      return ADDRESS_FULL;
    }
    return this.#grant(run, { subject: viewer.subject, host, claimedAtWallMs: nowWallMs });
  }

  async #grant(run: Run, claim: Claim): Promise<ClaimOutcome> {
    const startedAtMs = this.#parts.clock.nowMs();
    const number = run.drop.reserve(claim);
    const isOnDisk = (await run.journal?.append({ type: 'claim', number, claim })) === true;
    this.#metrics.committedIn(this.#parts.clock.nowMs() - startedAtMs);
    return this.#given(run, { number, isNew: true, isOnDisk });
  }

  #given(
    { drop }: Run,
    { number, isNew, isOnDisk }: { number: number; isNew: boolean; isOnDisk: boolean },
  ): ClaimOutcome {
    const claim = drop.claim(number);
    if (!isOnDisk || claim === undefined) {
      return FAILED;
    }
    const { header } = drop;
    const ticket = this.#signer.sign(header, number, claim);
    return {
      ok: true,
      isNew,
      ticket: { drop: header.id, broadcast: header.broadcast, number, ticket, isDemo: header.isDemo },
    };
  }

  #viewerOf(drop: Drop, request: ClaimRequest, seen: { host: string; nowWallMs: number }): Viewer {
    if (drop.header.isDemo) {
      const subject = request.player === undefined ? `address ${seen.host}` : `player ${request.player}`;
      return { ok: true, subject, isGenuine: () => true };
    }
    const token = readViewerToken(request.token, {
      audience: `live/${request.broadcast}`,
      nowWallMs: seen.nowWallMs,
      skewMaxS: this.#options.tokenSkewMaxS,
    });
    return token.ok
      ? { ok: true, subject: token.subject, isGenuine: () => isSignedBy(token, this.#shopKeys.list) }
      : token;
  }

  #refusalOf({ broadcast, id, stock }: DropRef & { stock: number }, known: Run | undefined): DropRefusal | undefined {
    const { stockMaxCount, totalStockMaxCount, dropMaxCount } = this.#options;
    if (!ID_FORM.test(id)) {
      return { code: 'DROP_ID_INVALID', detail: `id is ${JSON.stringify(id)}, expected 1 to 64 of A-Z a-z 0-9 _ . -` };
    }
    if (!Number.isInteger(stock) || stock < 1 || stock > stockMaxCount) {
      return {
        code: 'DROP_STOCK_INVALID',
        detail: `stock is ${stock}, expected a whole number from 1 to ${stockMaxCount}`,
      };
    }
    if (known?.damage !== undefined) {
      return {
        code: 'DROP_JOURNAL_DAMAGED',
        detail: `the journal of this drop is damaged (${known.damage}); take another id`,
      };
    }
    const others = [...this.#runs.values()].filter((run) => run !== known);
    const totalStock = others.reduce((sum, { drop }) => sum + (drop.isOver ? drop.reservedCount : drop.terms.stock), 0);
    if (totalStock + stock > totalStockMaxCount || others.length >= dropMaxCount) {
      return {
        code: 'DROPS_FULL',
        detail: `expected at most ${dropMaxCount} drops with ${totalStockMaxCount} tickets in all`,
      };
    }
    if (!this.isOpenTo(broadcast)) {
      return {
        code: 'SHOP_KEYS_ABSENT',
        detail: `without a key of the shop (drops.shopKeysFile) only the broadcast named ${DEMO_NAME} may have drops`,
      };
    }
    return undefined;
  }

  #begin(ref: DropRef, terms: DropTerms): Run {
    const { clock, log, folder } = this.#parts;
    const runId = randomBytes(16).toString('hex');
    const isDemo = ref.broadcast === DEMO_NAME;
    // Later than the one it takes the place of, though the clock was set back in between.
    const afterWallMs = (this.#runs.get(keyOf(ref))?.drop.header.createdAtWallMs ?? 0) + 1;
    const createdAtWallMs = Math.max(clock.wallMs(), afterWallMs);
    const drop = new Drop({ ...ref, runId, isDemo, createdAtWallMs }, terms);
    const run = this.#add(drop, { path: journalPath(folder, runId), soundBytes: 0, damage: undefined });
    void run.journal?.append({ type: 'header', header: drop.header });
    void run.journal?.append({ type: 'terms', terms });
    log.info('drop.prepared', { broadcast: ref.broadcast, drop: ref.id, runId, isDemo, ...terms });
    return run;
  }

  #edit(run: Run, terms: DropTerms): void {
    const { drop } = run;
    run.resumesBeforeMs = undefined;
    if (drop.terms.stock === terms.stock && drop.terms.opensAtWallMs === terms.opensAtWallMs) {
      return;
    }
    // Open stays open, also for who reads the journal after the new instant was written.
    if (drop.stateAt(this.#parts.clock.wallMs()) !== 'armed') {
      void run.journal?.append({ type: 'opened' });
    }
    drop.edit(terms);
    void run.journal?.append({ type: 'terms', terms });
    this.#parts.log.info('drop.edited', { broadcast: drop.header.broadcast, drop: drop.header.id, ...terms });
  }

  #end(run: Run, reason: DropEnd): void {
    const { drop } = run;
    if (drop.isOver) {
      return;
    }
    const atWallMs = this.#parts.clock.wallMs();
    drop.end(reason, atWallMs);
    void run.journal?.append({ type: 'end', reason, atWallMs });
    const { stock } = drop.terms;
    this.#parts.log.info('drop.over', {
      broadcast: drop.header.broadcast,
      drop: drop.header.id,
      reason,
      stock,
      claimedCount: drop.reservedCount,
    });
  }

  #resume({ drop, path, soundBytes, damage }: RecoveredDrop): void {
    const run = this.#add(drop, { path, soundBytes, damage });
    if (!drop.isOver) {
      run.resumesBeforeMs = this.#parts.clock.nowMs() + this.#options.resumeMaxMs;
      const { broadcast, id, runId } = drop.header;
      this.#parts.log.info('drop.recovered', {
        broadcast,
        drop: id,
        runId,
        stock: drop.terms.stock,
        claimedCount: drop.committedCount,
      });
    }
  }

  /** In the place of an older one of the same name and id. */
  #add(drop: Drop, file: { path: string; soundBytes: number; damage: string | undefined }): Run {
    const { clock, log, openFile } = this.#parts;
    const settings = {
      ...{ path: file.path, soundBytes: file.soundBytes, isOver: drop.isOver },
      ...{ retryEveryMs: this.#options.retryEveryMs, clock, log },
      ...(openFile === undefined ? {} : { openFile }),
      onLost: () => drop.rollBack(),
      onWritten: ({ claimCount, durationMs }: WrittenBatch) => this.#onWritten(drop, claimCount, durationMs),
    };
    const run: Run = {
      ...{ drop, path: file.path, damage: file.damage },
      journal: file.damage === undefined ? new Journal(settings) : undefined,
      resumesBeforeMs: undefined,
    };
    const key = keyOf({ broadcast: drop.header.broadcast, id: drop.header.id });
    void this.#runs.get(key)?.journal?.close();
    this.#runs.set(key, run);
    return run;
  }

  #onWritten(drop: Drop, claimCount: number, durationMs: number): void {
    this.#metrics.written(claimCount, durationMs);
    if (claimCount === 0) {
      return;
    }
    drop.commit(drop.committedCount + claimCount);
    const { broadcast, id, createdAtWallMs } = drop.header;
    if (drop.committedCount === drop.terms.stock) {
      const lastedMs = Math.round(
        (drop.claim(drop.committedCount)?.claimedAtWallMs ?? 0) - (drop.claim(1)?.claimedAtWallMs ?? 0),
      );
      this.#parts.log.info('drop.sold-out', {
        broadcast,
        drop: id,
        stock: drop.terms.stock,
        lastedMs,
        createdAtWallMs,
      });
    }
  }

  /** Now and then: keys that changed, drops that nobody came back for, what is over for long. */
  #look(): void {
    const { clock, folder, log } = this.#parts;
    const { keepAfterEndMs, journalMaxHours } = this.#options;
    this.#shopKeys.refresh();
    for (const [key, run] of this.#runs) {
      if (run.resumesBeforeMs !== undefined && clock.nowMs() > run.resumesBeforeMs) {
        this.#end(run, 'abandoned');
      }
      if (clock.wallMs() - (run.drop.endedAtWallMs ?? Number.POSITIVE_INFINITY) > keepAfterEndMs) {
        this.#runs.delete(key);
        void run.journal?.close();
      }
    }
    const isDue = clock.nowMs() - (this.#journalsLookedAtMs ?? Number.NEGATIVE_INFINITY) > JOURNALS_LOOK_EVERY_MS;
    if (journalMaxHours > 0 && isDue) {
      this.#journalsLookedAtMs = clock.nowMs();
      const inUse = new Set([...this.#runs.values()].map(({ path }) => path));
      const beforeWallMs = clock.wallMs() - journalMaxHours * 3_600_000;
      removeJournalsBefore(folder, { beforeWallMs, inUse, log }).catch((error: unknown) =>
        log.warn('drop.journal.remove.failed', { error: messageOf(error) }),
      );
    }
  }
}

type Viewer =
  | { readonly ok: true; readonly subject: string; readonly isGenuine: () => boolean }
  | { readonly ok: false; readonly code: ViewerTokenRefusal };

const keyOf = ({ broadcast, id }: DropRef): string => `${broadcast}/${id}`;
