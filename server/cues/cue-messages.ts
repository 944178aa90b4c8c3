/** What viewers' sockets are told of cues, as texts: each is written once, however many sockets there are. Pure. */
import type { Cue, CueMessage } from '../api/contract/cues.ts';
import type { CueEvent, CueRecord } from './cue.ts';
import { cueOf, markOf } from './cue.ts';

/** As the contract says. */
const CUE_MAX_COUNT = 200;
/** Of what is to come, the soonest: 15 kB. Others are told when they fire. */
const MARK_MAX_COUNT = 100;

/** Null: viewers need not know. */
export const messageOf = (event: CueEvent): CueMessage | null => {
  switch (event.type) {
    case 'armed':
      return { type: 'cue-mark', mark: event.mark };
    case 'fired':
      return { type: 'cue', cue: event.cue };
    case 'edited':
      return event.cue === undefined ? null : { type: 'cue', cue: event.cue };
    case 'disarmed':
      return { type: 'cue-withdrawn', id: event.id };
    case 'withdrawn':
      return event.wasTold ? { type: 'cue-withdrawn', id: event.content.id } : null;
    case 'carried':
    case 'ended':
      // All are told anew when a broadcast begins; players know its duration, and that the broadcast has ended.
      return null;
    default:
      return event satisfies never;
  }
};

/**
 * All that is to come and has been, for who comes anew. When it would be longer than `maxBytes`, what is over goes first, then the oldest;
 * `leftOutCount` of them are missing.
 */
export const snapshotOf = (
  records: readonly CueRecord[],
  { maxBytes }: { maxBytes: number },
): { readonly text: string; readonly leftOutCount: number } => {
  const marks = records
    .flatMap(({ state, content, place }) => (state === 'armed' && place !== undefined ? markOf(content, place) : []))
    .slice(0, MARK_MAX_COUNT);
  const shown = records.filter(({ state, place }) => (state === 'fired' || state === 'ended') && place !== undefined);
  const isOn = ({ state }: CueRecord): boolean => state === 'fired';
  const wanted = [...shown.filter((record) => !isOn(record)), ...shown.filter(isOn)].slice(-CUE_MAX_COUNT).reverse();
  let bytes = Buffer.byteLength(JSON.stringify(marks));
  const taken = new Set<CueRecord>();
  for (const record of wanted) {
    bytes += Buffer.byteLength(JSON.stringify(record.content)) + MARK_MAX_BYTES;
    if (bytes > maxBytes) {
      break;
    }
    taken.add(record);
  }
  const cues = shown.flatMap((record): Cue[] =>
    taken.has(record) && record.place !== undefined ? [cueOf(record.content, record.place)] : [],
  );
  const text = JSON.stringify({ type: 'cues', marks, cues } satisfies CueMessage);
  return { text, leftOutCount: shown.length - cues.length };
};

/** What a cue has beyond its content: three numbers with their names. */
const MARK_MAX_BYTES = 160;
