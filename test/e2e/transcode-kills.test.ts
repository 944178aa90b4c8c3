/** `kill -9` of what ffmpeg makes: whose child it was has a short pause, nobody else notices. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { systemClock } from '../../server/base/clock.ts';
import type { AccessUnit } from '../../server/media/access-unit.ts';
import { dtsMsOf } from '../../server/media/access-unit.ts';
import { silentLog } from '../../server/observability/log.ts';
import { Metrics } from '../../server/observability/metrics.ts';
import { AAC_AUDIO, ESSENTIALS_DEFAULTS, Essentials, OPUS_AUDIO, REPAIRED_VIDEO } from '../../transcode/essentials.ts';
import type { EssentialId } from '../../transcode/essentials.ts';
import { ladderRunOptions } from '../../transcode/ladder.ts';
import { ffmpegMissing } from '../support/ffmpeg-media.ts';
import { LadderScene, makeSource } from '../support/ladder-scene.ts';
import { passMs, within } from '../support/wait.ts';

const IS_SOAK = process.env['SLUICE_SIZE'] === 'soak';
const KILL_COUNT = IS_SOAK ? 12 : 2;
/** Between kills; healthy again after 5 s. */
const EVERY_MS = IS_SOAK ? 10_000 : 5_500;
const LOOP_S = 8;
/** Issue 5. */
const RUNG_PAUSE_MAX_MS = 3_000;
const ESSENTIAL_PAUSE_MAX_MS = 2_000;
const FRAME_MS = 1000 / 30;
/** Of Opus; where the looped sound begins again there are up to three frames of nothing. */
const SOUND_MS = 50;
/** Twelve kills of each take four minutes by themselves. */
const options = { skip: ffmpegMissing(), timeout: IS_SOAK ? 400_000 : 230_000 };

/** Encoded as OBS does by default, so that there is something to repair; GOPs that LL-HLS could take, so that rungs follow the source's. */
const SOURCE = {
  ...{ widthPx: 640, heightPx: 360, frameRateFps: 30, durationS: LOOP_S, gopFrames: 60, hasSound: true },
  codecArgs: ['-tune', 'fastdecode', '-preset', 'veryfast', '-bf', '2'],
};

/** Pauses in what was made, in media time. */
const pausesMs = (units: readonly AccessUnit[], unitMs: number): number[] =>
  units
    .map((unit, index) => dtsMsOf(unit) - dtsMsOf(units[index - 1] ?? unit))
    .filter((gapMs) => gapMs > unitMs * 1.5)
    .map(Math.round);

test(
  `${KILL_COUNT} kills of the ladder's child, then of the essentials', ${EVERY_MS / 1000} s apart`,
  options,
  async (t) => {
    // Shifted by the length of a loop, sound and pictures go on without a seam only if both fill it.
    const units = makeSource(SOURCE).filter(({ arrivedAtMs }) => arrivedAtMs < LOOP_S * 1000);
    const scene = new LadderScene(t, {
      units,
      loopS: LOOP_S,
      ladder: { sidesPx: [240, 144], shedLagMs: 60_000, shedLeftOutRatio: 1 },
      // A busy machine may be late with a rung; what it leaves out then would look like a pause.
      run: ladderRunOptions({ lagMaxMs: 10_000 }),
    });
    const made: Record<EssentialId, AccessUnit[]> = { [OPUS_AUDIO]: [], [AAC_AUDIO]: [], [REPAIRED_VIDEO]: [] };
    const essentials = new Essentials({
      options: ESSENTIALS_DEFAULTS,
      clock: systemClock,
      log: silentLog,
      metrics: new Metrics({ collectDefaults: false }),
      output: { onUnit: (id, unit) => made[id].push(unit), onEnd: () => undefined },
    });
    t.after(() => essentials.close('test_over'));
    essentials.attach('video', scene.source);
    essentials.attach('audio', scene.audio);
    const rung = (): AccessUnit[] => scene.made.get('h144')?.map(({ unit }) => unit) ?? [];
    const counts = (): number[] => [rung().length, made[REPAIRED_VIDEO].length, made[OPUS_AUDIO].length];
    await within(60_000, 'everything is made', () => counts().every((count) => count > 60));
    const killAll = async (what: string, pidsOf: () => (number | undefined)[]): Promise<void> => {
      for (let index = 0; index < KILL_COUNT; index += 1) {
        await passMs(EVERY_MS);
        const pids = await pidsThere(pidsOf);
        const before = counts();
        pids.forEach((pid) => process.kill(pid, 'SIGKILL'));
        await within(20_000, `${what} ${index + 1}: everything goes on`, () =>
          counts().every((count, which) => count > (before[which] ?? 0) + 30),
        );
      }
    };
    await killAll('ladder', () => [scene.ladder.pid]);
    const [rungPauses, others] = [pausesMs(rung(), FRAME_MS), counts()];
    assert.deepEqual(pausesMs(made[REPAIRED_VIDEO], FRAME_MS), [], 'the repaired picture noticed');
    assert.deepEqual(pausesMs(made[OPUS_AUDIO], SOUND_MS), [], 'the sound noticed');
    await killAll('essentials', () => Object.values(essentials.pids()));
    const pauses = {
      rung: rungPauses,
      repaired: pausesMs(made[REPAIRED_VIDEO], FRAME_MS),
      opus: pausesMs(made[OPUS_AUDIO], SOUND_MS),
    };
    t.diagnostic(JSON.stringify({ ...pauses, others, restarts: scene.ladder.status().restartCount }));
    assert.equal(scene.ladder.status().restartCount, KILL_COUNT);
    assert.ok(Math.max(...pauses.rung) <= RUNG_PAUSE_MAX_MS, `rung: ${pauses.rung.join(' ')} ms`);
    assert.ok(Math.max(...pauses.repaired, ...pauses.opus) <= ESSENTIAL_PAUSE_MAX_MS, JSON.stringify(pauses));
    assert.deepEqual(pausesMs(rung(), FRAME_MS).slice(rungPauses.length), [], 'the rung noticed');
  },
);

const pidsThere = async (pidsOf: () => (number | undefined)[]): Promise<number[]> => {
  await within(10_000, 'the children run', () => pidsOf().every((pid) => pid !== undefined));
  return pidsOf().filter((pid) => pid !== undefined);
};
