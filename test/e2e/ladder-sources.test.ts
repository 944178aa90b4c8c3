/**
 * What streamers send most, 1080p30 and 720p60 of 6 Mbit/s, pushed by ffmpeg: every rung is there with its keyframes on the same pictures, and
 * Chromium plays each by WebRTC and by LL-HLS with sound and picture together. Minutes long, and a core or two of work: full size only.
 */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { rmSync, writeFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { after, before, test } from 'node:test';
import { promisify } from 'node:util';
import { readFragmentHead } from '../../server/media/fmp4/fragment-reader.ts';
import type { SluicePlayer } from '../../player/ui/element.ts';
import { FilePublisher } from '../latency/source/publisher.ts';
import { STAMP_COLUMN_COUNT, STAMP_HEIGHT_DIVISOR, STAMP_ROW_COUNT } from '../latency/source/stamp.ts';
import { soundProbeOffsetMs } from '../latency/viewer/self-check.ts';
import type { Viewer } from '../latency/viewer/viewer.ts';
import { closeBrowser } from '../support/browser.ts';
import { makeClip } from '../support/clip.ts';
import { ffmpegMissing } from '../support/ffmpeg-media.ts';
import { HLS_SETTLE_MS, LIP_SYNC_MAX_MS, WHEP_SETTLE_MS, lipSyncMs } from '../support/lip-sync-look.ts';
import { textAt } from '../support/live-playlists.ts';
import { LiveStage } from '../support/live-stage.ts';
import type { SluiceProcess } from '../support/sluice-process.ts';
import { tempFolder } from '../support/temp-folder.ts';
import { within, withinValue } from '../support/wait.ts';

const IS_SOAK = process.env['SLUICE_SIZE'] === 'soak';
const skip = IS_SOAK ? ffmpegMissing() : 'minutes of two cores: SLUICE_SIZE=soak';
const BITRATE_BPS = 6_000_000;
const CLIP_S = 60;
const NAME = 'source';
const SEGMENT_MIN_COUNT = 6;
/** A rung that the machine had no room for a moment ago comes back. */
const SHOWS_MAX_MS = 60_000;

const NEVER_SHED = { shedLagMs: 60_000, shedLeftOutRatio: 1 };

type Shape = { readonly widthPx: number; readonly heightPx: number; readonly frameRateFps: number };

const SOURCES: readonly { readonly shape: Shape; readonly sidesPx: readonly number[] }[] = [
  { shape: { widthPx: 1920, heightPx: 1080, frameRateFps: 30 }, sidesPx: [720, 480, 360] },
  { shape: { widthPx: 1280, heightPx: 720, frameRateFps: 60 }, sidesPx: [480, 360] },
];

let folder = '';

before(async () => {
  folder = tempFolder('sources');
  if (skip === false) {
    // Measured once, while nothing else plays.
    await soundProbeOffsetMs(true);
    await soundProbeOffsetMs(false);
  }
});

after(async () => {
  await closeBrowser();
  rmSync(folder, { recursive: true, force: true });
});

/** A browser that decodes in software takes a core; where the encoder then has too few, rungs are looked at one at a time, and shed by nobody else. */
const LOOKS_AT_ALL = availableParallelism() >= 6;

for (const { shape, sidesPx } of SOURCES) {
  const title = `${shape.heightPx}p${shape.frameRateFps}`;
  test(
    `${title}: every rung is made, with keyframes on the source's own pictures`,
    { skip, timeout: 200_000 },
    async (t) => {
      const ids = sidesPx.map(idOf);
      // The machine's pace is not asked: nothing is shed, and what is left out is told.
      const { sluice, stop } = await startSource(t, { shape, ladder: { sidesPx, ...NEVER_SHED } });
      const keyframes = await keyframesAreAligned(sluice, ids);
      const [broadcast] = await sluice.broadcasts();
      await stop();
      t.diagnostic(JSON.stringify({ keyframes, ladder: broadcast?.ladder }));
    },
  );

  const looks = LOOKS_AT_ALL ? [sidesPx] : sidesPx.map((sidePx) => [sidePx]);
  for (const lookedAtPx of looks.toReversed()) {
    test(
      `${title}: ${lookedAtPx.join(', ')} lines are in step on both paths`,
      { skip, timeout: 350_000 },
      async (t) => {
        const { stage, sluice, stop } = await startSource(t, { shape, ladder: { sidesPx: lookedAtPx } });
        // The source's own picture once, beside the smallest ladder; 60 of them a second are too much for a browser that has little more than one core.
        const hasMain = lookedAtPx.includes(sidesPx.at(-1)!) && (LOOKS_AT_ALL || shape.frameRateFps <= 30);
        const looked = [...lookedAtPx.map((linesPx) => ({ id: idOf(linesPx), linesPx })).toReversed()];
        const offsets: string[] = [];
        for (const look of hasMain ? [...looked, { id: 'main', linesPx: shape.heightPx }] : looked) {
          const whepMs = await offsetByWhep(stage, { url: `${sluice.whepUrl(NAME)}?rendition=${look.id}`, ...look });
          const hlsMs = await offsetByHls(stage, { url: `${sluice.watchUrl(NAME)}?transport=ll-hls`, ...look });
          offsets.push(`${look.id}: ${Math.round(whepMs)} ms by WebRTC, ${Math.round(hlsMs)} ms by LL-HLS`);
          t.diagnostic(`sound after picture, ${offsets.at(-1)}`);
          assert.ok(Math.max(Math.abs(whepMs), Math.abs(hlsMs)) <= LIP_SYNC_MAX_MS, offsets.at(-1));
        }
        const [broadcast] = await sluice.broadcasts();
        const [shed, restored] = ['shed', 'restored'].map((what) => sluice.events(`transcode.ladder.${what}`).length);
        await stop();
        t.diagnostic(
          JSON.stringify({ shed, restored, rungs: broadcast?.ladder?.rungs, lagMs: broadcast?.ladder?.lagMs }),
        );
      },
    );
  }
}

const idOf = (sidePx: number): string => `h${sidePx}`;

/** A server and ffmpeg that pushes the clip; resolves when every rung is made. */
const startSource = async (
  t: TestContext,
  { shape, ladder }: { shape: Shape; ladder: { readonly sidesPx: readonly number[] } & object },
): Promise<{ stage: LiveStage; sluice: SluiceProcess; stop: () => Promise<void> }> => {
  const path = await clipOf(shape);
  const stage = new LiveStage(t);
  const sluice = await stage.server({ config: { ladder: { ...ladder, narrowband: 'off' } } });
  const publisher = new FilePublisher({ path, url: sluice.rtmpUrl(NAME) });
  const stop = async (): Promise<void> => publisher.stop();
  t.after(stop);
  await within(SHOWS_MAX_MS, 'every rung is made', async () => {
    const [broadcast] = await sluice.broadcasts();
    const made = broadcast?.ladder?.rungs.filter(({ bitrateBps }) => bitrateBps > 0).map(({ id }) => id);
    return made?.join() === ladder.sidesPx.map(idOf).join();
  });
  return { stage, sluice, stop };
};

const clips = new Map<Shape, Promise<string>>();

/** Encoded once. */
const clipOf = async (shape: Shape): Promise<string> => {
  const settings = { shape, bitrateBps: BITRATE_BPS, durationS: CLIP_S, withSound: true, noiseRatio: 0.05 };
  const clip = clips.get(shape) ?? makeClip({ folder: tempFolder('clip', folder), ...settings });
  clips.set(shape, clip);
  return clip;
};

type Keyframe = { readonly ptsTicks: number; readonly stamp: string };

type MediaPlaylist = { readonly url: string; readonly text: string };

/** Keyframes of the whole segments, by the number of their segment: when they are shown, and the stamp that the source painted into them. */
const keyframesOf = async ({ url, text }: MediaPlaylist): Promise<Map<number, Keyframe[]>> => {
  const bytesAt = async (uri: string): Promise<Buffer> => {
    const answer = await fetch(new URL(uri, url));
    assert.equal(answer.status, 200, `${uri} of\n${text}`);
    return Buffer.from(await answer.arrayBuffer());
  };
  const init = await bytesAt(/#EXT-X-MAP:URI="([^"]+)"/.exec(text)![1]!);
  const firstMsn = Number(/MEDIA-SEQUENCE:(\d+)/.exec(text)![1]);
  const keyframes = new Map<number, Keyframe[]>();
  for (const [index, block] of text.split(/(?<=^segment-\S+\n)/m).entries()) {
    const [uri] = /^segment-\S+$/m.exec(block) ?? [];
    if (uri === undefined || block.includes('#EXT-X-GAP')) {
      continue;
    }
    const segment = await bytesAt(uri);
    const ticks = keyframeTicksOf(segment);
    const stamps = ticks.length === 0 ? [] : await stampsOf(Buffer.concat([init, segment]));
    keyframes.set(
      firstMsn + index,
      ticks.map((ptsTicks, place) => ({ ptsTicks, stamp: stamps[place] ?? '' })),
    );
  }
  return keyframes;
};

const keyframeTicksOf = (segment: Buffer): number[] => {
  const ticks: number[] = [];
  for (let at = 0; at < segment.byteLength;) {
    const head = readFragmentHead(segment.subarray(at))!;
    let dtsTicks = head.startTicks;
    head.durationsTicks.forEach((durationTicks, index) => {
      if (head.keyframes[index] === 1) {
        ticks.push(dtsTicks + head.compositionOffsetsTicks[index]!);
      }
      dtsTicks += durationTicks;
    });
    at += head.fragmentBytes;
  }
  return ticks;
};

/** In black and white, of the keyframes alone: one pixel for each block of the stamp. */
const stampsOf = async (mp4: Buffer): Promise<string[]> => {
  const file = join(folder, 'segment.mp4');
  writeFileSync(file, mp4);
  const size = [STAMP_COLUMN_COUNT, STAMP_HEIGHT_DIVISOR];
  const filter = `scale=${size.join(':')}:flags=area,format=gray`;
  const { stdout: pixels } = await promisify(execFile)(
    'ffmpeg',
    [
      ...['-v', 'error', '-skip_frame', 'nokey', '-i', file, '-vf', filter],
      ...['-fps_mode', 'passthrough', '-f', 'rawvideo', '-'],
    ],
    { encoding: 'buffer' },
  );
  const pictureBytes = STAMP_COLUMN_COUNT * STAMP_HEIGHT_DIVISOR;
  return Array.from({ length: pixels.byteLength / pictureBytes }, (_, index) => {
    const blocks = pixels.subarray(index * pictureBytes).subarray(0, STAMP_COLUMN_COUNT * STAMP_ROW_COUNT);
    return [...blocks].map((luma) => (luma > 128 ? '1' : '0')).join('');
  });
};

/**
 * Each keyframe of a rung is one of the main picture, shown at the same time with the same stamp, in the segment of the same number. How many there
 * are of those that the main picture has: a machine that is late leaves some out.
 */
const keyframesAreAligned = async (sluice: SluiceProcess, ids: readonly string[]): Promise<string[]> => {
  const playlists = await withinValue(60_000, `${SEGMENT_MIN_COUNT} segments of each rendition`, async () => {
    const index = await textAt(sluice.playlistUrl(NAME));
    const uris = index.split('\n').filter((line) => /^\w.*m3u8/.test(line));
    const urls = uris.map((uri) => new URL(uri, sluice.playlistUrl(NAME)).href);
    const found = await Promise.all(urls.map(async (url) => ({ url, text: await textAt(url) })));
    const isWhole = found.every(({ text }) => (text.match(/^segment-/gm)?.length ?? 0) >= SEGMENT_MIN_COUNT);
    return found.length === ids.length + 1 && isWhole ? found : undefined;
  });
  const renditions: Map<number, Keyframe[]>[] = [];
  for (const playlist of playlists) {
    renditions.push(await keyframesOf(playlist));
  }
  const [main, ...rungs] = renditions;
  const textOf = ({ ptsTicks, stamp }: Keyframe): string => `${ptsTicks} ${stamp}`;
  return rungs.map((rung) => {
    // The first may have begun in the middle of a segment, the last may go on.
    const shared = [...rung.keys()].filter((msn) => main!.has(msn)).slice(1, -1);
    const [own, theirs] = [main!, rung].map((one) => shared.flatMap((msn) => one.get(msn) ?? []).map(textOf));
    assert.ok(
      theirs!.every((keyframe) => /(?=.*1)[01]{32}$/.test(keyframe)),
      'no stamp in it',
    );
    const strange = theirs!.filter((keyframe) => !own!.includes(keyframe));
    assert.deepEqual(strange, [], `not one of ${own!.join()}`);
    assert.ok(theirs!.length > own!.length / 2, `${theirs!.length} keyframes of ${own!.length}`);
    return `${theirs!.length} of ${own!.length}`;
  });
};

const offsetByWhep = async (stage: LiveStage, { url, linesPx }: { url: string; linesPx: number }): Promise<number> => {
  const viewer = await stage.viewer({ target: { kind: 'whep', url } });
  await within(SHOWS_MAX_MS, `${url} has ${linesPx} lines`, async () => {
    const { frameHeight = 0, framesDecoded = 0 } = await viewer.inboundVideo();
    return frameHeight === linesPx && framesDecoded > 30;
  });
  const offsetMs = await lipSyncMs(viewer, { settleMs: WHEP_SETTLE_MS, ownMs: await soundProbeOffsetMs(true) });
  await viewer.close();
  return offsetMs;
};

const offsetByHls = async (stage: LiveStage, look: { url: string; id: string; linesPx: number }): Promise<number> => {
  const viewer = await stage.viewer({ target: { kind: 'page', url: look.url } });
  await viewer.waitFrame(30_000);
  await chooseRendition(viewer, look);
  const offsetMs = await lipSyncMs(viewer, { settleMs: HLS_SETTLE_MS, ownMs: await soundProbeOffsetMs(false) });
  await viewer.close();
  return offsetMs;
};

const chooseRendition = async (viewer: Viewer, { id, linesPx }: { id: string; linesPx: number }): Promise<void> => {
  const player = viewer.page.locator('sluice-player');
  await within(SHOWS_MAX_MS, `${id} can be chosen`, async () =>
    player.evaluate((element, wanted) => (element as SluicePlayer).renditions.includes(wanted), id),
  );
  await player.evaluate((element, wanted) => ((element as SluicePlayer).rendition = wanted), id);
  await within(SHOWS_MAX_MS, `${linesPx} lines by LL-HLS`, async () =>
    player.evaluate(
      (element, wanted) => element.shadowRoot?.querySelector<HTMLVideoElement>('video.shown')?.videoHeight === wanted,
      linesPx,
    ),
  );
};
