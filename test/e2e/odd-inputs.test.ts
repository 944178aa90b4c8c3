/**
 * What encoders send that nobody planned for: each gives renditions that a decoder takes, or a clear sentence why not; never harm to another
 * broadcast. Files are sent over RTMP as they are, some at a time, beside one broadcast that must not notice.
 */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { promisify } from 'node:util';
import type { BroadcastSummary } from '../../server/api/contract/socket.ts';
import { postOffer } from '../latency/load/whep-http.ts';
import { ffmpegMissing } from '../support/ffmpeg-media.ts';
import { FlvPublisher } from '../support/flv-publisher.ts';
import { textAt } from '../support/live-playlists.ts';
import { SluiceProcess } from '../support/sluice-process.ts';
import { tempFolder } from '../support/temp-folder.ts';
import { within, withinValue } from '../support/wait.ts';
import { AUDIO_PT, VIDEO_PT, WhepClient } from '../support/whep-client.ts';

type Case = {
  readonly name: string;
  /** ffmpeg's inputs and encoders; a GOP a second. */
  readonly args: readonly string[];
  readonly inCi?: boolean;
  /** What there is to see and hear; both when left out. */
  readonly kinds?: readonly ('video' | 'audio')[];
  /** That must be made. */
  readonly rungs: readonly string[];
  /** What the ladder says of those that are not. */
  readonly leftOut?: RegExp;
  /** What the doctor must say. */
  readonly advice?: RegExp;
  /** The encoder is turned away with this. */
  readonly refusal?: string;
  /** Changes the FLV file before it is sent. */
  readonly spoil?: (flv: Buffer) => void;
  /** What was spoilt reaches nobody. */
  readonly isSpoiltLeftOut?: boolean;
};

const IS_SOAK = process.env['SLUICE_SIZE'] === 'soak';
const WITNESS = 'witness';
const PUSH_S = 8;
const REPEAT_COUNT = 40;
const RUNG_SIDES = [240, 144];
const ALL = ['h240', 'h144'];
const AT_ONCE = IS_SOAK ? 2 : 5;
const PLAYS_MAX_MS = 60_000;
/** In each: damage, and what comes after it. */
const SEGMENT_MIN_COUNT = 3;
const RTP_MIN_COUNT = 30;

const picture = (size: string, fps = 30): string[] => ['-f', 'lavfi', '-i', `testsrc2=size=${size}:rate=${fps}`];
const sound = (rateHz = 48_000): string[] => ['-f', 'lavfi', '-i', `sine=sample_rate=${rateHz}`];
const h264 = (fps = 30, format = 'yuv420p'): string[] => [
  ...['-c:v', 'libx264', '-preset', 'ultrafast', '-tune', 'zerolatency', '-pix_fmt', format],
  ...['-g', String(fps), '-keyint_min', String(fps), '-sc_threshold', '0'],
];
const AAC = ['-c:a', 'aac', '-b:a', '64k'];
const MONO = [...AAC, '-ar', '44100', '-ac', '1'];
const SURROUND = [...AAC, '-ac', '6'];

type Slice = { readonly flv: Buffer; readonly at: number; readonly end: number };

const inOneSecondOfFour = (atMs: number): boolean => Math.floor(atMs / 1000) % 4 === 2;

/** Does something to each slice at the times that are meant; `at`: of its NAL unit. */
const spoilSlices =
  (spoil: (slice: Slice) => void, isMeant: (atMs: number) => boolean = inOneSecondOfFour) =>
  (flv: Buffer): void => {
    for (let at = 13; at + 11 <= flv.length;) {
      const [type, bytes, atMs] = [flv[at], flv.readUIntBE(at + 1, 3), flv.readUIntBE(at + 4, 3)];
      const isPicture = type === 9 && flv[at + 12] === 1;
      if (isPicture && isMeant(atMs)) {
        slicesOf(flv, at + 16, at + 11 + bytes).forEach(spoil);
      }
      at += 15 + bytes;
    }
  };

/** Of the NAL units behind their lengths between `from` and `end`. */
const slicesOf = (flv: Buffer, from: number, end: number): Slice[] => {
  const slices: Slice[] = [];
  for (let at = from + 4; at < end;) {
    const nalEnd = at + flv.readUInt32BE(at - 4);
    if ([1, 5].includes((flv[at] ?? 0) & 0x1f)) {
      slices.push({ flv, at, end: nalEnd });
    }
    at = nalEnd + 4;
  }
  return slices;
};

