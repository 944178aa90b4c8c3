/** Joins cues that have a stock to drops: arms, opens and closes them with their cues, and lets hosts make no cue whose drop could not be. */
import type { CuesView } from './api/views.ts';
import type { CueDesk, CueNews } from './cues/cue-desk.ts';
import type { DropDesk, DropRefusal, DropRef } from './drops/drop-desk.ts';

/** From now on drops follow the cues. Returns the cues as hosts may use them. */
export const joinDrops = (cues: CueDesk, drops: DropDesk): CuesView => {
  for (const { name, record } of cues.all()) {
    if (record.state === 'fired') {
      drops.keep({ broadcast: name, id: record.content.id });
    }
  }
  cues.listen((news) => follow(drops, news));
  const refusalOf = (ref: DropRef, stock: number | undefined): DropRefusal | undefined =>
    stock === undefined ? undefined : drops.check({ ...ref, stock });
  return {
    list: (name) => cues.list(name),
    create: async (name, content, timing) => {
      const refusal = refusalOf({ broadcast: name, id: content.id }, content.stock);
      return refusal === undefined ? cues.create(name, content, timing) : { ok: false, refusal };
    },
    fire: async (name, id, timing) => cues.fire(name, id, timing),
    edit: async (name, content, timing) => {
      const refusal = refusalOf({ broadcast: name, id: content.id }, content.stock);
      return refusal === undefined ? cues.edit(name, content, timing) : { ok: false, refusal };
    },
    withdraw: async (name, id, options) => cues.withdraw(name, id, options),
    snapshotText: (name) => cues.snapshotText(name),
    setViewers: (tellViewers) => cues.setViewers(tellViewers),
  };
};

const follow = (drops: DropDesk, { name: broadcast, event }: CueNews): void => {
  switch (event.type) {
    case 'armed': {
      const { mark, content } = event;
      // Not by the clock alone: while its picture does not come, a cue does not fire, and nobody can see what there is to claim.
      const expectedAtWallMs = mark.showAtWallMs ?? mark.programWallMs;
      prepare(drops, { broadcast, id: mark.id }, { stock: content.stock, opensAtWallMs: null, expectedAtWallMs });
      break;
    }
    case 'fired': {
      const ref = { broadcast, id: event.cue.id };
      prepare(drops, ref, { stock: event.cue.stock, opensAtWallMs: event.cue.showAtWallMs });
      if (event.cue.showAtWallMs === null) {
        drops.open(ref);
      }
      break;
    }
    case 'edited': {
      const ref = { broadcast, id: event.content.id };
      if (event.content.stock === undefined) {
        drops.close(ref, 'withdrawn');
      } else {
        drops.restock(ref, event.content.stock);
      }
      break;
    }
    case 'withdrawn':
      drops.close({ broadcast, id: event.content.id }, 'withdrawn');
      break;
    case 'ended':
      drops.close({ broadcast, id: event.content.id }, 'ended');
      break;
    case 'carried':
      drops.keep({ broadcast, id: event.cue.id });
      break;
    case 'disarmed':
      break;
  }
};

type Terms = { stock: number | undefined; opensAtWallMs: number | null; expectedAtWallMs?: number };

const prepare = (drops: DropDesk, ref: DropRef, { stock, ...terms }: Terms): void => {
  if (stock !== undefined) {
    drops.prepare({ ...ref, stock, ...terms });
  }
};
