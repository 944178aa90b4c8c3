/**
 * What a live test puts up: a server, publishers, viewers. Taken down in reverse order when the test ends; when it failed, with the
 * server's last log lines.
 */
import type { TestContext } from 'node:test';
import { Viewer, type ViewerOptions } from '../latency/viewer/viewer.ts';
import { Publisher, type PublisherOptions } from '../latency/source/publisher.ts';
import { SluiceProcess, type SluiceOptions } from './sluice-process.ts';

const LOG_TAIL_COUNT = 60;

export class LiveStage {
  readonly #closers: (() => Promise<void>)[] = [];
  readonly #t: TestContext;

  constructor(t: TestContext) {
    this.#t = t;
    t.after(async () => {
      for (const close of this.#closers.reverse()) {
        await close();
      }
    });
  }

  /** Known to Node, not yet to its types. */
  get #hasPassed(): boolean {
    return (this.#t as TestContext & { readonly passed?: boolean }).passed === true;
  }

  async server(options: SluiceOptions = {}): Promise<SluiceProcess> {
    return this.adopt(await SluiceProcess.start(options));
  }

  /** A server that was started elsewhere (restarted, for one). */
  adopt(server: SluiceProcess): SluiceProcess {
    this.#closers.push(async () => {
      if (!this.#hasPassed) {
        this.#t.diagnostic(server.logLines.slice(-LOG_TAIL_COUNT).join('\n'));
      }
      await server.stop();
    });
    return server;
  }

  async publisher(options: PublisherOptions): Promise<Publisher> {
    const publisher = await Publisher.start(options);
    this.#closers.push(async () => {
      if (!this.#hasPassed && publisher.stderrTail !== '') {
        this.#t.diagnostic(`publisher: ${publisher.stderrTail}`);
      }
      await publisher.stop();
    });
    return publisher;
  }

  async viewer(options: ViewerOptions): Promise<Viewer> {
    const viewer = await Viewer.start(options);
    this.#closers.push(async () => {
      if (!this.#hasPassed) {
        this.#t.diagnostic(`${options.target.url}\n${viewer.consoleLines.slice(-LOG_TAIL_COUNT).join('\n')}`);
      }
      await viewer.close();
    });
    return viewer;
  }
}
