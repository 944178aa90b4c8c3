/** The essentials with real ffmpeg: what OBS sends by default becomes what WebRTC takes, in time, and survives its child's death. */
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { readFileSync, readdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import { systemClock } from '../../server/base/clock.ts';
import type { AccessUnit } from '../../server/media/access-unit.ts';
import { dtsMsOf, ptsMsOf } from '../../server/media/access-unit.ts';
import { splitNalUnits } from '../../server/media/h264/nal-units.ts';
import { NutReader } from '../../server/media/nut/nut-reader.ts';
import { NutWriter } from '../../server/media/nut/nut-writer.ts';
import type { AudioTrack, VideoTrack } from '../../server/media/track.ts';
import { silentLog } from '../../server/observability/log.ts';
import { Metrics } from '../../server/observability/metrics.ts';
import { Rendition } from '../../server/relay/rendition.ts';
import { AAC_AUDIO, ESSENTIALS_DEFAULTS, Essentials, OPUS_AUDIO, REPAIRED_VIDEO } from '../../transcode/essentials.ts';
import type { EssentialId } from '../../transcode/essentials.ts';
import { unitsOfFlv } from '../support/flv-units.ts';
import { tempFolder } from '../support/temp-folder.ts';
import { within } from '../support/wait.ts';

const hasFfmpeg = spawnSync('ffmpeg', ['-version']).status === 0;
const options = { skip: hasFfmpeg ? false : 'ffmpeg is not installed: apt-get install ffmpeg', timeout: 60_000 };
const folder = tempFolder('essentials-test');
// What the children leave behind shows here, and nobody else's does.
process.env['TMPDIR'] = folder;

const BEEPS = "aevalsrc='if(lt(mod(t\\,1)\\,0.05)\\,0.8*sin(2*PI*1000*t)\\,0)':s=";
const OBS_VIDEO = ['-c:v', 'libx264', '-preset', 'veryfast', '-profile:v', 'high', '-bf', '2', '-g', '250'];

const ffmpeg = (args: readonly string[]): Buffer =>
  execFileSync('ffmpeg', ['-v', 'error', '-y', ...args], { maxBuffer: 2 ** 28, stdio: ['pipe', 'pipe', 'inherit'] });

const makeFlv = (name: string, video: readonly string[], rateHz: number, durationS: number): AccessUnit[] => {
  const path = join(folder, name);
  const picture = ['-f', 'lavfi', '-i', 'testsrc2=size=640x360:rate=30'];
  const sound = ['-f', 'lavfi', '-i', `${BEEPS}${rateHz}`, '-c:a', 'aac', '-ac', '1'];
  ffmpeg([...picture, ...sound, '-t', String(durationS), ...video, '-pix_fmt', 'yuv420p', '-f', 'flv', path]);
  return unitsOfFlv(readFileSync(path), { widthPx: 640, heightPx: 360 });
};

class Scene {
  readonly made: Record<EssentialId, AccessUnit[]> = { [OPUS_AUDIO]: [], [AAC_AUDIO]: [], [REPAIRED_VIDEO]: [] };
  readonly essentials: Essentials;
  readonly #renditions = new Map<string, Rendition>();
  readonly #startedAtMs = systemClock.nowMs();
  readonly #units: AccessUnit[];
  readonly #timer: NodeJS.Timeout;
  pushedCount = 0;

  constructor(t: TestContext, units: readonly AccessUnit[], ffmpegPath = 'ffmpeg') {
    t.after(() => this.close());
    this.#units = units.toSorted((a, b) => dtsMsOf(a) - dtsMsOf(b));
    this.essentials = new Essentials({
      options: { ...ESSENTIALS_DEFAULTS, ffmpegPath },
      clock: systemClock,
      log: silentLog,
      metrics: new Metrics({ collectDefaults: false }),
      output: { onUnit: (id, unit) => this.made[id].push(unit), onEnd: () => undefined },
    });
    this.#timer = setInterval(() => this.#play(), 5);
  }

  get isPlayedOut(): boolean {
    return this.pushedCount === this.#units.length;
  }

  close(): void {
    clearInterval(this.#timer);
    this.essentials.close('test_over');
  }

  #play(): void {
    const nowMs = systemClock.nowMs();
    for (let unit = this.#units[this.pushedCount]; unit !== undefined; unit = this.#units[this.pushedCount]) {
      if (dtsMsOf(unit) > nowMs - this.#startedAtMs) {
        return;
      }
      this.pushedCount += 1;
      this.#push({ ...unit, arrivedAtMs: nowMs, arrivedAtWallMs: systemClock.wallMs() });
    }
  }

  #push(unit: AccessUnit): void {
    const kind = unit.track.kind;
    const known = this.#renditions.get(kind);
    const rendition = known ?? new Rendition(`source-${kind}`, { cacheMaxBytes: 2 ** 24, cacheMaxCount: 900 });
    this.#renditions.set(kind, rendition);
    rendition.push(unit);
    if (known === undefined) {
      this.essentials.attach(kind, rendition);
    }
  }
}

