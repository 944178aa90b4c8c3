/**
 * A broadcast with two rungs that were encoded beforehand, behind WHEP, as a process of its own: everything from the hub to the kernel is the server's, nothing is
 * encoded while it runs. `fork(rung-host.ts)`; tells its address, then what it holds each time it is asked.
 */
import { readdirSync, readlinkSync } from 'node:fs';
import { systemClock } from '../../server/base/clock.ts';
import { SOURCE_VIDEO } from '../../server/relay/broadcast.ts';
import { encodeClip, type EncodedClip } from './encoded-clip.ts';
import { serveEndpoint } from './endpoint-server.ts';
import { playLive } from './live-clip.ts';
import { openWebRtcSetup } from './webrtc-setup.ts';

export type RungHostSays =
  { readonly type: 'ready'; readonly whepUrl: string } | { readonly type: 'held'; readonly held: RungHostHeld };

export type RungHostHeld = {
  readonly sessionCount: number;
  /** File descriptors that are sockets. */
  readonly socketCount: number;
  readonly rssBytes: number;
  /** Alive after a collection, where the process may ask for one (`--expose-gc`). */
  readonly heapBytes: number;
  /** What JavaScript's objects hold outside the heap: buffers, and what the addon says it has. */
  readonly externalBytes: number;
  /** `/metrics`. */
  readonly metricsText: string;
};

const SHAPE = { fps: 30, durationS: 2, gopFrames: 30 };
const [source, h480, h360] = await Promise.all([
  encodeClip({ ...SHAPE, widthPx: 1280, heightPx: 720, bitrateBps: 2_500_000 }),
  encodeClip({ ...SHAPE, widthPx: 854, heightPx: 480, bitrateBps: 1_000_000 }),
  encodeClip({ ...SHAPE, widthPx: 640, heightPx: 360, bitrateBps: 400_000 }),
]);
const setup = await openWebRtcSetup({ port: { listenAddress: '127.0.0.1' } });
const server = await serveEndpoint(setup.endpoint);

/** A rung's picture leaves with the source's of the same place, with its times. */
const follow = (id: string, clip: EncodedClip): void => {
  let count = 0;
  setup.broadcast.addRendition(SOURCE_VIDEO).subscribe({
    onUnit: (unit) => {
      const frame = clip.frames[count % clip.frames.length]!;
      count += 1;
      setup.broadcast.addRendition(id).push({ ...unit, ...frame, track: clip.track });
    },
  });
};

const socketCount = (): number =>
  readdirSync('/proc/self/fd').filter((fd) => {
    try {
      return readlinkSync(`/proc/self/fd/${fd}`).startsWith('socket:');
    } catch {
      return false; // The folder's own descriptor is gone by now.
    }
  }).length;

const tell = (message: RungHostSays): void => {
  process.send?.(message);
};

follow('h480', h480);
follow('h360', h360);
playLive(source, setup.feed, systemClock);
process.on('message', () => {
  globalThis.gc?.();
  void setup.metrics.render().then((metricsText) => {
    const { rss: rssBytes, heapUsed: heapBytes, external: externalBytes } = process.memoryUsage();
    const { sessionCount } = setup.out;
    tell({
      type: 'held',
      held: { sessionCount, socketCount: socketCount(), rssBytes, heapBytes, externalBytes, metricsText },
    });
  });
});
process.on('disconnect', () => process.exit(0));
tell({ type: 'ready', whepUrl: `${server.url}/whep/demo` });
