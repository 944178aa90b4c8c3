/** The lab's real parts, as a run wants them: ffmpeg, the link's process, Chromium, servers. */
import path from 'node:path';
import { startLink } from '../link/emulated-link.ts';
import { Publisher } from '../source/publisher.ts';
import { measureViewer } from '../viewer/measure.ts';
import type { LabSource } from './lab-config.ts';
import { startLabServer } from './lab-server.ts';
import type { Instruments } from './one-run.ts';
import { untilPlayable } from './play-ready.ts';
import { DECISIONS_FOLDER, recordStream } from './stream-record.ts';

export type Folders = {
  /** Of lab.yaml: relative paths in it start here. */
  readonly here: string;
  readonly tracesDir: string | undefined;
  readonly outDir: string;
};

export const realInstruments = ({ here, tracesDir, outDir }: Folders): Instruments => ({
  startServer: (server) => startLabServer(server, here),
  startPublisher: (source, url) => Publisher.start({ ...publisherOptions(source, here), url }),
  untilPlayable,
  startLink: (scenario, seed) => startLink(scenario, { seed, ...(tracesDir === undefined ? {} : { tracesDir }) }),
  measureViewer,
  recordStream: ({ placeholders, dataFolder }, streamName) =>
    recordStream({
      playlistUrl: `http://127.0.0.1:${placeholders['httpPort']}/hls/${streamName}/index.m3u8`,
      tracesFolder: path.join(dataFolder ?? '', DECISIONS_FOLDER),
      ...{ outDir, streamName },
    }),
});

const publisherOptions = ({ clip, ...source }: LabSource, here: string): LabSource =>
  clip === undefined ? source : { ...source, clip: path.resolve(here, clip) };
