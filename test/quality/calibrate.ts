/**
 * Makes `config/quality-model.json`: `npm run calibrate [-- CLIPS_FOLDER]`. With a folder of clips (and an ffmpeg that has libvmaf, see the
 * README) they are measured first and replace the rows of `calibration.csv` that have their names; without one the rows that lie there are fitted.
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { PRESETS } from '../../transcode/ladder-plan.ts';
import { fitModel } from './calibration-fit.ts';
import { measureClip } from './calibration-measure.ts';
import { readRows, writeRows } from './calibration-rows.ts';
import { listClips } from './clips.ts';
import { findQualityTools } from './quality-tools.ts';

const MODEL_PATH = join(import.meta.dirname, '../../config/quality-model.json');
const SIDES_PX = [720, 480, 360];
const CRFS = [20, 26, 31];
const DURATION_S = 4;
/** What the planner gives the default ladder of 1080p30 on two cores; at 480 lines also its neighbours. */
const USUAL_PRESET = 'veryfast';
const OTHER_PRESETS_SIDE_PX = 480;
const OTHER_PRESETS = PRESETS.filter((preset) => preset === 'medium' || preset === 'faster');
const measureFolder = async (folder: string): Promise<void> => {
  const tools = await findQualityTools();
  for (const clip of await listClips(folder)) {
    for (const lines of SIDES_PX.filter((sidePx) => sidePx <= clip.heightPx)) {
      const presets = [USUAL_PRESET, ...(lines === OTHER_PRESETS_SIDE_PX ? OTHER_PRESETS : [])] as const;
      const rows = await measureClip({ tools, clip, lines, presets, crfs: CRFS, durationS: DURATION_S });
      console.error(`${clip.name} ${lines}: ${rows.length} rows`);
      writeRows([...readRows().filter((row) => row.clip !== clip.name || row.lines !== lines), ...rows]);
    }
  }
};

const [clipsFolder] = process.argv.slice(2);
if (clipsFolder !== undefined) {
  await measureFolder(clipsFolder);
}
const model = fitModel(readRows());
writeFileSync(MODEL_PATH, `${JSON.stringify(model, undefined, 2)}\n`);
console.log(JSON.stringify(model.leaveOneClipOut, undefined, 2));