/** Noise from so many bytes on; the unit stays as long as it says. */
const noiseFrom = (skippedBytes: number): ((flv: Buffer) => void) =>
  spoilSlices(({ flv, at, end }) => {
    for (let byte = at + skippedBytes; byte < end; byte += 7) {
      flv[byte] = (flv[byte] ?? 0) ^ 0x5a;
    }
  });

const breakLength = ({ flv, at }: Slice): void => void flv.writeUInt32BE(0x7f_ffff, at - 4);

/** Of the tag that carries the record: flags, type and composition offset go before it. */
const avcConfigAt = (flv: Buffer): number => flv.indexOf(Buffer.from([0x17, 0, 0, 0, 0, 1])) + 5;

const CASES: readonly Case[] = [
  { name: 'plain', args: [...picture('640x360'), ...sound(), ...h264(), ...AAC], rungs: ALL },
  {
    name: 'tiny',
    args: [...picture('16x16'), ...sound(), ...h264(), ...AAC],
    rungs: [],
    leftOut: /the source has 16 lines itself/,
  },
  {
    name: 'one-pixel',
    inCi: true,
    args: [
      ...['-f', 'lavfi', '-i', 'testsrc2=size=16x16:rate=30,format=yuv444p,scale=1:1'],
      ...[...sound(), ...h264(30, 'yuv444p'), ...AAC],
    ],
    rungs: [],
    leftOut: /the source has 1 lines itself/,
  },
  {
    name: 'odd-size',
    inCi: true,
    args: [...picture('853x479'), ...sound(), ...h264(30, 'yuv444p'), ...MONO],
    rungs: ALL,
  },
  { name: 'odd-crop', args: [...picture('642x362'), ...sound(), ...h264(), ...AAC], rungs: ALL },
  { name: 'huge', args: [...picture('4096x2160', 5), ...sound(), ...h264(5), ...AAC], rungs: ALL },
  { name: 'slow', args: [...picture('640x360', 5), ...sound(), ...h264(5), ...AAC], rungs: ALL },
  { name: 'fast', args: [...picture('640x360', 120), ...sound(), ...h264(120), ...AAC], rungs: ALL },
  {
    name: 'portrait-no-sound',
    inCi: true,
    args: [...picture('360x640'), ...h264()],
    kinds: ['video'],
    rungs: ALL,
    advice: /No sound is coming/,
  },
  { name: 'no-picture', args: [...sound(), ...AAC], kinds: ['audio'], rungs: [], advice: /No picture is coming/ },
  { name: 'mono', args: [...picture('640x360'), ...sound(44_100), ...h264(), ...MONO], rungs: ALL },
  { name: 'surround', args: [...picture('640x360'), ...sound(), ...h264(), ...SURROUND], rungs: ALL },
  {
    name: 'damaged',
    inCi: true,
    args: [...picture('640x360'), ...sound(), ...h264(), ...SURROUND],
    rungs: ALL,
    // The slices' own headers stay as they are.
    spoil: noiseFrom(16),
  },
  {
    name: 'damaged-headers',
    args: [...picture('640x360'), ...sound(), ...h264(), ...AAC],
    rungs: ALL,
    spoil: noiseFrom(1),
  },
  {
    name: 'wrong-lengths',
    args: [...picture('640x360'), ...sound(), ...h264(), ...AAC],
    rungs: ALL,
    spoil: spoilSlices(breakLength),
    isSpoiltLeftOut: true,
  },
  {
    name: 'wrong-lengths-only',
    args: [...picture('640x360'), ...sound(), ...h264(), ...AAC],
    rungs: [],
    refusal: 'NAL_LENGTH_INVALID',
    spoil: spoilSlices(breakLength, () => true),
  },
  {
    name: 'wrong-avcc',
    inCi: true,
    args: [...picture('640x360'), ...sound(), ...h264(), ...AAC],
    rungs: [],
    refusal: 'AVC_CONFIG_INVALID',
    // The record says that its SPS is longer than the record.
    spoil: (flv) => void flv.writeUInt16BE(0x7fff, avcConfigAt(flv) + 6),
  },
  {
    name: 'wrong-sps',
    args: [...picture('640x360'), ...sound(), ...h264(), ...AAC],
    rungs: [],
    refusal: 'H264_SPS_INVALID',
    // Of the SPS only its name is left.
    spoil: (flv) => void flv.fill(0, avcConfigAt(flv) + 12, avcConfigAt(flv) + 20),
  },
];

