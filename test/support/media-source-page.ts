/** A page that appends CMAF by hand, at no pace: what the element makes of segments and parts, without anybody's player. */
import { openPage } from './browser.ts';

export type Appended = {
  /** What the element holds, in seconds of its own timeline. */
  readonly ranges: readonly (readonly [fromS: number, toS: number])[];
  /** It was played to its end. */
  readonly hasEnded: boolean;
  /** Heights in the order in which they were shown. */
  readonly heightsPx: readonly number[];
  readonly error: string | undefined;
};

/** Fetches and appends `urls` one after the other on a page of their own origin, ends the stream there, and plays it at fourfold speed, at most for `playMaxMs`. */
export const appendAll = async (urls: readonly string[], codec: string, playMaxMs = 30_000): Promise<Appended> => {
  const opened = await openPage();
  const { page } = opened;
  await page.goto(`${new URL(urls[0]!).origin}/`);
  try {
    return await page.evaluate(
      async ([addresses, mimeType, maxMs]) => {
        const shown = document.createElement('video');
        shown.muted = true;
        document.body.append(shown);
        const heightsPx: number[] = [];
        shown.addEventListener('resize', () => heightsPx.push(shown.videoHeight));
        const source = new MediaSource();
        shown.src = URL.createObjectURL(source);
        await new Promise((resolve) => source.addEventListener('sourceopen', resolve, { once: true }));
        const buffer = source.addSourceBuffer(mimeType);
        for (const address of addresses) {
          const response = await fetch(address);
          if (!response.ok) {
            throw new Error(`${address}: ${response.status}`);
          }
          buffer.appendBuffer(await response.arrayBuffer());
          await new Promise((resolve) => buffer.addEventListener('updateend', resolve, { once: true }));
        }
        source.endOfStream();
        const { buffered } = shown;
        const ranges = Array.from(
          { length: buffered.length },
          (_, at) => [buffered.start(at), buffered.end(at)] as const,
        );
        shown.currentTime = buffered.start(0);
        shown.playbackRate = 4;
        const ended = new Promise<boolean>((resolve) => {
          shown.addEventListener('ended', () => resolve(true), { once: true });
          setTimeout(() => resolve(false), maxMs);
        });
        await shown.play();
        const hasEnded = await ended;
        return { ranges, hasEnded, heightsPx, error: shown.error?.message };
      },
      [urls, `video/mp4; codecs="${codec}"`, playMaxMs] as const,
    );
  } finally {
    await opened.close();
  }
};
