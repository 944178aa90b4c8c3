/** What threads are told of the hub, in order, beside the ring: what its units' numbers mean. */
import type { AccessUnit } from '../media/access-unit.ts';
import type { Track } from '../media/track.ts';
import type { BroadcastState } from '../relay/broadcast-view.ts';

export type HubMessage =
  | {
      readonly kind: 'broadcast';
      readonly number: number;
      readonly name: string;
      readonly id: string;
      readonly state: BroadcastState;
      readonly wallOffsetMs: number;
    }
  | { readonly kind: 'state'; readonly number: number; readonly state: BroadcastState }
  | {
      readonly kind: 'rendition';
      readonly broadcastNumber: number;
      readonly number: number;
      readonly id: string;
      /** What was cached of it, for a thread that comes later. */
      readonly gop: readonly AccessUnit[];
    }
  | { readonly kind: 'rendition-gone'; readonly number: number }
  /** Always before the first unit that has it. */
  | {
      readonly kind: 'track';
      readonly renditionNumber: number;
      readonly number: number;
      readonly track: Track;
    };

/** Says a message to one thread, or to all. */
export type Post = (message: HubMessage) => void;
