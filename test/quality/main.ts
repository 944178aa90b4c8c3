/** Entry of `npm run ladder`. */
import { accessSync, constants, writeFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { parseArgs } from 'node:util';
import { loadConfig } from '../../config/load.ts';
import { messageOf } from '../../server/base/errors.ts';
import { compareLadders } from './ladder-tool.ts';
import { findQualityTools } from './quality-tools.ts';
import { toText } from './report-data.ts';
import { renderLadderReport } from './report-html.ts';

const HELP = `Encodes a file with this server's ladder and with the usual one (x264 veryfast, CBR, zerolatency), and compares them.

  npm run ladder -- FILE [--rungs h720,h480] [--seconds 10] [--cores N] [--config my.yaml]
                         [--vmaf-ffmpeg PATH] [--out report.html]

  --rungs        of those planned for the file; else all
  --seconds      of the file's start; 10 by default
  --cores        of the machine the ladder is planned for; this one's by default
  --config       whose ladder section is taken; the defaults' otherwise
  --vmaf-ffmpeg  an ffmpeg with libvmaf (also by SLUICE_VMAF_FFMPEG); without one VMAF is left out
  --out          the page with rate-quality curves; ladder.html by default

Prints bits, VMAF and SSIM at four points of each rung, Bjøntegaard's difference, lag and CPU. Takes some minutes.`;

const positive = (name: string, text: string): number => {
  const value = Number(text);
  if (!(value > 0)) {
    throw new TypeError(`--${name} ${text}: expected a number above 0`);
  }
  return value;
};

const readable = (path: string): string => {
  try {
    accessSync(path, constants.R_OK);
    return path;
  } catch (error) {
    throw new TypeError(`${path} cannot be read`, { cause: error });
  }
};

const run = async (): Promise<void> => {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      help: { type: 'boolean', short: 'h' },
      rungs: { type: 'string', default: '' },
      seconds: { type: 'string', default: '10' },
      cores: { type: 'string', default: String(availableParallelism()) },
      config: { type: 'string' },
      'vmaf-ffmpeg': { type: 'string' },
      out: { type: 'string', default: 'ladder.html' },
    },
  });
  const [file, ...more] = positionals;
  if (values.help === true) {
    console.log(HELP);
    return;
  }
  if (file === undefined || more.length > 0) {
    throw new TypeError(`expected one FILE\n\n${HELP}`);
  }
  const path = readable(file);
  const config = loadConfig(values.config === undefined ? {} : { filePath: values.config });
  const results = await compareLadders({
    tools: await findQualityTools({ vmafFfmpegPath: values['vmaf-ffmpeg'] }),
    path,
    options: { ...config.ladder, enabled: true },
    rungIds: values.rungs.split(',').filter(Boolean),
    durationS: positive('seconds', values.seconds),
    coreCount: positive('cores', values.cores),
    startedAtWallMs: Date.now(),
    onStep: (words) => console.error(`… ${words}`),
  });
  console.log(toText(results));
  writeFileSync(values.out, renderLadderReport(results));
  console.log(`\nCurves: ${values.out}`);
};

try {
  await run();
} catch (error) {
  console.error(`ladder: ${messageOf(error)}`);
  process.exitCode = 1;
}
