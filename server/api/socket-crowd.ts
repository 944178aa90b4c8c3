/** The sockets of one broadcast's name: what they are all told of it, made once for all of them. */
import type { RenditionSummary, ServerMessage } from './contract/socket.ts';
import type { Hearer } from './fan-out.ts';
import { FanOut, textFrame } from './fan-out.ts';
import type { BroadcastNews } from './views.ts';

/** A bitrate that moved by less than this is no news. */
const BITRATE_NEWS_RATIO = 0.25;

export class SocketCrowd {
  readonly fanOut = new FanOut();
  #stateText = '';
  #stateFrame: Buffer | undefined;
  #renditions: readonly RenditionSummary[] = [];
  #renditionsFrame: Buffer | undefined;
  #arrivalText = '';
  #arrivalFrame: Buffer | undefined;

  constructor(news: BroadcastNews) {
    this.onNews(news);
    // Nobody is there yet.
    this.fanOut.run(() => false);
  }

  /** Is told how things stand, and from then on what changes. */
  add(member: Hearer): void {
    for (const frame of [this.#stateFrame, this.#renditionsFrame]) {
      if (frame !== undefined) {
        member.hear(frame);
      }
    }
    this.fanOut.add(member);
  }

  /** What is no news is not told. */
  onNews({ state, viewerCount, broadcastId, renditions }: BroadcastNews): void {
    const named = broadcastId === undefined ? {} : { broadcastId };
    const stateText = textOf({ type: 'state', state, viewerCount, ...named });
    if (stateText !== this.#stateText) {
      this.#stateText = stateText;
      this.#stateFrame = this.tell(stateText);
    }
    if (!isSameChoice(renditions, this.#renditions)) {
      this.#renditions = renditions;
      this.#renditionsFrame = this.tell(textOf({ type: 'renditions', renditions }));
    }
  }

  /** Of what each is told who comes; made anew when it has changed. */
  frameOf(text: string): Buffer {
    if (this.#arrivalFrame === undefined || text !== this.#arrivalText) {
      this.#arrivalText = text;
      this.#arrivalFrame = textFrame(text);
    }
    return this.#arrivalFrame;
  }

  /** To all who are there now. */
  tell(text: string): Buffer {
    const frame = textFrame(text);
    this.fanOut.push(frame);
    return frame;
  }
}

const textOf = (message: ServerMessage): string => JSON.stringify(message);

const isSameChoice = (now: readonly RenditionSummary[], before: readonly RenditionSummary[]): boolean =>
  now.length === before.length &&
  now.every(({ id, widthPx, heightPx, bitrateBps }, index) => {
    const last = before[index];
    const isSamePicture = last?.id === id && last.widthPx === widthPx && last.heightPx === heightPx;
    return isSamePicture && Math.abs(bitrateBps - last.bitrateBps) <= last.bitrateBps * BITRATE_NEWS_RATIO;
  });
