/**
 * A viewer: a page in Chromium that plays one address and is read frame by frame: a bare page of the lab's own (`bare-page.ts`),
 * or a server's own watch page, of which only the `<video>` is needed.
 */
import type { Page } from 'playwright-core';
import { openPage, type OpenPage } from '../../support/browser.ts';
import { passMs, withinValue } from '../../support/wait.ts';
import type { Publisher } from '../source/publisher.ts';
import { leaveBarePage, openBarePage, playBarePage, readBarePage } from './bare-page.ts';
import { analyseFrames, type FrameReport } from './frame-analysis.ts';
import { STAMP_READER_SCRIPT, readElement, takeFrames, type ElementState, type ReadFrame } from './stamp-reader.ts';
import { STATS_SCRIPT, takeStats, type RawStats } from './stats-reader.ts';
import type { PlayTarget, Refusal } from './viewer-report.ts';

export type { PlayTarget } from './viewer-report.ts';

export type ViewerOptions = {
  readonly target: PlayTarget;
  /** Refuses every request to a WHEP address, so that a page which prefers WebRTC has to take LL-HLS. */
  readonly blockWhep?: boolean;
  readonly viewport?: { readonly width: number; readonly height: number };
  /** Called with the page before it goes anywhere: for routes of a test's own. */
  readonly prepare?: (page: Page) => Promise<void>;
  /** Called right before the first request for the stream (or for the server's own page): the link's clock starts here. */
  readonly beforePlay?: () => Promise<void>;
  /** How long a viewer waits for the first picture, and asks again when refused; default 10 s. */
  readonly joinMaxMs?: number;
};

export const JOIN_MAX_MS = 10_000;
const JOIN_POLL_MS = 25;
const LOOK_MAX_COUNT = 5;
/** Two pictures of 30 a second, and the scheduler's own. */
const SOURCE_LATE_MAX_MS = 80;
/** What is looked at was made up to this much earlier. */
const SOURCE_TO_GLASS_MAX_MS = 2_000;

export class Viewer {
  readonly page: Page;
  readonly #opened: OpenPage;
  readonly #options: ViewerOptions;
  #startedAtWallMs = 0;
  #frames: ReadFrame[] = [];
  readonly #samples: RawStats[] = [];

  private constructor(opened: OpenPage, options: ViewerOptions) {
    this.#opened = opened;
    this.page = opened.page;
    this.#options = options;
  }

  /** Loads the bare page, which does not play before `play`; a server's own page is gone to only then. */
  static async open(options: ViewerOptions): Promise<Viewer> {
    const opened = await openPage({
      scripts: [STAMP_READER_SCRIPT, STATS_SCRIPT],
      ...(options.viewport === undefined ? {} : { viewport: options.viewport }),
    });
    const viewer = new Viewer(opened, options);
    try {
      await viewer.#load();
      return viewer;
    } catch (error) {
      await viewer.close();
      throw error;
    }
  }

  async #load(): Promise<void> {
    const { page } = this;
    if (this.#options.blockWhep === true) {
      await page.route('**/whep/**', (route) => route.abort('connectionrefused'));
    }
    await this.#options.prepare?.(page);
    if (this.#isBare) {
      await openBarePage(page, this.#options.target);
    }
  }

  /** Starts a bare page, or goes to the server's own. Rejects when the server refuses. */
  async play(): Promise<void> {
    await this.#options.beforePlay?.();
    this.#startedAtWallMs = Date.now();
    if (!this.#isBare) {
      await this.page.goto(this.#options.target.url);
      return;
    }
    try {
      await playBarePage(this.page, this.#options.target, this.#joinMaxMs);
    } finally {
      this.#startedAtWallMs = (await readBarePage(this.page)).startedAtWallMs ?? this.#startedAtWallMs;
    }
  }

  get #isBare(): boolean {
    return this.#options.target.kind !== 'page';
  }

  get #joinMaxMs(): number {
    return this.#options.joinMaxMs ?? JOIN_MAX_MS;
  }

  /** Opens and plays. */
  static async start(options: ViewerOptions): Promise<Viewer> {
    const viewer = await Viewer.open(options);
    try {
      await viewer.play();
      return viewer;
    } catch (error) {
      await viewer.close();
      throw error;
    }
  }

  /** Everything the page's console said, newest last. */
  get consoleLines(): readonly string[] {
    return this.#opened.consoleLines;
  }

  /** Unix ms of `play` (bare page) or of the navigation. */
  get startedAtWallMs(): number {
    return this.#startedAtWallMs;
  }