const isGone = (pid: number): boolean => {
  try {
    process.kill(pid, 0);
    return false;
  } catch {
    return true;
  }
};

const leftFolders = (): string[] => readdirSync(tmpdir()).filter((name) => name.startsWith('sluice-ffmpeg-'));

/** Decodes to mono samples at 48 kHz and gives the media times, in ms, at which beeps begin. */
const beepTimesMs = (units: readonly AccessUnit[]): number[] => {
  const track = units[0]!.track;
  assert.ok(track.kind === 'audio');
  const writer = new NutWriter({ track, reorderMaxCount: 0 });
  const frames = units.map((unit) =>
    writer.frame({ ptsTicks: unit.ptsTicks, isKeyframe: true, payload: unit.payload }),
  );
  const path = join(folder, `${track.codec}.nut`);
  execFileSync('ffmpeg', ['-v', 'error', '-y', '-f', 'nut', '-i', 'pipe:0', '-ac', '1', '-f', 's16le', path], {
    input: Buffer.concat([writer.header(), ...frames]),
  });
  const raw = readFileSync(path);
  const samples = new Int16Array(raw.buffer, raw.byteOffset, raw.length >> 1);
  const skippedCount = units.length * track.samplesPerUnit - samples.length;
  const times: number[] = [];
  let quietCount = 0;
  samples.forEach((sample, index) => {
    const isLoud = Math.abs(sample) > 4_000;
    if (isLoud && quietCount > track.timescaleHz / 5) {
      times.push(ptsMsOf(units[0]!) + ((index + skippedCount) * 1000) / track.timescaleHz);
    }
    quietCount = isLoud ? 0 : quietCount + 1;
  });
  return times;
};

const pictureTimes = (units: readonly AccessUnit[]): number[] =>
  units
    .filter((unit) => unit.track.kind === 'video')
    .map((unit) => unit.ptsTicks)
    .toSorted((a, b) => a - b);

test(
  '3.1 3.2 3.20 OBS defaults: all pictures in order, a keyframe each second, 50 Opus packets a second, in sync',
  options,
  async (t) => {
    const units = makeFlv('obs.flv', OBS_VIDEO, 44_100, 6);
    const scene = new Scene(t, units);
    const { [REPAIRED_VIDEO]: video, [OPUS_AUDIO]: opus } = scene.made;
    await within(20_000, 'played out', () => scene.isPlayedOut);
    const wanted = pictureTimes(units).filter((ticks) => ticks >= (video[0]?.ptsTicks ?? 0));
    // The two pictures a decoder holds back for reordering come only with the next two of the source.
    await within(3_000, 'all but the held pictures', () => video.length >= wanted.length - 2);
    scene.close();
    assert.ok(ptsMsOf(video[0]!) < 1_000, 'pictures begin soon after the source');
    assert.deepEqual(
      video.map((unit) => unit.ptsTicks),
      wanted.slice(0, video.length),
    );
    assert.ok(video.every((unit) => unit.ptsTicks === unit.dtsTicks));
    assert.ok(video.every((unit) => splitNalUnits(unit.payload).length > 0));
    const keyMs = video.filter((unit) => unit.isKeyframe).map(ptsMsOf);
    assert.ok(video[0]!.isKeyframe);
    assert.ok(keyMs.every((atMs, index) => index === 0 || atMs - keyMs[index - 1]! < 1_050));
    assert.ok(opus.every((unit, index) => index === 0 || unit.dtsTicks - opus[index - 1]!.dtsTicks === 960));
    assert.ok(opus.length > 50 * 5);
    const source = beepTimesMs(units.filter((unit) => unit.track.kind === 'audio'));
    const heard = beepTimesMs(opus).filter((atMs) => atMs > ptsMsOf(opus[0]!) + 100);
    assert.ok(heard.length >= 4, `${heard.length} beeps`);
    for (const atMs of heard) {
      const offMs = Math.min(...source.map((sourceMs) => Math.abs(sourceMs - atMs)));
      assert.ok(offMs < 10, `beep at ${atMs} is ${offMs} ms off`);
    }
    assert.ok(video.concat(opus).every((unit) => unit.arrivedAtMs > 0));
  },
);