let sluice: SluiceProcess;
let folder: string;
let witness: FlvPublisher | undefined;
const run = promisify(execFile);

before(async () => {
  folder = tempFolder('odd');
  // What becomes of the pictures is asked here, not whether this machine keeps up with all of them.
  sluice = await SluiceProcess.start({
    config: {
      ladder: {
        ...{ sidesPx: RUNG_SIDES, cpuMaxCores: 8, narrowband: 'off' },
        ...{ lagMaxMs: 10_000, shedLagMs: 60_000, shedLeftOutRatio: 1 },
      },
    },
  });
  witness = await push({ name: WITNESS, args: [...picture('320x180'), ...sound(), ...h264(), ...AAC], rungs: [] });
  await sluice.waitState(WITNESS, 'live');
});

after(async () => {
  witness?.stop();
  await sluice?.stop();
  rmSync(folder, { recursive: true, force: true });
});

const push = async ({ name, args, spoil }: Case): Promise<FlvPublisher> => {
  const file = join(folder, `${name}.flv`);
  await run('ffmpeg', ['-v', 'error', '-y', ...args, '-t', String(PUSH_S), '-f', 'flv', file]);
  if (spoil !== undefined) {
    const flv = readFileSync(file);
    spoil(flv);
    writeFileSync(file, flv);
  }
  const publisher = await FlvPublisher.start(sluice.ports.rtmp, name);
  publisher.append(file, REPEAT_COUNT);
  return publisher;
};

const summaryOf = async (name: string): Promise<BroadcastSummary | undefined> =>
  (await sluice.broadcasts()).find((one) => one.name === name);

type MediaPlaylist = { readonly file: string; readonly url: string; readonly text: string };