  /** Frames since the last `forget`. */
  async frames(): Promise<readonly ReadFrame[]> {
    this.#frames.push(...(await takeFrames(this.page)));
    return this.#frames;
  }

  /** Starts a new observation. */
  async forget(): Promise<void> {
    await takeFrames(this.page);
    this.#frames = [];
  }

  async element(): Promise<ElementState> {
    return readElement(this.page);
  }

  /** The first frame of this observation that satisfies `accept`; rejects with the page's console after `maxMs`. */
  async waitFrame(maxMs: number, accept: (frame: ReadFrame) => boolean = () => true): Promise<ReadFrame> {
    try {
      return await withinValue(maxMs, `a frame in ${this.#options.target.url}`, async () =>
        (await this.frames()).find(accept),
      );
    } catch (error) {
      const state = JSON.stringify(await this.element());
      throw new Error(`${String(error)}\n${state}\n${this.consoleLines.join('\n')}`, { cause: error });
    }
  }

  /** Time from `play` (or the navigation) to the first frame on the glass. */
  async joinMs(maxMs = 15_000): Promise<number> {
    const first = await this.waitFrame(maxMs);
    return first.shownAtWallMs - this.#startedAtWallMs;
  }

  /** The first frame, if one comes within what is left of `joinMaxMs`. */
  async tryJoin(): Promise<ReadFrame | undefined> {
    const untilWallMs = this.#startedAtWallMs + this.#joinMaxMs;
    while (Date.now() < untilWallMs) {
      const first = (await this.frames())[0];
      if (first !== undefined) {
        return first.shownAtWallMs <= untilWallMs ? first : undefined;
      }
      await passMs(JOIN_POLL_MS);
    }
    return undefined;
  }

  /** Chromium's own numbers since the page was loaded, once a second and now. */
  async samples(): Promise<readonly RawStats[]> {
    this.#samples.push(...(await takeStats(this.page)));
    return this.#samples;
  }

  /** What the bare page was refused, and why it gave up. A server's own page keeps such things to itself. */
  async troubles(): Promise<{ readonly refusals: readonly Refusal[]; readonly failure: string | undefined }> {
    if (!this.#isBare) {
      return { refusals: [], failure: this.consoleLines.at(-1) };
    }
    const { refusals, failure } = await readBarePage(this.page);
    return {
      refusals: refusals.map(({ atWallMs, ...rest }) => ({ atMs: atWallMs - this.#startedAtWallMs, ...rest })),
      failure: failure ?? undefined,
    };
  }

  /** Looks at the screen for this long, from now. The picture that stands on it already counts, so that a freeze at the start is one. */
  async observe(durationMs: number): Promise<FrameReport> {
    const standing = (await this.frames()).slice(-1);
    await this.forget();
    await passMs(durationMs);
    const { nowWallMs } = await this.element();
    return analyseFrames([...standing, ...(await this.frames())], { endAtWallMs: nowWallMs });
  }

  /**
   * A look during which the source kept its pace. Only a source that was itself late spoils a look (a machine with too much to do;
   * no server can show what was not sent), and then all of it is repeated, unless there were `enoughFps` all the same; after five it throws.
   */
  async observePaced(publisher: Publisher, durationMs: number, enoughFps: number): Promise<FrameReport> {
    const latenessMs: number[] = [];
    for (let k = 0; k < LOOK_MAX_COUNT; k += 1) {
      const fromWallMs = Date.now() - SOURCE_TO_GLASS_MAX_MS;
      const report = await this.observe(durationMs);
      const lateMaxMs = await publisher.lateMaxBetween(fromWallMs, Date.now());
      if (lateMaxMs <= SOURCE_LATE_MAX_MS || report.pictureFps >= enoughFps) {
        return report;
      }
      latenessMs.push(Math.round(lateMaxMs));
    }
    throw new Error(`this machine is too busy to say anything: the source itself was ${latenessMs.join(', ')} ms late`);
  }

  /** Chrome's own numbers of the page's incoming video, now. */
  async inboundVideo(): Promise<Readonly<Record<string, number>>> {
    return (await this.samples()).at(-1)?.video ?? {};
  }

  /** Tells a WHEP server that this viewer goes, so that it does not send into the next measurement. */
  async leave(): Promise<void> {
    if (this.#isBare) {
      await leaveBarePage(this.page);
    }
  }

  async close(): Promise<void> {
    await this.#opened.close();
  }
}