test(
  'kill -9 of both children: outputs are back within 2 s, times go on rising, nothing stays behind',
  options,
  async (t) => {
    const scene = new Scene(t, makeFlv('kill.flv', OBS_VIDEO, 48_000, 10));
    const { [REPAIRED_VIDEO]: video, [OPUS_AUDIO]: opus } = scene.made;
    await within(10_000, 'both outputs', () => video.length > 30 && opus.length > 50);
    const pids = Object.values(scene.essentials.pids());
    pids.forEach((pid) => process.kill(pid!, 'SIGKILL'));
    await within(1_000, 'death noticed', () =>
      Object.values(scene.essentials.status()).every(
        ({ state, restartCount }) => state === 'not_needed' || restartCount === 1,
      ),
    );
    const [videoCount, opusCount] = [video.length, opus.length];
    const killedAtMs = systemClock.nowMs();
    await within(6_000, 'both outputs again', () => video.length > videoCount && opus.length > opusCount);
    const backAfterMs = systemClock.nowMs() - killedAtMs;
    assert.ok(video[videoCount]!.isKeyframe);
    await within(5_000, 'more', () => video.length > videoCount + 20);
    const newPids = Object.values(scene.essentials.pids());
    scene.close();
    assert.ok(video.every((unit, index) => index === 0 || unit.dtsTicks > video[index - 1]!.dtsTicks));
    assert.ok(opus.every((unit, index) => index === 0 || unit.dtsTicks > opus[index - 1]!.dtsTicks));
    assert.ok(video.every((unit) => unit.track === video[0]!.track));
    assert.ok(backAfterMs < 4_000, `${backAfterMs} ms: the budget is 2 s, twice that on a busy machine`);
    await within(2_000, 'children gone', () => [...pids, ...newPids].every((pid) => isGone(pid!)));
    assert.deepEqual(leftFolders(), []);
  },
);

test('a zerolatency source with short GOPs is not repaired; only Opus is made', options, async (t) => {
  const zerolatency = ['-c:v', 'libx264', '-tune', 'zerolatency', '-g', '30'];
  const scene = new Scene(t, makeFlv('zerolatency.flv', zerolatency, 48_000, 4));
  await within(10_000, 'played out', () => scene.isPlayedOut);
  const status = scene.essentials.status();
  scene.close();
  assert.equal(status[REPAIRED_VIDEO].state, 'not_needed');
  assert.equal(scene.made[REPAIRED_VIDEO].length, 0);
  assert.ok(scene.made[OPUS_AUDIO].length > 100);
});

test(
  'Opus goes in by NUT and comes out as AAC, in step, with silence where packets are missing',
  options,
  async (t) => {
    const units = opusUnits();
    // Three packets of 20 ms never came.
    const scene = new Scene(t, [...units.slice(0, 110), ...units.slice(113)]);
    const { [AAC_AUDIO]: aac } = scene.made;
    await within(20_000, 'played out', () => scene.isPlayedOut);
    await within(5_000, 'all but what the encoder holds', () => aac.length > 4 * 46);
    assert.equal(scene.essentials.status()[OPUS_AUDIO].state, 'not_needed');
    scene.close();
    assert.deepEqual([aac[0]!.track.codec, aac[0]!.track.timescaleHz], ['aac', 48_000]);
    assert.ok(aac.every((unit, index) => index === 0 || unit.dtsTicks - aac[index - 1]!.dtsTicks === 1_024));
    assert.ok(aac[0]!.dtsTicks >= 0);
    const source = beepTimesMs(units);
    const heard = beepTimesMs(aac).filter((atMs) => atMs > ptsMsOf(aac[0]!) + 100);
    assert.ok(heard.length >= 3, `${heard.length} beeps`);
    for (const atMs of heard) {
      const offMs = Math.min(...source.map((sourceMs) => Math.abs(sourceMs - atMs)));
      assert.ok(offMs < 15, `beep at ${atMs} is ${offMs} ms off`);
    }
  },
);