/** Media playlists of a broadcast, once each has so many whole segments. */
const playlistsOf = async (name: string, rungs: readonly string[], segmentCount: number): Promise<MediaPlaylist[]> =>
  withinValue(PLAYS_MAX_MS, `every rendition has ${segmentCount} segments`, async () => {
    const index = await textAt(sluice.playlistUrl(name));
    const uris = [...index.matchAll(/(?:URI="|^)(\w+\/([\w-]+\.m3u8))/gm)];
    const playlists = await Promise.all(
      uris.map(async ([, uri, file]) => {
        const { href: url } = new URL(uri!, sluice.playlistUrl(name));
        return { file: file!, url, text: await textAt(url) };
      }),
    );
    const isThere = playlists.length > 0 && rungs.every((id) => playlists.some(({ file }) => file === `${id}.m3u8`));
    return isThere && playlists.every(({ text }) => (text.match(/#EXTINF/g)?.length ?? 0) >= segmentCount)
      ? playlists
      : undefined;
  });

const NOTHING = 'nothing in it';

/** Decodes all whole segments since the last set-up, and says what the decoder complained of. */
const complaintOf = async (name: string, { file, url, text }: MediaPlaylist): Promise<string> => {
  const init = [...text.matchAll(/MAP:URI="([^"]+)"/g)].at(-1)![1]!;
  const segments = [...text.slice(text.lastIndexOf('#EXT-X-MAP')).matchAll(/^(segment-\S+)$/gm)].map(([, uri]) => uri!);
  const bytes = await Promise.all(
    [init, ...segments].map(async (uri) => Buffer.from(await (await fetch(new URL(uri, url))).arrayBuffer())),
  );
  const path = join(folder, `${name}-${file}.mp4`);
  writeFileSync(path, Buffer.concat(bytes));
  const { stdout, stderr } = await run('ffmpeg', ['-v', 'error', '-i', path, '-map', '0', '-f', 'framecrc', '-'], {
    maxBuffer: 2 ** 24,
  });
  return /^\d/m.test(stdout) ? stderr : `${NOTHING}; ${stderr}`;
};

/** What a viewer by WebRTC has to get. */
const arrivesOverWebRtc = async (name: string, kinds: readonly string[]): Promise<void> => {
  const client = await WhepClient.connect({
    post: async (offer) => postOffer({ url: sluice.whepUrl(name), bearer: undefined, offer }),
  });
  try {
    const payloadTypes = kinds.map((kind) => (kind === 'video' ? VIDEO_PT : AUDIO_PT));
    const countOf = (type: number): number => client.packets.filter(({ payloadType }) => payloadType === type).length;
    await within(PLAYS_MAX_MS, `WebRTC brings ${kinds.join(' and ')}`, () =>
      payloadTypes.every((type) => countOf(type) >= RTP_MIN_COUNT),
    );
  } finally {
    client.close();
  }
};

const toldWhy = async ({ name, refusal }: Case, publisher: FlvPublisher): Promise<string> => {
  const isTold = (text = ''): boolean => text.includes(`(${refusal})`);
  const words = await withinValue(PLAYS_MAX_MS, 'the encoder is told why', () => publisher.refusal);
  assert.ok(isTold(words), words);
  const advice = (await summaryOf(name))?.findings.map((finding) => finding.advice).find(isTold);
  assert.ok(advice !== undefined, 'who looks for the picture is not told why');
  assert.ok(
    sluice.events('rtmp.session.closed').some(({ broadcast, reason }) => broadcast === name && reason === refusal),
  );
  return advice;
};

const plays = async (one: Case): Promise<string> => {
  const { name, rungs, kinds = ['video', 'audio'], leftOut, advice } = one;
  await sluice.waitState(name, 'live');
  const playlists = await playlistsOf(name, rungs, SEGMENT_MIN_COUNT);
  for (const playlist of playlists) {
    const complaint = await complaintOf(name, playlist);
    // The publisher's own picture is given as it came, damage and all.
    const isSpoilt = one.spoil !== undefined && one.isSpoiltLeftOut !== true && playlist.file === 'video.m3u8';
    assert.ok(!complaint.startsWith(NOTHING), playlist.file);
    assert.equal(complaint !== '', isSpoilt, `${playlist.file}: ${complaint}`);
  }
  await arrivesOverWebRtc(name, kinds);
  const summary = await withinValue(PLAYS_MAX_MS, `it is said: ${advice}`, async () => {
    const now = await summaryOf(name);
    return now?.findings.some((finding) => advice?.test(finding.advice)) === (advice !== undefined) ? now : undefined;
  });
  assert.equal(summary.ladder?.restartCount ?? 0, 0, 'its encoder died');
  if (leftOut !== undefined) {
    assert.match(JSON.stringify(summary.ladder?.leftOut), leftOut);
  }
  return playlists.map(({ file }) => file).join(' ');
};

/** Rejects with what was wrong, and what the server said meanwhile. */
const judge = async (one: Case): Promise<string> => {
  const publisher = await push(one);
  try {
    return await (one.refusal === undefined ? plays(one) : toldWhy(one, publisher));
  } catch (error) {
    const lines = sluice.logLines.filter((line) => line.includes(`"${one.name}"`)).slice(-8);
    const seen = JSON.stringify(await summaryOf(one.name));
    throw new Error(`${one.name}: ${String(error)}\n${seen}\n${lines.join('\n')}`, { cause: error });
  } finally {
    publisher.stop();
  }
};

/** What the broadcast beside them all says of its life: nothing but how far it is may change. */
const witnessOf = async (): Promise<{ msn: number; rest: object }> => {
  const index = await textAt(sluice.playlistUrl(WITNESS));
  const uri = /^\w+\/video\.m3u8$/m.exec(index)?.[0] ?? '';
  const text = await textAt(new URL(uri, sluice.playlistUrl(WITNESS)).href);
  const { id, state } = (await summaryOf(WITNESS)) ?? {};
  const marks = text.match(/#EXT-X-(?:GAP|DISCONTINUITY$)/gm)?.length ?? 0;
  const msn = Number(/MEDIA-SEQUENCE:(\d+)/.exec(text)?.[1]) + (text.match(/#EXTINF/g)?.length ?? 0);
  return { msn, rest: { id, state, marks, isRunning: sluice.isRunning } };
};

test(
  'each plays or says why not, and the broadcast beside them notices nothing',
  { skip: ffmpegMissing(), timeout: 230_000 },
  async (t) => {
    await playlistsOf(WITNESS, [], 1);
    const calm = await witnessOf();
    const waiting = CASES.filter(({ inCi }) => IS_SOAK || inCi === true);
    const faults: string[] = [];
    const work = async (): Promise<void> => {
      for (let one = waiting.shift(); one !== undefined; one = waiting.shift()) {
        const { name } = one;
        await judge(one).then(
          (verdict) => t.diagnostic(`${name}: ${verdict}`),
          (error: unknown) => faults.push(String(error)),
        );
        assert.deepEqual((await witnessOf()).rest, calm.rest, `${name} was felt elsewhere`);
      }
    };
    await Promise.all(Array.from({ length: AT_ONCE }, work));
    assert.deepEqual(faults, []);
    assert.ok((await witnessOf()).msn > calm.msn, 'the broadcast beside them stands still');
  },
);
