/** How a protocol's session asks whether somebody may publish. `main.ts` answers with the keys and the hub. */
import type { PublisherFeed } from '../media/stream-source.ts';

export type PublishRequest = {
  readonly protocol: 'rtmp' | 'whip';
  /** As sent; the gate checks its form. */
  readonly name: string;
  readonly key: string | undefined;
  readonly remoteAddress: string;
  /** Ends the session, for instance because another publisher took its place. */
  readonly close: (reason: string) => void;
};

export type PublishVerdict =
  | { readonly ok: true; readonly feed: PublisherFeed }
  /** `detail` is for the streamer's eyes and says what was expected. */
  | { readonly ok: false; readonly code: string; readonly detail: string };

export type PublishGate = (request: PublishRequest) => Promise<PublishVerdict>;
