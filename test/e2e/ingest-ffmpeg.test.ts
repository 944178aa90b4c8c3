/** A real ffmpeg publishes into the RTMP server: every picture arrives, byte for byte, and the doctor sees what is wrong with it. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import type { SourceUnit } from '../../server/media/access-unit.ts';
import { FlvDemuxer } from '../../server/media/flv/flv-demuxer.ts';
import type { FlvTagType } from '../../server/media/flv/flv-tag.ts';
import type { RtmpRig } from '../support/rtmp-rig.ts';
import { startRtmpRig } from '../support/rtmp-rig.ts';
import { tempFolder } from '../support/temp-folder.ts';
import { within } from '../support/wait.ts';

let folder: string;
let rig: RtmpRig;

before(async () => {
  folder = tempFolder('ingest');
  rig = await startRtmpRig();
});

after(async () => {
  await rig.close();
  await rm(folder, { recursive: true, force: true });
});

const ffmpeg = async (...args: string[]): Promise<string> => {
  const child = spawn('ffmpeg', ['-hide_banner', '-v', 'error', '-y', ...args], {
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let said = '';
  child.stderr.on('data', (bytes: Buffer) => {
    said += bytes.toString();
  });
  const [code] = (await once(child, 'exit')) as [number];
  return code === 0 ? '' : `exit ${code}: ${said}`;
};

const VIDEO = ['-f', 'lavfi', '-i', 'testsrc2=s=320x180:r=30'];
const AUDIO = ['-f', 'lavfi', '-i', 'sine=440:r=48000'];
const AAC = ['-c:a', 'aac', '-b:a', '64k', '-ac', '2'];

const encode = async (path: string, seconds: number, ...codec: string[]): Promise<void> => {
  const length = ['-t', String(seconds)];
  assert.equal(await ffmpeg(...VIDEO, ...AUDIO, ...length, '-c:v', 'libx264', ...codec, ...AAC, '-f', 'flv', path), '');
};

/** The tags of an FLV file (Adobe FLV 10.1, annex E.3), through our demuxer: what a server should end up with. */
const unitsOfFile = async (path: string): Promise<SourceUnit[]> => {
  const bytes = await readFile(path);
  const demuxer = new FlvDemuxer();
  const units: SourceUnit[] = [];
  for (let at = 13; at + 11 <= bytes.byteLength;) {
    const size = bytes.readUIntBE(at + 1, 3);
    const timestampTs32 = bytes.readUIntBE(at + 4, 3) + (bytes[at + 7] ?? 0) * 2 ** 24;
    const body = bytes.subarray(at + 11, at + 11 + size);
    const tag = { type: (bytes[at] ?? 0) as FlvTagType, timestampTs32, body, arrivedAtMs: 0, arrivedAtWallMs: 0 };
    const demuxed = demuxer.push(tag);
    if (demuxed.type === 'unit') {
      units.push(demuxed.unit);
    }
    at += 11 + size + 4;
  }
  return units;
};

const byKind = (units: readonly SourceUnit[], kind: 'video' | 'audio'): SourceUnit[] =>
  units.filter((unit) => unit.track.kind === kind);

const url = (name: string): string => `rtmp://127.0.0.1:${rig.port}/live/${name}?key=right`;