test('HEVC with B-frames goes in by NUT and comes out as H.264 without', options, async (t) => {
  const scene = new Scene(t, hevcUnits());
  const video = scene.made[REPAIRED_VIDEO];
  await within(20_000, 'pictures', () => video.length > 60);
  scene.close();
  assert.equal(video[0]!.track.codec, 'h264');
  assert.ok(video.every((unit, index) => index === 0 || unit.ptsTicks - video[index - 1]!.ptsTicks === 3_000));
});

test('without ffmpeg the status says in plain words what is lacking, and what to install', options, async (t) => {
  const scene = new Scene(t, makeFlv('missing.flv', OBS_VIDEO, 48_000, 2), join(folder, 'no-such-ffmpeg'));
  await within(5_000, 'missing', () => scene.essentials.status()[REPAIRED_VIDEO].state === 'missing');
  const { lack } = scene.essentials.status()[OPUS_AUDIO];
  scene.close();
  assert.match(lack ?? '', /no sound over WebRTC because ffmpeg is missing.*apt-get install ffmpeg/);
  assert.deepEqual(leftFolders(), []);
});

/** Beeps by libopus into NUT, read by our reader. */
const opusUnits = (): AccessUnit[] => {
  const nut = join(folder, 'opus.nut');
  ffmpeg(['-f', 'lavfi', '-i', `${BEEPS}48000`, '-t', '5', '-c:a', 'libopus', '-ac', '2', '-f', 'nut', nut]);
  const frames = new NutReader().push(readFileSync(nut));
  const stream = frames[0]!.stream;
  const track: AudioTrack = {
    ...{ kind: 'audio', codec: 'opus', timescaleHz: 48_000, codecString: 'opus' },
    ...{ decoderConfig: stream.codecSpecific, channelCount: 2, samplesPerUnit: 960 },
  };
  return frames.map(({ payload }, index) => ({
    ...{ track, payload, dtsTicks: index * 960, ptsTicks: index * 960 },
    ...{ isKeyframe: true, arrivedAtMs: 0, arrivedAtWallMs: 0, isDiscontinuity: false },
  }));
};

/** x265 into MP4 (which makes lengths and hvcC), copied into NUT, read by our reader. Decoding times are made up evenly. */
const hevcUnits = (): AccessUnit[] => {
  const [mp4, nut] = [join(folder, 'hevc.mp4'), join(folder, 'hevc.nut')];
  const x265 = ['-c:v', 'libx265', '-preset', 'ultrafast', '-x265-params', 'bframes=2:keyint=60:log-level=error'];
  ffmpeg(['-f', 'lavfi', '-i', 'testsrc2=size=320x180:rate=30', '-t', '4', ...x265, '-pix_fmt', 'yuv420p', mp4]);
  ffmpeg(['-i', mp4, '-c', 'copy', nut]);
  const frames = new NutReader().push(readFileSync(nut));
  const stream = frames[0]!.stream;
  const track: VideoTrack = {
    kind: 'video',
    codec: 'hevc',
    timescaleHz: 90_000,
    decoderConfig: stream.codecSpecific,
    codecString: 'hvc1.1.6.L60.90',
    widthPx: stream.widthPx,
    heightPx: stream.heightPx,
  };
  return frames.map(({ ptsTicks, isKeyframe, payload, stream: { timeBase } }, index) => ({
    track,
    dtsTicks: index * 3_000,
    ptsTicks: Math.round((ptsTicks * timeBase.num * 90_000) / timeBase.den) + 6_000,
    isKeyframe,
    payload,
    arrivedAtMs: 0,
    arrivedAtWallMs: 0,
    isDiscontinuity: false,
  }));
};
