/** What the server's heap holds that is alive, to the byte: by a heap snapshot, which collects everything else first. */
import { readFile, readdir, rm } from 'node:fs/promises';
import path from 'node:path';
import type { SluiceProcess } from './sluice-process.ts';
import { withinValue } from './wait.ts';

/** Start the server with these to be able to ask. */
export const LIVE_HEAP_NODE_ARGS = ['--heapsnapshot-signal=SIGUSR2'];

const SNAPSHOT_MAX_MS = 60_000;

type HeapSnapshot = {
  readonly snapshot: { readonly meta: { readonly node_fields: readonly string[] } };
  readonly nodes: readonly number[];
};

/** Buffers outside V8's own heap are in it too. Resident memory grows by the asking, so read that before. */
export const liveHeapBytes = async (sluice: SluiceProcess): Promise<number> => {
  sluice.signal('SIGUSR2');
  const { file, snapshot } = await withinValue(SNAPSHOT_MAX_MS, 'a whole heap snapshot', async () =>
    readSnapshot(sluice.folder),
  );
  await rm(file);
  const fields = snapshot.snapshot.meta.node_fields;
  const sizeIndex = fields.indexOf('self_size');
  let bytes = 0;
  for (let index = sizeIndex; index < snapshot.nodes.length; index += fields.length) {
    bytes += snapshot.nodes[index] ?? 0;
  }
  return bytes;
};

/** Undefined while there is none, or while it is still being written. */
const readSnapshot = async (folder: string): Promise<{ file: string; snapshot: HeapSnapshot } | undefined> => {
  const name = (await readdir(folder)).find((entry) => entry.endsWith('.heapsnapshot'));
  if (name === undefined) {
    return undefined;
  }
  const file = path.join(folder, name);
  try {
    return { file, snapshot: JSON.parse(await readFile(file, 'utf8')) as HeapSnapshot };
  } catch (error) {
    if (error instanceof SyntaxError) {
      return undefined;
    }
    throw error;
  }
};