test(
  'a zerolatency source passes byte for byte, picture for picture, sound for sound',
  { timeout: 60_000 },
  async () => {
    const path = join(folder, 'zerolatency.flv');
    await encode(path, 3, '-preset', 'veryfast', '-tune', 'zerolatency', '-g', '30');
    assert.equal(await ffmpeg('-i', path, '-c', 'copy', '-f', 'flv', url('zero')), '');
    await within(5_000, 'the publish ends', () => rig.closed.some((one) => one.name === 'zero'));
    const expected = await unitsOfFile(path);
    const arrived = rig.units.get('zero') ?? [];
    for (const kind of ['video', 'audio'] as const) {
      const wanted = byKind(expected, kind);
      const got = byKind(arrived, kind);
      assert.equal(got.length, wanted.length, kind);
      wanted.forEach((unit, index) => {
        assert.deepEqual(got[index]?.payload, unit.payload, `${kind} ${index}`);
        assert.equal(got[index]?.isKeyframe, unit.isKeyframe);
      });
      assert.deepEqual(got[0]?.track, wanted[0]?.track);
    }
    const video = byKind(arrived, 'video');
    assert.equal(video.length, 90);
    assert.deepEqual(
      video.flatMap((unit, index) => (unit.isKeyframe ? [index] : [])),
      [0, 30, 60],
    );
    assert.ok(video.every((unit) => unit.ptsTicks === unit.dtsTicks));
    const audio = byKind(arrived, 'audio');
    assert.ok(audio.slice(1).every((unit, index) => unit.dtsTicks - (audio[index]?.dtsTicks ?? 0) === 1_024));
    assert.deepEqual(
      rig.closed.filter((one) => one.name === 'zero'),
      [{ name: 'zero', reason: 'unpublished' }],
    );
  },
);

test(
  'OBS’s kind of stream: all pictures arrive, and the doctor names B-frames, lookahead and the keyframe interval',
  { timeout: 60_000 },
  async () => {
    const path = join(folder, 'obs.flv');
    await encode(path, 5, '-preset', 'veryfast', '-bf', '2', '-g', '250', '-profile:v', 'high');
    const publishing = ffmpeg('-re', '-i', path, '-c', 'copy', '-f', 'flv', url('obs'));
    const codes = (): string[] => rig.server.findings('obs').map((finding) => finding.code);
    await within(20_000, 'findings', () =>
      ['B_FRAMES', 'LOOKAHEAD', 'KEYFRAME_INTERVAL_LONG'].every((code) => codes().includes(code)),
    );
    const bFrames = rig.server.findings('obs').find((finding) => finding.code === 'B_FRAMES');
    assert.ok((bFrames?.costMs ?? 0) >= 33 && (bFrames?.costMs ?? 0) <= 100, String(bFrames?.costMs));
    assert.match(bFrames?.advice ?? '', /zerolatency/u);
    assert.equal(await publishing, '');
    await within(5_000, 'the publish ends', () => rig.closed.some((one) => one.name === 'obs'));
    const video = byKind(rig.units.get('obs') ?? [], 'video');
    assert.equal(video.length, 150);
    assert.ok(video.some((unit) => unit.ptsTicks > unit.dtsTicks));
    assert.deepEqual(rig.server.findings('obs'), []);
  },
);

test('a refused ffmpeg is told why in plain words', { timeout: 30_000 }, async () => {
  const path = join(folder, 'short.flv');
  await encode(path, 1, '-preset', 'ultrafast');
  const said = await ffmpeg('-i', path, '-c', 'copy', '-f', 'flv', `rtmp://127.0.0.1:${rig.port}/live/zero?key=wrong`);
  assert.match(said, /this is not the key of this name/u);
});

test('publishing in a row leaves nothing behind', { timeout: 60_000 }, async () => {
  const path = join(folder, 'cycle.flv');
  await encode(path, 1, '-preset', 'ultrafast', '-tune', 'zerolatency');
  const cycleCount = process.env['SLUICE_SIZE'] === 'soak' ? 50 : 5;
  for (let cycle = 0; cycle < cycleCount; cycle += 1) {
    assert.equal(await ffmpeg('-i', path, '-c', 'copy', '-f', 'flv', url('cycle')), '');
  }
  await within(5_000, 'all sessions are gone', () => rig.server.sessionCount === 0);
  assert.equal(rig.server.bufferedBytes, 0);
  assert.equal(byKind(rig.units.get('cycle') ?? [], 'video').length, 30 * cycleCount);
});
