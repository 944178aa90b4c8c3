/** Whether what an encoder made can be decoded, asked of another library than the one that made it: encoders of AV1 have made what no decoder took. */
import { messageOf } from '../../server/base/errors.ts';
import type { VideoUnit } from '../../server/media/access-unit.ts';
import { NutWriter } from '../../server/media/nut/nut-writer.ts';
import { runFfmpegOnce } from '../ffmpeg-process.ts';

/** What is wrong with these pictures, which begin with a keyframe; undefined: nothing. Never rejects. */
export type DecodeCheck = (units: readonly VideoUnit[]) => Promise<string | undefined>;

const TIMEOUT_MS = 10_000;

export const createDecodeCheck =
  (ffmpegPath: string): DecodeCheck =>
  async (units) => {
    const [first] = units;
    if (first === undefined) {
      return 'there are no pictures';
    }
    const writer = new NutWriter({ track: first.track, reorderMaxCount: 0 });
    const frames = units.map(({ ptsTicks, isKeyframe, payload }) =>
      writer.frame({ ptsTicks: ptsTicks - first.ptsTicks, isKeyframe, payload }),
    );
    try {
      const listed = await runFfmpegOnce({
        ffmpegPath,
        inputArgs: ['-hide_banner', '-nostdin', '-loglevel', 'error', '-xerror', '-threads', '1', '-f', 'nut'],
        outputs: [['-map', '0:v:0', '-fps_mode', 'passthrough', '-f', 'framecrc']],
        input: Buffer.concat([writer.header(), ...frames]),
        timeoutMs: TIMEOUT_MS,
      });
      const lines = Buffer.from(listed).toString('latin1').split('\n');
      const count = lines.filter((line) => /^\d/.test(line)).length;
      return count === units.length ? undefined : `${count} of ${units.length} pictures were decoded`;
    } catch (error) {
      return messageOf(error);
    }
  };
